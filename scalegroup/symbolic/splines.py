"""Splines: kernels that are given by a few coefficients on a grid of their own, in space and over the log-scale."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil
from typing import Any, Literal, final, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray

Interpolation = Literal["linear", "cubic"]


def b_spline(degree: int, t: npt.ArrayLike) -> Array:
    """The cardinal B-spline `B_p`: p + 1 boxes of width 1, convolved; even, and zero for `|t| ≥ (p + 1) / 2`.

    By the recurrence `p N_p(s) = s N_{p-1}(s) + (p + 1 - s) N_{p-1}(s - 1)`, where `s = t + (p + 1) / 2` counts from
    the left end of the support. All terms are positive: nothing cancels.

    Args:
        degree: the degree p ≥ 1.
        t: points of any shape, in knots.

    Returns:
        The values, of the shape of `t`.

    Source: Unser, "Splines: a perfect fit for signal and image processing", 1999.

    Example:
        >>> b_spline(1, [-1.0, -0.25, 0.0, 0.5]).tolist()
        [0.0, 0.75, 1.0, 0.5]
    """
    left = (degree + 1) / 2 - np.abs(np.asarray(t, dtype=np.float64))
    # pieces[k] is N_p(left - k): k + p of them are needed for degree p, of boxes at first
    pieces = [np.where((left - k >= 0) & (left - k < 1), 1.0, 0.0) for k in range(degree + 1)]
    for p in range(1, degree + 1):
        pieces = [((left - k) * near + (p + 1 - left + k) * far) / p for k, (near, far) in enumerate(pairwise(pieces))]
    return np.asarray(pieces[0])


@final
@dataclass(frozen=True)
class SplineBasis(Basis):
    """Cardinal B-splines at equally spaced centres, and all products of them.

    `h_n(u) = B_p(u / knot - c_n) / knot` with `c_n = spread (n - (size - 1) / 2)`: each has integral 1, and with
    `spread = 1` their sum is constant between the outer knots. The transfer function is
    `e^{iw knot c_n} sinc(w knot / 2π)^{p+1}`: it falls as `w^-(p+1)`, so the higher the degree and the more samples
    there are for each knot, the nearer to equivariance are sampled kernels.

    Args:
        degree: the degree p ≥ 1. Default 3.
        size: centres along each axis. Default 5. A few make a localised kernel.
        knot: distance of knots in widths. Default 1.
        dim: number of axes. Default 3.
        spread: distance of centres in knots. Default 1; `degree + 1` or more leaves gaps (an atrous kernel).

    Raises:
        ScaleGroupError: for a degree, size or dim that is no integer ≥ 1, or a knot or spread that is not positive.

    Source: Bekkers, "B-Spline CNNs on Lie groups", 2020.

    Example:
        >>> basis = SplineBasis(degree=3, size=5, dim=2)
        >>> len(basis), basis.support, float(basis.functions(0.25).sum().round(12))
        (25, 4.0, 1.0)
    """

    degree: int = 3
    size: int = 5
    knot: float = 1.0
    dim: int = 3
    spread: float = 1.0

    def __post_init__(self) -> None:
        for name in ("degree", "size", "dim"):
            object.__setattr__(self, name, _count(getattr(self, name), name))
        for name in ("knot", "spread"):
            object.__setattr__(self, name, _positive(getattr(self, name), name))

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """All products, the last axis fastest."""
        return tuple(product(range(self.size), repeat=self.dim))

    @property
    def support(self) -> float:
        """Distance in widths beyond which all functions are zero."""
        return self.knot * (self.spread * (self.size - 1) + self.degree + 1) / 2

    def functions(self, u: npt.ArrayLike) -> Array:
        """The splines at `u`: shape `S` -> `(size, *S)`."""
        knots = np.asarray(u, dtype=np.float64) / self.knot
        return b_spline(self.degree, knots - _centres(self.size, self.spread, knots.ndim)) / self.knot

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """Their transfer functions: shape `S` -> `(size, *S)`."""
        phase = np.asarray(w, dtype=np.float64) * self.knot
        wave = np.exp(1j * phase * _centres(self.size, self.spread, phase.ndim))
        return np.asarray(np.sinc(phase / (2 * np.pi)) ** (self.degree + 1) * wave)


@final
@dataclass(frozen=True)
class ResizedBasis(Basis):
    """The kernels of an ordinary convolution, resized by interpolation of their `kernel_size` numbers per axis.

    `h_n(u) = φ(u - n + (kernel_size - 1) / 2)` with φ the kernel of linear or cubic interpolation, which is 1 at 0 and
    0 at all other integers: at a width of one voxel the taps are the numbers themselves. At other widths the taps are
    `h_n(m / sigma) / sigma`, as resizing has it, without any remedy for the frequencies that this folds.

    Args:
        kernel_size: numbers along each axis, odd. Default 3.
        interpolation: "linear" or "cubic" (by cubic convolution, parameter -1/2). Default "linear".
        dim: number of axes. Default 3.

    Raises:
        ScaleGroupError: for an even or non-positive size, an unknown interpolation, or a dim that is no integer ≥ 1.

    Source: Xu et al., "Scale-invariant convolutional neural networks", 2014; cubic: Keys,
        "Cubic convolution interpolation for digital image processing", 1981.

    Example:
        >>> basis = ResizedBasis(kernel_size=3, dim=1)
        >>> basis.taps(1.0, 0.0)[0].astype(int).tolist(), basis.taps(2.0, 0.0)[0][1].tolist()
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0.0, 0.0, 0.25, 0.5, 0.25, 0.0, 0.0])
    """

    kernel_size: int = 3
    interpolation: Interpolation = "linear"
    dim: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", _count(self.dim, "dim"))
        object.__setattr__(self, "kernel_size", _count(self.kernel_size, "kernel_size"))
        if self.kernel_size % 2 == 0:
            hint = "an odd kernel has a number in its middle"
            raise ScaleGroupError("an odd kernel_size", repr(self.kernel_size), hint)
        if self.interpolation not in get_args(Interpolation):
            hint = "cubic kernels are smoother, and one number wider on each side"
            raise ScaleGroupError("interpolation 'linear' or 'cubic'", repr(self.interpolation), hint)

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """All products, the last axis fastest: weights are kernels by a reshape."""
        return tuple(product(range(self.kernel_size), repeat=self.dim))

    @property
    def support(self) -> float:
        """Distance in widths beyond which all functions are zero."""
        return (self.kernel_size - 1) / 2 + (1 if self.interpolation == "linear" else 2)

    def functions(self, u: npt.ArrayLike) -> Array:
        """The interpolation kernels at `u`: shape `S` -> `(kernel_size, *S)`."""
        points = np.asarray(u, dtype=np.float64)
        points = points - _centres(self.kernel_size, 1.0, points.ndim)
        return b_spline(1, points) if self.interpolation == "linear" else _cubic_convolution(points)

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """Their transfer functions: shape `S` -> `(kernel_size, *S)`."""
        frequency = np.asarray(w, dtype=np.float64)
        linear = self.interpolation == "linear"
        one = np.sinc(frequency / (2 * np.pi)) ** 2 if linear else _cubic_transfer(frequency)
        return np.asarray(one * np.exp(1j * frequency * _centres(self.kernel_size, 1.0, frequency.ndim)))

    def taps(self, sigma: float, phase: float) -> tuple[Array, int]:
        """The functions as they are, at all voxels inside their support."""
        reach = max(ceil(self.support * sigma) - 1, 0)
        voxels = np.arange(-reach, reach + 1 + (phase > 0))
        return self.functions((voxels - phase) / sigma) / sigma, -reach


def scale_splines(extent: int, base: float, size: int, degree: int = 2, spread: float = 1.0) -> Array:
    """B-splines of the logarithm of the scale, at the neighbouring scales of a group convolution, times Haar's measure.

    Row m holds `B_p((i ln base - η_m) / knot) w_i` for the scales `base^i`, i < extent, with `size` centres η_m from 0
    to `(extent - 1) ln base` that are `spread` knots apart. The `w_i` are `ln base`, and half of it at both ends: the
    trapezoidal rule for the integral over `d ln s`. So a finer base over the same range gives nearly the same layer.

    Args:
        extent: number of neighbouring scales, at least 2.
        base: ratio of neighbouring scales.
        size: number of splines, at least 2. With as many as there are scales the weights are nearly free.
        degree: the degree p ≥ 1. Default 2.
        spread: distance of centres in knots. Default 1; more makes the splines narrower (atrous).

    Returns:
        Shape `(size, extent)`.

    Raises:
        ScaleGroupError: for arguments outside of these ranges.

    Source: Bekkers 2020, whose splines over a group these are for the group of scales.

    Example:
        >>> scale_splines(3, base=2.0, size=2, degree=1).round(3).tolist()
        [[0.347, 0.347, 0.0], [0.0, 0.347, 0.347]]
    """
    for value, name in ((extent, "extent"), (size, "size")):
        if _count(value, name) < 2:
            raise ScaleGroupError(f"{name} to be an integer ≥ 2", repr(value), "one scale has no neighbours")
    degree, spread = _count(degree, "degree"), _positive(spread, "spread")
    if not 1 < base < float("inf"):
        raise ScaleGroupError("a base > 1", repr(base), "it is the ratio of neighbouring scales")
    position = np.arange(extent) / (extent - 1)  # of the scales, and of the centres, as shares of the whole range
    centre = np.arange(size)[:, None] / (size - 1)
    measure = np.full(extent, np.log(base))
    measure[[0, -1]] /= 2
    return np.asarray(b_spline(degree, (position - centre) * (size - 1) * spread) * measure)


def _centres(size: int, spacing: float, ndim: int) -> Array:
    """Positions of the functions, the middle one at 0, as a column that broadcasts against points of `ndim` axes."""
    centres: Array = spacing * (np.arange(size) - (size - 1) / 2)
    return centres.reshape(-1, *[1] * ndim)


def _cubic_convolution(t: Array) -> Array:
    """The piecewise cubic that interpolates and reproduces parabolas."""
    far = np.abs(t)
    inner = (1.5 * far - 2.5) * far**2 + 1
    outer = ((-0.5 * far + 2.5) * far - 4) * far + 2
    return np.asarray(np.where(far < 1, inner, np.where(far < 2, outer, 0.0)))


def _cubic_transfer(w: Array) -> Array:
    """Its transfer function: quadrature of both pieces, whose closed form cancels for small frequencies."""
    leggauss: Any = np.polynomial.legendre.leggauss
    nodes, weights = leggauss(16 + ceil(np.abs(w).max(initial=0.0)))
    points = np.concatenate([(nodes + 1) / 2, (nodes + 3) / 2])
    waves = np.cos(np.multiply.outer(w, points))
    return np.asarray(waves @ (np.tile(weights, 2) * _cubic_convolution(points)))


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ScaleGroupError(f"{name} to be an integer ≥ 1", repr(value), "see the docstring for what it counts")
    return int(value)


def _positive(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ScaleGroupError(f"{name} to be a positive number", repr(value), "see the docstring for its unit")
    return float(value)
