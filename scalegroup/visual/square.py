"""The commuting square of equivariance."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.testing.check import before_projection
from scalegroup.visual.figure import ACCENT, INK, SIZE, Picture, limits, new_figure, show, signed
from scalegroup.visual.two_paths import TwoPaths, two_paths

SIDE = 1.72  # of a picture, in inches
ROW = 0.62  # between the two rows
TITLE = 0.26  # above a picture
FIRST, PAIR, LAST = 1.15, 0.34, 0.42  # gaps between the columns
BAR = 0.55  # for the colour bar
MARGIN = 0.08
EQUAL = 0.02  # a difference that eyes hardly see


def plot_commuting_square(
    net: torch.nn.Module,
    x: Tensor | None = None,
    scale: float | None = None,
    channel: int = 0,
    *,
    index: int = 0,
    seed: int = 0,
    size: int | None = None,
    projected: bool = True,
    name: str = "network",
) -> Picture:
    """The square of equivariance: first scale and then apply the network, or first the network and then scale.

    `f(L_a x)` and `L_a f(x)` are drawn side by side, and their difference with the same colours. Of volumes the middle
    slice is shown. The figure is `‖f(L_a x) - L_a f(x)‖ / ‖f(x)‖` over all channels at the scale shown and over the
    interior of the volume (0.6 of each axis, the thin frame), as `testing.equivariance_error` measures it.

    Args:
        net: an equivariant network or layer, or any other network from volumes to volumes: of those without types, axes
            and channels are told by `x` or by the first convolution.
        x: an input `(batch, channels, *space)`. Its scaled copy is interpolated by a windowed sinc. Default: smooth
            blobs, whose scaled copy is exact.
        scale: the factor a; for outputs with scales a power of the base. Default: the base of the network's group,
            or √2.
        channel: of the output, counted without the scales. Default 0.
        index: the finer of the two scales of the output that are compared, counted from the finest of the window.
            Default 0.
        seed: of the blobs. Default 0.
        size: voxels per axis of the blobs. Default in 1, 2, 3-D: 128, 64, 48.
        projected: whether the output is taken as it is. False takes the field with scales that goes into the last
            projection over the window: there the law holds up to kernels, activations and strides, while a projection
            also loses what leaves the truncated window, see `nn.ScalePool`. Default True.
        name: what is written at the arrows downward. Default "network".

    Returns:
        The picture.

    Raises:
        ScaleGroupError: if the axes and channels of the input are not known, for an `x` of another shape, for a factor
            between two scales of the output, and for a channel or a scale that there is not.

    Source: `docs/concepts/group.md`; "truncated" window: the scales shown are inside it before and after.

    Example:
        >>> import scalegroup as sg
        >>> from scalegroup import visual
        >>> group = sg.ScaleTranslationGroup(dim=2)
        >>> lift = sg.nn.GroupConv(1 * group.scalar, 2 * group.regular)
        >>> figure = visual.plot_commuting_square(lift)
        >>> [axes.get_title() for axes in figure.axes[:2]]
        ['input', 'scaled input']
    """
    if not isinstance(net, torch.nn.Module):
        raise ScaleGroupError("a network, a torch.nn.Module", type(net).__name__, "a single layer will do")
    cut = before_projection(net)
    paths = two_paths(net if projected else cut, x, scale, channel, index, seed, size)
    if cut is net:
        return _drawn(paths, name, "")
    if projected:
        return _drawn(paths, name, ",\nwith what leaves\nthe window of scales")
    return _drawn(paths, f"{name},\nup to its projection", "")


def _drawn(paths: TwoPaths, name: str, remark: str) -> Picture:
    left = [MARGIN, MARGIN + SIDE + FIRST]
    left += [left[1] + SIDE + PAIR, left[1] + 2 * SIDE + PAIR + LAST]
    low = [MARGIN + SIDE + ROW + TITLE, MARGIN]
    inches = (left[3] + SIDE + BAR, low[0] + SIDE + TITLE + MARGIN)
    figure = new_figure(*inches, placed=True)

    screen, a = paths.screen, paths.factor
    x, scaled_x = paths.x.picture(screen), paths.scaled_x.picture(screen)
    y, scaled_y, y_of_scaled = paths.y.picture(screen), paths.y.picture(screen, a), paths.y_of_scaled.picture(screen)
    into, out = limits(x), limits(y, scaled_y, y_of_scaled)
    before, after = paths.half
    cells = (
        (0, 0, x, into, "input", paths.x.scale, before),
        (0, 2, scaled_x, into, "scaled input", paths.scaled_x.scale, after),
        (1, 0, y, out, "output", paths.y.scale, before),
        (1, 1, scaled_y, out, "scaled output", paths.y_of_scaled.scale, after),
        (1, 2, y_of_scaled, out, "output of scaled input", paths.y_of_scaled.scale, after),
        (1, 3, y_of_scaled - scaled_y, signed(out), "difference", None, after),
    )
    for row, column, values, bounds, title, scale, half in cells:
        box = (left[column] / inches[0], low[row] / inches[1], SIDE / inches[0], SIDE / inches[1])
        axes = figure.add_axes(box)
        image = show(axes, values, bounds, screen)
        _frame(axes, half, values.ndim, "0.35" if bounds[0] else "#E69F00")
        axes.set_title(title, fontsize=SIZE + 1, color=INK, pad=4)
        if scale is not None:
            corner = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
            axes.text(
                *(0.04, 0.05, f"scale {scale:.3g}"), transform=axes.transAxes, fontsize=SIZE - 1, color=INK, bbox=corner
            )
    if image is not None:
        box = ((left[3] + SIDE + 0.08) / inches[0], low[1] / inches[1], 0.07 / inches[0], SIDE / inches[1])
        bar = figure.colorbar(image, cax=figure.add_axes(box))
        bar.ax.tick_params(labelsize=SIZE - 2, length=2, color=INK, labelcolor=INK)
        bar.outline.set_visible(False)
    middle = [line + SIDE / 2 for line in low]
    _arrow(figure, inches, (left[0] + SIDE, middle[0]), (left[2], middle[0]), f"scale by {a:.3g}")
    _arrow(figure, inches, (left[0] + SIDE, middle[1]), (left[1], middle[1]), f"scale by {a:.3g}")
    for column in (0, 2):
        across = left[column] + SIDE / 2
        _arrow(figure, inches, (across, low[0]), (across, low[1] + SIDE + TITLE), name)
    _verdict(figure, inches, paths.error, remark, (left[3] + SIDE / 2, middle[0]), (left[2] - PAIR / 2, middle[1]))
    return figure


def _frame(axes: Any, half: float, dim: int, colour: str) -> None:
    """What is compared."""
    style: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (4, 3)), "color": colour}
    if dim == 1:
        for side in (-half, half):
            axes.axvline(side, **style)
    else:
        axes.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, fill=False, **style))


def _arrow(
    figure: Picture, inches: tuple[float, float], start: tuple[float, float], end: tuple[float, float], text: str
) -> None:
    """An arrow between two places in inches, with its name above it or to the right."""
    down = start[0] == end[0]
    gap = (0.0, -0.08) if down else (0.1, 0.0)
    (x0, y0), (x1, y1) = (start[0] + gap[0], start[1] + gap[1]), (end[0] - gap[0], end[1] - gap[1] / 2)
    ends = [(x / inches[0], y / inches[1]) for x, y in ((x0, y0), (x1, y1))]
    look: dict[str, Any] = {
        "arrowstyle": "-|>,head_length=5,head_width=3",
        "linewidth": 1.6,
        "color": ACCENT,
        "shrinkA": 0,
    }
    figure.add_artist(FancyArrowPatch(*ends, transform=figure.transFigure, shrinkB=0, **look))
    place = ((x0 + x1) / 2 + 0.1 * down, (y0 + y1) / 2 + 0.07 * (not down))
    figure.text(
        *(place[0] / inches[0], place[1] / inches[1], text),
        horizontalalignment="left" if down else "center",
        verticalalignment="center" if down else "bottom",
        fontsize=SIZE + 1,
        color=ACCENT,
        linespacing=1.3,
    )


def _verdict(
    figure: Picture,
    inches: tuple[float, float],
    error: float,
    remark: str,
    above: tuple[float, float],
    between: tuple[float, float],
) -> None:
    """The figure above the difference, and the sign between the two pictures that should be equal."""
    centre: dict[str, Any] = {"horizontalalignment": "center", "color": INK}
    x, y = above[0] / inches[0], above[1] / inches[1]
    figure.text(x, y, percent(error), fontsize=2.4 * SIZE, verticalalignment="bottom", weight="bold", **centre)
    words = "relative difference\nof the two paths,\ninside the frame" + remark
    figure.text(x, y - 0.01, words, fontsize=SIZE + 1, verticalalignment="top", linespacing=1.35, **centre)
    sign = "≈" if error < EQUAL else "≠"
    x, y = between[0] / inches[0], between[1] / inches[1]
    figure.text(x, y, sign, fontsize=2 * SIZE, verticalalignment="center", **centre)


def percent(value: float) -> str:
    """An error in words for people: two digits, or one and a power of ten."""
    if not value >= 1e-6:
        return f"{100 * value:.0e} %"
    return f"{100 * value:.2g} %" if value < 1 else f"{100 * value:.0f} %"
