"""Scans as Lightning wants them: read once, normalised, in batches of one size."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from math import prod
from typing import Any

import lightning
import numpy as np
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, EnsureTyped, RandFlipd, RandSpatialCropd, SpatialPadd, Transform
from torch.utils.data import RandomSampler, Sampler, default_collate

from scalegroup.data import Case, DataError, Scan, Split, load_all
from scalegroup.data.transforms import RandCoarsened, RandRescaled
from scalegroup.training.config import TrainerConfig

KEYS = ("image", "label")
logger = logging.getLogger(__name__)


class SegmentationData(lightning.LightningDataModule):
    """Training batches of one size, and validation scans one by one in their own size.

    Training volumes are magnified at random by `config.zoom` and made coarser by `config.coarsen`, then padded with
    copies of their border voxels to a common size (the largest of their batch, rounded up to a multiple of
    `multiple`), or cut into random patches of `config.patch`. All scans are kept in memory.

    Args:
        split: the cases.
        config: batch size, patch size, mirroring, zoom, coarsening and seed.
        multiple: what the size of a training batch must be divisible by.
        skip_bad: leave broken scans out instead of raising an error.

    Attributes:
        skipped: the broken scans met so far, each by its name and its error.

    Example:
        >>> import tempfile
        >>> from scalegroup.data import Brats, write_phantoms
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     part = Brats(write_phantoms(folder, seeds=range(3), size=16)).split(2, 1)
        ...     data = SegmentationData(part, TrainerConfig(batch_size=2), multiple=4)
        ...     batch = next(iter(data.train_dataloader()))
        >>> batch["image"].shape, batch["label"].shape
        (torch.Size([2, 4, 16, 16, 16]), torch.Size([2, 1, 16, 16, 16]))
    """

    def __init__(self, split: Split, config: TrainerConfig, multiple: int = 1, skip_bad: bool = False) -> None:
        super().__init__()
        self.split, self.config, self.multiple, self.skip_bad = split, config, multiple, skip_bad
        self.skipped: list[tuple[str, DataError]] = []
        self._order = torch.Generator().manual_seed(config.seed)
        self._transform: Compose | None = None
        self._scans: dict[str, Sequence[Scan]] = {}

    def scans(self, part: str) -> Sequence[Scan]:
        """The scans of "train", "validation" or "test", read at the first call."""
        if part not in self._scans:
            cases: Sequence[Case] = getattr(self.split, part)
            self._scans[part], skipped = load_all(cases, self.skip_bad)
            self.skipped += skipped
            for name, error in skipped:
                logger.warning("left out %s: %s", name, error)
        return self._scans[part]

    @property
    def in_channels(self) -> int:
        """The number of image channels."""
        return self.scans("train")[0].image.shape[0]

    @property
    def largest(self) -> tuple[int, ...]:
        """The shape `(batch, channel, *space)` of the largest training batch that can come."""
        sizes = [scan.label.shape for scan in self.scans("train")]
        batch = min(self.config.batch_size, len(sizes))
        space = self.config.patch or (max(sizes, key=prod) if batch == 1 else tuple(np.max(sizes, axis=0).tolist()))
        grown = 1.0 if self.config.patch or self.config.zoom is None else self.config.zoom[1]
        return (batch, self.in_channels, *(-(-round(grown * n) // self.multiple) * self.multiple for n in space))

    def train_dataloader(self) -> Any:
        """Shuffled batches of one size; of several processes each gets its share.

        They hold `image`, `(batch, channel, *space)`, `label`, `(batch, 1, *space)`, and `spacing`, `(batch, 3)`, the
        voxel sizes in mm.
        """
        patch, zoom, coarsen = self.config.patch, self.config.zoom, self.config.coarsen
        steps: list[Any] = [] if zoom is None else [RandRescaled(KEYS, *zoom)]
        steps += [] if coarsen is None else [RandCoarsened("image", coarsen)]
        steps.append(EnsureTyped(KEYS))
        if patch is not None:
            steps += [SpatialPadd(KEYS, patch, mode="edge"), RandSpatialCropd(KEYS, patch, random_size=False)]
        steps += [RandFlipd(KEYS, prob=0.5, spatial_axis=axis) for axis in self.config.mirror]
        self._transform = Compose([*steps, _Plain()]).set_random_state(self.config.seed)
        dataset = _dataset(self.scans("train"), self._transform)
        # Generators of their own: Lightning opens the loader before or after an epoch is seeded, as it likes.
        return DataLoader(
            dataset,
            batch_size=self.config.batch_size,
            sampler=_Share(RandomSampler(dataset, generator=self._order), *self._process),
            generator=torch.Generator(),
            collate_fn=default_collate if patch is not None else self._padded,
        )

    def reseed(self, seed: int) -> None:
        """Starts the random order, zooms, resolutions, patches and mirrors anew."""
        self._order.manual_seed(seed)  # the same in all processes, or their shares would overlap
        if self._transform is not None:
            self._transform.set_random_state(seed + self._process[0])

    def val_dataloader(self) -> Any:
        """One whole scan at a time."""
        return DataLoader(_dataset(self.scans("validation"), _Plain()), batch_size=1)

    @property
    def _process(self) -> tuple[int, int]:
        """Which of how many processes this is."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _padded(self, batch: Sequence[Any]) -> Any:
        """One batch of whole volumes, padded to the largest."""
        largest = np.max([scan["label"].shape[1:] for scan in batch], axis=0)
        size = [int(-(-n // self.multiple) * self.multiple) for n in largest]
        pad = SpatialPadd(KEYS, size, mode="edge")
        return default_collate([{key: as_tensor(value) for key, value in pad(scan).items()} for scan in batch])


class _Share(Sampler[int]):
    """The cases of one process: every `count`-th of a common order, from `rank` on.

    The batches of all processes are together those that one process would make with a batch size `count` times as
    large. If they do not come out even, the first cases of the order are taken once more.
    """

    def __init__(self, order: Sampler[int], rank: int, count: int) -> None:
        self.order, self.rank, self.count = order, rank, count

    def __len__(self) -> int:
        return -(-len(self.order) // self.count)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        order = list(self.order)
        shares = islice(cycle(order), len(self) * self.count)
        return islice(shares, self.rank, None, self.count)


class _Plain(Transform):
    """Tensors without history, and the voxel size that the image had kept through all transforms."""

    def __call__(self, scan: dict[str, Any]) -> dict[str, torch.Tensor]:
        spacing = torch.as_tensor(scan["image"].pixdim, dtype=torch.float32)
        return {**{key: as_tensor(scan[key]) for key in KEYS}, "spacing": spacing}


def as_tensor(volume: Any) -> torch.Tensor:
    """A plain tensor of an array, a tensor or a `MetaTensor`."""
    return volume.as_tensor() if isinstance(volume, MetaTensor) else torch.as_tensor(volume)


def _dataset(scans: Sequence[Scan], transform: Any) -> Dataset:
    items = [
        {"image": MetaTensor(scan.image, affine=torch.from_numpy(scan.affine)), "label": scan.label[None]}
        for scan in scans
    ]
    return Dataset(items, transform)
