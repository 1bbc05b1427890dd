"""Solid harmonics in one, two and three dimensions: the angular part of kernels in polar coordinates."""

from __future__ import annotations

from math import factorial, pi, sqrt

import numpy as np

from scalegroup.symbolic.basis import Array


def harmonics(dim: int, degree: int, u: Array) -> Array:
    """The real solid harmonics `r^l Y_lm(θ)` of one degree: polynomials in the coordinates.

    The `Y_lm` are orthonormal on the unit sphere: the two signs in 1-D, `cos lθ` and `sin lθ` in 2-D, real spherical
    harmonics in 3-D, m = -l … l. At unit vectors this is `Y_lm`, and at zero its mean over the sphere.

    Args:
        dim: 1, 2 or 3.
        degree: l ≥ 0.
        u: points `(dim, *S)`.

    Returns:
        Shape `(M, *S)`; M is `2l + 1` in 3-D, 2 in 2-D (1 for l = 0), and 1 in 1-D (none for l > 1).

    Example:
        >>> harmonics(3, 1, np.array([0.0, 0.0, 1.0])).round(4).tolist()
        [0.0, 0.4886, 0.0]
    """
    if dim == 1:
        return np.asarray(u**degree / sqrt(2) if degree < 2 else u[:0])
    turns = (u[0] + 1j * u[1]) ** np.arange(degree + 1).reshape(-1, *[1] * (u.ndim - 1))  # r^m e^{imθ}, m = 0 … l
    if dim == 2:
        last = np.stack([turns[degree].real, turns[degree].imag]) / sqrt(pi)
        return np.asarray(last if degree else last[:1] / sqrt(2))
    heights = [_legendre(degree, m, u) * _norm(degree, m) for m in range(degree + 1)]
    sines = [heights[m] * turns[m].imag for m in range(degree, 0, -1)]
    return np.stack([*sines, *(height * turn.real for height, turn in zip(heights, turns, strict=True))])


def _legendre(degree: int, m: int, u: Array) -> Array:
    """`r^(l-m) P_lm(cos θ) / sin^m θ` in 3-D, by the recurrence in l that starts at l = m."""
    squared = np.asarray((u**2).sum(axis=0))
    last, value = np.zeros_like(squared), np.full_like(squared, float(np.prod(np.arange(1, 2 * m, 2))))
    for n in range(m + 1, degree + 1):
        last, value = value, ((2 * n - 1) * u[2] * value - (n + m - 1) * squared * last) / (n - m)
    return value


def _norm(degree: int, m: int) -> float:
    """The factor that makes the squared integral over the sphere 1."""
    square = (2 * degree + 1) * factorial(degree - m) / factorial(degree + m) / (4 * pi)
    return sqrt(2 * square if m else square)
