"""Hermite bases: the table is the exact function, in value, norm, transfer function and order of products."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import HermiteBasis, hermite_function
from scalegroup.symbolic.hermite import hermite_table
from scalegroup.testing.bases import BasisContract

ORDER = 10
POINTS = [sympy.Rational(k, 4) for k in (-31, -17, -9, -4, -1, 0, 2, 5, 11, 14, 23)]


class TestDefault(BasisContract):
    def make_basis(self) -> HermiteBasis:
        return HermiteBasis()


class TestDegreesPerAxis(BasisContract):
    def make_basis(self) -> HermiteBasis:
        return HermiteBasis(order=(4, 0, 1), dim=3, truncation="each")


class TestHighOrder(BasisContract):
    def make_basis(self) -> HermiteBasis:
        return HermiteBasis(order=14, dim=1)


def exact(degree: int, point: sympy.Rational) -> float:
    expression = hermite_function(degree)
    (x,) = expression.free_symbols
    return float(sympy.N(expression.subs(x, point), 40))


def test_table_equals_symbolic() -> None:
    values = HermiteBasis(ORDER, dim=1).functions([float(p) for p in POINTS])
    expected = np.array([[exact(n, p) for p in POINTS] for n in range(ORDER + 1)])
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-13)


def test_a_wrong_table_is_noticed() -> None:
    values = HermiteBasis(ORDER, dim=1).functions([float(p) for p in POINTS])
    assert abs(values[3, 4] * (1 + 1e-9) - exact(3, POINTS[4])) > 1e-13


def test_table_is_rebuilt_identically() -> None:
    first = hermite_table(6)
    hermite_table.cache_clear()
    second = hermite_table(6)
    assert first is not second
    for name in ("norms", "ahead", "back"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    with pytest.raises(ValueError, match="read-only"):
        second.norms[0] = 1.0


def test_tables_of_all_orders_agree() -> None:
    assert np.array_equal(hermite_table(6).norms[:3], hermite_table(2).norms)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 8])
def test_norm_is_exactly_one(degree: int) -> None:
    expression = hermite_function(degree)
    (x,) = expression.free_symbols
    assert sympy.simplify(sympy.integrate(expression**2, (x, -sympy.oo, sympy.oo)) - 1) == 0


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_transfer_is_exactly_the_integral(degree: int) -> None:
    w = sympy.Symbol("w", real=True)
    expression = hermite_function(degree)
    (x,) = expression.free_symbols
    spectrum = sympy.integrate(sympy.expand(expression) * sympy.exp(sympy.I * w * x), (x, -sympy.oo, sympy.oo))
    for frequency in (-1, sympy.Rational(1, 2), 2):
        expected = complex(sympy.N(spectrum.subs(w, frequency), 30))
        assert HermiteBasis(degree, dim=1).transfer(float(frequency))[degree] == pytest.approx(expected, abs=1e-14)


def test_stable_at_high_order() -> None:
    u = np.linspace(-12, 12, 24001)
    values = HermiteBasis(30, dim=1).functions(u)
    np.testing.assert_allclose((values**2).sum(axis=1) * (u[1] - u[0]), 1.0, rtol=1e-12)


@given(st.floats(-8, 8))
def test_parity(u: float) -> None:
    basis = HermiteBasis(7, dim=1)
    np.testing.assert_array_equal(basis.functions(-u), np.array(basis.parities) * basis.functions(u))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.sampled_from(["total", "each"]))
def test_products(orders: list[int], truncation: str) -> None:
    basis = HermiteBasis(tuple(orders), dim=len(orders), truncation=truncation)
    inside = [p for p in np.ndindex(*(order + 1 for order in orders)) if truncation == "each" or sum(p) <= max(orders)]
    assert set(basis.products) == set(inside)
    assert list(basis.products) == sorted(basis.products, key=lambda p: (sum(p), p))
    assert basis.num_functions == max(orders) + 1
    assert basis.zero_mean_constraint().tolist() == np.eye(len(basis))[:, 1:].tolist()


def test_counts() -> None:
    assert [len(HermiteBasis(n, dim=3)) for n in range(5)] == [1, 4, 10, 20, 35]
    assert len(HermiteBasis(2, dim=3, truncation="each")) == 27


def test_equal_degrees_are_one_value() -> None:
    assert HermiteBasis((2, 2, 2)) == HermiteBasis(2)
    assert hash(HermiteBasis([2, 2, 2])) == hash(HermiteBasis(np.int64(2)))
    assert HermiteBasis(2) != HermiteBasis(3)
    assert HermiteBasis(2) != HermiteBasis(2, truncation="each")
    assert repr(HermiteBasis((2, 1), dim=2)) == "HermiteBasis(order=(2, 1), dim=2, truncation='total')"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"order": -1}, "order to be an integer ≥ 0, or a tuple of 3 of them, received -1"),
        ({"order": 1.5}, "received 1.5"),
        ({"order": True}, "received True"),
        ({"order": (1, 2)}, r"tuple of 3 of them, received \(1, 2\); give one degree for all axes"),
        ({"order": "2"}, "received '2'"),
        ({"dim": 0}, "dim to be an integer ≥ 1, received 0"),
        ({"dim": None}, "received None"),
        ({"truncation": "both"}, "truncation 'total' or 'each', received 'both'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        HermiteBasis(**arguments)  # type: ignore[arg-type]


def test_import_needs_neither_sympy_nor_torch() -> None:
    code = (
        "import sys, types, pathlib\n"
        "package = types.ModuleType('scalegroup')\n"  # the package alone, without what its __init__ imports
        f"package.__path__ = [{str(sys.modules['scalegroup'].__path__[0])!r}]\n"
        "sys.modules['scalegroup'] = package\n"
        "import scalegroup.symbolic, scalegroup.kernels\n"
        "print([name for name in ('sympy', 'torch', 'scipy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
