"""What the types of layers do to the scales, as a diagram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.patches import Ellipse, FancyArrowPatch, Polygon

from scalegroup.visual.figure import INK, SIZE, Picture, new_figure

SCALES = (1.0, 2**0.5, 2.0, 2**1.5)
SHADES = ("#C6DBEF", "#9ECAE1", "#6BAED6", "#4292C6")  # of the scales, from the finest
KERNEL = "#D55E00"
WIDTH, HEIGHT, SHEAR = 0.74, 0.36, 0.28  # of a field seen from the side, in inches
STOREY = 0.6  # from a scale to the next one
GAP = 0.8  # between two stacks
MARGIN, BELOW = 0.12, 0.92  # at the sides, and for the words below
WIDEST = 0.44  # of the kernel of scale 1 by the side of a field


@dataclass(frozen=True)
class _Stack:
    """A field: its type, how many scales, and how large its grid is drawn."""

    name: str
    scales: int
    size: float = 1.0


@dataclass(frozen=True)
class _Layer:
    """An arrow from a stack to the next one: name, what it does, and which scale reads which."""

    name: str
    words: str
    reads: tuple[tuple[int, int], ...]  # target, source


def plot_layer_types() -> Picture:
    """The layer types as a diagram: what each does to the scales of a field.

    Lifting makes a field with scales from a volume, by one kernel at the size of each scale; a group convolution mixes
    neighbouring scales (`scale_extent`), the same at every scale; a strided one thins out the grid and leaves the
    scales; `ScalePool` leaves one number for all scales.

    Returns:
        The picture.

    Example:
        >>> from scalegroup import visual
        >>> [text.get_text() for text in visual.plot_layer_types().axes[0].texts][0]
        '1*scalar'
    """
    every = range(len(SCALES))
    stacks = (
        _Stack("1*scalar", 1),
        _Stack("16*regular", 4),
        _Stack("16*regular", 4),
        _Stack("32*regular", 4, 0.66),
        _Stack("32*scalar", 1, 0.66),
    )
    layers = (
        _Layer("lifting\nGroupConv", "one kernel, at the\nsize of each scale", tuple((s, 0) for s in every)),
        _Layer(
            "group convolution\nGroupConv(scale_extent=2)",
            "each scale reads itself\nand the next one",
            tuple((s, s + t) for s in every for t in (0, 1) if s + t < len(SCALES)),
        ),
        _Layer(
            "strided convolution\nGroupConv(stride=2)", "a coarser grid,\nthe same scales", tuple((s, s) for s in every)
        ),
        _Layer("projection\nScalePool", "the largest value\nof all scales", tuple((0, s) for s in every)),
    )
    step = WIDTH + SHEAR + GAP
    inches = (len(stacks) * step - GAP + 2 * MARGIN, len(SCALES) * STOREY + 0.45 + BELOW)
    figure = new_figure(*inches, placed=True)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-MARGIN, inches[0] - MARGIN), ylim=(-BELOW, inches[1] - BELOW))
    axes.set_axis_off()
    for column, stack in enumerate(stacks):
        _draw_stack(axes, stack, column * step, kernels=column + 1 < len(stacks) and layers[column].name)
    for column, layer in enumerate(layers):
        _draw_layer(axes, layer, stacks[column : column + 2], column * step, step)
    for scale, value in enumerate(SCALES):
        x, y = _centre(stacks[1], scale, step)
        axes.text(
            x - SHEAR / 2,
            y - HEIGHT / 2 - 0.04,
            f"scale {value:.3g}",
            fontsize=SIZE - 1,
            color="0.35",
            ha="center",
            va="top",
        )
    return figure


def _floor(stack: _Stack, scale: int) -> float:
    """The lower edge of a scale; a field without scales stands in the middle."""
    middle = (len(SCALES) - 1) / 2 * STOREY if stack.scales == 1 else scale * STOREY
    return middle + (1 - stack.size) * HEIGHT / 2


def _centre(stack: _Stack, scale: int, x: float) -> tuple[float, float]:
    return x + (WIDTH + SHEAR) / 2, _floor(stack, scale) + stack.size * HEIGHT / 2


def _draw_stack(axes: Any, stack: _Stack, x: float, kernels: str | bool) -> None:
    """The planes of a field, and on them the kernels that the next layer reads them by."""
    w, h, shear = (stack.size * side for side in (WIDTH, HEIGHT, SHEAR))
    for scale in range(stack.scales):
        (cx, cy) = _centre(stack, scale, x)
        x0, y0 = cx - (w + shear) / 2, cy - h / 2
        corners = ((x0, y0), (x0 + w, y0), (x0 + w + shear, y0 + h), (x0 + shear, y0 + h))
        shade = "#EEEEEE" if stack.scales == 1 else SHADES[scale]
        axes.add_patch(Polygon(corners, facecolor=shade, edgecolor="white", linewidth=1.2, zorder=2))
        if not kernels or str(kernels).startswith("projection"):
            continue
        for one in range(len(SCALES)) if stack.scales == 1 else [scale]:
            radius = WIDEST * SCALES[one] / SCALES[-1]
            look: dict[str, Any] = {"fill": False, "edgecolor": KERNEL, "linewidth": 1.1, "zorder": 3}
            axes.add_patch(Ellipse((cx, cy), 2 * radius * w * 0.8, 2 * radius * h, **look))
    axes.text(x + (WIDTH + SHEAR) / 2, -0.36, stack.name, fontsize=SIZE + 1, color=INK, ha="center", family="monospace")


def _draw_layer(axes: Any, layer: _Layer, ends: tuple[_Stack, ...], x: float, step: float) -> None:
    """The arrows of a layer, its name above them and what it does below."""
    for target, source in layer.reads:
        (x0, y0), (x1, y1) = _centre(ends[0], source, x), _centre(ends[1], target, x + step)
        start = (x0 + ends[0].size * (WIDTH + SHEAR) / 2 - 0.06, y0)
        end = (x1 - ends[1].size * (WIDTH + SHEAR) / 2 + 0.1, y1)
        look: dict[str, Any] = {"arrowstyle": "-|>,head_length=3.5,head_width=2", "linewidth": 0.9, "color": "0.45"}
        axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, zorder=1, **look))
    middle = x + (WIDTH + SHEAR + step) / 2
    name, call = layer.name.split("\n")
    top = len(SCALES) * STOREY + 0.18
    axes.text(middle, top, name, fontsize=SIZE + 1, color=INK, ha="center", weight="bold")
    axes.text(middle, top - 0.2, call, fontsize=SIZE, color=INK, ha="center", family="monospace")
    axes.text(middle, -0.52, layer.words, fontsize=SIZE + 1, color="0.3", ha="center", va="top", linespacing=1.3)
