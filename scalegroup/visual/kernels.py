"""The kernels of a convolution, trained or not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from matplotlib.patches import Rectangle

from scalegroup.errors import ScaleGroupError
from scalegroup.nn.kernels import KernelModule
from scalegroup.visual.figure import INK, SIZE, Array, Picture, chosen, limits, new_figure, show, signed

SIDE = 1.3  # of a slice, in inches
OUTPUTS, INPUTS = 4, 2  # that are drawn where there are more and none are named
LITTLE = 0.3  # of what the fullest slice holds; then another one than the middle is drawn
PAPER = "#F7F7F7"  # zero in the diverging map


def plot_kernels(
    layer: KernelModule,
    outputs: Sequence[int] | None = None,
    inputs: Sequence[int] | None = None,
    scales: Sequence[int] | None = None,
    *,
    tap: int = 0,
    path: int = 0,
) -> Picture:
    """The kernels of a convolution as it applies them on the grid: a row for each output and input, the scales along.

    All scales have one ruler: a kernel at scale s is s times as wide, and its thin frame is where it ends. Its values
    are drawn times `s^d`, which the layer divides by, so that one function at all scales has one range of colours; a
    row shares it, and white is zero. Of volumes the middle slice across the first axis is drawn; where that holds
    little, as of an odd function, the slice that holds most.

    Args:
        layer: a `GroupConv` or `GroupConvTranspose`.
        outputs: numbers of output fields. Default: the first four.
        inputs: numbers of input fields. Default: the first two.
        scales: which scales, counted from the finest. Default: all; of a layer that has a grid for each scale, on which
            all kernels are the same, the first.
        tap: which of the neighbouring scales that it reads, below `scale_extent`. Default 0.
        path: which pair of blocks, for mixed types, see `layer.paths`. Default 0.

    Returns:
        The picture.

    Raises:
        ScaleGroupError: for another kind of layer, and for outputs, inputs, scales, taps and paths that there are not.

    Example:
        >>> import scalegroup as sg
        >>> from scalegroup import visual
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=3)
        >>> lift = sg.nn.GroupConv(1 * group.scalar, 2 * group.regular)
        >>> [axes.get_title() for axes in visual.plot_kernels(lift).axes[:3]]
        ['scale 1', 'scale 1.41', 'scale 2']
    """
    if not isinstance(layer, KernelModule):
        hint = "of a network take one layer, for example net[0]"
        raise ScaleGroupError("a GroupConv or GroupConvTranspose", type(layer).__name__, hint)
    chosen([path], len(layer.paths), "path")
    count_out, count_in, taps, _ = layer.coefficient_shape(path)
    chosen([tap], taps, "tap")
    window = (1.0,) if layer.on_grids else tuple(layer.scales)
    columns = chosen(scales, len(window), "scales")
    outputs = chosen(range(min(count_out, OUTPUTS)) if outputs is None else outputs, count_out, "outputs")
    inputs = chosen(range(min(count_in, INPUTS)) if inputs is None else inputs, count_in, "inputs")
    with torch.no_grad():
        kernels = [layer.kernels(scale, tap, path).double().cpu().numpy() for scale in columns]
    dim = kernels[0].ndim - 2
    kernels = [kernel * window[scale] ** dim for kernel, scale in zip(kernels, columns, strict=True)]
    widest = max(max(kernel.shape[2:]) for kernel in kernels) / 2
    titles = ["each scale" if layer.on_grids else f"scale {window[scale]:.3g}" for scale in columns]

    pairs = list(product(outputs, inputs))
    figure = new_figure(max(SIDE * len(columns) + 0.9, 2.6), (SIDE + 0.05) * len(pairs) + 0.35)
    grid = figure.subplots(len(pairs), len(columns), squeeze=False)
    for cells, (out, into) in zip(grid, pairs, strict=True):
        row = [kernel[out, into] for kernel in kernels]
        share = _slice(row[-1]) if dim == 3 else 0.5
        images = [kernel[int(share * len(kernel))] if dim == 3 else kernel for kernel in row]
        bounds = signed(limits(*images))
        for axes, image in zip(cells, images, strict=True):
            _draw(axes, image, bounds, widest)
        if share != 0.5:
            cells[0].text(0.04, 0.04, "off the middle", transform=cells[0].transAxes, fontsize=SIZE - 2, color="0.45")
        label = f"output {out}" if count_in == 1 else f"input {into} to\noutput {out}"
        cells[0].set_ylabel(label, fontsize=SIZE, color=INK)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=SIZE, color=INK, pad=4)
    return figure


def _slice(kernel: Array) -> float:
    """Which slice across the first axis is drawn, as a share of the kernel's width."""
    held = np.square(kernel).sum(axis=(1, 2))
    if held[len(held) // 2] >= LITTLE * held.max():
        return 0.5
    return (int(np.argmax(held)) + 0.5) / len(held)


def _draw(axes: Any, values: Array, bounds: tuple[float, float], widest: float) -> None:
    """A kernel in its frame, on paper that holds the widest one."""
    screen = [np.arange(n) - (n - 1) / 2 for n in values.shape]
    show(axes, values, bounds, screen)
    axes.set_xlim(-1.04 * widest, 1.04 * widest)
    if values.ndim == 2:
        height, width = values.shape
        axes.set_ylim(1.04 * widest, -1.04 * widest)
        axes.set_facecolor(PAPER)
        axes.add_patch(Rectangle((-width / 2, -height / 2), width, height, fill=False, color="0.6", linewidth=0.7))
