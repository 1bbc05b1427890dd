"""Hermite-Gaussian functions: exact in SymPy, evaluated from a float64 table without it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray
from scalegroup.symbolic.rotation import action_on_monomials, as_orthogonal

if TYPE_CHECKING:
    import sympy

Truncation = Literal["total", "each"]


def hermite_function(degree: int) -> sympy.Expr:
    """The exact function `h_n(x) = c_n He_n(x) e^{-x²/2}` with `∫ h_n² dx = 1`, in a real SymPy symbol `x`.

    `He_n` are the probabilists' Hermite polynomials, so `h_n` is, up to its constant, the n-th derivative of
    a Gaussian.

    Args:
        degree: the degree n ≥ 0.

    Example:
        >>> hermite_function(1)
        sqrt(2)*x*exp(-x**2/2)/pi**(1/4)
    """
    import sympy

    x = sympy.Symbol("x", real=True)
    return hermite_norm(degree) * hermite_polynomial(degree, x) * sympy.exp(-(x**2) / 2)


def hermite_polynomial(degree: int, x: Any) -> Any:
    """The probabilists' Hermite polynomial `He_n` at a SymPy expression, expanded and exact."""
    import sympy

    return sympy.expand(sympy.hermite_prob(degree, x))


def hermite_norm(degree: int) -> Any:
    """The exact constant `c_n > 0` that makes `∫ (c_n He_n(x) e^{-x²/2})² dx = 1`, as a SymPy number.

    The integral is the sum of the moments `∫ x^{2k} e^{-x²} dx = Γ(k + 1/2)`.
    """
    import sympy

    x = sympy.Symbol("x", real=True)
    square = sympy.Poly(hermite_polynomial(degree, x) ** 2, x)
    energy = sum(c * sympy.gamma(sympy.Rational(k + 1, 2)) for (k,), c in square.terms())
    return 1 / sympy.sqrt(energy)


@dataclass(frozen=True, eq=False)
class HermiteTable:
    """The numbers that evaluate `h_0 … h_n`, each the nearest float64 to the exact one.

    `h_0(u) = norms[0] e^{-u²/2}` and `h_{k+1}(u) = ahead[k] u h_k(u) - back[k] h_{k-1}(u)`. This three-term
    recurrence stays accurate at every degree, where sums of monomials cancel.

    Attributes:
        norms: `c_k`, shape `(n + 1,)`.
        ahead: `c_{k+1} / c_k`, shape `(n,)`.
        back: `k c_{k+1} / c_{k-1}`, shape `(n,)`, zero first.
    """

    norms: Array
    ahead: Array
    back: Array


@cache
def hermite_table(order: int) -> HermiteTable:
    """The table of all degrees up to `order`, built once by SymPy."""
    norms = [hermite_norm(k) for k in range(order + 1)]
    ahead = [norms[k + 1] / norms[k] for k in range(order)]
    back = [k * norms[k + 1] / norms[k - 1] if k else 0 for k in range(order)]
    return HermiteTable(*(_float64(column) for column in (norms, ahead, back)))


def _float64(exact: list[Any]) -> Array:
    import sympy

    values = np.array([float(sympy.N(value, 30)) for value in exact], dtype=np.float64)
    values.flags.writeable = False
    return values


@cache
def _products(orders: tuple[int, ...], truncation: Truncation) -> tuple[tuple[int, ...], ...]:
    degrees = product(*(range(order + 1) for order in orders))
    kept = (p for p in degrees if truncation == "each" or sum(p) <= max(orders))
    return tuple(sorted(kept, key=lambda p: (sum(p), p)))


