"""Values: immutable, compared with a tolerance, hashed without the numbers that have one."""

from __future__ import annotations

from typing import Any

import pytest

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.groups.value import Value

GROUP = ScaleTranslationGroup(dim=2, base=2.0)


class Box(Value):
    def __init__(self, content: object) -> None:
        self.content = content


def test_rounding_does_not_make_values_differ() -> None:
    assert Box(0.1 + 0.2) == Box(0.3)
    assert hash(Box(0.1 + 0.2)) == hash(Box(0.3))
    assert Box((1.0, (2.0, "a"))) == Box((1.0 + 1e-12, (2.0, "a")))


@pytest.mark.parametrize(
    ("a", "b"), [(0.3, 0.3001), (1, 1.0), (1, 2), ((1.0,), (1.0, 2.0)), ("a", "b"), ((1.0,), 1.0), (None, 0.0)]
)
def test_different_values_differ(a: object, b: object) -> None:
    assert Box(a) != Box(b)


def test_values_of_other_classes_differ() -> None:
    class Other(Box):
        pass

    assert Box(1) != Other(1)
    assert Box(1) != 1


@pytest.mark.parametrize(
    "value", [GROUP, GROUP.identity, SignedPermutations.c4(), ScaleGroup(), GROUP.regular, 2 * GROUP.scalar]
)
def test_values_are_immutable(value: Value) -> None:
    name = next(iter(vars(value)))
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, name, 0)
    with pytest.raises(AttributeError, match="immutable"):
        delattr(value, name)


def test_values_are_keys() -> None:
    table = {GROUP.element(t=(0.1 + 0.2, 0)): "found"}
    assert table[GROUP.element(t=(0.3, 0))] == "found"
    assert len({ScaleTranslationGroup(base=2**0.5), ScaleTranslationGroup(base=0.5**0.5)}) == 1


def test_elements_of_different_groups_do_not_mix() -> None:
    wide = GROUP.window(num_scales=6)
    assert GROUP.identity != wide.identity
    with pytest.raises(ScaleGroupError, match=r"expected an element of ScaleTranslationGroup.*num_scales=4"):
        GROUP.identity @ wide.identity
    with pytest.raises(ScaleGroupError, match="received 3;"):
        GROUP.identity @ 3  # type: ignore[operator]


def test_points_need_the_dimension_of_the_group() -> None:
    with pytest.raises(ScaleGroupError, match=r"points of shape \(\.\.\., 2\), received \(4, 3\)"):
        GROUP.identity.act([[0.0] * 3] * 4)
    with pytest.raises(ScaleGroupError, match=r"received \(\)"):
        GROUP.identity.act(1.0)


@pytest.mark.parametrize("points", ["a", [[0.0], [0.0, 0.0]], [None, "b"]])
def test_points_are_real_numbers(points: Any) -> None:
    with pytest.raises(ScaleGroupError, match=r"points of shape .* of real numbers, received .*; put the coordinates"):
        GROUP.identity.act(points)
