"""A kernel basis from any list of SymPy expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray
from scalegroup.symbolic.integrable import KERNEL, critical_points, parse_function
from scalegroup.symbolic.proofs import prove_scale_law

FARTHEST = 64.0  # widths: a function that is not negligible here is no kernel
NEGLIGIBLE = 1e-16  # of the largest value: beyond, a function counts as zero in the transfer integral
NODES = 32  # Gauss-Legendre nodes per panel
FAST = 16.0  # radians per panel that the nodes integrate to rounding


@dataclass(frozen=True, init=False, repr=False)
class SymbolicBasis(Basis):
    """A basis from SymPy expressions: any functions of one variable that decay, and products of them.

    `ψ_p(u) = h_{p_1}(u_1) … h_{p_dim}(u_dim)` with the functions as given, not normalised. For each of them the
    constructor proves that it is real, finite and integrable, and that `s^-d ψ(u / s)` is scale-steerable
    (`prove_scale_law`). Transfer functions are computed by Gauss-Legendre quadrature between the breaks of a function.

    Args:
        functions: SymPy expressions of one symbol, or their text: one-dimensional functions, of which all products are
            taken; or tuples of `dim` expressions, one per axis, each of which is one product.
        dim: number of axes. Default: the length of the tuples, or 3 for one-dimensional functions.
        products: the products to keep, as tuples of indices into `functions`. Default: all.

    Attributes:
        expressions: the distinct functions, as text that SymPy reads.

    Raises:
        ScaleGroupError: names the function that breaks the law, and why; for products that do not fit.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> basis = SymbolicBasis([sympy.exp(-x**2 / 2), x * sympy.exp(-x**2 / 2)], dim=2)
        >>> basis.products
        ((0, 0), (0, 1), (1, 0), (1, 1))
        >>> basis
        SymbolicBasis(['exp(-x**2/2)', 'x*exp(-x**2/2)'], dim=2)
        >>> SymbolicBasis(["exp(-x**2)", "exp(-x)"])
        Traceback (most recent call last):
        ...
        scalegroup.errors.ScaleGroupError: expected function 1 to be a real function of one variable, finite everywhere,
        that falls faster than 1/x², received exp(-x); x²·h(x) → oo for x → -oo.
    """

    expressions: tuple[str, ...]
    dim: int
    indices: tuple[tuple[int, ...], ...]

    def __init__(
        self,
        functions: Iterable[Any],
        dim: int | None = None,
        products: Iterable[Sequence[int]] | None = None,
    ) -> None:
        entries = _entries(functions)
        per_axis = all(isinstance(entry, tuple | list) for entry in entries)
        if dim is None:
            dim = len(entries[0]) if per_axis else 3
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise ScaleGroupError("dim to be an integer ≥ 1", repr(dim), "give the number of spatial axes")
        if per_axis:
            expressions, indices = _per_axis(entries, dim, products)
        else:
            expressions = tuple(_admit(entry, i) for i, entry in enumerate(entries))
            indices = _checked_products(products, len(expressions), dim)
        if len(set(expressions)) < len(expressions) or len(set(indices)) < len(indices):
            raise ScaleGroupError("distinct functions and products", expressions, "leave out the repeated ones")
        object.__setattr__(self, "expressions", expressions)
        object.__setattr__(self, "dim", dim)
        object.__setattr__(self, "indices", indices)

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The index of the function on each axis, for every product kernel."""
        return self.indices

    def functions(self, u: npt.ArrayLike) -> Array:
        """The functions at `u`: shape `S` -> `(F1, *S)`."""
        points = np.asarray(u, dtype=np.float64)
        return np.stack([_compiled(text)(points) for text in self.expressions])

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """The transfer functions `∫ h_f(u) e^{iwu} du` by quadrature: shape `S` -> `(F1, *S)`."""
        frequencies = np.asarray(w, dtype=np.float64)
        panels = max(1, ceil(np.abs(frequencies).max(initial=0.0) / FAST))
        integrals = []
        for text in self.expressions:
            nodes, weights = _nodes(text, panels)
            waves = np.exp(1j * np.outer(frequencies.ravel(), nodes))
            integrals.append(waves @ (weights * _compiled(text)(nodes)))
        return np.array(integrals, dtype=np.complex128).reshape(len(integrals), *frequencies.shape)

    def __repr__(self) -> str:
        everything = self.indices == _checked_products(None, self.num_functions, self.dim)
        products = "" if everything else f", products={list(self.indices)}"
        return f"SymbolicBasis({list(self.expressions)}, dim={self.dim}{products})"


def _entries(functions: Any) -> list[Any]:
    """What the basis is made of, at least one function or tuple of functions."""
    if isinstance(functions, str):
        return [functions]
    if not isinstance(functions, Iterable):
        hint = "put one function in a list, too: ['exp(-x**2/2)']"
        raise ScaleGroupError("a list of functions, or of tuples of one function per axis", repr(functions), hint)
    entries = list(functions)
    if not entries:
        raise ScaleGroupError("at least one function", "none", "start with exp(-x**2/2)")
    return entries


