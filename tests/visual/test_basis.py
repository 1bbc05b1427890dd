"""Functions of a basis, and the surfaces they are drawn by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import (
    Basis,
    DilatedBasis,
    DiscreteGaussianBasis,
    FourierBesselBasis,
    FreeBasis,
    HermiteBasis,
    LogRadialBasis,
)
from scalegroup.visual import plot_basis
from scalegroup.visual.basis import NEGATIVE, POSITIVE, _telling_slice
from scalegroup.visual.surface import _normals, draw_surfaces, isosurface


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def volume(points: int = 25, half: float = 4.0) -> tuple[Any, float]:
    """A grid of a cube, and its step."""
    side = np.linspace(-half, half, points)
    return np.stack(np.meshgrid(side, side, side, indexing="ij")), float(side[1] - side[0])


def area(triangles: Any) -> float:
    sides = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return float(np.linalg.norm(np.cross(*sides), axis=1).sum() / 2)


def test_a_sphere_has_its_area_and_its_normals() -> None:
    u, step = volume()
    triangles = isosurface(np.exp(-0.5 * (u**2).sum(axis=0)), np.exp(-0.5 * 2.0**2)) * step - 4.0
    assert area(triangles) == pytest.approx(4 * np.pi * 2.0**2, rel=0.02)
    middle = triangles.mean(axis=1)
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    large = np.linalg.norm(normal, axis=1) > 1e-6
    assert ((normal * middle).sum(axis=1)[large] > 0).all()
    outward = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    flat = normal[large] / np.linalg.norm(normal[large], axis=1, keepdims=True)
    smooth, rough = np.abs(_normals(triangles) - outward).max(), np.abs(flat - outward[large]).max()
    assert smooth < 0.1 < rough  # what neighbours blend, and what one triangle says alone


def test_a_surface_is_closed() -> None:
    # Each side of a triangle belongs to one other triangle, which runs through it in the other direction.
    u, _ = volume(9)
    triangles = isosurface(np.exp(-0.5 * ((u - 0.123) ** 2).sum(axis=0)), 0.2).round(9)
    triangles = triangles[[len({tuple(corner) for corner in one}) == 3 for one in triangles]]  # the others are points
    sides = [(tuple(one[n]), tuple(one[(n + 1) % 3])) for one in triangles for n in range(3)]
    assert len(sides) > 100
    assert len(set(sides)) == len(sides)
    assert {(end, start) for start, end in sides} == set(sides)
    assert {(end, start) for start, end in sides[:-1]} != set(sides[:-1])


def test_the_negative_parts_are_enclosed_too() -> None:
    u, step = volume()
    values = u[0] * np.exp(-0.5 * (u**2).sum(axis=0))
    above, below = (isosurface(values, level) * step - 4.0 for level in (0.1, -0.1))
    assert above[:, :, 0].min() > 0 > below[:, :, 0].max()
    assert area(above) == pytest.approx(area(below), rel=1e-6)
    normal = np.cross(below[:, 1] - below[:, 0], below[:, 2] - below[:, 0])
    centre = np.array([-1.2, 0, 0])  # a point inside
    outward = (normal * (below.mean(axis=1) - centre)).sum(axis=1)
    assert outward.sum() > 0
    assert (outward > -1e-9).mean() > 0.99


def test_no_surface_where_there_is_none() -> None:
    assert isosurface(np.zeros((4, 4, 4)), 0.5).shape == (0, 3, 3)


def test_nearer_surfaces_hide_those_behind() -> None:
    axes = Figure().add_subplot()
    towards = np.array([[0.0, 0.0, 0.0], [1, 0, 0], [0, 0, 1]]) + np.array([0.5, -3.0, 1.0])  # in front of the origin
    draw_surfaces(axes, [(towards[None], "#FF0000"), (-towards[None], "#0000FF")], radius=5.0)
    (collection,) = axes.collections
    red, blue = (collection.get_facecolors()[n] for n in (1, 0))  # what is drawn last hides what is drawn first
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_functions_are_named_by_their_degrees() -> None:
    basis = HermiteBasis(order=2)
    assert titles(plot_basis(basis)) == [str(degrees) for degrees in basis.products]
    figure = plot_basis(HermiteBasis(2, truncation="each"), [(2, 2, 2), (2, 1, 0), 3], view="isosurfaces", title="two")
    assert titles(figure)[:2] == ["(2, 2, 2)", "(2, 1, 0)"]
    assert figure.get_suptitle() == "two"
    heading = plot_basis(HermiteBasis(order=1, dim=2)).get_suptitle()
    assert heading.replace("\n", " ") == repr(HermiteBasis(order=1, dim=2))


def test_images_have_the_first_axis_to_the_right_and_the_second_upward() -> None:
    right, up = plot_basis(HermiteBasis(order=1, dim=2), [(1, 0), (0, 1)]).axes
    values = [axes.get_images()[0].get_array() for axes in (right, up)]
    assert values[0][:, -20].mean() > 0 > values[0][:, 20].mean()
    assert values[1][20].mean() > 0 > values[1][-20].mean()  # images are drawn from the top


@pytest.mark.parametrize(
    ("degrees", "words"), [((0, 0, 2), "xz"), ((2, 0, 0), "xy"), ((0, 1, 1), "yz"), ((1, 1, 1), "xy, z = ")]
)
def test_the_slice_of_a_volume_shows_its_degrees(degrees: tuple[int, ...], words: str) -> None:
    (axes,) = plot_basis(HermiteBasis(order=3), [degrees]).axes
    assert axes.texts[0].get_text().startswith(words)
    assert np.abs(axes.get_images()[0].get_array()).max() > 0.1


def test_a_slice_through_nothing_is_not_taken() -> None:
    side = np.linspace(-3, 3, 31)
    u = np.stack(np.meshgrid(side, side, side, indexing="ij"))
    values = u[0] * u[1] * u[2] * np.exp(-0.5 * (u**2).sum(axis=0))
    across, place = _telling_slice(values, side)
    assert np.abs(np.moveaxis(values, across, 0)[15]).max() < 1e-12
    assert np.abs(np.moveaxis(values, across, 0)[place]).max() > 0.9 * np.abs(values).max()


@pytest.mark.parametrize(
    "basis",
    [
        HermiteBasis(order=2, dim=1),
        FreeBasis(dim=1),
        DilatedBasis(dim=2),
        LogRadialBasis(dim=2, orders=(1.0,), angles=4),
        DiscreteGaussianBasis(dim=3),
        FourierBesselBasis(dim=3),
    ],
    ids=lambda basis: type(basis).__name__,
)
def test_every_basis_is_drawn(basis: Any) -> None:
    figure = plot_basis(basis)
    if basis.dim == 1:
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.get_legend().texts] == [str(degree) for (degree,) in basis.products]
    else:
        assert len(figure.axes) == len(basis)
        assert titles(figure)[0] == (str(basis.products[0]) if isinstance(basis, Basis) else "function 0")


def test_surfaces_have_two_colours() -> None:
    (axes,) = plot_basis(HermiteBasis(order=1), [(1, 0, 0)], view="isosurfaces").axes
    colours = axes.collections[0].get_facecolors()
    assert POSITIVE != NEGATIVE
    assert 0.3 < (colours[:, 0] > colours[:, 2]).mean() < 0.7


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("basis",), "expected a basis on one to three axes, received 'basis'"),
        ((HermiteBasis(), [(3, 0, 0)]), r"expected functions of HermiteBasis.*received \[\(3, 0, 0\)\]; it has 10"),
        ((HermiteBasis(), [10]), "it has 10, up to "),
        ((HermiteBasis(), []), "expected functions of HermiteBasis"),
        ((HermiteBasis(), None, "cubes"), "expected a view of .*received 'cubes'"),
        ((HermiteBasis(dim=2), None, "isosurfaces"), "expected functions of three axes for 'isosurfaces'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        plot_basis(*arguments)
