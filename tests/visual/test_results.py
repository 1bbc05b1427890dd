"""Pictures of results: what is drawn is what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from scalegroup.errors import ScaleGroupError
from scalegroup.visual import (
    Curve,
    MethodPoint,
    Panel,
    Speed,
    plot_dice_curves,
    plot_methods,
    plot_slices,
    plot_speeds,
)


def label(n: int = 0) -> Any:
    found = np.zeros((6, 6), dtype=int)
    found[1:3, 1 + n : 4] = 1
    return found


def test_curves_are_means_over_scans() -> None:
    figure = plot_dice_curves([Curve("ours", {2.0: [0.6, np.nan], 1.0: [0.7, 0.9]}), Curve("plain", {1.0: [0.5]})])
    (axes,) = figure.axes
    line = next(line for line in axes.lines if line.get_label() == "ours")
    assert np.allclose(line.get_xydata(), [[1.0, 0.8], [2.0, 0.6]])
    assert [text.get_text() for text in axes.get_legend().texts] == ["ours", "plain"]


def test_every_curve_is_drawn() -> None:
    curves = [Curve(f"net {n}", {1.0: [0.1 * n], 2.0: [0.1 * n]}) for n in range(9)]
    (axes,) = plot_dice_curves(curves).axes
    assert [text.get_text() for text in axes.get_legend().texts] == [curve.name for curve in curves]


def test_segmentations_lie_over_their_image() -> None:
    image = np.arange(36.0).reshape(6, 6)
    figure = plot_slices([Panel("scan", image, {"truth": label(), "ours": label(1)})], ["tumour"])
    assert [axes.get_title() for axes in figure.axes] == ["image", "truth", "ours"]
    over = figure.axes[2].get_images()[1].get_array()
    assert np.array_equal(np.ma.filled(np.ma.masked_invalid(over), 0) == 1, label(1) == 1)
    assert len(figure.axes[0].get_images()) == 1


def test_speeds_of_one_method_share_a_colour() -> None:
    lines = [Speed("ours, 10", {5: 1.0, 9: 1.1}), Speed("ours, 27", {5: 2.0}), Speed("dense", {5: 3.0, 9: 9.0})]
    figure = plot_speeds({"one": lines, "two": lines[:1]})
    one, two, dense = figure.axes[0].lines
    assert one.get_color() == two.get_color() != dense.get_color()
    assert one.get_linestyle() != two.get_linestyle()
    assert np.allclose(dense.get_xydata(), [[5, 3], [9, 9]])


def test_methods_are_where_they_were_measured() -> None:
    points = [MethodPoint("plain", "plain", 1.0, 0.4), MethodPoint("ours", "group", 2.0, 0.004)]
    figure = plot_methods({("2-D", "error"): points, ("3-D", "error"): points[:1]})
    assert [tuple(line.get_xydata()[0]) for line in figure.axes[0].lines] == [(1.0, 0.4), (2.0, 0.004)]
    assert [axes.get_title() for axes in figure.axes] == ["2-D", "3-D"]


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (lambda: plot_dice_curves([]), "expected at least one curve"),
        (lambda: plot_slices([], ["tumour"]), "expected rows with segmentations of the same names, received none"),
        (
            lambda: plot_slices([Panel("a", label(), {"x": label()}), Panel("b", label(), {"y": label()})], ["one"]),
            r"expected rows with segmentations of the same names, received \[\['x'\], \['y'\]\]",
        ),
        (lambda: plot_slices([Panel("a", label(), {})], []), "expected names of 1 to 6 classes, received 0"),
        (lambda: plot_speeds({"one": []}), "expected at least one line"),
        (lambda: plot_methods({}), "expected at least one panel"),
        (
            lambda: plot_methods({("a", "b"): [MethodPoint("ours", "group", 1.0, 0.0)]}),
            "expected a time and an error > 0, received 1 and 0 of ours",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Any, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        draw()
