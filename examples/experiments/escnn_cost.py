"""Our convolution beside escnn's: weights, time and exactness of one layer of the same fields and the same support.

    python examples/experiments/escnn_cost.py [--quick] [--results docs/results]

For irreps of SO(3) and for the regular representation of the cube's rotations: `GroupConv` at one scale, the layer that
escnn has too, and at four scales, which escnn does not have; there its `R3Conv` gets as many channels. One thread.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accuracy import Row, table

import scalegroup as sg
from scalegroup.fields import FieldType
from scalegroup.interop.escnn import EscnnGroup, channel_order, escnn_field_type
from scalegroup.interop.escnn.library import nn as escnn
from scalegroup.testing import rotation_error


class Theirs(torch.nn.Module):
    """escnn's convolution on plain tensors in our order of channels."""

    def __init__(self, field: FieldType, width: int) -> None:
        super().__init__()
        self.in_type = self.out_type = field
        theirs = escnn_field_type(field)
        self.conv = escnn.R3Conv(theirs, theirs, width, padding=width // 2, initialize=False)
        torch.nn.init.normal_(self.conv.weights, std=0.1)
        order = channel_order(field)
        self.register_buffer("order", torch.tensor(order))
        self.register_buffer("back", torch.tensor(np.argsort(order)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Theirs:
        return self  # escnn's convolutions cannot be copied; errors are measured last, in float64

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, channels, x, y, z)` in and out."""
        y = self.conv(escnn.GeometricTensor(x[:, self.order], self.conv.in_type))
        return y.tensor[:, self.back]  # type: ignore[no-any-return]


def fields(quick: bool) -> dict[str, tuple[Callable[..., FieldType], int]]:
    """The two kinds of fields, on a number of scales, and the width of the kernel in voxels.

    escnn keeps a table of all kernels between two regular fields: of 9×9×9 voxels it has 2.4 GB.
    """

    def turning(num_scales: int, m: int = 1 if quick else 4) -> FieldType:
        group = sg.ScaleTranslationGroup(dim=3, num_scales=num_scales, rotations="so3")
        return 2 * m * group.irrep(0) + m * group.irrep(1) + m * group.irrep(2)  # type: ignore[no-any-return]

    def on_the_cube(num_scales: int, m: int = 1) -> FieldType:
        group = sg.ScaleTranslationGroup(dim=3, num_scales=num_scales, rotations=EscnnGroup("octahedral"))
        return m * group.representation("escnn", "regular")  # type: ignore[no-any-return]

    return {
        "SO(3), irreps 0, 1, 2": (turning, 5 if quick else 9),
        "octahedral, regular": (on_the_cube, 3 if quick else 7),
    }


def layers(one: FieldType, four: FieldType, width: int) -> dict[str, Callable[[], torch.nn.Module]]:
    """What is compared, with as many taps along each axis; the first is the unit of time."""
    cube = f"{width}×{width}×{width}"
    support = width / 2  # in widths of one voxel
    return {
        f"R3Conv, {cube}": lambda: Theirs(one, width),
        f"GroupConv, one scale, order 2, {cube}": lambda: sg.nn.GroupConv(one, one, support=support),
        f"GroupConv, one scale, order 4, {cube}": lambda: sg.nn.GroupConv(one, one, order=4, support=support),
        "GroupConv, one scale, order 2, 13×13×13": lambda: sg.nn.GroupConv(one, one, sigma=1.4),
        f"R3Conv, {cube}, four times the fields": lambda: Theirs(four, width),
        f"GroupConv, four scales, order 2, {cube} and wider": lambda: sg.nn.GroupConv(four, four, support=support),
    }


def step(layer: torch.nn.Module, x: torch.Tensor) -> None:
    """Forward and backward, as in training."""
    layer.zero_grad()
    layer(x).square().mean().backward()


def seconds(function: Callable[[], object], budget: float) -> float:
    """The median of the processor's time for several calls, after one to warm up."""
    function()
    times: list[float] = []
    while len(times) < 2 or (sum(times) < budget and len(times) < 9):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def errors(layer: Any, size: int, number: int) -> tuple[str, str]:
    """Rotation errors: the worst of the quarter turns on white noise, and the mean over random rotations of blobs."""
    with torch.no_grad():
        layer.double().train().eval()  # in which escnn makes its kernel anew
    known = EscnnGroup("so3")
    rotations = layer.in_type.group.rotations
    turns = [[[0, -1, 0], [1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, -1], [0, 1, 0]]]
    quarter = max(rotation_error(layer, rotations.element(turn), size=9).error for turn in turns)
    random = [known.sample(seed) for seed in range(number)] if rotations.order is None else []
    turned = [rotation_error(layer, k, "blobs", size=size).error for k in random]
    layer.float()  # escnn shares tables between layers
    return f"{quarter:.0e}", f"{statistics.mean(turned):.1e}" if turned else ""


def rows(quick: bool) -> Iterator[Row]:
    """Fields, layer, what it costs, and how exact it is."""
    size, budget = (7, 0.0) if quick else (24, 3.0)
    for kind, (make, width) in fields(quick).items():
        unit: tuple[float, float] | None = None
        small = layers(make(1, m=1), make(4, m=1), width)  # torch unfolds the kernels of float64: 8 GB for the large
        large = layers(make(1), make(4), width)
        for name in list(large)[:2] if quick else large:
            torch.manual_seed(0)
            start = time.process_time()
            layer = large[name]()
            built = time.process_time() - start
            x = torch.randn(1, layer.in_type.size, size, size, size, requires_grad=True)
            training = seconds(lambda layer=layer, x=x: step(layer, x), budget)  # type: ignore[misc]
            with torch.no_grad():
                layer.eval()  # in which escnn makes its kernel
                inference = seconds(lambda layer=layer, x=x: layer(x), budget)  # type: ignore[misc]
            unit = unit or (inference, training)
            count = sum(p.numel() for p in layer.parameters())
            exact = errors(small[name](), 15 if quick else 25, 1 if quick else 3) if "four" not in name else ("", "")
            yield (
                kind,
                name,
                str(layer.in_type.size),
                f"{count:,}",
                f"{built:.1f} s",
                f"{1e3 * inference:.3g} ms ({inference / unit[0]:.2f})",
                f"{1e3 * training:.3g} ms ({training / unit[1]:.2f})",
                *exact,
            )


def main() -> None:
    """The table, and what it was measured on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--results", type=Path, default=None, help="folder for escnn_cost.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    heads = ("fields", "layer", "channels", "weights", "built in", "forward", "with backward", "90°", "any rotation")
    found = table(heads, rows(options.quick))
    if options.results is not None:
        options.results.mkdir(parents=True, exist_ok=True)
        size = "7³" if options.quick else "24³"
        page = f"""# Our convolution beside escnn's

`python examples/experiments/escnn_cost.py --results docs/results` on \
Python {platform.python_version()}, torch {torch.__version__},
escnn 1.0.11, {platform.machine()}, one thread, float32; times are the processor's.

One layer from the fields to themselves, one volume of {size} voxels. In brackets: relative to the first line of the
same fields. `R3Conv` expands its kernel in each training step, and keeps it in eval mode, as escnn does by default.
Errors are in float64, of layers with one to two fields of each kind and random weights: of quarter turns of white
noise, and of random rotations of Gaussian blobs of 2 to 2.5 voxels (mean of three).

{found}
"""
        (options.results / "escnn_cost.md").write_text(page)


if __name__ == "__main__":
    main()