@dataclass(frozen=True)
class HermiteBasis(Basis):
    """Products of Hermite-Gaussians, the derivatives of a Gaussian, each of L2 norm 1.

    `ψ_{ijk}(u) = h_i(u_x) h_j(u_y) h_k(u_z)` with `h_n(u) = c_n He_n(u) e^{-u²/2}` and `∫ h_n² = 1`, sorted
    by total degree, then by index.

    Args:
        order: the largest degree; a tuple gives every axis its own.
        dim: the number of axes. Default 3.
        truncation: "total" keeps total degrees `i+j+k ≤ max(order)`, a space closed under rotation when all
            orders are equal; "each" keeps every product of the allowed degrees. Default "total".

    Raises:
        ScaleGroupError: for orders that are not integers ≥ 0, a number of orders other than `dim`, `dim < 1`,
            or an unknown truncation.

    Source: Wimmer et al., "Scale-Equivariant Deep Learning for 3D Data", 2023.

    Example:
        >>> basis = HermiteBasis(order=2, dim=2)
        >>> basis.products
        ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0))
        >>> basis.functions([0.0, 1.0]).shape
        (3, 2)
    """

    order: int | tuple[int, ...] = 2
    dim: int = 3
    truncation: Truncation = "total"

    def __post_init__(self) -> None:
        if not _is_count(self.dim) or self.dim < 1:
            raise ScaleGroupError("dim to be an integer ≥ 1", repr(self.dim), "give the number of spatial axes")
        orders = self.order if isinstance(self.order, (tuple, list)) else (self.order,) * self.dim
        if len(orders) != self.dim or not all(_is_count(order) for order in orders):
            raise ScaleGroupError(
                f"order to be an integer ≥ 0, or a tuple of {self.dim} of them",
                repr(self.order),
                f"give one degree for all axes or one for each of the {self.dim} axes",
            )
        if self.truncation not in get_args(Truncation):
            raise ScaleGroupError(
                "truncation 'total' or 'each'",
                repr(self.truncation),
                "'total' bounds the sum of the degrees, 'each' bounds every degree alone",
            )
        exact = tuple(int(order) for order in orders)
        object.__setattr__(self, "order", exact[0] if len(set(exact)) == 1 else exact)
        object.__setattr__(self, "dim", int(self.dim))

    @property
    def orders(self) -> tuple[int, ...]:
        """The largest degree on each axis."""
        return self.order if isinstance(self.order, tuple) else (self.order,) * self.dim

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The degrees on each axis, for every product kernel."""
        return _products(self.orders, self.truncation)

    @property
    def parities(self) -> tuple[int, ...]:
        """`(-1)^n`: +1 for the even functions, -1 for the odd ones."""
        return tuple((-1) ** n for n in range(self.num_functions))

    def functions(self, u: npt.ArrayLike) -> Array:
        """The functions `h_0 … h_order` at `u`, by recurrence: shape `S` -> `(F1, *S)`."""
        points = np.asarray(u, dtype=np.float64)
        table = hermite_table(self.num_functions - 1)
        out = np.empty((self.num_functions, *points.shape))
        out[0] = table.norms[0] * np.exp(-0.5 * points**2)
        for k in range(self.num_functions - 1):
            out[k + 1] = table.ahead[k] * points * out[k]
            if k:
                out[k + 1] -= table.back[k] * out[k - 1]
        return out

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """The transfer functions `ĥ_n(w) = √(2π) c_n (iw)^n e^{-w²/2}`: shape `S` -> `(F1, *S)`."""
        frequency = np.asarray(w, dtype=np.float64)
        norms = hermite_table(self.num_functions - 1).norms
        gauss = np.sqrt(2 * np.pi) * np.exp(-0.5 * frequency**2)
        # (1j)**n is rounded by numpy; the four exact powers keep even functions real and odd ones imaginary
        powers = [(1, 1j, -1, -1j)[n % 4] * norms[n] * frequency**n * gauss for n in range(self.num_functions)]
        return np.array(powers, dtype=np.complex128)

    def action(self, matrix: npt.ArrayLike) -> Array:
        """How a rotation mixes the kernels: `A = D S D⁻¹` with the symmetric powers S of k and the norms D.

        `He_α(u) e^{-u²/2} = (-∂)^α e^{-u²/2}`, and the Gaussian does not change: the products turn as monomials do.
        """
        k = as_orthogonal(matrix, self.dim)
        if self.products != _products((max(self.orders),) * self.dim, "total"):
            return super().action(k)  # closed under some symmetries of the grid only
        norms = np.prod(hermite_table(self.num_functions - 1).norms[list(self.products)], axis=1)
        return np.asarray(action_on_monomials(k, self.products) * norms[:, None] / norms)


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0
