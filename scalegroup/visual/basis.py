"""The functions of a kernel basis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from math import ceil, sqrt
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import Basis, JointBasis
from scalegroup.visual.figure import COLOURS, INK, SIZE, Picture, new_figure, set_heading, show
from scalegroup.visual.surface import NAMES, draw_surfaces, isosurface

Array = npt.NDArray[np.float64]
View = Literal["slices", "isosurfaces"]

SIDE = 1.22  # of a function, in inches
POINTS = 61  # along an axis of a slice
SOLID = 37  # along an axis of a volume whose surfaces are drawn
LEVEL = 0.1  # of the largest absolute value of a function: where its surfaces lie
NEGLIGIBLE = 0.03  # of the largest value: functions are drawn up to where all are below it
FARTHEST = 12.0  # widths
POSITIVE, NEGATIVE = "#C8443C", "#3B7DB8"  # the two sides of the diverging map


def plot_basis(
    basis: Basis | JointBasis,
    functions: Sequence[int | tuple[int, ...]] | None = None,
    view: View = "slices",
    title: str | None = None,
) -> Picture:
    """The functions of a basis, named by their degrees along the axes: red positive, blue negative.

    Args:
        basis: on one axis (curves), two (images) or three.
        functions: which, by number or, for products, by degrees, such as `(2, 1, 0)`. Default: all.
        view: of functions of three axes: "slices", for each that slice which holds most of it (its plane is written in
            it), or "isosurfaces", on which the absolute value is 0.1 of the largest one. Default "slices".
        title: above the picture. Default: the basis.

    Returns:
        The picture; each function has a range of colours of its own.

    Raises:
        ScaleGroupError: for what is not a basis, a view that there is not, and functions that are not in the basis.

    Source: Wimmer et al., "Scale-Equivariant Deep Learning for 3D Data", 2023, whose poster shows them so.

    Example:
        >>> import scalegroup as sg
        >>> from scalegroup import visual
        >>> figure = visual.plot_basis(sg.HermiteBasis(order=2), [(2, 0, 0), (1, 1, 0)])
        >>> [axes.get_title() for axes in figure.axes]
        ['(2, 0, 0)', '(1, 1, 0)']
    """
    if not isinstance(basis, Basis | JointBasis) or basis.dim not in (1, 2, 3):
        hint = "an example is scalegroup.HermiteBasis(order=2)"
        raise ScaleGroupError("a basis on one to three axes", repr(basis), hint)
    if view not in get_args(View):
        hint = "of functions of three axes 'isosurfaces' shows them whole"
        raise ScaleGroupError(f"a view of {get_args(View)}", repr(view), hint)
    if view == "isosurfaces" and basis.dim != 3:
        raise ScaleGroupError("functions of three axes for 'isosurfaces'", f"dim={basis.dim}", "use view='slices'")
    numbers = _numbers(basis, functions)
    radius = _radius(basis)
    heading = repr(basis) if title is None else title
    if basis.dim == 1:
        return _curves(basis, numbers, radius, heading)
    columns = min(len(numbers), max(5, ceil(sqrt(2 * len(numbers)))))
    rows = ceil(len(numbers) / columns)
    figure = new_figure(max(SIDE * columns, 3.4) + 0.1, (SIDE + 0.2) * rows + 0.25)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    side = np.linspace(-radius, radius, POINTS if view == "slices" else SOLID)
    volumes = _values(basis, side)[numbers]
    surfaces = [_surfaces(values, radius) for values in volumes] if view == "isosurfaces" else []
    farthest = max(
        (float(np.linalg.norm(part, axis=2).max(initial=0)) for two in surfaces for part, _ in two), default=0
    )
    for n, (axes, number) in enumerate(zip(grid, numbers, strict=False)):
        if surfaces:
            draw_surfaces(axes, surfaces[n], 1.02 * farthest, named=n == 0)
        else:
            _draw_slice(axes, volumes[n], side)
        axes.set_title(_name(basis, number), fontsize=SIZE, color=INK, pad=3)
    for axes in grid[len(numbers) :]:
        axes.remove()
    set_heading(figure, heading)
    return figure


def _numbers(basis: Basis | JointBasis, functions: Sequence[int | tuple[int, ...]] | None) -> list[int]:
    """Where in the basis the functions are."""
    if functions is None:
        return list(range(len(basis)))
    known: dict[Any, int] = {n: n for n in range(len(basis))}
    if isinstance(basis, Basis):
        known |= {product: n for n, product in enumerate(basis.products)}
    chosen = [tuple(one) if isinstance(one, list | tuple) else one for one in functions]
    strange = [one for one in chosen if one not in known]
    if strange or not chosen:
        hint = f"it has {len(basis)}, up to {_name(basis, len(basis) - 1)}"
        raise ScaleGroupError(f"functions of {basis!r}", f"{strange or chosen}", hint)
    return [known[one] for one in chosen]


def _name(basis: Basis | JointBasis, number: int) -> str:
    """The degrees, or the number of a function that is no product."""
    if not isinstance(basis, Basis):
        return f"function {number}"
    return str(basis.products[number] if basis.dim > 1 else basis.products[number][0])


def _radius(basis: Basis | JointBasis) -> float:
    """Up to where there is anything to see, in widths."""
    if isinstance(basis, JointBasis):
        return basis.support
    u = np.linspace(0.0, FARTHEST, 601)
    heights = np.maximum(np.abs(basis.functions(u)), np.abs(basis.functions(-u)))
    seen = (heights > NEGLIGIBLE * heights.max(axis=1, keepdims=True)).any(axis=0)
    return float(u[seen].max()) + 0.1


def _values(basis: Basis | JointBasis, side: Array) -> Array:
    """The functions on a line, square or cube of points."""
    return basis.at(np.stack(np.meshgrid(*[side] * basis.dim, indexing="ij")))


def _draw_slice(axes: Any, values: Array, side: Array) -> None:
    """An image, or the slice of a volume that shows most, the first axis to the right and the second upward."""
    where = ""
    top = float(np.abs(values).max()) or 1.0
    if values.ndim == 3:
        across, place = _telling_slice(values, side)
        values = np.moveaxis(values, across, 0)[place]
        where = "".join(name for n, name in enumerate(NAMES) if n != across)
        where += "" if abs(side[place]) < 1e-9 else f", {NAMES[across]} = {side[place]:.2g}"
    show(axes, values.T[::-1], (-top, top))
    axes.text(0.04, 0.04, where, transform=axes.transAxes, fontsize=SIZE - 2, color="0.45")


def _telling_slice(values: Array, side: Array) -> tuple[int, int]:
    """Across which axis, and where, a slice varies most; of equal ones the middle one, and across the last axis."""
    middle = np.argsort(np.abs(side), kind="stable")
    best, found = 0.0, (2, int(middle[0]))
    for across in (2, 1, 0):
        slices = np.moveaxis(values, across, 0)[middle]
        variation = sum(np.square(np.diff(slices, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))
        place = int(np.argmax(variation > (1 - 1e-6) * variation.max()))
        if variation[place] > (1 + 1e-6) * best:
            best, found = float(variation[place]), (across, int(middle[place]))
    return found


def _surfaces(values: Array, radius: float) -> list[tuple[Array, str]]:
    """The surfaces of both signs, and their colours."""
    level = LEVEL * float(np.abs(values).max())
    step = 2 * radius / (len(values) - 1)
    return [
        (isosurface(values, sign * level) * step - radius, colour) for sign, colour in ((1, POSITIVE), (-1, NEGATIVE))
    ]


def _curves(basis: Basis | JointBasis, numbers: list[int], radius: float, heading: str) -> Picture:
    """Functions of one axis, all in one picture."""
    figure = new_figure(5.2, 2.9)
    axes = figure.add_subplot()
    u = np.linspace(-radius, radius, 401)
    values = _values(basis, u)
    for number, colour in zip(numbers, cycle(COLOURS)):
        axes.plot(u, values[number], linewidth=1.6, color=colour, label=_name(basis, number))
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    set_heading(figure, heading)
    axes.set_xlabel("position, in widths", fontsize=SIZE)
    axes.tick_params(labelsize=SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=SIZE, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
