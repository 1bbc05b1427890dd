"""What a network costs on each of its grids, counted without running it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from scalegroup.models.scale_backbone import layer_outputs


class Cost(NamedTuple):
    """What one forward pass of one sample takes: multiply-adds, and bytes of the outputs of all layers."""

    multiply_adds: float
    bytes: float


def total(costs: Sequence[Cost], shares: Sequence[float] | None = None) -> Cost:
    """The sum of costs, each times its share (1 by default).

    Example:
        >>> total([Cost(1.0, 2.0), Cost(3.0, 6.0)], [0.5, 0.5])
        Cost(multiply_adds=2.0, bytes=4.0)
    """
    pairs = list(zip(costs, [1.0] * len(costs) if shares is None else shares, strict=True))
    return Cost(sum(share * c.multiply_adds for c, share in pairs), sum(share * c.bytes for c, share in pairs))


def cost_of(module: torch.nn.Module, shape: Sequence[int], itemsize: int | None = None) -> Cost:
    """The cost of a network on an input of this shape.

    Counts the multiply-adds of convolutions and matrix products, and the bytes of what modules without children
    return: those that a step of training keeps, up to what layers recompute or overwrite.

    Args:
        module: a network; a copy without data is run on torch's device "meta".
        shape: of the input, `(batch, channels, *space)`.
        itemsize: bytes of a number. Default: as the outputs have.

    Raises:
        ScaleGroupError: if the network does not run without data.

    Example:
        >>> cost_of(torch.nn.Conv2d(1, 4, 3, padding=1), (1, 1, 10, 10))
        Cost(multiply_adds=3600.0, bytes=1600.0)
    """
    with FlopCounterMode(display=False) as counter:
        outputs = layer_outputs(module, shape)
    return Cost(counter.get_total_flops() / 2, float(sum(y.numel() * (itemsize or y.element_size()) for y in outputs)))


def cost_table(rows: Sequence[tuple[str, Sequence[int], Cost]], plain: Cost) -> str:
    """Rows of (name, sizes, cost) as text, the last column relative to `plain`.

    Example:
        >>> print(cost_table([("1", (10, 10), Cost(7200.0, 1600.0))], plain=Cost(3600.0, 800.0)))
        scale   size  voxels  multiply-adds  activations  relative
        1      10×10     100         7.2 k      1.6 kB      2.00
    """
    head = ["scale", "size", "voxels", "multiply-adds", "activations", "relative"]
    table = [head]
    for name, sizes, cost in rows:
        grid = ["×".join(map(str, sizes)), _short(prod(sizes))] if sizes else ["", ""]
        relative = cost.multiply_adds / plain.multiply_adds if plain.multiply_adds else float("nan")
        table.append([name, *grid, _short(cost.multiply_adds), f"{_short(cost.bytes)}B", f"{relative:.2f}"])
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    first, *others = widths
    lines = [
        "  ".join([row[0].ljust(first), *(text.rjust(width) for text, width in zip(row[1:], others, strict=True))])
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def _short(value: float) -> str:
    """Three digits and a prefix: 12300 is "12.3 k"."""
    prefixes, prefix = iter("kMGTPE"), ""
    while value >= 999.5:
        value, prefix = value / 1000, next(prefixes)
    return f"{value:.3g} {prefix}"
