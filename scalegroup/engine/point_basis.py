"""Hermite-Gaussians between points: evaluated at any offset, and cut off smoothly at a radius."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gamma, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup.engine.hermite import polynomials
from scalegroup.symbolic import HermiteBasis
from scalegroup.symbolic.basis import Array, zero_mean_columns
from scalegroup.symbolic.hermite import hermite_table


@dataclass(frozen=True)
class PointBasis:
    """Products of Hermite-Gaussians times a window: `ψ_p(u) b(|u|)` with `b(r) = (1 - (r / support)⁴)²`, 0 outside.

    On a grid a kernel may simply end: its last samples are the same at every scale. Between points rounding decides who
    is just inside the radius, so that functions have to fade there. The window is radial: functions of one total degree
    turn among themselves as before.

    Args:
        order: largest total degree. Default 2.
        dim: number of axes. Default 3.
        support: radius in widths. Default 3.0.

    Example:
        >>> basis = PointBasis(order=1, dim=2)
        >>> len(basis), basis.values(torch.zeros(2, 1)).shape
        (3, torch.Size([3, 1]))
        >>> basis.values(torch.tensor([[3.0], [0.0]])).abs().max().item()
        0.0
    """

    order: int = 2
    dim: int = 3
    support: float = 3.0

    @property
    def hermite(self) -> HermiteBasis:
        """The functions without the window."""
        return HermiteBasis(self.order, self.dim)

    def __len__(self) -> int:
        """The number F of functions."""
        return len(self.hermite.products)

    def action(self, matrix: Array) -> Array:
        """The matrix `(F, F)` of a rotation k: `ψ(k u) = action(k) ψ(u)`."""
        return self.hermite.action(matrix)

    @property
    def mass(self) -> float:
        """The integral of the Gaussian `e^{-r²/2} b(r)`."""
        return self._moment((0,) * self.dim)

    @property
    def height(self) -> float:
        """The value of the first function, a Gaussian, at zero."""
        return float(hermite_table(0).norms[0]) ** self.dim

    @property
    def means(self) -> Array:
        """The integrals of all functions, `(F,)`: with the window those of degree 2, 4, … have one too."""
        norms = hermite_table(self.order).norms
        to_powers: Any = np.polynomial.hermite_e.herme2poly
        polynomials = [norms[n] * to_powers([0] * n + [1]) for n in range(self.order + 1)]
        found = []
        for product in self.hermite.products:
            powers = np.ndindex(*(n + 1 for n in product))
            found.append(
                sum(
                    prod(float(polynomials[n][k]) for n, k in zip(product, power, strict=True)) * self._moment(power)
                    for power in powers
                )
            )
        return np.array(found)

    def zero_mean_constraint(self) -> Array:
        """The functions of zero mean: columns, `(F, F - 1)`, that span their coefficients."""
        return zero_mean_columns(self.means)

    def _moment(self, powers: tuple[int, ...]) -> float:
        """The integral of `Π x_i^{n_i} e^{-r²/2} b(r)`: a mean over the sphere times an integral over the radius."""
        return _moment(powers, self.support)

    def gauss(self, squares: Tensor) -> Tensor:
        """The windowed Gaussian `e^{-r²/2} b(r)` for values of r²: `b` has zero slope at the radius, 0 beyond."""
        window = torch.addcmul(squares.new_ones(()), squares, squares, value=-(self.support**-4)).clamp_(min=0)
        return squares.div(-2).exp_().mul_(window.square_())

    def values(self, u: Tensor, weights: Tensor | None = None) -> Tensor:
        """All functions at the offsets `u` `(dim, *S)`, in widths, times `weights` `(*S)`: `(F, *S)`."""
        table, products = hermite_table(self.order), self.hermite.products
        degrees = polynomials(u, table.ahead.tolist(), table.back.tolist())  # over h_0
        factor = self.gauss(u.square().sum(0)).mul_(self.height)
        out = u.new_empty((len(products), *u.shape[1:]))
        for f, (parent, axis, degree) in enumerate(_steps(products)):
            if degree:
                torch.mul(out[parent], degrees[degree - 1][axis], out=out[f])
            else:
                out[f] = factor if weights is None else factor.mul_(weights)
        return out


@cache
def _steps(products: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, int, int], ...]:
    """Each product as an earlier one times one more factor: that one, the axis and the degree of the factor."""
    steps = []
    for product in products:
        axis = max((a for a, n in enumerate(product) if n), default=0)
        parent = (*product[:axis], 0, *product[axis + 1 :])
        steps.append((products.index(parent), axis, product[axis]))
    return tuple(steps)


@cache
def _moment(powers: tuple[int, ...], support: float) -> float:
    if any(n % 2 for n in powers):
        return 0.0
    dim, degree = len(powers), sum(powers)
    sphere = 2 * prod(gamma((n + 1) / 2) for n in powers) / gamma((dim + degree) / 2)  # ∫ Π x_i^{n_i} over the sphere
    leggauss: Any = np.polynomial.legendre.leggauss
    nodes, weights = leggauss(64)
    r = support * (nodes + 1) / 2
    radial = r ** (degree + dim - 1) * np.exp(-(r**2) / 2) * (1 - (r / support) ** 4) ** 2
    return sphere * float(weights @ radial) * support / 2
