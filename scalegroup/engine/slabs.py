"""The separable contraction of one scale by torch's matrix products: for any device and dtype.

A slab of the output along X is finished before the next one is begun, so that the responses in between stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import torch
from torch import Tensor

from scalegroup.engine.autocast import at_least_float32
from scalegroup.engine.layout import Axes, Layout

SLAB_BYTES = {"cpu": 1 << 20}  # of responses; from 2^18 to 2^22 two CPU cores take the same time
_OTHER_DEVICES = 1 << 25  # they like few and large products; with what is mixed it stays below 64 MiB
TILE = 64  # output samples that share a product: an axis up to this length is one, a longer one follows its band


def contract(x: Tensor, mix: Tensor, axes: Axes, layout: Layout, y: Tensor, more: bool) -> None:
    """`y (+)= Σ mix · (A_x ⊗ A_y ⊗ A_z) x`.

    Args:
        x: `(B, C, X, Y, Z)`.
        mix: one tap of `Layout.mix`.
        axes: in the order of `layout`.
        layout: order of the work.
        y: `(B, O, X', Y', Z')`, written to.
        more: add to `y`.
    """
    for slab in _slabs(x, y, layout):
        parts = _late if layout.late else _early
        for n, part in enumerate(parts(x, mix, axes, layout, slab)):
            if more or n:
                y[:, :, slab] += part
            else:
                y[:, :, slab] = part


def weight_gradient(x: Tensor, g: Tensor, axes: Axes, adjoint: Axes, layout: Layout) -> Tensor:
    """The gradient of `mix` for the gradient `g` of `y`, where the layout is not late.

    Args:
        x: `(B, C, X, Y, Z)`.
        g: `(B, O, X', Y', Z')`.
        axes: in the order of `layout`.
        adjoint: the transposed axes, in the order of `layout`.
        layout: order of the work.
    """
    single, pairs = len(layout.prefix), len(layout.pairs)
    grad = x.new_zeros((single, g.shape[1], pairs * x.shape[1]), dtype=at_least_float32(x.dtype))
    for slab in _slabs(x, g, layout):
        v = _responses(x, axes, layout, slab).flatten(2)
        for f, count in enumerate(layout.prefix):
            h = _along(adjoint, 2, f, g[:, :, slab]).flatten(2)
            rows = count * x.shape[1]
            grad[f, :, :rows] += (h @ v[:, :rows].mT).sum(0)
    return grad


def _slabs(x: Tensor, y: Tensor, layout: Layout) -> Iterator[slice]:
    """Output slices whose responses fill the memory meant for them."""
    channels = y.shape[1] if layout.late else x.shape[1]
    slice_bytes = len(x) * len(layout.pairs) * channels * y.shape[3] * x.shape[4] * x.element_size()
    thickness = max(1, SLAB_BYTES.get(x.device.type, _OTHER_DEVICES) // max(1, slice_bytes))
    for start in range(0, y.shape[2], thickness):
        yield slice(start, min(start + thickness, y.shape[2]))


def _responses(x: Tensor, axes: Axes, layout: Layout, slab: slice) -> Tensor:
    """Responses to the pairs of X and Y functions: `(B, pairs * C, t, Y', Z)`."""
    u = [_along(axes, 0, f, x, slab) for f in range(len(axes.matrices[0]))]
    batch, channels, thickness, _, z = u[0].shape
    responses = x.new_empty((batch, len(layout.pairs), channels, thickness, axes.matrices[1].shape[1], z))
    for p, (f, g) in enumerate(layout.pairs):
        _along(axes, 1, g, u[f], out=responses[:, p])
    return responses.flatten(1, 2)


def _early(x: Tensor, mix: Tensor, axes: Axes, layout: Layout, slab: slice) -> Iterator[Tensor]:
    v = _responses(x, axes, layout, slab)
    for f, count in enumerate(layout.prefix):
        yield _along(axes, 2, f, _mixed(mix[f], v[:, : count * x.shape[1]]))


def _late(x: Tensor, mix: Tensor, axes: Axes, layout: Layout, slab: slice) -> Iterator[Tensor]:
    u = torch.cat([_along(axes, 0, f, x, slab) for f in range(len(axes.matrices[0]))], dim=1)
    rows = enumerate(zip(layout.pairs, layout.prefix, strict=True))
    for g, group in groupby(rows, key=lambda row: row[1][0][1]):
        parts = [_along(axes, 1, f, _mixed(mix[p], u[:, : count * x.shape[1]])) for p, ((f, _), count) in group]
        yield _along(axes, 2, g, torch.stack(parts).sum(0) if len(parts) > 1 else parts[0])


def _mixed(mix: Tensor, responses: Tensor) -> Tensor:
    """The leading columns of `(O, K)` times `(B, K, *space)`."""
    mixed: Tensor = mix[:, : responses.shape[1]] @ responses.flatten(2)
    return mixed.view(*mixed.shape[:2], *responses.shape[2:])


def _along(
    axes: Axes, axis: int, function: int, x: Tensor, rows: slice | None = None, out: Tensor | None = None
) -> Tensor:
    """One function applied along an axis of `x` `(B, C, X, Y, Z)`, for some rows of its matrix; along Y into `out`."""
    matrix, band = axes.matrices[axis][function], axes.bands[axis]
    start, stop = (0, len(matrix)) if rows is None else (rows.start, rows.stop)
    parts = []
    for first in range(start, stop, TILE):
        last = min(first + TILE, stop)
        low, high = int(band[0, first:last].min()), int(band[1, first:last].max())
        tile, read = matrix[first:last, low:high], x.narrow(axis + 2, low, high - low)
        if axis == 2:
            parts.append(read @ tile.t())
        elif axis == 1:
            parts.append(torch.matmul(tile, read, out=None if out is None else out[..., first:last, :]))
        else:
            parts.append((tile @ read.flatten(3)).unflatten(3, x.shape[3:]))
    return parts[0] if len(parts) == 1 or out is not None else torch.cat(parts, axis + 2)
