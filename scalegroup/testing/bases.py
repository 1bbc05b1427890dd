"""The contract that every kernel basis keeps: inherit it, say what to test, and run pytest."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

import scalegroup.symbolic
from scalegroup.symbolic import Basis
from scalegroup.testing.contract import Contract, require, round_trips


class BasisContract(Contract):
    """What a kernel basis promises to the layers built on it, as inheritable pytest tests.

    The integrals are taken again by a rule of the contract's own (Gauss-Legendre on panels of half a width), so
    functions and transfer functions are tested against each other. Kinks that do not lie at multiples of 1/2 need a
    larger tolerance. You write `make_basis`; you may write `make_twin`, a basis broken on purpose, which the tests must
    reject (`Contract`).

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

    maker: ClassVar[str] = "make_basis"
    tolerance: float = 1e-10
    reach: float = 40.0

    @abstractmethod
    def make_basis(self) -> Basis:
        """The basis to test, made anew on every call."""

    @classmethod
    def of(cls, basis: Basis, **attributes: Any) -> Self:
        """The contract of this basis, without writing a class.

        Args:
            basis: the basis to test.
            **attributes: other values of the class attributes, such as `tolerance=1e-8`.

        Example:
            >>> from scalegroup.symbolic import HermiteBasis
            >>> BasisContract.of(HermiteBasis(order=2, dim=1), reach=20.0).run()
        """
        return cls._made_by(lambda: basis, attributes)

    def names(self) -> dict[str, Any]:
        """The names with which `repr` evaluates back; extend it if yours prints others than its class."""
        return {name: getattr(scalegroup.symbolic, name) for name in scalegroup.symbolic.__all__}

    def test_shapes(self) -> None:
        """One row per function for points of any shape, finite, in float64 and complex128."""
        basis = self.make_basis()
        for shape in ((), (3,), (2, 5)):
            points = np.linspace(-2, 2, int(np.prod(shape))).reshape(shape)
            values, spectrum = basis.functions(points), basis.transfer(points)
            wanted = (basis.num_functions, *shape)
            received = f"{values.shape} from functions, {spectrum.shape} from transfer"
            hint = "return one row per function, then the shape of the points"
            require(values.shape == spectrum.shape == wanted, f"the shape {wanted}", received, hint, basis)
            double = values.dtype == np.float64 and spectrum.dtype == np.complex128
            received, hint = f"{values.dtype}, {spectrum.dtype}", "compute in float64; layers round, tables do not"
            require(double, "double precision, float64 and complex128", received, hint, basis)
            finite = np.isfinite(values).all() and np.isfinite(spectrum).all()
            require(finite, "finiteness", values, "a pole is no kernel; look for 0/0 at 0", basis)

    def test_products(self) -> None:
        """Products are distinct and name one function per axis, and every function is in use."""
        basis = self.make_basis()
        used = {index for product in basis.products for index in product}
        hint = "a product is a tuple of `dim` indices into `functions`"
        lengths = {len(p) for p in basis.products}
        require(lengths == {basis.dim}, "one index per axis", lengths, hint, basis)
        require(used == set(range(basis.num_functions)), "use of all functions", used, hint, basis)
        distinct = len(set(basis.products)) == len(basis) > 0
        require(distinct, "distinct products", basis.products, hint, basis)

    def test_decay(self) -> None:
        """The functions vanish beyond `reach`."""
        basis = self.make_basis()
        inside = np.abs(basis.functions(np.linspace(-self.reach, self.reach, 4001))).max(axis=1)
        far = self.reach * np.geomspace(1, 10, 50)
        outside = np.abs(basis.functions(np.concatenate([-far, far]))).max(axis=1)
        law = f"decay to {self.tolerance:.0e} of the largest value beyond {self.reach:g} widths"
        hint = "a kernel is local; if yours is wider, set `reach` in your contract"
        require((outside <= self.tolerance * inside).all(), law, outside / inside, hint, basis)

    def test_transfer_is_the_integral(self) -> None:
        """`transfer(w)` is the Fourier integral of `functions`, ĥ(w) = ∫ h(u) e^{iwu} du."""
        basis = self.make_basis()
        w = np.linspace(-6, 6, 25)
        nodes, weights = self._quadrature()
        values = basis.functions(nodes) * weights
        integral = values @ np.exp(1j * np.outer(nodes, w))
        error = np.abs(basis.transfer(w) - integral).max(axis=1) / np.abs(values).sum(axis=1)
        hint = "look at the sign in the exponent and at the constant; functions with kinks may need a `tolerance`"
        self._require_small(error, "ĥ(w) = ∫ h(u) e^{iwu} du", hint, basis)

    def test_means_are_the_integrals(self) -> None:
        """`means` are the integrals of the functions, ∫ h(u) du."""
        basis = self.make_basis()
        nodes, weights = self._quadrature()
        values = basis.functions(nodes) * weights
        error = np.abs(basis.means - values.sum(axis=1)) / np.abs(values).sum(axis=1)
        self._require_small(error, "means = ∫ h(u) du", "they are transfer(0); leave them to the base class", basis)

    def test_zero_mean_constraint(self) -> None:
        """The columns of `zero_mean_constraint` are orthonormal, have zero mean, and miss at most one direction."""
        basis = self.make_basis()
        columns = basis.zero_mean_constraint()
        nodes, weights = self._quadrature()
        means = basis.functions(nodes) @ weights
        row = np.array([np.prod(means[list(product)]) for product in basis.products])
        size = float((np.abs(basis.functions(nodes)) @ weights).max()) ** basis.dim
        carried = bool((np.abs(row) > self.tolerance * size).any())
        hint = "it is the null space of the means; leave it to the base class"
        self._require_small(np.abs(row @ columns) / size, "zero mean", hint, basis)
        wanted = (len(basis), len(basis) - carried)
        require(columns.shape == wanted, f"columns of the shape {wanted}", columns.shape, hint, basis)
        self._require_small(np.abs(columns.T @ columns - np.eye(columns.shape[1])), "orthonormality", hint, basis)

    def test_value(self) -> None:
        """A basis compares by content, hashes, and survives repr, pickle and deepcopy."""
        basis = self.make_basis()
        u = np.linspace(-3, 3, 13)
        hint = "derive it from a frozen dataclass, which compares by content"
        alike = "equality of two bases made alike", self.make_basis(), hint
        for law, twin, hint in (alike, *round_trips(basis, self.names())):
            same = twin == basis and hash(twin) == hash(basis) and twin.products == basis.products
            same = same and np.array_equal(twin.functions(u), basis.functions(u))
            require(same, law, f"another value, {twin!r}", hint, basis)

    def test_immutable(self) -> None:
        """A basis cannot be changed, because layers and caches share it."""
        basis = self.make_basis()
        try:
            setattr(basis, "dim", basis.dim + 1)  # noqa: B010
        except (AttributeError, TypeError):
            return
        require(False, "immutability", f"dim = {basis.dim} after setting it", "write @dataclass(frozen=True)", basis)

    def _require_small(self, error: Any, law: str, hint: str, basis: Basis) -> None:
        received = f"errors {np.asarray(error).round(12).tolist()}, allowed {self.tolerance:.0e}"
        require((np.asarray(error) <= self.tolerance).all(), law, received, hint, basis)

    def _quadrature(self) -> tuple[Any, Any]:
        leggauss: Any = np.polynomial.legendre.leggauss
        nodes, weights = leggauss(24)
        starts = np.arange(-self.reach, self.reach, 0.5)[:, None]
        return (starts + (nodes + 1) / 4).ravel(), np.tile(weights / 4, len(starts))


def check_basis(basis: Basis) -> None:
    """Run the tests of `BasisContract` on one basis; the first that fails raises `BrokenLaw`.

    Args:
        basis: any basis whose `repr` needs no names but those of its class and of `scalegroup.symbolic`.

    Example:
        >>> from scalegroup.symbolic import SymbolicBasis
        >>> check_basis(SymbolicBasis(["exp(-x**2/2)", "x*exp(-Abs(x))"], dim=2))
    """
    BasisContract.of(basis).run()
