"""One training run in one folder: it goes on where it was interrupted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, Timer

from scalegroup.data import Scan
from scalegroup.errors import ScaleGroupError
from scalegroup.training.config import DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.datamodule import SegmentationData
from scalegroup.training.files import WholeCheckpoints, replacing
from scalegroup.training.memory import EnoughMemory
from scalegroup.training.models import size_multiple
from scalegroup.training.module import PARTS, Segmentation, stored_cases
from scalegroup.training.report import MetricsFile, write_csv

# Where a run departs from the defaults of Lightning's Trainer: one device unless told otherwise, and a bar, a file of
# metrics and a network of our own to show.
DEFAULTS = {"devices": 1, "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
PLAIN = (bool, int, float, str, list, dict, type(None))  # what YAML can say
# Arguments of Lightning's Trainer that change the weights; the others may differ when a run goes on.
DECISIVE = (
    "accumulate_grad_batches",
    "gradient_clip_algorithm",
    "gradient_clip_val",
    "limit_train_batches",
    "max_steps",
    "overfit_batches",
    "precision",
)


def fit(
    data: DataConfig,
    model: ModelConfig,
    trainer: TrainerConfig,
    out: str | Path,
    resume: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Trains a network and keeps the checkpoint with the best hard Dice on the validation cases.

    The folder receives `best.ckpt`, `last.ckpt` (after every epoch), `metrics.csv` and `config.yaml`, each written in
    one step. If it holds a `last.ckpt` of the same configuration, training goes on from there, to the very weights that
    an uninterrupted run ends with; a finished run is left as it is.

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
        ScaleGroupError: if the folder holds a run of another configuration, or `out` is a file, or the memory will not
            suffice.
        DataError: if the data are missing or broken.

    Example:
        >>> import tempfile
        >>> from scalegroup.data import write_phantoms
        >>> model = ModelConfig("plain", channels=(2, 4), strides=(2,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scans = write_phantoms(f"{folder}/scans", range(3), size=16)
        ...     data = DataConfig("brats", scans, train=1, validation=1, test=1)
        ...     best = fit(data, model, TrainerConfig(max_epochs=1, batch_size=1), out=f"{folder}/run")
        ...     sorted(path.name for path in best.parent.iterdir())
        ['best.ckpt', 'config.yaml', 'last.ckpt', 'metrics.csv']
    """
    return Run(data, model, trainer, out, resume, callbacks).start()


