"""`scalegroup compare`: measure, learn, show, keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from scalegroup.benchmarks.compare.learn import Budget, Learned, Task, learn, learned
from scalegroup.benchmarks.compare.networks import PLAIN, chosen_names, has_dim
from scalegroup.benchmarks.compare.page import as_page, brief_grid, learned_grid
from scalegroup.benchmarks.compare.rows import LISTED, Row, as_cells, measured_rows, merged, read_rows
from scalegroup.benchmarks.compare.tasks import TASKS
from scalegroup.benchmarks.run import as_table
from scalegroup.benchmarks.table import machine
from scalegroup.training.files import replacing
from scalegroup.training.report import write_csv

MADE_BY = ("processor", "threads", "python", "torch", "numpy", "date")


def measure_methods(
    names: Sequence[str], dims: Sequence[int], console: Console, bar: Progress, threads: int, limit: float, words: str
) -> list[Row]:
    """Measures methods and prints a table for each number of axes.

    Args:
        names: of methods and plain networks.
        dims: numbers of axes.
        console: where to print.
        bar: a progress bar.
        threads: of torch.
        limit: seconds for one error, and half of them for one timed run.
        words: the command.
    """
    there = sum(has_dim(name, dim) for name in names for dim in dims)
    references = sum(PLAIN not in names for _ in dims)
    with bar:
        task = bar.add_task("measuring", total=3 * there + 2 * references, note="")
        rows = measured_rows(names, dims, threads, limit, lambda note: bar.update(task, advance=1, note=note))
    rows = [replace(row, made_by=made_by(words, threads)) for row in rows]
    for dim in dims:
        console.print(as_table(brief_grid(rows, dim)))
    for row in rows:
        if row.notes:
            console.print(f"{row.name}, {row.dim}-D: {row.notes}", markup=False)
    return rows


def learn_methods(
    key: str,
    names: Sequence[str],
    budget: Budget,
    root: Path,
    runs: Path,
    console: Console,
    bar: Progress,
    threads: int,
    words: str,
) -> None:
    """Trains what has not been trained, and prints the scores.

    Args:
        key: of the task.
        names: of methods and plain networks.
        budget: the same for all.
        root: folder of the data.
        runs: folder of finished runs.
        console: where to print.
        bar: a progress bar.
        threads: of torch.
        words: the command.
    """
    torch.set_num_threads(threads)
    with bar:
        task = bar.add_task(key, total=budget.seeds * len(names), note="")
        failed = learn(
            TASKS[key],
            names,
            budget,
            root,
            runs / key,
            made_by(words, threads),
            lambda note: bar.update(task, advance=1, note=note),
        )
    found = learned(names, budget, runs / key)
    if found:
        console.print(as_table(learned_grid(TASKS[key], budget, found, brief=True)))
    for name, reason in failed.items():
        console.print(f"{name}: {reason}", markup=False)


def keep(
    results: Path, new: Sequence[Row], budgets: Mapping[str, Budget], runs: Path, listed: Path | None = None
) -> list[Path]:
    """Writes `methods.csv`, a file for each task, `methods.md` and `methods.png`; returns their paths.

    New rows take the place of old ones of the same method and number of axes; others stay.

    Args:
        results: folder of the files.
        new: what was measured now; none to leave `methods.csv` as it is.
        budgets: of the tasks whose finished runs are shown.
        runs: folder of finished runs.
        listed: file for what `sg.methods.list()` shows.
    """
    rows = merged(read_rows(results / "methods.csv"), new, chosen_names("all"))
    paths = []
    if rows:
        write_csv(results / "methods.csv", [as_cells(row) for row in rows])
        draw(results / "methods.png", rows)
        paths += [results / "methods.csv", results / "methods.png"]
        if listed is not None:
            write_csv(listed, [{key: as_cells(row)[key] for key in LISTED} for row in rows])
            paths.append(listed)
    found: list[tuple[Task, Budget, Sequence[Learned]]] = []
    for key, budget in budgets.items():
        done = learned(chosen_names("all"), budget, runs / key)
        found.append((TASKS[key], budget, done))
        if done:
            paths.append(results / f"methods_{key.replace('-', '_')}.csv")
            write_csv(paths[-1], _flat(done))
    with replacing(results / "methods.md") as part:
        part.write_text(as_page(rows, found, "methods.png"))
    return [*paths, results / "methods.md"]


def _flat(runs: Iterable[Learned]) -> list[dict[str, object]]:
    """Runs as rows of a file, with a column for each score."""
    rows = [asdict(run) for run in runs]
    scores = list(dict.fromkeys(score for row in rows for score in row["scores"]))
    columns = ("method", "seed", "weights", "minutes")
    return [
        {
            **{name: row[name] for name in columns},
            **{score: row["scores"].get(score, "") for score in scores},
            "made_by": row["made_by"],
        }
        for row in rows
    ]


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Error against time: a column of panels for each number of axes, on the torus and of the classifier."""
    from scalegroup import methods
    from scalegroup.visual import MethodPoint, plot_methods  # an extra of its own

    kinds = {"torus": "error on the torus", "end_to_end": "change of the classifier's logits"}
    panels = {}
    for field, words in kinds.items():
        for dim in sorted({row.dim for row in rows}):
            panels[f"{dim}-D", words] = [
                MethodPoint(row.name, methods.get(row.name).kind, row.forward, value)
                for row in rows
                if row.dim == dim and (value := getattr(row, field)) > 0 and row.forward > 0
            ]
    plot_methods(panels).savefig(path, dpi=200)


def made_by(words: str, threads: int) -> str:
    """The command, and what its figures depend on, in one line."""
    about = {**machine(threads, "cpu"), "date": datetime.now(UTC).date().isoformat()}
    return f"`{words}`: " + ", ".join(f"{key} {about[key]}" for key in MADE_BY)
