"""The separable contraction of one scale by torch's matrix products: for any device and dtype.

A slab of the output along X is finished before the next one is begun, so that the responses in between stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import torch
from torch import Tensor

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
    for source, target in zip(x, y, strict=True):
        for slab in _slabs(x, y, layout):
            parts = _late if layout.late else _early
            for n, part in enumerate(parts(source, mix, axes, layout, slab)):
                if more or n:
                    target[:, slab] += part
                else:
                    target[:, slab] = part


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
    sums = torch.float32 if x.dtype in (torch.bfloat16, torch.float16) else x.dtype
    grad = x.new_zeros((single, g.shape[1], pairs * x.shape[1]), dtype=sums)
    for source, slope in zip(x, g, strict=True):
        for slab in _slabs(x, g, layout):
            v = _responses(source, axes, layout, slab).flatten(1)
            for f, count in enumerate(layout.prefix):
                h = _along(adjoint, 2, f, slope[:, slab]).flatten(1)
                grad[f, :, : count * x.shape[1]] += h @ v[: count * x.shape[1]].t()
    return grad


def _slabs(x: Tensor, y: Tensor, layout: Layout) -> Iterator[slice]:
    """Output slices whose responses fill the memory meant for them."""
    channels = y.shape[1] if layout.late else x.shape[1]
    slice_bytes = len(layout.pairs) * channels * y.shape[3] * x.shape[4] * x.element_size()
    thickness = max(1, SLAB_BYTES.get(x.device.type, _OTHER_DEVICES) // slice_bytes)
    for start in range(0, y.shape[2], thickness):
        yield slice(start, min(start + thickness, y.shape[2]))


def _responses(x: Tensor, axes: Axes, layout: Layout, slab: slice) -> Tensor:
    """Responses to the pairs of X and Y functions: `(pairs * C, t, Y', Z)`."""
    u = [_along(axes, 0, f, x, slab) for f in range(len(axes.matrices[0]))]
    rows, thickness = axes.matrices[1].shape[1], slab.stop - slab.start
    responses = x.new_empty(len(layout.pairs), x.shape[0], thickness, rows, x.shape[3])
    for response, (f, g) in zip(responses, layout.pairs, strict=True):
        _along(axes, 1, g, u[f], out=response)
    return responses.flatten(0, 1)


def _early(x: Tensor, mix: Tensor, axes: Axes, layout: Layout, slab: slice) -> Iterator[Tensor]:
    v = _responses(x, axes, layout, slab)
    for f, count in enumerate(layout.prefix):
        yield _along(axes, 2, f, _mixed(mix[f], v[: count * x.shape[0]]))


def _late(x: Tensor, mix: Tensor, axes: Axes, layout: Layout, slab: slice) -> Iterator[Tensor]:
    u = torch.cat([_along(axes, 0, f, x, slab) for f in range(len(axes.matrices[0]))])
    rows = enumerate(zip(layout.pairs, layout.prefix, strict=True))
    for g, group in groupby(rows, key=lambda row: row[1][0][1]):
        parts = [_along(axes, 1, f, _mixed(mix[p], u[: count * x.shape[0]])) for p, ((f, _), count) in group]
        yield _along(axes, 2, g, torch.stack(parts).sum(0) if len(parts) > 1 else parts[0])


def _mixed(mix: Tensor, responses: Tensor) -> Tensor:
    """The leading columns of `(O, K)` times `(K, *space)`."""
    return (mix[:, : len(responses)] @ responses.flatten(1)).view(-1, *responses.shape[1:])


def _along(
    axes: Axes, axis: int, function: int, x: Tensor, rows: slice | None = None, out: Tensor | None = None
) -> Tensor:
    """One function applied along an axis of `x` `(C, X, Y, Z)`, for some rows of its matrix; along Y into `out`."""
    matrix, band = axes.matrices[axis][function], axes.bands[axis]
    start, stop = (0, len(matrix)) if rows is None else (rows.start, rows.stop)
    parts = []
    for first in range(start, stop, TILE):
        last = min(first + TILE, stop)
        low, high = int(band[0, first:last].min()), int(band[1, first:last].max())
        tile, read = matrix[first:last, low:high], x.narrow(axis + 1, low, high - low)
        if axis == 2:
            parts.append(read @ tile.t())
        elif axis == 1:
            parts.append(torch.matmul(tile, read, out=None if out is None else out[:, :, first:last]))
        else:
            parts.append((tile @ read.flatten(2)).unflatten(2, x.shape[2:]))
    return parts[0] if len(parts) == 1 or out is not None else torch.cat(parts, axis + 1)