def _admit(function: Any, index: int) -> str:
    """The canonical text of a function for which everything that a kernel needs has been proved or checked."""
    try:
        expression = parse_function(function)
        text = _text(expression)
        if not prove_scale_law(expression, dim=1):
            raise ScaleGroupError(KERNEL, text, "SymPy cannot prove the scale law for it")
        _reach(text)
    except ScaleGroupError as error:
        raise ScaleGroupError(f"function {index} to be {error.expected}", error.received, error.hint) from None
    return text


def _text(expression: Any) -> str:
    import sympy

    return str(sympy.sstr(expression, full_prec=True))


def _per_axis(
    entries: Sequence[Sequence[Any]], dim: int, products: Iterable[Sequence[int]] | None
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Distinct functions, and the products of them, from one tuple of functions per product."""
    if products is not None or any(len(entry) != dim for entry in entries):
        hint = "give one expression per axis, and no products, which the tuples name already"
        raise ScaleGroupError(f"tuples of {dim} expressions without products", [len(e) for e in entries], hint)
    rows = [tuple(_admit(function, i) for function in entry) for i, entry in enumerate(entries)]
    expressions = tuple(dict.fromkeys(text for row in rows for text in row))
    return expressions, tuple(tuple(expressions.index(text) for text in row) for row in rows)


def _checked_products(products: Iterable[Sequence[int]] | None, count: int, dim: int) -> tuple[tuple[int, ...], ...]:
    if products is None:
        return tuple(product(range(count), repeat=dim))
    indices = tuple(tuple(entry) for entry in products)
    if not indices or any(len(p) != dim or not all(f in range(count) for f in p) for p in indices):
        hint = "a product names the function of every axis"
        raise ScaleGroupError(f"products as tuples of {dim} indices in 0 … {count - 1}", indices, hint)
    unused = set(range(count)) - {f for p in indices for f in p}
    if unused:
        raise ScaleGroupError("products of all functions", indices, f"leave out the unused functions {sorted(unused)}")
    return indices


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Callable[[Array], Array]:
    """The function as numpy code, made by SymPy once per process."""
    import sympy

    expression = parse_function(text)
    code = sympy.lambdify(tuple(expression.free_symbols), expression, "numpy")

    def evaluate(points: Array) -> Array:
        with np.errstate(all="ignore"):  # pieces that do not apply at a point are evaluated there all the same
            return np.asarray(code(points), dtype=np.float64)

    return evaluate


@lru_cache(maxsize=1024)
def _breaks(text: str) -> tuple[float, ...]:
    return tuple(float(point) for point in critical_points(parse_function(text)))


@lru_cache(maxsize=1024)
def _reach(text: str) -> float:
    """The distance beyond which a function is negligible; finds what numpy cannot evaluate, and what is too wide."""
    points = np.linspace(-FARTHEST, FARTHEST, 8193)
    points = np.sort(np.concatenate([points, [b for b in _breaks(text) if abs(b) < FARTHEST]]))
    try:
        size = np.abs(_compiled(text)(points))
    except (NameError, TypeError, AttributeError) as error:
        raise ScaleGroupError(KERNEL, text, f"numpy cannot evaluate it: {error}") from error
    if not np.isfinite(size).all():
        where = points[~np.isfinite(size)][0]
        raise ScaleGroupError(KERNEL, text, f"it has no value at {where:g}; give it one with Piecewise")
    large = np.abs(points[size > NEGLIGIBLE * size.max()])
    if not len(large) or large.max() == FARTHEST:
        share = size[[0, -1]].max() / (size.max() or 1.0)
        what = f"still {share:.0e} of its maximum at ±{FARTHEST:g}" if share else "zero everywhere"
        hint = f"it is {what}, but a kernel has to fit in a few widths; rescale x or take a function that falls faster"
        raise ScaleGroupError(KERNEL, text, hint)
    return float(large.max()) + FARTHEST / 4096


@lru_cache(maxsize=256)
def _nodes(text: str, panels: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on panels of at most `1 / panels`, which no break of the function crosses."""
    leggauss: Any = np.polynomial.legendre.leggauss
    nodes, weights = leggauss(NODES)
    reach = _reach(text)
    ends = [-reach, *(b for b in _breaks(text) if abs(b) < reach), reach]
    edges = [np.linspace(a, b, ceil((b - a) * panels) + 1)[:-1] for a, b in pairwise(ends)]
    edge = np.append(np.concatenate(edges), reach)
    half = np.diff(edge)[:, None] / 2
    return (edge[:-1, None] + half * (nodes + 1)).ravel(), (half * weights).ravel()
