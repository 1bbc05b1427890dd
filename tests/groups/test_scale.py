"""Scale groups: exact exponents, all positive factors, and the invariant measure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleGroup
from scalegroup.groups.scale import exponent_of


def test_exponents_are_exact() -> None:
    group = ScaleGroup(base=2**0.5)
    step = group.element(1)
    product = group.identity
    for _ in range(1000):
        product = product @ step
    assert product.value == 1000
    assert (product @ group.element(-998)).scale == pytest.approx(2.0)  # type: ignore[attr-defined]


def test_bases_below_one_are_inverted() -> None:
    assert ScaleGroup(0.25) == ScaleGroup(4.0)
    assert ScaleGroup(0.9).base == pytest.approx(1 / 0.9)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_all_positive_factors(a: float, b: float) -> None:
    group = ScaleGroup()
    product = group.from_scale(a) @ group.from_scale(b)
    assert product.scale == pytest.approx(a * b)
    assert product.act([1.0])[0] == pytest.approx(a * b)


@given(st.sampled_from((2.0, 2**0.5, 1.1, 7.3)), st.integers(-40, 40))
def test_a_power_of_the_base_is_recognised(base: float, exponent: int) -> None:
    assert exponent_of(base**exponent, base) == exponent
    assert ScaleGroup(base).from_scale(base**exponent).value == exponent


def test_other_factors_are_refused_with_their_neighbours() -> None:
    with pytest.raises(ScaleGroupError, match=r"power of the base 2, received 3\.0; the nearest are 2 and 4"):
        ScaleGroup(2.0).from_scale(3.0)


def test_haar_weight() -> None:
    continuous = ScaleGroup()
    assert continuous.haar_weight(continuous.from_scale(4.0)) == 0.25
    discrete = ScaleGroup(2.0)
    assert discrete.haar_weight(discrete.from_scale(4.0)) == 1.0


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), "2", None, True])
def test_wrong_factors(scale: float) -> None:
    for group in (ScaleGroup(), ScaleGroup(2.0)):
        with pytest.raises(ScaleGroupError, match="a scale factor > 0"):
            group.from_scale(scale)


def test_a_negative_value_is_no_element() -> None:
    with pytest.raises(ScaleGroupError, match="not in it"):
        ScaleGroup().element(-1.0)


@pytest.mark.parametrize("base", [1, 1.0, 0, -2.0, float("nan"), float("inf"), 5e-324, "2", True])
def test_wrong_bases(base: float) -> None:
    with pytest.raises(ScaleGroupError, match="expected a base > 0 other than 1, received"):
        ScaleGroup(base)
