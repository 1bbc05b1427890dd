"""Tables on the screen and in files, and the progress bar of a training run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning_utilities.core.rank_zero import rank_zero_only
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from scalegroup.training.evaluate import DiceRow, dice_rows_of
from scalegroup.training.files import replacing


def is_first_process() -> bool:
    """Whether this is the one of several processes that speaks to the user."""
    return getattr(rank_zero_only, "rank", 0) == 0


def open_console() -> Console:
    """A console on which no table loses its last digits: where lines are shorter than 120 signs, they wrap."""
    return Console(width=max(120, Console().width), quiet=not is_first_process())


def progress_bar() -> Progress:
    """The one style of progress bar; use it as a context manager."""
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        disable=not is_first_process(),
    )


class ShowProgress(Callback):
    """One bar over all epochs, with the loss and the last validation Dice beside it.

    Args:
        bar: a running `progress_bar()`.
        description: what is trained.
    """

    def __init__(self, bar: Progress, description: str) -> None:
        self.bar, self.description = bar, description
        self._task: TaskID | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Opens the bar, at the epoch from which a resumed run goes on."""
        self._task = self.bar.add_task(
            self.description, total=trainer.max_epochs, completed=trainer.current_epoch, note=""
        )

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Advances by one epoch."""
        names = {"train_loss": "loss", "val_dice": "validation Dice"}
        seen = trainer.callback_metrics
        note = "  ".join(f"{short} {float(seen[name]):.3f}" for name, short in names.items() if name in seen)
        if self._task is not None:
            self.bar.update(self._task, completed=trainer.current_epoch + 1, note=note)


class Advance(Callback):
    """One bar over all scans that are tested or predicted.

    Args:
        bar: a running `progress_bar()`.
        description: what is done.
        total: number of scans.
    """

    def __init__(self, bar: Progress, description: str, total: int) -> None:
        self.bar, self._task = bar, bar.add_task(description, total=total, note="")

    def on_test_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """One scan further."""
        self.bar.advance(self._task)

    def on_predict_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """As many scans further as there are processes."""
        self.bar.advance(self._task, trainer.world_size)


class CollectDice(Callback):
    """Collects the measurements of a test over `scalegroup.training.evaluate.Rescaled`.

    Args:
        classes: their names.

    Attributes:
        rows: one per scale, scan and class.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.rows: list[DiceRow] = []

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        """Adds one scan."""
        self.rows += dice_rows_of(batch, outputs["dice"], self.classes)


class MetricsFile(Callback):
    """One row per epoch in a CSV file; a resumed run goes on in the same file.

    After loss and Dice come the columns of what other callbacks log. A cell stays empty in epochs in which it was not
    measured.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[dict[str, str]] = []

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keeps the rows of the epochs before the one from which the run goes on."""
        if self.path.is_file():
            with self.path.open(newline="") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < trainer.current_epoch]

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the row of this epoch."""
        if not trainer.is_global_zero:
            return
        classes = [f"val_dice/{name}" for name in pl_module.hparams["classes"]]
        validated = (trainer.current_epoch + 1) % int(trainer.check_val_every_n_epoch or 1) == 0
        seen = {name: f"{float(value):.5f}" for name, value in trainer.callback_metrics.items()}
        shown = {name: value for name, value in seen.items() if validated or not name.startswith("val_")}
        self._rows.append({**shown, "epoch": str(trainer.current_epoch)})
        others = sorted({name for row in self._rows for name in row})
        columns = dict.fromkeys(["epoch", "train_loss", "val_dice", *classes, *others])
        write_csv(self.path, [{name: row.get(name, "") for name in columns} for row in self._rows])


def dice_table(title: str, rows: Mapping[str, Mapping[float, float]]) -> Table:
    """A table with one row per name and one column per test scale."""
    scales = list(next(iter(rows.values())))
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("test scale", no_wrap=True)
    for scale in scales:
        table.add_column(f"{scale:g}", justify="right", no_wrap=True)
    for name, values in rows.items():
        table.add_row(name, *(f"{values[scale]:.3f}" for scale in scales))
    return table


def markdown_table(rows: Mapping[str, Mapping[float, float]]) -> str:
    """The same table in Markdown.

    Example:
        >>> print(markdown_table({"ours": {0.7: 0.5, 1.0: 0.75}}))
        | test scale | 0.7 | 1 |
        |---|---|---|
        | ours | 0.500 | 0.750 |
    """
    scales = list(next(iter(rows.values())))
    lines = ["| " + " | ".join(["test scale", *(f"{scale:g}" for scale in scales)]) + " |"]
    lines.append("|---" * (1 + len(scales)) + "|")
    for name, values in rows.items():
        lines.append("| " + " | ".join([name, *(f"{values[scale]:.3f}" for scale in scales)]) + " |")
    return "\n".join(lines)


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows of one kind, the keys of the first as header, in one step."""
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def dice_rows(rows: Sequence[DiceRow], **constant: object) -> list[dict[str, Any]]:
    """Measurements as rows for `write_csv`, with further constant columns in front."""
    return [{**constant, **asdict(row), "dice": f"{row.dice:.5f}"} for row in rows]


def read_dice_rows(path: str | Path) -> list[DiceRow]:
    """The measurements of a file that `write_csv` wrote from `dice_rows`."""
    names = [field.name for field in fields(DiceRow)]
    with Path(path).open(newline="") as file:
        table = [[row[name] for name in names] for row in csv.DictReader(file)]
    return [DiceRow(float(scale), case, label, float(dice)) for scale, case, label, dice in table]
