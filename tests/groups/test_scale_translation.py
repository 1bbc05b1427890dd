"""The scale-translation group: its law, its window, its measure, its error texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup, SignedPermutations
from scalegroup.testing.strategies import elements, groups


def test_defaults() -> None:
    group = ScaleTranslationGroup()
    assert (group.dim, group.num_scales, group.first, group.rotations.is_trivial) == (3, 4, 0, True)
    assert group.scales == pytest.approx((1, 2**0.5, 2, 8**0.5))
    assert group.scales[0] == 1.0


@given(groups(), st.data())
def test_the_law(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    g, h = (data.draw(elements(group)) for _ in range(2))
    product: Any = g @ h
    np.testing.assert_allclose(product.t, np.array(g.t) + g.s * g.k.matrix @ np.array(h.t), atol=1e-9)
    assert product.exponent == g.exponent + h.exponent
    assert product.s == pytest.approx(g.s * h.s)
    assert product.k == g.k @ h.k


@given(groups(), st.data())
def test_the_action_on_points(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    g: Any = data.draw(elements(group))
    x = np.arange(1.0, 1 + group.dim)
    np.testing.assert_allclose(g.act(x), g.s * g.k.matrix @ x + np.array(g.t))


@given(groups())
def test_scales_ascend(group: ScaleTranslationGroup) -> None:
    assert group.base > 1
    assert len(group.scales) == group.num_scales
    assert group.scales == pytest.approx([group.base ** (group.first + i) for i in range(group.num_scales)])
    assert list(group.scales) == sorted(set(group.scales))


@given(groups())
def test_the_window_can_be_changed_and_changed_back(group: ScaleTranslationGroup) -> None:
    wide = group.window(num_scales=group.num_scales + 2, first=group.first - 1)
    assert wide != group
    assert wide.scales[1:-1] == group.scales
    assert wide.window(group.num_scales, group.first) == group
    assert group.window() == group
    assert wide.sampling == group.sampling


@given(groups(samplings=("uniform",)), st.data())
def test_sampling_changes_nothing_in_the_algebra(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    haar = group.window(sampling="haar")
    assert haar != group
    assert haar.window(sampling="uniform") == group
    assert haar.scales == group.scales
    assert eval(repr(haar)) == haar
    g, h = (data.draw(elements(group)) for _ in range(2))
    product: Any = haar.element(g.t, g.s, g.k.value) @ haar.element(h.t, h.s, h.k.value)
    assert product.value == (g @ h).value
    np.testing.assert_array_equal(haar.regular(haar.element(s=g.s)), group.regular(group.element(s=g.s)))
    with pytest.raises(ScaleGroupError, match="an element of"):
        haar.own(g)  # fields of the one and of the other are different tensors


def test_equality_covers_every_argument() -> None:
    group = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3, rotations="c4", first=1)
    arguments: dict[str, Any] = {
        "dim": 2,
        "base": 2.0,
        "num_scales": 3,
        "rotations": SignedPermutations.c4(),
        "first": 1,
    }
    assert ScaleTranslationGroup(**arguments, sampling="uniform") == group
    others: list[dict[str, Any]] = [{"base": 2.001}, {"num_scales": 4}, {"rotations": "d4"}, {"rotations": None}]
    for other in (*others, {"first": 0}, {"sampling": "haar"}):
        assert ScaleTranslationGroup(**{**arguments, **other}) != group
    assert ScaleTranslationGroup(dim=2) != ScaleTranslationGroup(dim=3)
    assert ScaleTranslationGroup(base=0.5) == ScaleTranslationGroup(base=2.0)


def test_repr() -> None:
    group = ScaleTranslationGroup(dim=2, base=0.5, num_scales=3, rotations="c4", first=-1)
    assert repr(group) == (
        "ScaleTranslationGroup(dim=2, base=2.0, num_scales=3, rotations=SignedPermutations.c4(), first=-1)"
    )
    assert repr(ScaleTranslationGroup(dim=2, base=2, sampling="haar")) == (
        "ScaleTranslationGroup(dim=2, base=2.0, num_scales=4, sampling='haar')"
    )
    assert repr(group.element((1, 0), 2, (-2, 1))) == f"{group!r}.element(t=(1.0, 0.0), s=2.0, k=(-2, 1))"


@given(groups(), st.data())
def test_the_haar_weight_is_left_invariant(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    g, h = (data.draw(elements(group)) for _ in range(2))
    # Moving a small box of translations by g multiplies its volume by s**dim; its weight must fall by as much.
    corners = np.vstack([np.zeros(group.dim), np.eye(group.dim)])
    moved = g.act(corners)
    volume = abs(np.linalg.det(moved[1:] - moved[0]))
    assert group.haar_weight(g @ h) * volume == pytest.approx(group.haar_weight(h))


def test_random_elements_are_reproducible_and_cover_the_group() -> None:
    group = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3, rotations="c4")
    draws = [group.sample(np.random.default_rng(seed)) for seed in range(200)]
    assert draws[:3] == [group.sample(np.random.default_rng(seed)) for seed in range(3)]
    assert {g.exponent for g in draws} == {-2, -1, 0, 1, 2}
    assert {g.k.value for g in draws} == set(group.rotations.values)


def test_element_takes_arrays_and_elements_of_the_compact_group() -> None:
    group = ScaleTranslationGroup(dim=3, base=2.0, rotations="octahedral")
    k = group.rotations.element((2, 3, 1))
    g = group.element(np.array([1, 2, 3]), np.float64(0.5), k)
    assert (g.t, g.s, g.k, g.scale) == ((1.0, 2.0, 3.0), 0.5, k, 0.5)
    assert group.element(k=np.array([2, 3, 1])).k == k


@pytest.mark.parametrize("base", [1, 0.0, -2, float("nan"), float("inf"), "2", None, True, [2.0]])
def test_wrong_base(base: Any) -> None:
    with pytest.raises(ScaleGroupError, match="expected a base > 0 other than 1, received"):
        ScaleTranslationGroup(base=base)


@pytest.mark.parametrize("dim", [0, 4, 2.0, "3", None, True, float("nan")])
def test_wrong_dim(dim: Any) -> None:
    with pytest.raises(ScaleGroupError, match="expected dim 1, 2 or 3, received"):
        ScaleTranslationGroup(dim=dim)


@pytest.mark.parametrize("num_scales", [0, -1, 2.5, "4", None, False, float("inf")])
def test_wrong_num_scales(num_scales: Any) -> None:
    with pytest.raises(ScaleGroupError, match="expected num_scales, an integer >= 1, received"):
        ScaleTranslationGroup(num_scales=num_scales)
    if num_scales is not None:  # there, None keeps the number
        with pytest.raises(ScaleGroupError, match="expected num_scales"):
            ScaleTranslationGroup().window(num_scales=num_scales)


@pytest.mark.parametrize("first", [0.5, "0", None, True])
def test_wrong_first(first: Any) -> None:
    with pytest.raises(ScaleGroupError, match="expected first, an integer, received"):
        ScaleTranslationGroup(first=first)


@pytest.mark.parametrize("sampling", ["Haar", "", None, 1, True])
def test_wrong_sampling(sampling: Any) -> None:
    with pytest.raises(ScaleGroupError, match=r"expected sampling out of \('uniform', 'haar'\), received"):
        ScaleTranslationGroup(sampling=sampling)


@pytest.mark.parametrize(
    ("rotations", "text"),
    [
        ("cube", "the name of a compact group"),
        (24, "rotations: a CompactGroup, its name, or None, received 24"),
        (SignedPermutations.c4(), r"rotations of 3-dimensional space, received SignedPermutations.c4\(\) of dim 2"),
        ("d4", "rotations of 3-dimensional space"),
    ],
)
def test_wrong_rotations(rotations: Any, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        ScaleTranslationGroup(rotations=rotations)


@pytest.mark.parametrize("arguments", [{"base": 1e200}, {"first": 10**6}, {"first": -(10**6)}])
def test_scales_that_no_float_holds(arguments: Any) -> None:
    with pytest.raises(ScaleGroupError, match="scales that a float can hold"):
        ScaleTranslationGroup(**arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"t": (1, 2)}, r"a value like \(0.0, 0.0, 0.0\), received \(1, 2\); t is the translation"),
        ({"t": 1.0}, "t is the translation"),
        ({"t": "abc"}, "t is the translation"),
        ({"t": (0, 0, float("nan"))}, "t is the translation"),
        ({"s": 3.0}, "a scale that is a power of the base 1.41421"),
        ({"s": 0}, "a scale factor > 0"),
        ({"s": "2"}, "a scale factor > 0"),
        ({"k": (2, 1, 3)}, "SignedPermutations.trivial"),
        ({"k": SignedPermutations.c4().identity}, "an element of SignedPermutations.trivial"),
    ],
)
def test_wrong_elements(arguments: Any, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        ScaleTranslationGroup().element(**arguments)
