"""The proofs hold where the mathematics does, and fail where it does not."""

from __future__ import annotations

import pytest
import sympy

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import hermite_function, prove_rotation_closure, prove_scale_law


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("degree", [0, 1, 4])
def test_scale_law(degree: int, dim: int) -> None:
    assert prove_scale_law(hermite_function(degree), dim)


@pytest.mark.parametrize("power", [0, sympy.Rational(3, 2), 2, 4])
def test_other_normalisations_are_not_steerable(power: object) -> None:
    proof = prove_scale_law("x*exp(-x**2/2)", 3, power)
    assert not proof
    assert not proof.steps[-1].endswith("= 0")
    assert "FAILS" in str(proof)


def test_scale_law_needs_an_integrable_function() -> None:
    with pytest.raises(ScaleGroupError, match="x²·h"):
        prove_scale_law("exp(x)")


@pytest.mark.parametrize(("order", "dim"), [(0, 3), (1, 1), (2, 3), (3, 3), (5, 2), ((2, 2), 2)])
def test_total_degrees_are_closed_under_rotation(order: int | tuple[int, ...], dim: int) -> None:
    assert prove_rotation_closure(order, dim)


@pytest.mark.parametrize("order", [1, 2])
def test_each_degree_is_not_closed(order: int) -> None:
    proof = prove_rotation_closure(order, 3, "each")
    assert not proof
    assert f"{order + 1}" in proof.steps[-1]


def test_unequal_degrees_are_not_closed() -> None:
    assert not prove_rotation_closure((2, 2, 1), 3)
