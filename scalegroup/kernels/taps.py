"""From a basis to one-dimensional taps on a grid, which know their distance to the continuous operator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isfinite, pi
from typing import Any, Literal, get_args

import numpy as np

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import Basis, JointBasis
from scalegroup.symbolic.basis import Array, ComplexArray

Method = Literal["auto", "sampled", "fitted"]

DEFAULT_SUPPORT = 4.5  # widths; docs/accuracy.md
DEFAULT_BAND = pi / 2  # radians per voxel; the band on which the design rules promise equivariance
SAMPLED_IS_GOOD = 1e-3  # below this error on the band, a fit gains nothing that a network would notice
OUT_OF_BAND_WEIGHT = 1e-3  # of the amplitudes: a well-posed fit, whose gain outside stays within 10 % of the true one


@dataclass(frozen=True, eq=False)
class Taps:
    """A family of one-dimensional operators on a grid: `y_f(x_o) = Σ_m values[f, m - first] x[m]`.

    The output point lies `phase` voxels right of input voxel 0, and tap `m` weighs input voxel `m`. The
    transfer function `Σ_m values[f, m - first] e^{iwm}` approximates `ĥ_f(sigma w) e^{iw phase}`.

    Attributes:
        values: the taps, shape `(F1, L)`, read-only.
        first: index of the input voxel that the first tap weighs, ≤ 0.
        phase: position of the output point in voxels, in [0, 1).
        sigma: width in voxels.
        error: relative L2 error of each transfer function on the band, shape `(F1,)`, read-only.
        method: how the taps were made: "sampled", "fitted", "own" if the basis makes them itself, "window" for kernels
            that are no products, whose length they tell, or, for resampling, "sinc".

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> taps = sample_taps(HermiteBasis(order=1), sigma=0.7)
        >>> taps.method, taps.first, taps.last, taps.error.shape
        ('fitted', -4, 4, (2,))
        >>> abs(taps.transfer(np.zeros(1))).round(3)  # the sums of the taps: those of an odd function cancel
        array([[1.883],
               [0.   ]])
    """

    values: Array
    first: int
    phase: float
    sigma: float
    error: Array
    method: str

    def __post_init__(self) -> None:
        self.values.flags.writeable = self.error.flags.writeable = False  # the cache hands them out to everybody

    @property
    def last(self) -> int:
        """Index of the input voxel that the last tap weighs."""
        return self.first + int(self.values.shape[1]) - 1

    @property
    def predicted_error(self) -> float:
        """The largest relative error of a function on the band: truncation and aliasing together."""
        return float(self.error.max())

    def transfer(self, w: Array) -> ComplexArray:
        """The transfer functions of the taps: frequencies `(N,)` in radians per voxel -> `(F1, N)`."""
        return np.asarray(self.values @ waves(w, self.first, self.values.shape[1]))


def sample_taps(
    basis: Basis,
    sigma: float,
    support: float = DEFAULT_SUPPORT,
    phase: float = 0.0,
    method: Method = "auto",
    band: float = DEFAULT_BAND,
    radius: int | None = None,
) -> Taps:
    """The one-dimensional functions of a basis at one width, as taps on a grid.

    `values[f, m - first] = h_f((m - phase) / sigma) / sigma` for `m = -R … R` (`-R … R + 1` between voxels),
    with `R = ceil(support * sigma)`. Where that aliases, the taps are instead the least-squares fit to the
    continuous transfer function on the band, with a weight of 1e-3 outside it. A basis that makes its taps itself
    (`Basis.taps`) is asked for them instead, and settles their method and their radius.

    Args:
        basis: the functions.
        sigma: width in voxels of the input grid.
        support: half-width in units of sigma. Default 4.5.
        phase: position of the output point, in voxels right of input voxel 0, in [0, 1). Default 0.
        method: "sampled", "fitted", or "auto": sampled where its error on the band is at most 1e-3 or at most
            twice that of the fit. Default "auto".
        band: the frequencies `|w| ≤ band` that count, in radians per voxel. Default π/2.
        radius: half-width R in voxels, instead of `ceil(support * sigma)`.

    Returns:
        Taps with values of shape `(F1, 2R + 1)`, or `(F1, 2R + 2)` for a phase other than 0; cached.

    Raises:
        ScaleGroupError: for an argument outside the ranges above.

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> taps = sample_taps(HermiteBasis(order=2), sigma=1.0)
        >>> taps.values.shape, taps.first, taps.predicted_error < 1e-3
        ((3, 11), -5, True)
    """
    _check(sigma, support, phase, method, band, radius)
    reach = ceil(support * sigma) if radius is None else radius
    return _taps(basis, float(sigma), float(phase), method, float(band), int(reach))


@lru_cache(maxsize=4096)
def _taps(basis: Basis, sigma: float, phase: float, method: Method, band: float, radius: int) -> Taps:
    own = basis.taps(sigma, phase)
    if own is not None:
        values, first = own
        error = _band_error(basis, sigma, phase, band, first, values)
        return Taps(np.array(values, dtype=np.float64), first, phase, sigma, error, "own")
    if method == "auto":
        sampled = _taps(basis, sigma, phase, "sampled", band, radius)
        if sampled.predicted_error <= SAMPLED_IS_GOOD:
            return sampled
        fitted = _taps(basis, sigma, phase, "fitted", band, radius)
        return sampled if sampled.predicted_error <= 2 * fitted.predicted_error else fitted
    length = tap_count(radius, phase)
    if method == "sampled":
        values = basis.functions((np.arange(length) - radius - phase) / sigma) / sigma
    else:
        values = _fit(basis, sigma, phase, band, -radius, length)
    error = _band_error(basis, sigma, phase, band, -radius, values)
    return Taps(values, -radius, phase, sigma, error, method)


def window_taps(basis: JointBasis, width: float, phase: float = 0.0) -> Taps:
    """How far along one axis the kernels of a joint basis reach, as taps that are all one; their error is not known.

    Args:
        basis: the functions.
        width: in voxels.
        phase: position of the output point, in voxels right of input voxel 0, in [0, 1). Default 0.

    Returns:
        Taps with values of shape `(1, 2R + 1)`, R being the reach of the basis; one more for a phase other than 0.

    Example:
        >>> from scalegroup.symbolic import FourierBesselBasis
        >>> taps = window_taps(FourierBesselBasis(dim=2), width=2.0)
        >>> taps.method, taps.first, taps.values.shape
        ('window', -2, (1, 5))
    """
    reach = basis.reach(width)
    return Taps(np.ones((1, tap_count(reach, phase))), -reach, phase, width, np.array([np.inf]), "window")


def _fit(basis: Basis, sigma: float, phase: float, band: float, first: int, length: int) -> Array:
    """Taps whose transfer function is nearest to the continuous one: weight 1 on the band, little outside."""
    inside, weight = quadrature(0.0, band, length)
    outside, rest = quadrature(band, pi, length)
    w = np.concatenate([inside, outside])
    root = np.sqrt(np.concatenate([weight, OUT_OF_BAND_WEIGHT**2 * rest]))
    columns = waves(w, first, length) * root
    target = _continuous(basis, sigma, phase, w) * root
    # taps are real, so negative frequencies repeat the positive ones: two real equations for each
    rows = np.concatenate([columns.real, columns.imag], axis=1).T
    sides = np.concatenate([target.real, target.imag], axis=1).T
    solution: Array = np.linalg.lstsq(rows, sides, rcond=None)[0]
    return np.ascontiguousarray(solution.T)


def _band_error(basis: Basis, sigma: float, phase: float, band: float, first: int, values: Array) -> Array:
    w, weight = quadrature(0.0, band, values.shape[1])
    target = _continuous(basis, sigma, phase, w)
    miss = np.abs(values @ waves(w, first, values.shape[1]) - target) ** 2 @ weight
    return np.asarray(np.sqrt(miss / (np.abs(target) ** 2 @ weight)))


def _continuous(basis: Basis, sigma: float, phase: float, w: Array) -> ComplexArray:
    return np.asarray(basis.transfer(sigma * w) * np.exp(1j * w * phase))


def tap_count(radius: int, phase: float) -> int:
    """The number of taps from `-radius` to `radius`, and one more on the right for a point between voxels."""
    return 2 * radius + 1 + (phase > 0)


def waves(w: Array, first: int, length: int) -> ComplexArray:
    """The waves `e^{iwm}` at `m = first … first + length - 1`: frequencies `(N,)` -> `(length, N)`."""
    return np.asarray(np.exp(1j * np.outer(np.arange(first, first + length), w)))


def quadrature(start: float, stop: float, length: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on an interval, exact for products of two sums of `length` waves."""
    nodes, weights = _legendre(32 * ceil(length / 32) + 32)
    return start + (stop - start) * (nodes + 1) / 2, (stop - start) / 2 * weights


@lru_cache(maxsize=64)
def _legendre(degree: int) -> tuple[Array, Array]:
    leggauss: Any = np.polynomial.legendre.leggauss
    nodes, weights = leggauss(degree)
    return nodes, weights


def _check(sigma: float, support: float, phase: float, method: str, band: float, radius: int | None) -> None:
    if not (isfinite(sigma) and sigma > 0):
        raise ScaleGroupError("a sigma > 0, in voxels", sigma, "1.0 is the smallest that sampling resolves")
    if not (isfinite(support) and support > 0):
        raise ScaleGroupError("a support > 0, in units of sigma", support, "4.5 is the default")
    if not 0 <= phase < 1:
        raise ScaleGroupError("a phase in [0, 1)", phase, "count whole voxels in the position of the output")
    if method not in get_args(Method):
        raise ScaleGroupError("method 'auto', 'sampled' or 'fitted'", repr(method), "'auto' takes the better")
    if not 0 < band <= pi:
        raise ScaleGroupError("a band in (0, π], in radians per voxel", band, "π/2 is the default")
    if radius is not None and radius < 0:
        raise ScaleGroupError("a radius ≥ 0, in voxels", radius, "leave it out for ceil(support * sigma)")
