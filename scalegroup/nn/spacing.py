"""Voxel sizes: from the grid of a scan to a layer's own, and back.

Kernels are as wide as `sigma` says in samples of the layer's own grid. A scan's `spacing` is its voxel size in the same
unit: in mm where the own grid has a sample in every mm. The scan is brought onto that grid, by one small matrix along
each axis, and the answer back onto the scan's; all layers in between see the same samples, whatever the voxels. So
strides and activations behave alike, and kernels never get narrower than a voxel (docs/accuracy.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup.engine import resample
from scalegroup.errors import ScaleGroupError
from scalegroup.nn.grid import per_axis, positive

Spacing = float | Sequence[float]
FAR = (0.25, 4.0)  # beyond these ratios a spacing is more likely a slip than meant
_ROUNDING = 1e-6  # of a volume; one that a grid covers but for rounding errors is covered


def as_spacing(value: Any, dim: int, name: str = "spacing") -> tuple[float, ...]:
    """A voxel size along each axis, from a number, a sequence, an array or a tensor; 1 for None.

    Example:
        >>> as_spacing(0.5, 2), as_spacing((1, 1, 2.5), 3)
        ((0.5, 0.5), (1.0, 1.0, 2.5))
    """
    if value is None:
        return (1.0,) * dim
    if isinstance(value, Tensor | np.ndarray):  # a compiled graph takes the others only
        value = value.tolist()
    sizes = tuple(value) if isinstance(value, list | tuple) else (value,) * dim
    sizes = tuple(size.item() if isinstance(size, Tensor | np.generic) else size for size in sizes)
    if len(sizes) != dim or any(isinstance(size, bool) or not isinstance(size, int | float) for size in sizes):
        hint = "it is the voxel size, in mm if the network's own grid is given in mm"
        raise ScaleGroupError(f"{name}: a number or one for each of {dim} axes", repr(value), hint)
    return tuple(positive(size, name) for size in sizes)


def spacing_of(x: Any, given: Any, dim: int) -> tuple[float, ...] | None:
    """The voxel size that was given, or else that of a MONAI `MetaTensor`; None for a plain tensor.

    Raises:
        ScaleGroupError: if the volumes of a batch have different voxel sizes.
    """
    if given is not None:
        return as_spacing(given, dim)
    known = getattr(x, "pixdim", None)
    if known is None:
        return None
    sizes = {
        tuple(float(f"{size:.7g}") for size in one[:dim].tolist())  # rounding errors of a rotation make no difference
        for one in (known if isinstance(known, list) else [known])
    }
    if len(sizes) != 1:
        hint = "make batches of scans with one voxel size, or of single scans"
        raise ScaleGroupError("a batch of volumes with one voxel size", sorted(sizes), hint)
    return as_spacing(sizes.pop(), dim)


def spacing_in(own: Sequence[float], x: Any, given: Any) -> tuple[float, ...] | None:
    """A scan's voxel size in units of a network's own, both in mm; None for a scan that does not tell its own.

    A factor of more than 4 gives a warning: the network would see a small part of the detail, or compute many times
    what the scan holds.

    Example:
        >>> spacing_in((2.0, 2.0), None, (1.0, 3.0))
        (0.5, 1.5)
    """
    scan = spacing_of(x, given, len(own))
    if scan is None:
        return None
    ratios = tuple(a / b for a, b in zip(scan, own, strict=True))
    far = not FAR[0] <= min(ratios) <= max(ratios) <= FAR[1]
    if far and not torch.compiler.is_compiling():  # no graph holds a warning
        text = f"voxels of {scan} mm on a network whose own grid has {tuple(own)} mm; is its `spacing` the right one?"
        warnings.warn(text, stacklevel=2)
    return ratios


def plain(x: Any) -> Any:
    """The tensor inside a MONAI `MetaTensor`; everything else as it is."""
    return x.as_tensor() if hasattr(x, "as_tensor") else x


def like(y: Tensor, x: Any) -> Any:
    """`y` with what x knows of its place in the world, if that is a MONAI `MetaTensor`; both lie on the same voxels."""
    return type(x)(y).copy_meta_from(x) if hasattr(x, "as_tensor") else y


def own_grid(space: Sequence[int], spacing: Sequence[float], padding_mode: str) -> tuple[list[int], list[float]]:
    """The sizes of the grid of spacing 1 that covers a scan, and its spacing in voxels of the scan, for each axis.

    Example:
        >>> own_grid((20, 20), (1.0, 2.5), "zeros")
        ([20, 50], [1.0, 0.4])
    """
    if padding_mode == "circular":  # the grid has to tile the period
        sizes = [max(1, round(n * size)) for n, size in zip(space, spacing, strict=True)]
        return sizes, [n / m for n, m in zip(space, sizes, strict=True)]
    sizes = [max(1, ceil(n * size * (1 - _ROUNDING))) for n, size in zip(space, spacing, strict=True)]
    return sizes, [1 / size for size in spacing]


def check_no_spacing(spacing: object) -> None:
    """Raise if there is a spacing, for fields with a grid for each scale, which are the network's own."""
    if spacing is not None:
        hint = "give it to the layers that read and write the scan, such as nn.HaarLift and nn.ScalePool"
        raise ScaleGroupError("no spacing for a field with a grid for each scale", spacing, hint)


def read(x: Any, spacing: Spacing | None, padding_mode: str) -> Any:
    """A scan of this spacing on the layer's own grid: `(…, *space)` to `(…, *own space)`, without aliasing.

    Raises:
        ScaleGroupError: for a field with a grid for each scale, which are the network's own.
    """
    if spacing is None:
        return plain(x)
    if not isinstance(x, Tensor):
        check_no_spacing(spacing)
    x = plain(x)
    sizes = as_spacing(spacing, x.ndim - 2)
    return x if set(sizes) == {1.0} else resample(x, *own_grid(x.shape[2:], sizes, padding_mode), padding_mode)


def write(y: Tensor, spacing: Spacing | None, output_size: Sequence[int] | None, padding_mode: str) -> Tensor:
    """A field on the layer's own grid, on a scan's: the adjoint of `read`, up to the ratio of the voxels' sizes.

    Args:
        y: `(…, *own space)`.
        spacing: voxel size of the scan; None leaves the field where it is.
        output_size: voxels of the scan along each axis; None: as many as the own grid covers.
        padding_mode: what lies outside the own grid.
    """
    if spacing is None:
        return y
    sizes = as_spacing(spacing, y.ndim - 2)
    if output_size is None:
        output_size = [max(1, round(n / size)) for n, size in zip(y.shape[2:], sizes, strict=True)]
    space = per_axis(output_size, len(sizes), "output_size")
    if set(sizes) == {1.0} and tuple(y.shape[2:]) == space:
        return y
    ratios = [m / n for n, m in zip(space, y.shape[2:], strict=True)] if padding_mode == "circular" else sizes
    return resample(y, space, list(ratios), padding_mode)
