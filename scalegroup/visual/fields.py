"""A sampled field: its channels, a column for each scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.nn.module import Samples, grids, group_of, on_grids
from scalegroup.testing.inputs import Line, lines
from scalegroup.visual.figure import INK, SIZE, Array, Picture, chosen, limits, new_figure, set_heading, show

SIDE = 1.3  # of a slice, in inches
MOST = 8  # fields that are drawn where there are more


def plot_field(
    field_type: FieldType, x: Samples, scales: Sequence[int] | None = None, title: str | None = None
) -> Picture:
    """The channels of a sampled field: a row for each field, a column for each scale; of volumes the middle slice.

    White is zero and both signs have the same range, which a row shares; a field without negative values is grey.

    Args:
        field_type: what the channels are.
        x: the field, `(batch, field_type.size, *space)`, of which the first of the batch is drawn; for a grid for each
            scale a tuple, finest first, drawn in the same size.
        scales: which scales, counted from the finest. Default: all.
        title: above the picture. Default: the field type.

    Returns:
        The picture, of 8 fields at most.

    Raises:
        FieldTypeError: if `x` is not a field of the type.
        ScaleGroupError: for a scale that is not in the window.

    Example:
        >>> import torch, scalegroup as sg
        >>> from scalegroup import visual
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> figure = visual.plot_field(field, torch.randn(1, 6, 16, 16))
        >>> [axes.get_title() for axes in figure.axes[:3]]
        ['scale 1', 'scale 1.41', 'scale 2']
    """
    if not isinstance(field_type, FieldType):
        raise FieldTypeError("a field type", repr(field_type), "write for example 16 * group.regular")
    parts = _checked(field_type, x)
    window = group_of(field_type).scales
    rows = lines(field_type)[:MOST]
    with_scales = any(line.scales is not None for line in rows)
    columns = chosen(scales, len(window), "scales") if with_scales else [0]
    figure = new_figure(max(SIDE * len(columns) + 0.5, 3.2), (SIDE + 0.05) * len(rows) + 0.6)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for number, (line, cells) in enumerate(zip(rows, grid, strict=True)):
        used = columns if line.scales is not None else [0]
        images = [_image(_channel(field_type, parts, line, number, scale)) for scale in used]
        bounds = limits(*images)
        for axes, image in zip(cells, images, strict=False):
            show(axes, image, bounds)
        for axes in cells[len(used) :]:
            axes.set_axis_off()
        cells[0].set_ylabel(f"field {number}", fontsize=SIZE, color=INK)
    for axes, scale in zip(grid[0], columns, strict=True):
        axes.set_title(f"scale {window[scale]:.3g}" if with_scales else "", fontsize=SIZE, color=INK, pad=4)
    more = len(lines(field_type)) > MOST
    heading = str(field_type) if title is None else title
    set_heading(figure, f"{heading}, the first {MOST} fields" if more and title is None else heading)
    return figure


def _checked(field: FieldType, x: Any) -> list[Tensor]:
    """The tensors of the field."""
    group = group_of(field)
    count, size = (group.num_scales, field.size // group.num_scales) if on_grids(field) else (1, field.size)
    kind = tuple if on_grids(field) else Tensor
    parts = grids(x) if isinstance(x, kind) else []
    if len(parts) != count or any(part.ndim != 2 + group.dim or part.shape[1] != size for part in parts):
        wanted = f"(batch, {size}, {group.dim} axes of space)"
        received = [tuple(part.shape) for part in parts] or type(x).__name__
        raise FieldTypeError(
            f"{count} tensors {wanted}" if on_grids(field) else f"a tensor {wanted} for {field}",
            received[0] if len(received) == 1 else received,
            "the channels are those of the field type",
        )
    return parts


def _channel(field: FieldType, parts: list[Tensor], line: Line, number: int, scale: int) -> Tensor:
    """One channel of the first volume: `(*space)`."""
    if on_grids(field):
        return parts[scale][0, number]
    return parts[0][0, line.start + (scale if line.scales is not None else 0)]


def _image(channel: Tensor) -> Array:
    """The values, of a volume those of the middle slice."""
    values: Array = np.asarray(channel.detach().double().cpu().numpy())
    return values[len(values) // 2] if values.ndim == 3 else values
