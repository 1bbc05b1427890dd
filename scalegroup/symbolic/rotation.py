"""How rotations mix the kernels of a basis: closed forms, and a fit at random points for any other basis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Protocol

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError

Array = npt.NDArray[np.float64]

CLOSED = 1e-7  # a larger relative residual says that rotated kernels are not in the basis


class Kernels(Protocol):
    """Functions of all axes together."""

    dim: int

    def at(self, u: npt.ArrayLike) -> Array:
        """Their values: `(dim, *S)` -> `(F, *S)`."""

    def __len__(self) -> int: ...


def action_by_points(basis: Kernels, matrix: npt.ArrayLike, radius: float) -> Array:
    """The matrix A with `ψ(k u) = A ψ(u)`, from the values at random points of a cube, by least squares."""
    k = as_orthogonal(matrix, basis.dim)
    points = np.random.default_rng(0).uniform(-radius, radius, (basis.dim, 40 * len(basis)))
    still, moved = basis.at(points), basis.at(k @ points)
    found = np.linalg.lstsq(still.T, moved.T, rcond=None)[0].T
    if np.abs(found @ still - moved).max() > CLOSED * np.abs(moved).max():
        hint = "HermiteBasis of one order on all axes, with truncation='total', is closed under all rotations"
        raise ScaleGroupError("a basis that contains its rotated kernels", repr(basis), hint)
    return np.asarray(found)


def action_on_monomials(matrix: Array, degrees: Sequence[tuple[int, ...]]) -> Array:
    """The matrix S with `(k z)^α = Σ_β S[α, β] z^β` for the monomials of these degrees: the symmetric powers of k.

    All monomials of a total degree must be among them if one is.

    Example:
        >>> quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
        >>> (action_on_monomials(quarter, [(0, 2), (1, 1), (2, 0)]) + 0.0).tolist()
        [[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    place = {degree: n for n, degree in enumerate(degrees)}
    units = [tuple(row) for row in np.eye(matrix.shape[1], dtype=int).tolist()]
    result = np.zeros((len(degrees), len(degrees)))
    for row, degree in enumerate(degrees):
        power = {(0,) * matrix.shape[1]: 1.0}  # the polynomial (k z)^α, one linear factor after the other
        for axis, count in enumerate(degree):
            for _ in range(count):
                terms: dict[tuple[int, ...], float] = {}
                for (monomial, value), (unit, factor) in product(
                    power.items(), zip(units, matrix[axis].tolist(), strict=True)
                ):
                    if factor:
                        raised = tuple(a + b for a, b in zip(monomial, unit, strict=True))
                        terms[raised] = terms.get(raised, 0.0) + value * factor
                power = terms
        for monomial, value in power.items():
            result[row, place[monomial]] += value
    return result


def as_orthogonal(matrix: npt.ArrayLike, dim: int) -> Array:
    """The matrix of a rotation or reflection as an array, or raise."""
    k = np.asarray(matrix, dtype=np.float64)
    if k.shape != (dim, dim) or np.abs(k @ k.T - np.eye(dim)).max() > 1e-9:
        received = k.shape if k.shape != (dim, dim) else k.tolist()
        raise ScaleGroupError(f"an orthogonal matrix of shape ({dim}, {dim})", received, "rotations keep lengths")
    return k