class Run:
    """A training run in its folder, ready to start: what `fit` and the command line have in common.

    Args:
        data, model, trainer, out, resume, callbacks: as for `fit`.
        settings: what `config.yaml` says in place of `trainer.lightning`, where that holds objects.

    Attributes:
        module: the network to be trained.
        batches: its data.
        trainer: Lightning's.
    """

    def __init__(
        self,
        data: DataConfig,
        model: ModelConfig,
        trainer: TrainerConfig,
        out: str | Path,
        resume: bool = True,
        callbacks: Sequence[Callback] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.out, self.resume = Path(out), resume
        if self.out.exists() and not self.out.is_dir():
            raise ScaleGroupError("a folder for the run", f"the file {out}", "give another --out")
        torch.set_num_threads(trainer.threads)
        lightning.seed_everything(trainer.seed, workers=True, verbose=False)
        opened, dealt = data.open(), data.split()
        self.batches = SegmentationData(dealt, trainer, size_multiple(model), data.skip_bad)
        if model.use_spacing and "spacing" not in model.options:
            model = replace(model, options={"spacing": usual_spacing(self.batches.scans("train")), **model.options})
        cases = {part: [case.name for case in getattr(dealt, part)] for part in PARTS}
        origin = {
            **asdict(data),
            "root": str(Path(data.root).resolve()),
            "cases": cases,
            "channels": list(opened.channels),
        }
        self.config = _as_yaml(data, model, trainer, trainer.lightning if settings is None else settings)
        classes, values = opened.classes, opened.label_values
        self.module = Segmentation(model, trainer, classes, self.batches.in_channels, origin, values)
        self.batches.scans("validation")  # what is broken there is known before the first epoch, not after it
        if resume and self._last.is_file():
            _check_same_run(self._last, self.module)
        with quiet_lightning():
            enough = EnoughMemory(self.batches.largest, self.batches.scans("train")[0].spacing)
            self.trainer = self._trainer(trainer, [OpenFolder(self), enough, *callbacks])

    def start(self) -> Path:
        """Trains, or goes on, and returns the path of `best.ckpt`."""
        resumed = self._last if self.resume and self._last.is_file() else None
        with quiet_lightning():
            self.trainer.fit(self.module, self.batches, ckpt_path=resumed, weights_only=True)
        best = self.out / "best.ckpt"
        if not best.is_file():
            raise ScaleGroupError("a run that was validated", f"no {best}", "start anew with --resume false")
        return best

    @property
    def _last(self) -> Path:
        return self.out / "last.ckpt"

    def _trainer(self, config: TrainerConfig, callbacks: Sequence[Callback]) -> lightning.Trainer:
        checkpoint = partial(ModelCheckpoint, self.out, enable_version_counter=False)
        keep = checkpoint("best", monitor="val_dice", mode="max", save_on_train_epoch_end=False)
        # Apart from `best`, whose validation is not run in every epoch.
        latest = checkpoint("last", monitor=None, save_top_k=1, save_on_train_epoch_end=True)
        limit = [Timer(timedelta(minutes=config.max_minutes))] if config.max_minutes else []
        settings = {**DEFAULTS, **config.lightning}
        asked, plugins = (_as_list(settings.pop(name, None)) for name in ("callbacks", "plugins"))
        # The file of metrics after all callbacks that log something.
        own = [*limit, ValidateAtTheEnd(), MetricsFile(self.out / "metrics.csv"), keep, latest]
        return lightning.Trainer(
            **settings,
            max_epochs=config.max_epochs,
            check_val_every_n_epoch=min(config.validate_every, config.max_epochs),
            num_sanity_val_steps=0,
            default_root_dir=self.out,
            use_distributed_sampler=False,  # `SegmentationData` deals the cases out
            callbacks=[Reseed(config.seed), *callbacks, *asked, *own],
            plugins=[WholeCheckpoints(), *plugins],
        )


def usual_spacing(scans: Sequence[Scan]) -> float:
    """The edge in mm of a cube as large as the voxels of most scans: a grid of as many samples as they have voxels."""
    return float(f"{np.median([np.prod(scan.spacing) ** (1 / 3) for scan in scans]):.3g}")


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _as_yaml(data: DataConfig, model: ModelConfig, trainer: TrainerConfig, settings: Mapping[str, Any]) -> str:
    """The configurations as `scalegroup fit --config` reads them; what is no plain value is left out."""
    training = {name: value for name, value in vars(trainer).items() if name != "lightning"}
    plain = {name: value for name, value in settings.items() if isinstance(value, PLAIN)}
    config = _plain({"data": vars(data), "model": vars(model), "trainer": {**training, **plain}})
    return str(yaml.safe_dump(config, sort_keys=False))


def _plain(value: Any) -> Any:
    """Paths as text and tuples as lists, as YAML has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


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


class OpenFolder(Callback):
    """Makes the folder ready once data, network and memory are known to be sound: a failed start leaves the old run."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes down what is about to be run."""
        out, skipped = self.run.out, self.run.batches.skipped
        if not trainer.is_global_zero:
            return
        if not self.run.resume:
            for old in ("last.ckpt", "best.ckpt", "metrics.csv", "skipped.csv"):
                (out / old).unlink(missing_ok=True)
        with replacing(out / "config.yaml") as part:
            part.write_text(self.run.config)
        if skipped:
            write_csv(out / "skipped.csv", [{"case": case, "error": str(error)} for case, error in skipped])


class ValidateAtTheEnd(Callback):
    """Validates after the last epoch and where the time is up, whatever the pace of validation."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lightning asks for the pace right after this."""
        trainer.should_stop = trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step
        if trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1


def _check_same_run(last: Path, module: Segmentation) -> None:
    """Refuses to mix two runs in one folder; the time limit, the pace of validation and the
    place of the data may change."""

    def identity(parameters: Any) -> dict[str, Any]:
        free = ("max_minutes", "validate_every", "threads", "lightning")
        training = {key: value for key, value in parameters["trainer"].items() if key not in free}
        training |= {key: parameters["trainer"]["lightning"].get(key) for key in DECISIVE}
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
