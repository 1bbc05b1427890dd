"""Scans as Lightning wants them: read once, normalised, in batches of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, EnsureTyped, RandFlipd, RandSpatialCropd, SpatialPadd
from torch.utils.data import RandomSampler

from scalegroup.data import Case, Scan, Split, load
from scalegroup.training.config import TrainerConfig

KEYS = ("image", "label")


class SegmentationData(lightning.LightningDataModule):
    """Training batches of one size, and validation scans one by one in their own size.

    Training volumes are padded with copies of their border voxels to a common size (the largest of them,
    rounded up to a multiple of `multiple`), or cut into random patches of `config.patch`. All scans are
    kept in memory.

    Args:
        split: the cases.
        config: batch size, patch size, mirroring and seed.
        multiple: what the size of a training batch must be divisible by.
    """

    def __init__(self, split: Split, config: TrainerConfig, multiple: int = 1) -> None:
        super().__init__()
        self.split, self.config, self.multiple = split, config, multiple
        self._order = torch.Generator().manual_seed(config.seed)
        self._transform: Compose | None = None
        self._scans: dict[str, Sequence[Scan]] = {}

    def scans(self, part: str) -> Sequence[Scan]:
        """The scans of "train", "validation" or "test", read at the first call."""
        if part not in self._scans:
            cases: Sequence[Case] = getattr(self.split, part)
            self._scans[part] = [load(case) for case in cases]
        return self._scans[part]

    @property
    def in_channels(self) -> int:
        """The number of image channels."""
        return self.scans("train")[0].image.shape[0]

    def train_dataloader(self) -> Any:
        """Shuffled batches `{"image": (batch, channel, *space), "label": (batch, 1, *space)}` of one size."""
        scans = self.scans("train")
        largest = np.max([scan.label.shape for scan in scans], axis=0)
        size = self.config.patch or tuple(int(-(-n // self.multiple) * self.multiple) for n in largest)
        steps = [
            EnsureTyped(KEYS),
            SpatialPadd(KEYS, size, mode="edge"),
            RandSpatialCropd(KEYS, size, random_size=False),
            *(RandFlipd(KEYS, prob=0.5, spatial_axis=axis) for axis in self.config.mirror),
            EnsureTyped(KEYS, track_meta=False),
        ]
        self._transform = Compose(steps).set_random_state(self.config.seed)
        dataset = _dataset(scans, self._transform)
        # Generators of their own: Lightning opens the loader before or after an epoch is seeded, as it likes.
        return DataLoader(
            dataset,
            batch_size=self.config.batch_size,
            sampler=RandomSampler(dataset, generator=self._order),
            generator=torch.Generator(),
        )

    def reseed(self, seed: int) -> None:
        """Starts the random order, patches and mirrors anew."""
        self._order.manual_seed(seed)
        if self._transform is not None:
            self._transform.set_random_state(seed)

    def val_dataloader(self) -> Any:
        """One whole scan at a time."""
        return DataLoader(_dataset(self.scans("validation"), EnsureTyped(KEYS, track_meta=False)), batch_size=1)


def _dataset(scans: Sequence[Scan], transform: Any) -> Dataset:
    return Dataset([{"image": scan.image, "label": scan.label[None]} for scan in scans], transform)
