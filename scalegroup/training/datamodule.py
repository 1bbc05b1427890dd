"""Scans as Lightning wants them: read once, normalised, in batches of one size."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any

import lightning
import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, EnsureTyped, RandFlipd, Randomizable, RandSpatialCropd, SpatialPadd, Transform
from torch.utils.data import RandomSampler, default_collate

from scalegroup.data import Case, Scan, Split, load, rescale
from scalegroup.data.rescale import rescale_image
from scalegroup.engine import resample
from scalegroup.training.config import TrainerConfig

KEYS = ("image", "label")


class SegmentationData(lightning.LightningDataModule):
    """Training batches of one size, and validation scans one by one in their own size.

    Training volumes are magnified at random by `config.zoom` and made coarser by `config.coarsen`, then padded with
    copies of their border voxels to a common size (the largest of their batch, rounded up to a multiple of
    `multiple`), or cut into random patches of `config.patch`. All scans are kept in memory.

    Args:
        split: the cases.
        config: batch size, patch size, mirroring, zoom, coarsening and seed.
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
        patch, zoom, coarsen = self.config.patch, self.config.zoom, self.config.coarsen
        steps: list[Any] = [] if zoom is None else [_RandomZoom(*zoom)]
        steps += [] if coarsen is None else [_RandomResolution(coarsen)]
        steps.append(EnsureTyped(KEYS))
        if patch is not None:
            steps += [SpatialPadd(KEYS, patch, mode="edge"), RandSpatialCropd(KEYS, patch, random_size=False)]
        steps += [RandFlipd(KEYS, prob=0.5, spatial_axis=axis) for axis in self.config.mirror]
        self._transform = Compose([*steps, EnsureTyped(KEYS, track_meta=False)]).set_random_state(self.config.seed)
        dataset = _dataset(self.scans("train"), self._transform)
        # Generators of their own: Lightning opens the loader before or after an epoch is seeded, as it likes.
        return DataLoader(
            dataset,
            batch_size=self.config.batch_size,
            sampler=RandomSampler(dataset, generator=self._order),
            generator=torch.Generator(),
            collate_fn=default_collate if patch is not None else self._padded,
        )

    def reseed(self, seed: int) -> None:
        """Starts the random order, zooms, resolutions, patches and mirrors anew."""
        self._order.manual_seed(seed)
        if self._transform is not None:
            self._transform.set_random_state(seed)

    def val_dataloader(self) -> Any:
        """One whole scan at a time."""
        return DataLoader(_dataset(self.scans("validation"), EnsureTyped(KEYS, track_meta=False)), batch_size=1)

    def _padded(self, batch: Sequence[dict[str, torch.Tensor]]) -> Any:
        """One batch of whole volumes, padded to the largest."""
        largest = np.max([scan["label"].shape[1:] for scan in batch], axis=0)
        size = [int(-(-n // self.multiple) * self.multiple) for n in largest]
        pad = Compose([SpatialPadd(KEYS, size, mode="edge"), EnsureTyped(KEYS, track_meta=False)])
        return default_collate([pad(scan) for scan in batch])


class _RandomZoom(Randomizable, Transform):
    """Makes everything seen in a scan larger or smaller, the canvas with it."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, scan: dict[str, Any]) -> dict[str, Any]:
        factor = exp(self.R.uniform(log(self.low), log(self.high)))
        image, label = rescale(scan["image"], scan["label"][0], factor)
        return {"image": image, "label": label[None]}


class _RandomResolution(Randomizable, Transform):
    """Takes detail from a scan: to larger voxels, and back to where they were."""

    def __init__(self, low: float) -> None:
        self.low = low

    def __call__(self, scan: dict[str, Any]) -> dict[str, Any]:
        factor = exp(self.R.uniform(log(self.low), 0))
        coarse = torch.from_numpy(rescale_image(scan["image"], factor))
        image = resample(coarse, scan["image"].shape[1:], 3 * (factor,))
        return {"image": image.numpy(), "label": scan["label"]}


def _dataset(scans: Sequence[Scan], transform: Any) -> Dataset:
    return Dataset([{"image": scan.image, "label": scan.label[None]} for scan in scans], transform)
