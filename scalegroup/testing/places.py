"""Where the samples of a field lie: on one grid, or on one for each scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from scalegroup.fields import FieldType
from scalegroup.kernels import haar_grid
from scalegroup.nn.module import Samples, group_of, on_grids
from scalegroup.testing.inputs import AnalyticField, Array, centred
from scalegroup.testing.sampling import output_spacing

Axes = list[Array]
"""The positions of a grid's samples along each axis, in voxels from the middle of the volume."""


def input_places(field: FieldType, size: int, divisor: int = 1, periodic: bool = False) -> list[Axes]:
    """The grids of a field over a volume: that of the voxels, or one for each scale, finest first.

    Args:
        field: type of the field.
        size: voxels per axis.
        divisor: product of the strides that follow, see `kernels.haar_grid`. Default 1.
        periodic: whether the grids tile the volume. Default False.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=1, base=2, num_scales=2, sampling="haar")
        >>> [axes[0].tolist() for axes in input_places(1 * group.regular, 5)]
        [[-2.0, -1.0, 0.0, 1.0, 2.0], [-2.0, 0.0, 2.0]]
    """
    group = group_of(field)
    if not on_grids(field):
        return [[centred(size)] * group.dim]
    grids = (haar_grid(size, scale, divisor, periodic=periodic) for scale in group.scales)
    return [[centred(*grid)] * group.dim for grid in grids]


def sampled(field: AnalyticField, places: Sequence[Axes]) -> Samples:
    """A field on its grids: one tensor, or a tuple of them."""
    if not on_grids(field.field_type):
        return field.sample(places[0])
    return tuple(field.at_scale(k).sample(axes) for k, axes in enumerate(places))


def output_places(
    size: int, inputs: Sequence[Axes], in_type: FieldType, shapes: Sequence[Sequence[int]], out_type: FieldType
) -> list[Axes]:
    """The grids of a module's output over a volume with a border, told from its sizes: all are centred.

    Args:
        size: voxels per axis of the volume.
        inputs: the grids of the input.
        in_type: type of the input.
        shapes: `(*space)` of each tensor of the output.
        out_type: type of the output.

    Raises:
        ScaleGroupError: if the sizes do not tell the spacing.
    """
    scales = group_of(out_type).scales if on_grids(out_type) else (1.0,)
    haar = "haar" in (group_of(in_type).sampling, group_of(out_type).sampling)
    alike = on_grids(in_type) == on_grids(out_type)
    exact = alike and (on_grids(out_type) or not haar)
    # The finest grid tells most: on the others sizes are small, and what they cover beyond the volume counts more.
    spacings = [
        output_spacing(len(before), n) if exact else _nearest_spacing(size / (n * scales[0]))
        for before, n in zip(inputs[0], shapes[0], strict=True)
    ]
    return [
        [centred(n, scale * spacing) for n, spacing in zip(shape, spacings, strict=True)]
        for shape, scale in zip(shapes, scales, strict=True)
    ]


def _nearest_spacing(ratio: float) -> float:
    """A whole number of voxels, or a whole part of one."""
    return float(round(ratio)) if ratio >= 1 else 1.0 / round(1.0 / ratio)


def spacing_of(axis: Array) -> float:
    """The distance of the samples along an axis; 1 for a single one."""
    return float(axis[1] - axis[0]) if len(axis) > 1 else 1.0


def product_of_strides(module: torch.nn.Module) -> int:
    """The product of the strides of all layers that lead to a coarser grid; shortcuts count too."""
    parts = [part for part in module.modules() if not getattr(part, "transposed", False)]
    return prod(max(strides(part)) for part in parts)


def strides(layer: torch.nn.Module) -> tuple[int, ...]:
    """The stride of a layer, one number or one for each axis; 1 if it has none."""
    value = getattr(layer, "stride", None) or 1
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)
