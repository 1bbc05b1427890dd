"""The one resampler with which test scans are made larger and smaller.

Both functions sample at the same points: voxel `y` of the output looks at `c_in + (y - c_out) / factor` of
the input, where `c` are the centres of the two grids. The centre of the volume stays the centre.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scalegroup.errors import ScaleGroupError

Canvas = Literal["proportional", "fixed"]


def rescaled_shape(shape: tuple[int, ...], factor: float, canvas: Canvas = "proportional") -> tuple[int, ...]:
    """The shape of the output grid: `round(factor * n)` per axis, or the same `n` if the canvas is fixed.

    Args:
        shape: of the input, in voxels.
        factor: > 1 magnifies, < 1 shrinks.
        canvas: as in `rescale`. Default "proportional".

    Raises:
        ScaleGroupError: if the factor is not positive, or the canvas unknown.

    Example:
        >>> rescaled_shape((48, 40, 31), 0.7), rescaled_shape((48, 40, 31), 0.7, "fixed")
        ((34, 28, 22), (48, 40, 31))
    """
    if not (np.isfinite(factor) and factor > 0):
        raise ScaleGroupError("a factor > 0", factor, "0.5 halves, 2.0 doubles the size of everything seen")
    if canvas not in ("proportional", "fixed"):
        raise ScaleGroupError("canvas 'proportional' or 'fixed'", canvas, "see the docstring of rescale")
    return tuple(max(1, round(factor * n)) for n in shape) if canvas == "proportional" else shape


def rescale(
    image: npt.NDArray[np.float32],
    label: npt.NDArray[np.uint8],
    factor: float,
    canvas: Canvas = "proportional",
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Makes everything seen in a scan `factor` times as large, in voxels.

    - image: cubic spline. When shrinking, first a Gaussian of `0.5 * sqrt(1 / factor² - 1)` voxels: a voxel
      is taken to see with a Gaussian of half its width, so this widens it to that of a voxel of the coarser
      grid, and removes what that grid cannot hold.
    - label: every class by itself as a map of 0 and 1, the same Gaussian, linear interpolation, then the
      class with the largest value. The sampling points are the image's.
    - outside the volume: the nearest voxel, for both.

    Args:
        image: intensities, shape `(channel, *space)`.
        label: class indices, shape `(*space)`.
        factor: > 1 magnifies, < 1 shrinks.
        canvas: "proportional" (default): the grid grows with the content, as if the same head were scanned
            with smaller or larger voxels. "fixed": the grid stays; magnified content is cropped, shrunk
            content is surrounded by copies of the border voxels.

    Returns:
        image and label on the new grid, of the space `rescaled_shape(space, factor, canvas)`.

    Raises:
        ScaleGroupError: if the factor is not positive, the canvas unknown, or the shapes differ.

    Example:
        >>> import numpy as np
        >>> image, label = np.zeros((1, 20, 20, 20), np.float32), np.ones((20, 20, 20), np.uint8)
        >>> [out.shape for out in rescale(image, label, 1.5)]
        [(1, 30, 30, 30), (30, 30, 30)]
    """
    if image.shape[1:] != label.shape:
        raise ScaleGroupError(f"an image of the space {label.shape} of its label", image.shape, "(channel, *space)")
    return rescale_image(image, factor, canvas), rescale_label(label, factor, canvas)


def rescale_image(
    image: npt.NDArray[np.float32], factor: float, canvas: Canvas = "proportional"
) -> npt.NDArray[np.float32]:
    """The image part of `rescale`: cubic spline, anti-aliased.

    Args:
        image: intensities, shape `(channel, *space)`.
        factor: > 1 magnifies, < 1 shrinks.
        canvas: as in `rescale`. Default "proportional".

    Returns:
        Shape `(channel, *rescaled_shape(space, factor, canvas))`.

    Example:
        >>> rescale_image(np.zeros((2, 20, 20, 20), np.float32), 0.7).shape
        (2, 14, 14, 14)
    """
    return np.stack([_sample(channel, factor, canvas, order=3) for channel in image])


def rescale_label(
    label: npt.NDArray[np.uint8], factor: float, canvas: Canvas = "proportional"
) -> npt.NDArray[np.uint8]:
    """The label part of `rescale`: linear per class, then the largest.

    Args:
        label: class indices, shape `(*space)`.
        factor: > 1 magnifies, < 1 shrinks.
        canvas: as in `rescale`. Default "proportional".

    Returns:
        Shape `rescaled_shape(space, factor, canvas)`.

    Example:
        >>> half = np.repeat(np.array([0, 1], np.uint8), 4)
        >>> rescale_label(half, 0.5), rescale_label(half, 0.5, "fixed")
        (array([0, 0, 1, 1], dtype=uint8), array([0, 0, 0, 0, 1, 1, 1, 1], dtype=uint8))
    """
    maps = [
        _sample((label == index).astype(np.float32), factor, canvas, order=1) for index in range(int(label.max()) + 1)
    ]
    return np.asarray(np.argmax(np.stack(maps), axis=0), dtype=np.uint8)


def _sample(volume: npt.NDArray[np.float32], factor: float, canvas: Canvas, order: int) -> npt.NDArray[np.float32]:
    shape = rescaled_shape(volume.shape, factor, canvas)
    if factor == 1:
        return volume.copy()
    if factor < 1:
        volume = ndimage.gaussian_filter(volume, 0.5 * np.sqrt(factor**-2 - 1), mode="nearest")
    centre_in, centre_out = ((np.array(n) - 1) / 2 for n in (volume.shape, shape))
    step = np.full(volume.ndim, 1 / factor)
    offset = centre_in - centre_out / factor
    sampled = ndimage.affine_transform(volume, step, offset, shape, np.float32, order, mode="nearest")
    return np.asarray(sampled, dtype=np.float32)
