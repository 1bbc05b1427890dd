"""The contract that every kernel basis keeps: inherit it, say what to test, and run pytest."""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

import scalegroup.symbolic
from scalegroup.symbolic import Basis


def _require(law: str, holds: Any, *witnesses: object) -> None:
    # Not an assert statement: pytest does not explain those of installed packages, and -O removes them.
    if not holds:
        raise AssertionError(f"{law} does not hold for {', '.join(map(repr, witnesses))}")


class BasisContract(ABC):
    """What a kernel basis promises to the layers built on it, as inheritable pytest tests.

    The integrals are taken again by a rule of the contract's own (Gauss-Legendre on panels of half a width), so
    functions and transfer functions are tested against each other. Kinks that do not lie at multiples of 1/2 need a
    larger tolerance.

    Attributes:
        tolerance: allowed error, relative to the largest value. Default 1e-10.
        reach: distance in widths beyond which the functions have decayed to the tolerance. Default 40.

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> class TestMine(BasisContract):
        ...     def make_basis(self):
        ...         return HermiteBasis(order=3, dim=2)
        >>> TestMine().run()
    """

    tolerance: float = 1e-10
    reach: float = 40.0

    @abstractmethod
    def make_basis(self) -> Basis:
        """The basis to test, made anew on every call."""

    def names(self) -> dict[str, Any]:
        """The names with which `repr` evaluates back; extend it if yours prints others than its class."""
        return {name: getattr(scalegroup.symbolic, name) for name in scalegroup.symbolic.__all__}

    def run(self) -> None:
        """Run all tests of the contract, outside pytest; the first that fails raises `AssertionError`."""
        for name in filter(lambda name: name.startswith("test_"), dir(self)):
            getattr(self, name)()

    def test_shapes(self) -> None:
        """One row per function for points of any shape, finite, in float64 and complex128."""
        basis = self.make_basis()
        for shape in ((), (3,), (2, 5)):
            points = np.linspace(-2, 2, int(np.prod(shape))).reshape(shape)
            values, spectrum = basis.functions(points), basis.transfer(points)
            expected = (basis.num_functions, *shape)
            _require("the shape (F1, *S)", values.shape == spectrum.shape == expected, basis, values.shape)
            double = values.dtype == np.float64 and spectrum.dtype == np.complex128
            _require("double precision", double, basis, values.dtype, spectrum.dtype)
            _require("finiteness", np.isfinite(values).all() and np.isfinite(spectrum).all(), basis)

    def test_products(self) -> None:
        """Products are distinct and name one function per axis, and every function is in use."""
        basis = self.make_basis()
        used = {index for product in basis.products for index in product}
        _require("one index per axis", {len(p) for p in basis.products} == {basis.dim}, basis)
        _require("use of all functions", used == set(range(basis.num_functions)), basis, used)
        _require("distinct products", len(set(basis.products)) == len(basis) > 0, basis)

    def test_decay(self) -> None:
        """The functions vanish beyond `reach`."""
        basis = self.make_basis()
        inside = np.abs(basis.functions(np.linspace(-self.reach, self.reach, 4001))).max(axis=1)
        far = self.reach * np.geomspace(1, 10, 50)
        outside = np.abs(basis.functions(np.concatenate([-far, far]))).max(axis=1)
        _require("decay", (outside <= self.tolerance * inside).all(), basis, outside / inside)

    def test_transfer_is_the_integral(self) -> None:
        """`ĥ(w) = ∫ h(u) e^{iwu} du`."""
        basis = self.make_basis()
        w = np.linspace(-6, 6, 25)
        nodes, weights = self._quadrature()
        values = basis.functions(nodes) * weights
        integral = values @ np.exp(1j * np.outer(nodes, w))
        error = np.abs(basis.transfer(w) - integral).max(axis=1) / np.abs(values).sum(axis=1)
        _require("ĥ(w) = ∫ h(u) e^{iwu} du", (error <= self.tolerance).all(), basis, error)

    def test_means_are_the_integrals(self) -> None:
        """`means` are `∫ h(u) du`."""
        basis = self.make_basis()
        nodes, weights = self._quadrature()
        values = basis.functions(nodes) * weights
        error = np.abs(basis.means - values.sum(axis=1)) / np.abs(values).sum(axis=1)
        _require("means = ∫ h(u) du", (error <= self.tolerance).all(), basis, error)

    def test_zero_mean_constraint(self) -> None:
        """The columns are orthonormal, have zero mean, and miss at most one direction."""
        basis = self.make_basis()
        columns = basis.zero_mean_constraint()
        nodes, weights = self._quadrature()
        means = basis.functions(nodes) @ weights
        row = np.array([np.prod(means[list(product)]) for product in basis.products])
        size = float((np.abs(basis.functions(nodes)) @ weights).max()) ** basis.dim
        carried = bool((np.abs(row) > self.tolerance * size).any())
        _require("zero mean", (np.abs(row @ columns) <= self.tolerance * size).all(), basis, row @ columns)
        _require("F - 1 columns", columns.shape == (len(basis), len(basis) - carried), basis, columns.shape)
        identity = columns.T @ columns - np.eye(columns.shape[1])
        _require("orthonormality", (np.abs(identity) <= self.tolerance).all(), basis)

    def test_value(self) -> None:
        """A basis compares by content, hashes, and survives repr, pickle and deepcopy."""
        basis = self.make_basis()
        names = {type(basis).__name__: type(basis)} | self.names()
        twins = {
            "equality of two bases made alike": self.make_basis(),
            "the round trip of repr": eval(repr(basis), names),
            "the round trip of pickle": pickle.loads(pickle.dumps(basis)),
            "the round trip of deepcopy": copy.deepcopy(basis),
        }
        u = np.linspace(-3, 3, 13)
        for law, twin in twins.items():
            same = twin == basis and hash(twin) == hash(basis) and twin.products == basis.products
            _require(law, same and np.array_equal(twin.functions(u), basis.functions(u)), basis, twin)

    def test_immutable(self) -> None:
        """A basis cannot be changed, because layers and caches share it."""
        basis = self.make_basis()
        try:
            setattr(basis, "dim", basis.dim + 1)  # noqa: B010
        except (AttributeError, TypeError):
            return
        _require("immutability", False, basis)

    def _quadrature(self) -> tuple[Any, Any]:
        leggauss: Any = np.polynomial.legendre.leggauss
        nodes, weights = leggauss(24)
        starts = np.arange(-self.reach, self.reach, 0.5)[:, None]
        return (starts + (nodes + 1) / 4).ravel(), np.tile(weights / 4, len(starts))


def check_basis(basis: Basis) -> None:
    """Run the tests of `BasisContract` on one basis; the first that fails raises `AssertionError`.

    Args:
        basis: any basis whose `repr` needs no names but those of its class and of `scalegroup.symbolic`.

    Example:
        >>> from scalegroup.symbolic import SymbolicBasis
        >>> check_basis(SymbolicBasis(["exp(-x**2/2)", "x*exp(-Abs(x))"], dim=2))
    """

    class Check(BasisContract):
        def make_basis(self) -> Basis:
            return basis

    Check().run()
