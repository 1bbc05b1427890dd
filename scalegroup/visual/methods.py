"""Error against time, a point for each method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

from scalegroup.errors import ScaleGroupError
from scalegroup.visual.figure import SIZE, Picture, new_figure

# Colours of Okabe and Ito (2008), told apart with any kind of colour vision, and a marker for each.
_LOOKS = (
    ("#000000", "D"),
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "v"),
    ("#E69F00", "P"),
    ("#56B4E9", "X"),
    ("#7F7F7F", "h"),
    ("#6A3D9A", "*"),
)
_IN_A_ROW = 5  # kinds in the legend
_MARKER = 6.0  # points
# Where a name may stand, from near to far: by how much in points, and by which of its corners.
_SIDES = (
    *(("left", 1, 0), ("right", -1, 0), ("center", 0, 1), ("center", 0, -1)),
    *(("left", 1, 1), ("left", 1, -1), ("right", -1, 1), ("right", -1, -1)),
)
_DISTANCES = (6.0, 10.0, 16.0, 24.0, 34.0, 46.0, 60.0)


@dataclass(frozen=True)
class MethodPoint:
    """A method in a panel.

    Args:
        name: that is written beside the point.
        kind: methods of one kind share colour and marker.
        time: over that of a plain network, > 0.
        error: > 0.

    Example:
        >>> from scalegroup import visual
        >>> visual.MethodPoint("ours", "group convolution", time=2.0, error=0.004).error
        0.004
    """

    name: str
    kind: str
    time: float
    error: float


def plot_methods(panels: Mapping[tuple[str, str], Sequence[MethodPoint]]) -> Picture:
    """A picture of error against time, both on logarithmic axes; names do not overlap.

    Args:
        panels: the points of each panel by its column and by its row, the words of its vertical axis.

    Returns:
        The picture, a panel for each column and row; where there are no points it is empty.

    Raises:
        ScaleGroupError: if there is no panel, and for times and errors that are not positive.

    Example:
        >>> from scalegroup import visual
        >>> points = [visual.MethodPoint("plain", "plain", 1.0, 0.4), visual.MethodPoint("ours", "group", 2.0, 0.004)]
        >>> figure = visual.plot_methods({("2-D", "equivariance error"): points})
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['ours', 'plain']
    """
    if not panels:
        raise ScaleGroupError("at least one panel", "none", "its key is a pair of a column and a row")
    for point in (point for points in panels.values() for point in points):
        if not (0 < point.time < math.inf and 0 < point.error < math.inf):
            hint = "both axes are logarithmic; leave the method out"
            received = f"{point.time:g} and {point.error:g} of {point.name}"
            raise ScaleGroupError("a time and an error > 0", received, hint)
    columns, rows = (list(dict.fromkeys(key[axis] for key in panels)) for axis in (0, 1))
    kinds = list(dict.fromkeys(point.kind for points in panels.values() for point in points))
    looks = {kind: _LOOKS[number % len(_LOOKS)] for number, kind in enumerate(kinds)}
    figure = new_figure(5.2 * len(columns) + 0.4, 3.7 * len(rows) + 0.7)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for (y, row), (x, column) in product(enumerate(rows), enumerate(columns)):
        axes, points = grid[y, x], panels.get((column, row), ())
        for point in points:
            colour, marker = looks[point.kind]
            axes.plot(point.time, point.error, marker, color=colour, markersize=_MARKER)
        _arrange(axes)
        axes.set_title(column if y == 0 else "", fontsize=SIZE)
        axes.set_ylabel(row if x == 0 else "", fontsize=SIZE)
    figure.supxlabel("time of a forward pass over that of a plain network", fontsize=SIZE)
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=_MARKER)
        for colour, marker in looks.values()
    ]
    in_a_row = min(_IN_A_ROW, len(kinds)) or 1
    figure.legend(handles, kinds, frameon=False, fontsize=SIZE, loc="outside upper center", ncols=in_a_row)
    figure.draw_without_rendering()  # from here on the places of the points are known
    for (y, row), (x, column) in product(enumerate(rows), enumerate(columns)):
        _name_points(grid[y, x], panels.get((column, row), ()), {kind: look[0] for kind, look in looks.items()})
    return figure


def _arrange(axes: Any) -> None:
    """Logarithmic axes with room for names at their ends."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(0.18, 0.12)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def _name_points(axes: Any, points: Sequence[MethodPoint], colours: Mapping[str, str]) -> None:
    """Each name at the nearest free place beside its point, with a thin line where that is far."""
    half = _MARKER * axes.figure.dpi / 72
    places = [axes.transData.transform((point.time, point.error)) for point in points]
    taken = [Bbox.from_bounds(x - half / 2, y - half / 2, half, half) for x, y in places]
    for point in sorted(points, key=lambda point: point.error):
        name = axes.annotate(
            point.name,
            (point.time, point.error),
            (0, 0),
            textcoords="offset points",
            fontsize=SIZE - 2,
            color=colours[point.kind],
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2},
        )
        name.set_in_layout(False)  # the points stay where they are
        taken.append(_place(name, taken, axes.bbox))


def _place(name: Any, taken: Sequence[Bbox], inside: Bbox) -> Bbox:
    """Moves a name to the first place where it overlaps with nothing; the last one tried if there is none."""
    box, renderer = Bbox.null(), name.figure.canvas.get_renderer()
    for distance, (side, right, up) in product(_DISTANCES, _SIDES):
        name.set_position((distance * right, distance * up))
        name.set(horizontalalignment=side, verticalalignment="center")
        name.arrow_patch.set_visible(distance > _DISTANCES[1])
        name.update_positions(renderer)
        box = Text.get_window_extent(name, renderer)  # of the words alone, without the line to the point
        free = not any(box.overlaps(other) for other in taken)
        if free and inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1:
            break
    return box
