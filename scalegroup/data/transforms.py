"""Rescaling and coarsening as MONAI's dictionary transforms, for pipelines of `monai.transforms.Compose`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import exp, log
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_dst_type, ensure_tuple

from scalegroup.data.rescale import Canvas, rescale_image, rescale_label, rescaled_shape
from scalegroup.engine import resample
from scalegroup.errors import ScaleGroupError

Data = Mapping[Hashable, Any]


class Rescaled(MapTransform):
    """Makes everything seen in a scan `factor` times as large in voxels, by `scalegroup.data.rescale`.

    Along each axis of n voxels, the output has `m = round(factor * n)` (or n, on a fixed canvas), and its voxel y is
    the value of the input at `x = (n - 1) / 2 + (y - (m - 1) / 2) / factor`, in voxels counted from 0. The centre of
    the volume stays the centre of the volume; the corners do not in general stay corners.

    Images are interpolated by cubic splines. Shrinking anti-aliases: before it, a Gaussian of
    `sigma = sqrt(1 / factor² - 1) / 2` input voxels widens what a voxel sees from a Gaussian of half its own width to
    one of half an output voxel. It lets `exp(-(π² / 8) (1 - factor²))` of a wave at the output's Nyquist frequency
    through: 0.40 at factor 1/2, 0.29 at the least. Labels are taken apart into one map per value, each is
    smoothed by the same Gaussian and interpolated linearly at the same points, and the largest wins. Outside of the
    volume, both repeat its border voxels. `factor=1` changes nothing.

    The affine matrix of a `MetaTensor` follows: voxels become `1 / factor` times as large, and every point seen keeps
    its place in the world.

    Args:
        keys: what is rescaled: arrays or tensors of shape `(channel, *space)`.
        factor: > 1 magnifies, < 1 shrinks.
        canvas: "proportional" (default) or "fixed"; see `scalegroup.data.rescale`.
        label_keys: which of the keys are labels; default "label". They keep their values and their dtype; images of
            whole numbers become float32.
        allow_missing_keys: do not raise where a key is missing; default False.

    Raises:
        ScaleGroupError: if the factor is not positive, the canvas unknown, or a label has more than 256 values.

    Example:
        >>> scan = {"image": MetaTensor(torch.zeros(1, 20, 20, 20)), "label": torch.ones(1, 20, 20, 20)}
        >>> out = Rescaled(("image", "label"), 1.5)(scan)
        >>> out["image"].shape, out["image"].pixdim[0].item(), out["label"].shape
        (torch.Size([1, 30, 30, 30]), 0.6666666666666666, torch.Size([1, 30, 30, 30]))
    """

    def __init__(
        self,
        keys: KeysCollection,
        factor: float,
        canvas: Canvas = "proportional",
        label_keys: KeysCollection = "label",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        rescaled_shape((), factor, canvas)  # refuses what is wrong now, not at the first scan
        self.factor, self.canvas, self.label_keys = factor, canvas, ensure_tuple(label_keys)

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        """The dictionary with the rescaled volumes in their old places."""
        return _rescaled(self, data, self.factor, self.canvas, self.label_keys)


class RandRescaled(Randomizable, MapTransform):
    """`Rescaled` by a random factor, the same for all keys; its logarithm is uniform from `low` to `high`.

    Args:
        keys: see `Rescaled`.
        low: the smallest factor.
        high: the largest factor.
        canvas: see `Rescaled`.
        label_keys: see `Rescaled`.
        allow_missing_keys: see `Rescaled`.

    Raises:
        ScaleGroupError: unless `0 < low <= high`, and as `Rescaled`.

    Example:
        >>> zoom = RandRescaled(("image", "label"), 0.5, 2.0).set_random_state(0)
        >>> scan = {"image": torch.zeros(1, 20, 20, 20), "label": torch.ones(1, 20, 20, 20)}
        >>> [tuple(zoom(scan)["label"].shape[1:]) for _ in range(3)]
        [(21, 21, 21), (27, 27, 27), (23, 23, 23)]
    """

    def __init__(
        self,
        keys: KeysCollection,
        low: float,
        high: float,
        canvas: Canvas = "proportional",
        label_keys: KeysCollection = "label",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not 0 < low <= high < float("inf"):
            raise ScaleGroupError("two factors, 0 < low <= high", (low, high), "(0.5, 2) halves to doubles sizes")
        rescaled_shape((), low, canvas)
        self.low, self.high = low, high
        self.canvas, self.label_keys = canvas, ensure_tuple(label_keys)

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        """The dictionary with the rescaled volumes in their old places."""
        factor = exp(self.R.uniform(log(self.low), log(self.high)))
        return _rescaled(self, data, factor, self.canvas, self.label_keys)


class Coarsened(MapTransform):
    """Takes detail from images: to voxels `1 / factor` times as large, and back to where they were.

    The way there is that of `Rescaled`, with its sampling centres and its anti-aliasing; the way back is by
    `scalegroup.engine.resample`, a windowed sinc on grids with the same centre. Shape and affine matrix stay.

    Args:
        keys: images of shape `(channel, *space)`. Labels need no coarsening.
        factor: of the resolution, 0 to 1; at 0.5 two voxels become one.
        allow_missing_keys: do not raise where a key is missing; default False.

    Raises:
        ScaleGroupError: if the factor is not above 0 and at most 1.

    Example:
        >>> stripes = torch.arange(24) % 2 * torch.ones(1, 24, 24, 24)
        >>> coarse = Coarsened("image", 0.5)({"image": stripes})["image"]
        >>> [round(part[..., 8:16].std().item(), 2) for part in (stripes, coarse)]
        [0.5, 0.0]
    """

    def __init__(self, keys: KeysCollection, factor: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        _check_resolution(factor)
        self.factor = factor

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        """The dictionary with the coarsened images in their old places."""
        return _coarsened(self, data, self.factor)


class RandCoarsened(Randomizable, MapTransform):
    """`Coarsened` by a random factor, the same for all keys; its logarithm is uniform from `low` to 1.

    Args:
        keys: see `Coarsened`.
        low: the smallest factor, 0 to 1.
        allow_missing_keys: see `Coarsened`.

    Raises:
        ScaleGroupError: if the factor is not above 0 and at most 1.
    """

    def __init__(self, keys: KeysCollection, low: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        _check_resolution(low)
        self.low = low

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        """The dictionary with the coarsened images in their old places."""
        return _coarsened(self, data, exp(self.R.uniform(log(self.low), 0)))


def _check_resolution(factor: float) -> None:
    if not 0 < factor <= 1:
        raise ScaleGroupError("a factor of the resolution in 0 … 1", factor, "0.5 doubles the voxels")


def _rescaled(
    transform: MapTransform, data: Data, factor: float, canvas: Canvas, label_keys: tuple[Hashable, ...]
) -> dict[Hashable, Any]:
    result = dict(data)
    for key in transform.key_iterator(result):
        old = result[key]
        if key in label_keys:
            new = np.stack([_label(channel, factor, canvas) for channel in _array(old)])
        else:
            new = rescale_image(_array(old).astype(np.float32, copy=False), factor, canvas)
        result[key] = _like(new, old)
        if isinstance(old, MetaTensor):
            result[key].affine = old.affine @ _to_old_voxels(old, new.shape[1:], factor)
    return result


def _coarsened(transform: MapTransform, data: Data, factor: float) -> dict[Hashable, Any]:
    result = dict(data)
    for key in transform.key_iterator(result):
        old = result[key]
        coarse = torch.from_numpy(rescale_image(_array(old).astype(np.float32, copy=False), factor))
        space = old.shape[1:]
        result[key] = _like(resample(coarse, space, len(space) * (factor,)).numpy(), old)
    return result


def _label(channel: npt.NDArray[Any], factor: float, canvas: Canvas) -> npt.NDArray[Any]:
    """`rescale_label` for any values."""
    values, index = np.unique(channel, return_inverse=True)
    if len(values) > 256:
        raise ScaleGroupError("a label of at most 256 values", len(values), "name the labels among keys: label_keys")
    return np.asarray(values[rescale_label(index.reshape(channel.shape).astype(np.uint8), factor, canvas)])


def _array(volume: Any) -> npt.NDArray[Any]:
    return volume.detach().cpu().numpy() if isinstance(volume, torch.Tensor) else np.asarray(volume)


def _like(new: npt.NDArray[Any], old: Any) -> Any:
    """`new` as what `old` is: array, tensor or `MetaTensor`, on its device; its dtype, if that holds the values."""
    fits = new.dtype == _array(old).dtype or _array(old).dtype.kind == "f"
    return convert_to_dst_type(new, old, dtype=None if fits else torch.float32)[0]


def _to_old_voxels(old: MetaTensor, shape: tuple[int, ...], factor: float) -> torch.Tensor:
    """The matrix from voxel indices of the rescaled volume to those of the old one."""
    matrix = torch.eye(len(old.affine), dtype=old.affine.dtype)
    for axis, (before, after) in enumerate(zip(old.shape[1:], shape, strict=True)):
        matrix[axis, axis] = 1 / factor
        matrix[axis, -1] = (before - 1) / 2 - (after - 1) / 2 / factor
    return matrix
