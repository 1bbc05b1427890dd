"""Intensities of one volume on a common footing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError


def normalise(image: npt.NDArray[np.floating[Any]], lower: float = 0.5, upper: float = 99.5) -> npt.NDArray[np.float32]:
    """Clips every channel to its percentiles, then gives it zero mean and unit variance.

    `y = (clip(x) - mean(clip(x))) / std(clip(x))`, per channel over all voxels. One voxel of 1.7e6 in a
    volume of hundreds is clipped away before it can touch the mean, unlike with a plain z-score.

    Percentiles that fall between the two most extreme voxels, as the defaults do below 202 voxels, are moved to the
    second one: how wild one voxel is never matters.

    Args:
        image: intensities, shape `(channel, *space)`.
        lower: lower percentile, 0 to 100; default 0.5; 0 clips nothing.
        upper: upper percentile, 0 to 100; default 99.5; 100 clips nothing.

    Returns:
        float32, the shape of `image`, contiguous (NIfTI files are not); a constant channel becomes zero.

    Raises:
        ScaleGroupError: if the percentiles are not in order.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).normal(300, 20, (1, 16, 16, 16))
        >>> image[0, 3, 4, 5] = 1.7e6
        >>> out = normalise(image)
        >>> bool(np.abs(out).max() < 4), round(float(out.std()), 3)
        (True, 1.0)
    """
    if not 0 <= lower < upper <= 100:
        raise ScaleGroupError("percentiles 0 <= lower < upper <= 100", (lower, upper), "the defaults suit most scans")
    axes = tuple(range(1, image.ndim))
    low, high = _limits(image, axes, lower, upper)
    clipped = np.clip(image.astype(np.float64), low, high)
    spread = clipped.std(axis=axes, keepdims=True)
    # A constant channel has no spread but rounding; the division must not blow that up.
    safe = np.where(spread > 1e-9 * np.maximum(np.abs(high), 1.0), spread, np.inf)
    return np.asarray((clipped - clipped.mean(axis=axes, keepdims=True)) / safe, dtype=np.float32, order="C")


def _limits(
    image: npt.NDArray[np.floating[Any]], axes: tuple[int, ...], lower: float, upper: float
) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]:
    low, high = np.percentile(image, [lower, upper], axis=axes, keepdims=True)
    voxels = image[0].size
    if voxels > 2:
        # Between the two most extreme voxels a percentile is still pulled along by the outer one.
        step = 100 / (voxels - 1)
        if 0 < lower < step:
            low = np.partition(image.reshape(len(image), -1), 1, axis=1)[:, 1].reshape(low.shape)
        if 100 - step < upper < 100:
            high = np.partition(image.reshape(len(image), -1), -2, axis=1)[:, -2].reshape(high.shape)
    return low, high
