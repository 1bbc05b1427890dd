"""One training run in one folder: it goes on where it was interrupted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, Timer

from scalegroup.errors import ScaleGroupError
from scalegroup.training.config import DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.datamodule import SegmentationData
from scalegroup.training.models import size_multiple
from scalegroup.training.module import PARTS, Segmentation, stored_cases
from scalegroup.training.report import MetricsFile


def fit(
    data: DataConfig,
    model: ModelConfig,
    trainer: TrainerConfig,
    out: str | Path,
    resume: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Trains a network and keeps the checkpoint with the best hard Dice on the validation cases.

    The folder receives `best.ckpt`, `last.ckpt` (after every epoch) and `metrics.csv`. If it holds a
    `last.ckpt` of the same configuration, training goes on from there; a finished run is left as it is.

    Args:
        data: which scans.
        model: which network.
        trainer: how long, how fast, on what.
        out: the folder of the run.
        resume: False starts anew and replaces what the folder holds.
        callbacks: further Lightning callbacks, such as a progress bar.

    Returns:
        the path of `best.ckpt`.

    Raises:
        ScaleGroupError: if the folder holds a run of another configuration, or `out` is a file.
        DataError: if the data are missing or broken.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ScaleGroupError("a folder for the run", f"the file {out}", "give another --out")
    last = out / "last.ckpt"
    torch.set_num_threads(trainer.threads)
    lightning.seed_everything(trainer.seed, workers=True, verbose=False)
    dealt = data.split()
    batches = SegmentationData(dealt, trainer, size_multiple(model))
    cases = {part: [case.name for case in getattr(dealt, part)] for part in PARTS}
    origin = {**asdict(data), "root": str(Path(data.root).resolve()), "cases": cases}
    module = Segmentation(model, trainer, data.open().classes, batches.in_channels, origin)
    if resume and last.is_file():
        _check_same_run(last, module)
    keep = ModelCheckpoint(
        out, "best", monitor="val_dice", mode="max", enable_version_counter=False, save_on_train_epoch_end=False
    )
    # Apart from `best`, whose validation is not run in every epoch.
    latest = ModelCheckpoint(
        out, "last", monitor=None, save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
    )
    limit = [Timer(timedelta(minutes=trainer.max_minutes))] if trainer.max_minutes else []
    own = [Reseed(trainer.seed), keep, latest, MetricsFile(out / "metrics.csv"), *limit, ValidateAtTheEnd()]
    if not resume:  # only now, when data and network are known to be sound
        for old in ("last.ckpt", "best.ckpt", "metrics.csv"):
            (out / old).unlink(missing_ok=True)
    with quiet_lightning():
        lightning.Trainer(
            accelerator="auto",
            devices=1,
            max_epochs=trainer.max_epochs,
            check_val_every_n_epoch=min(trainer.validate_every, trainer.max_epochs),
            num_sanity_val_steps=0,
            logger=False,
            callbacks=[*own, *callbacks],
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(module, batches, ckpt_path=last if last.is_file() else None, weights_only=True)
    best = out / "best.ckpt"
    if not best.is_file():
        raise ScaleGroupError("a run that was validated", f"no {best}", "start anew with --resume false")
    return best


class Reseed(Callback):
    """Random numbers depend on the seed and the epoch only, so a resumed run is the run it would have been."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Seeds the order, the patches, the mirrors and the network's own draws of this epoch."""
        drawn = int(np.random.SeedSequence((self.seed, trainer.current_epoch)).generate_state(1)[0])
        lightning.seed_everything(drawn, workers=True, verbose=False)
        batches: Any = trainer.datamodule  # type: ignore[attr-defined]
        batches.reseed(drawn)


class ValidateAtTheEnd(Callback):
    """Validates after the last epoch and where the time is up, whatever the pace of validation."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lightning asks for the pace right after this."""
        if trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1


def _check_same_run(last: Path, module: Segmentation) -> None:
    """Refuses to mix two runs in one folder; the time limit, the pace of validation and the
    place of the data may change."""

    def identity(parameters: Any) -> dict[str, Any]:
        free = ("max_minutes", "validate_every", "threads")
        training = {key: value for key, value in parameters["trainer"].items() if key not in free}
        data = {"name": parameters["data"]["name"], **stored_cases(parameters, last)}
        return {"model": parameters["model"], "trainer": training, "data": data}

    before, now = identity(Segmentation.load(last).hparams), identity(module.hparams)
    keys = [(part, key) for part in now for key in now[part]]
    changed = [f"{part}.{key}" for part, key in keys if now[part][key] != before[part].get(key)]
    if changed:
        raise ScaleGroupError(
            f"the configuration of the run in {last.parent}",
            f"another {', '.join(changed)}",
            "give another --out, or --resume false to start anew",
        )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silences Lightning's advice on workers, devices and loggers, which is not the user's to follow here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"lightning\..*")
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(lightning|torch|monai)\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
