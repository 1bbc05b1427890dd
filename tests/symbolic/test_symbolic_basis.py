"""Bases from SymPy expressions: what is admitted, what is refused and why, and how products are given."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sympy

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import Basis, HermiteBasis, SymbolicBasis, hermite_function
from scalegroup.testing.bases import BasisContract, check_basis

x = sympy.Symbol("x")
BUMP = "Piecewise((exp(-1/(1 - x**2)), Abs(x) < 1), (0, True))"


class TestGabor(BasisContract):
    def make_basis(self) -> Basis:
        return SymbolicBasis(["exp(-x**2/2)*cos(3*x)", "exp(-x**2/2)*sin(3*x)", "exp(-x**2/2)"], dim=2)


class TestKinksAndEdges(BasisContract):
    tolerance = 1e-8  # the bump is smooth, but not analytic at ±1

    def make_basis(self) -> Basis:
        return SymbolicBasis(["exp(-Abs(x))", "Max(0, 1 - Abs(x))", BUMP, "Heaviside(x)*exp(-x)"], dim=1)


class TestProductsPerAxis(BasisContract):
    def make_basis(self) -> Basis:
        smooth, slope = sympy.exp(-(x**2) / 2), x * sympy.exp(-(x**2) / 2)
        return SymbolicBasis([(smooth, slope), (slope, smooth), ("sech(x)", smooth)], dim=2)


def test_equals_the_hermite_basis() -> None:
    hermite = HermiteBasis(order=3, dim=2)
    symbolic = SymbolicBasis([hermite_function(n) for n in range(4)], dim=2, products=hermite.products)
    u, w = np.linspace(-6, 6, 101), np.linspace(-20, 20, 101)
    assert symbolic.products == hermite.products
    np.testing.assert_allclose(symbolic.functions(u), hermite.functions(u), atol=1e-14)
    np.testing.assert_allclose(symbolic.transfer(w), hermite.transfer(w), atol=1e-13)
    np.testing.assert_allclose(symbolic.means, hermite.means, atol=1e-13)
    np.testing.assert_allclose(symbolic.zero_mean_constraint(), hermite.zero_mean_constraint())


@pytest.mark.parametrize("w", [0.0, 1.0, 30.0, 300.0])
def test_transfer_at_high_frequencies(w: float) -> None:
    basis = SymbolicBasis(["exp(-Abs(x))"], dim=1)
    assert basis.transfer(w)[0] == pytest.approx(2 / (1 + w**2), abs=1e-13)


def test_zero_mean_constraint_of_several_means() -> None:
    basis = SymbolicBasis(["exp(-x**2)", "x**2*exp(-x**2)"], dim=2)
    row = np.outer(basis.means, basis.means).ravel()
    columns = basis.zero_mean_constraint()
    assert columns.shape == (4, 3)
    np.testing.assert_allclose(row @ columns, 0, atol=1e-14)


def test_products_per_axis() -> None:
    basis = SymbolicBasis([("exp(-x**2)", "sech(x)"), ("exp(-x**2)", "exp(-x**2)")], dim=2)
    assert basis.expressions == ("exp(-x**2)", "sech(x)")
    assert basis.products == ((0, 1), (0, 0))


def test_the_dim_follows_from_the_tuples() -> None:
    slope, smooth = x * sympy.exp(-(x**2)), sympy.exp(-(x**2))
    assert SymbolicBasis([(slope, smooth)]) == SymbolicBasis([(slope, smooth)], dim=2)
    assert SymbolicBasis([(slope,)]).dim == 1
    assert SymbolicBasis([smooth]).dim == 3


def test_any_symbol_and_exact_numbers() -> None:
    z = sympy.Symbol("z", positive=True)
    basis = SymbolicBasis([sympy.exp(-(z**2) / 3) / sympy.sqrt(7)])
    assert basis == SymbolicBasis(["sqrt(7)*exp(-x**2/3)/7"])
    assert pickle.loads(pickle.dumps(basis)) == basis
    assert basis != SymbolicBasis(["exp(-x**2/3)"])


REFUSED = [
    ("exp(-x)", r"function 1 .*received exp\(-x\); x²·h\(x\) → oo for x → -oo"),
    ("1/(1 + x**2)", r"x²·h\(x\) → 1 for x → -oo"),
    ("sin(x)", "for x → -oo"),
    ("exp(-x**2)/x", r"h\(x\) → -oo for x → 0-"),
    ("exp(-x**2)*log(x**2)", r"h\(x\) → -oo for x → 0-"),
    ("exp(-x**2)*tan(x)", "infinitely many points"),
    ("exp(-x**2)*exp(I*x)", "it is not real between -oo and oo"),
    ("sqrt(x)*exp(-x**2)", "it is not real"),
    ("(1 + x**2)**(-2)", "still 6e-08 of its maximum at ±64"),
    ("exp(-x**2)*sin(x)/x", "it has no value at 0; give it one with Piecewise"),
    ("exp(-x**2)*besselj(0, x)", "numpy cannot evaluate it"),
    ("exp(-x**2)*floor(x)*DiracDelta(x)", "numpy cannot evaluate it|SymPy cannot"),
    ("exp(-x**2 - y**2)", "depends on x, y; use one symbol x"),
    ("2", "depends on no symbol, so it does not decay"),
    ("exp(-(x", r"received 'exp\(-\(x'; write it in SymPy's notation"),
    (None, "received"),
]


@pytest.mark.parametrize(("function", "text"), REFUSED, ids=[str(f) for f, _ in REFUSED])
def test_refused_by_name_and_reason(function: object, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text) as caught:
        SymbolicBasis(["exp(-x**2)", function], dim=2)
    assert str(caught.value).startswith("expected function 1 to be a real function of one variable")


def test_what_is_refused_for_one_value_is_admitted_with_it() -> None:
    check_basis(SymbolicBasis(["exp(-x**2)*sinc(x)"], dim=1))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([],), "at least one function"),
        ((None,), "a list of functions, or of tuples of one function per axis, received None; put one function in a"),
        ((x,), "a list of functions.* received x; put one function in a list"),
        (([()],), "dim to be an integer ≥ 1, received 0"),
        (
            ([("exp(-x**2)",), ("exp(-x**2)", "sech(x)")],),
            r"tuples of 1 expressions without products, received \[1, 2\]",
        ),
        ((["exp(-x**2)", "exp(-x**2)"],), "distinct functions and products"),
        ((["exp(-x**2)"], 0), "dim to be an integer ≥ 1, received 0"),
        ((["exp(-x**2)"], 2, [(0,)]), r"products as tuples of 2 indices in 0 … 0, received \(\(0,\),\)"),
        ((["exp(-x**2)"], 2, [(0, 1)]), "a product names the function of every axis"),
        ((["exp(-x**2)", "sech(x)"], 2, [(0, 0)]), r"leave out the unused functions \[1\]"),
        (([("exp(-x**2)",)], 2), r"tuples of 2 expressions without products, received \[1\]"),
    ],
)
def test_wrong_arguments(arguments: tuple[object, ...], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        SymbolicBasis(*arguments)  # type: ignore[arg-type]
