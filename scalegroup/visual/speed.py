"""Time against the width of kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from scalegroup.errors import ScaleGroupError
from scalegroup.visual.figure import SIZE, Picture, new_figure

# Colour by method, line style by what follows the comma (the number of functions); colours of Okabe and Ito (2008).
_COLOURS = ("#000000", "#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9")
_MARKERS = ("D", "s", "v", "o", "^", "P", "X")
_STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Speed:
    """One line: the milliseconds of a method for each kernel width; methods of one name share a colour.

    Args:
        name: method, or "method, variant".
        milliseconds: by width in voxels.

    Example:
        >>> from scalegroup import visual
        >>> visual.Speed("separable, 10 functions", {9: 110.0, 13: 114.0}).milliseconds[9]
        110.0
    """

    name: str
    milliseconds: Mapping[int, float]


def plot_speeds(panels: Mapping[str, Sequence[Speed]]) -> Picture:
    """A picture of time against kernel width, both on logarithmic axes.

    Args:
        panels: the lines of each panel by its title; the names are explained once for all.

    Returns:
        The picture, two panels in a row.

    Raises:
        ScaleGroupError: if there is no line.

    Example:
        >>> from scalegroup import visual
        >>> lines = [visual.Speed("separable", {5: 110.0, 9: 110.0}), visual.Speed("dense", {5: 150.0, 9: 660.0})]
        >>> visual.plot_speeds({"16 channels": lines}).axes[0].get_title()
        '16 channels'
    """
    if not any(panels.values()):
        raise ScaleGroupError("at least one line in one panel", "none", "a line is a visual.Speed")
    names = list(dict.fromkeys(line.name for lines in panels.values() for line in lines))
    methods = list(dict.fromkeys(name.partition(",")[0] for name in names))
    variants = {method: [name for name in names if name.partition(",")[0] == method] for method in methods}
    columns = min(len(panels), 2)
    rows = ceil(len(panels) / columns)
    figure = new_figure(3.6 * columns, 2.7 * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True).flatten()
    handles = {}
    for axes, (title, lines) in zip(grid, panels.items(), strict=False):
        for line in lines:
            method = line.name.partition(",")[0]
            index = methods.index(method)
            widths = sorted(line.milliseconds)
            (handles[line.name],) = axes.plot(
                widths,
                [line.milliseconds[width] for width in widths],
                linestyle=_STYLES[variants[method].index(line.name) % len(_STYLES)],
                marker=_MARKERS[index % len(_MARKERS)],
                color=_COLOURS[index % len(_COLOURS)],
                markersize=4,
                linewidth=1.5,
            )
        ticks = sorted({width for line in lines for width in line.milliseconds})
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_title(title, fontsize=SIZE)
        axes.tick_params(labelsize=SIZE, labelbottom=True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("kernel width, voxels", fontsize=SIZE)
    figure.supylabel("time of a forward pass, ms", fontsize=SIZE)
    figure.legend(
        [handles[name] for name in names], names, frameon=False, fontsize=SIZE, loc="outside upper center", ncols=4
    )
    return figure
