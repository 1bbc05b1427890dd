"""Fourier-Bessel functions: the vibrations of an interval, a disk, or a ball with a fixed edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from typing import Any, final

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array
from scalegroup.symbolic.checks import check_dim, is_positive
from scalegroup.symbolic.harmonics import harmonics
from scalegroup.symbolic.joint import JointBasis


@final
@dataclass(frozen=True)
class FourierBesselBasis(JointBasis):
    """Eigenfunctions of the Laplacian on a ball, zero at its edge and beyond, orthonormal, by rising frequency.

    `ψ_{l,q,m}(u) = c b_l(z_{l,q} r) Y_{lm}(θ)` for `r = |u| / radius < 1`. `b_l` is the radial function of degree l,
    `z_{l,q}` its q-th zero, and `Y_{lm}` are the harmonics of that degree:

    - 1-D: cos and sin, even and odd (a Fourier series on the interval),
    - 2-D: the Bessel functions `J_l` with `cos lθ` and `sin lθ`,
    - 3-D: the spherical Bessel functions `j_l` with real spherical harmonics.

    All functions of a degree are there or none, so that the space is closed under rotation. They vanish at the edge but
    their slopes do not: their spectra fall slowly, and the radius should be at least 4 voxels at the finest scale.

    Args:
        dim: 1, 2 or 3. Default 3.
        radius: of the ball, in widths. Default 1: then the `sigma` of a `GroupConv` is the radius at scale 1, in
            voxels, and should be 4 or more.
        max_frequency: the largest zero `z`: radians per radius. Default 6.3: 4, 6 or 10 functions in 1, 2, 3-D.

    Raises:
        ScaleGroupError: for another `dim`, a radius that is not positive, or a frequency below that of all functions.

    Source: Qiu et al., "DCFNet", 2018; Zhu et al., "Scaling-Translation-Equivariant Networks with Decomposed
    Convolutional Filters", 2019.

    Example:
        >>> basis = FourierBesselBasis(dim=2)
        >>> len(basis), [round(z, 3) for z in basis.frequencies]
        (6, [2.405, 3.832, 3.832, 5.136, 5.136, 5.52])
    """

    dim: int = 3
    radius: float = 1.0
    max_frequency: float = 6.3
    support: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_dim(self.dim)
        if not is_positive(self.radius):
            raise ScaleGroupError("radius, a finite number > 0", repr(self.radius), "it is in units of the width")
        object.__setattr__(self, "support", self.radius)
        if not (is_positive(self.max_frequency) and self._modes):
            hint = "the lowest zeros are 1.571, 2.405 and 3.142 in 1, 2 and 3 dimensions"
            raise ScaleGroupError("max_frequency, finite and above the lowest zero", repr(self.max_frequency), hint)

    @property
    def frequencies(self) -> tuple[float, ...]:
        """The zero z of every function, in radians per radius: `-z²` is its eigenvalue."""
        alike = {1: 1, 2: 2}  # functions of one zero
        return tuple(
            zero for degree, zero, _ in self._modes for _ in range(alike.get(self.dim, 2 * degree + 1) if degree else 1)
        )

    def functions(self, u: npt.ArrayLike) -> Array:
        """The functions at points `(dim, *S)`, in widths -> `(F, *S)`."""
        points = np.asarray(u, dtype=np.float64) / self.radius
        distances = np.sqrt((points**2).sum(axis=0))
        inside = distances < 1
        r, where = distances[inside], points[:, inside]
        where = where / np.where(r > 0, r, 1.0)
        parts = [
            norm * bessel(self.dim, degree, zero * r) * harmonics(self.dim, degree, where)
            for degree, zero, norm in self._modes
        ]
        out = np.zeros((len(self), *distances.shape))
        out[:, inside] = np.concatenate(parts) * self.radius ** (-self.dim / 2)
        return out

    def __len__(self) -> int:
        return len(self.frequencies)

    @property
    def _modes(self) -> tuple[tuple[int, float, float], ...]:
        return _modes(self.dim, float(self.max_frequency))


def bessel(dim: int, degree: int, x: Array) -> Array:
    """The radial function `b_l(x)` of the waves in `dim` dimensions: cos and sin, `J_l`, or `j_l`.

    It is the l-th part of a plane wave, `i^-l ∫ C_l(t) e^{ixt} dμ(t)` over -1 < t < 1, where the polynomials `C_l`,
    1 at t = 1, are the orthogonal ones of the measure μ. The rule of Gauss takes the integral to rounding error.

    Args:
        dim: 1, 2 or 3.
        degree: l ≥ 0; 0 or 1 in 1-D.
        x: points ≥ 0 of any shape.

    Example:
        >>> bessel(2, 1, np.array([0.0, 1.0])).round(6).tolist()
        [0.0, 0.440051]
    """
    nodes, weights = _rule(dim, degree, ceil(np.max(x, initial=0.0)))
    wave = np.sin if degree % 2 else np.cos
    value = np.zeros_like(x)
    for node, weight in zip(nodes, weights, strict=True):  # one by one: the points may be many
        value += weight * wave(x * node)
    return np.asarray(value * (-1) ** (degree // 2))


@lru_cache(maxsize=64)
def _rule(dim: int, degree: int, reach: int) -> tuple[Array, Array]:
    """Nodes t, and weights times `C_l(t)`, that are exact to rounding error for waves up to `|x| = reach`."""
    if dim == 1:  # the measure sits at the two ends, where the waves are alike up to their sign
        return np.ones(1), np.ones(1)
    count = (reach + degree) // 2 + 20
    if dim == 2:  # of Chebyshev
        angles = np.pi * (np.arange(count) + 0.5) / count
        return np.cos(angles), np.cos(degree * angles) / count
    nodes, weights = _gauss(count)
    legval: Any = np.polynomial.legendre.legval
    return nodes, weights * legval(nodes, [0] * degree + [1]) / 2


def _gauss(count: int) -> tuple[Array, Array]:
    rule: Any = np.polynomial.legendre.leggauss
    nodes, weights = rule(count)
    return nodes, weights


@lru_cache(maxsize=64)
def _modes(dim: int, max_frequency: float) -> tuple[tuple[int, float, float], ...]:
    """Degree, zero, and the factor that makes `∫ b_l(z r)² r^(dim-1) dr = 1` on the unit interval, by rising zeros."""
    modes = []
    for degree in range(2 if dim == 1 else ceil(max_frequency)):
        for zero in _zeros(dim, degree, max_frequency):
            nodes, weights = _gauss(ceil(zero) + 20)
            r = (nodes + 1) / 2
            square = float((weights / 2 * bessel(dim, degree, zero * r) ** 2) @ r ** (dim - 1))
            modes.append((zero, degree, square**-0.5))
    return tuple((degree, zero, norm) for zero, degree, norm in sorted(modes))


def _zeros(dim: int, degree: int, below: float) -> list[float]:
    """The positive zeros of `b_l` up to a bound, by bisection; they are more than 1 apart."""
    start = max(degree + dim / 2 - 1, 0.5)  # below the first zero, and above where b_l is rounding noise
    places = np.arange(start, below + 0.5, 0.5)
    signs = np.sign(bessel(dim, degree, places))
    at = np.flatnonzero(signs[:-1] != signs[1:])
    low, high = places[at], places[at] + 0.5
    for _ in range(60):
        middle = (low + high) / 2
        left = np.sign(bessel(dim, degree, middle)) == signs[at]
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return [zero for zero in low.tolist() if zero <= below]
