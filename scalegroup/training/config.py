"""What a run is made of; the command line and configuration files have the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from lightning import Trainer

from scalegroup.data import Case, DataError, Dataset, Split, open_data
from scalegroup.errors import ScaleGroupError

# What a run settles itself: by an option of its own, or because its checkpoints, metrics and resumption hang on it.
SETTLED = {
    "self",
    "barebones",
    "check_val_every_n_epoch",
    "default_root_dir",
    "enable_checkpointing",
    "fast_dev_run",
    "max_epochs",
    "num_sanity_val_steps",
    "reload_dataloaders_every_n_epochs",
    "use_distributed_sampler",
    "val_check_interval",
}
LIGHTNING = set(signature(Trainer.__init__).parameters) - SETTLED


@dataclass
class DataConfig:
    """Which scans, and how they are dealt out.

    Args:
        name: "hippocampus" or "decathlon" for the layout of the Medical Segmentation Decathlon
            (`dataset.json`), "brats" for that of BraTS (a folder per patient), "table" for a CSV file of NIfTI files.
        root: the folder with the data; of a table the CSV file.
        train: number of training cases; None = all that a table with a column `part` calls so.
        validation: number of cases that choose the checkpoint; None as for `train`.
        test: number of cases to report on; None = all that remain.
        seed: of the split.
        skip_bad: leave broken scans out, and list them in `skipped.csv`, instead of stopping at the first; default
            False.
        options: further arguments of the data set's class, for example `classes` of a table.

    Raises:
        ScaleGroupError: for numbers out of range.

    Example:
        >>> import tempfile
        >>> from scalegroup.data import write_phantoms
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scans = write_phantoms(folder, seeds=range(4), size=16)
        ...     part = DataConfig("brats", scans, train=2, validation=1, test=None).split()
        >>> len(part.train), len(part.validation), len(part.test)
        (2, 1, 1)
    """

    name: Literal["hippocampus", "decathlon", "brats", "table"]
    root: Path
    train: int | None = 25
    validation: int | None = 10
    test: int | None = 30
    seed: int = 0
    skip_bad: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        least = {"train": 1, "validation": 1, "test": 1, "seed": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ScaleGroupError(f"data.{name} >= {bound}", value, "leave it out for the default")

    def open(self) -> Dataset:
        """The data set."""
        return open_data(self.name, self.root, **self.options)

    def split(self) -> Split:
        """The three disjoint lists of cases."""
        return self.open().split(self.train, self.validation, self.test, self.seed)

    def named(self, names: Sequence[str]) -> list[Case]:
        """The cases of these names, in this order.

        Raises:
            DataError: if one is not there.
        """
        cases = {case.name: case for case in self.open().cases}
        missing = [name for name in names if name not in cases]
        if missing:
            hint = "give the folder with the scans of the training run as --root"
            raise DataError(f"the case {missing[0]} of the run", f"{self.root} without it", hint)
        return [cases[name] for name in names]


@dataclass
class ModelConfig:
    """Which network.

    Args:
        name: "scale" for `scalegroup.models.UNet`, "plain" for MONAI's U-Net, "channels" for
            `scalegroup.models.ScaleChannels` around MONAI's U-Net.
        channels: feature maps per level; default (16, 32, 64).
        strides: downsampling between levels, one less than channels.
        num_res_units: residual units per level, as in MONAI; default 0.
        norm: normalisation, as in MONAI; default "instance", which is MONAI's, and learns better from few scans than
            "batch"; that one makes "scale" exactly equivariant even where the share of background changes.
        act: activation, as in MONAI; default "prelu", which is MONAI's too.
        options: further arguments of the network's class, for example `num_scales` or `dropout`. For "channels" they
            are arguments of `ScaleChannels`, those before of its U-Net.
        use_spacing: tell the network the voxel size of each scan in mm, in training and ever after: its kernels live in
            mm then, and the option `spacing` is the voxel size of the network's own grid of scale 1, by default that of
            the training scans. Not for "plain", which has no such kernels. Default False: voxels are the unit.
        method: a published method in place of `name`, such as "sosnovik2021": its U-Net (`scalegroup.methods.unet`)
            with these channels and strides and, from `options`, `base` and `num_scales`. `norm`, `act` and
            `num_res_units` are the method's own then. Default None.

    Raises:
        ScaleGroupError: for `use_spacing` with a network whose kernels have no size in mm.

    Example:
        >>> from scalegroup.training import build_model, parameter_count
        >>> config = ModelConfig("scale", channels=(4, 8), strides=(2,), options={"num_scales": 2})
        >>> parameter_count(build_model(config, in_channels=1, out_channels=3))
        737
    """

    name: Literal["scale", "plain", "channels"] = "scale"
    channels: tuple[int, ...] = (16, 32, 64)
    strides: tuple[int, ...] = (2, 2)
    num_res_units: int = 0
    norm: str | None = "instance"
    act: str = "prelu"
    options: dict[str, Any] = field(default_factory=dict)
    use_spacing: bool = False
    method: str | None = None

    def __post_init__(self) -> None:
        if self.use_spacing and (self.name == "plain" or self.method is not None):
            hint = "choose 'scale' or 'channels', or leave use_spacing out"
            raise ScaleGroupError(
                "use_spacing with a network that has kernels in mm", f"the model {self.label!r}", hint
            )

    @property
    def label(self) -> str:
        """What the network is called: its method, if it is one, or its name."""
        return self.method or self.name


@dataclass
class TrainerConfig:
    """How it is trained.

    Args:
        max_epochs: passes over the training cases.
        max_minutes: stop after this time; None = never. A resumed run counts its earlier time. A run that it
            cuts short was not annealed: its learning rate had not yet come down.
        batch_size: volumes or patches per step.
        learning_rate: the largest of the one-cycle schedule; AdamW.
        weight_decay: of AdamW.
        patch: size of the random patches in voxels; None = whole volumes, padded to the largest of their batch.
        mirror: the axes along which scans are mirrored at random, 0 for the first (left and right); default none.
        zoom: the smallest and the largest factor by which training scans are magnified at random, image and label by
            `scalegroup.data.rescale`; the factor's logarithm is uniform. Default None: they keep their size.
        coarsen: the smallest factor, below 1, of the resolution that training scans are left with: they are resampled
            to larger voxels at random, the factor's logarithm being uniform, and back. Their labels and sizes stay.
            Default None: they keep their resolution.
        validate_every: epochs between validations; the checkpoint is chosen among these.
        seed: of the initial weights and the order of the cases.
        threads: CPU threads. Default 1: networks of this size gain little from more, and lose a hundredfold where
            other programs keep the cores busy.
        lightning: further arguments of Lightning's `Trainer`, such as `precision`, `gradient_clip_val`, `devices`,
            `strategy` or `logger`. On the command line they are `--trainer.precision` and so on.

    Raises:
        ScaleGroupError: for numbers out of range, and for arguments that Lightning's `Trainer` does not have.

    Example:
        >>> TrainerConfig(max_epochs=100, zoom=(0.8, 1.25), lightning={"precision": "bf16-mixed"}).batch_size
        2
        >>> TrainerConfig(max_epochs=0)
        Traceback (most recent call last):
        ...
        scalegroup.errors.ScaleGroupError: expected max_epochs > 0, received 0; leave it out for the default.
    """

    max_epochs: int = 60
    max_minutes: float | None = None
    batch_size: int = 2
    learning_rate: float = 0.01
    weight_decay: float = 1e-4
    patch: tuple[int, int, int] | None = None
    mirror: tuple[int, ...] = ()
    zoom: tuple[float, float] | None = None
    coarsen: float | None = None
    validate_every: int = 5
    seed: int = 0
    threads: int = 1
    lightning: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.lightning) - LIGHTNING)
        if unknown:
            hint = "those that a run settles itself, such as max_epochs, have a place of their own"
            raise ScaleGroupError(f"arguments of Lightning's Trainer out of {sorted(LIGHTNING)}", unknown, hint)
        hint = "leave it out for the default"
        for name in ("max_epochs", "max_minutes", "batch_size", "learning_rate", "validate_every", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ScaleGroupError(f"{name} > 0", value, hint)
        for name in ("seed", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ScaleGroupError(f"{name} >= 0", getattr(self, name), hint)
        if self.patch is not None and (len(self.patch) != 3 or min(self.patch) < 1):
            raise ScaleGroupError("three sizes of patch >= 1", self.patch, hint)
        if not set(self.mirror) <= {0, 1, 2}:
            raise ScaleGroupError("mirror axes out of 0, 1, 2", self.mirror, hint)
        if self.zoom is not None and not (len(self.zoom) == 2 and 0 < self.zoom[0] <= self.zoom[1] < float("inf")):
            raise ScaleGroupError("zoom: two factors, 0 < low <= high", self.zoom, "(0.5, 2) halves to doubles sizes")
        if self.coarsen is not None and not 0 < self.coarsen <= 1:
            raise ScaleGroupError("coarsen: a factor in 0 … 1", self.coarsen, "0.5 doubles the voxels at most")
