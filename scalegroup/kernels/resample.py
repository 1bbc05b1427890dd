"""Band-limited resampling by a sinc in a Kaiser window: for oversampled activations, and between voxels."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, pi

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels.grid import OUTSIDE, PaddingMode, fold_index, operator_matrix, taps_matrix
from scalegroup.kernels.taps import Taps, quadrature, tap_count, waves
from scalegroup.symbolic import HermiteBasis
from scalegroup.symbolic.basis import Array

_HALFWIDTH = 8  # coarse samples
RESAMPLING_BAND = 2 * pi / 3  # radians per coarse sample: with a halfwidth of 8 exact to 6e-5


def interpolation_taps(
    factor: int = 1, phase: float = 0.0, halfwidth: int = _HALFWIDTH, band: float = RESAMPLING_BAND
) -> Taps:
    """A low-pass for resampling by an integer factor: the taps on the fine grid for one coarse output point.

    `t(m) = sinc(u) kaiser(u / halfwidth) / factor` with `u = (m - phase) / factor`, divided by their sum
    (unit gain for a constant). The cut-off is the coarse grid's Nyquist frequency. In radians per coarse
    sample, the filter passes `|w| ≤ band` and stops `|w| ≥ 2π - band` (what would alias onto the band); the
    window is as strong as the halfwidth allows for that, an attenuation of `8 + 4.57 halfwidth (2π - 2 band)`
    dB: 85 dB (6e-5) by default.

    `factor=1` with a phase is interpolation between voxels: `interpolation_taps(1, 0.25)` and `(1, 0.75)`
    upsample by 2 on centred grids, and `interpolation_taps(2, 0.5)` goes back.

    Args:
        factor: fine samples per coarse sample, ≥ 1. Default 1.
        phase: position of the output point in fine voxels right of voxel 0, in [0, 1). Default 0.
        halfwidth: half-width in coarse samples, ≥ 1. Default 8.
        band: in radians per coarse sample, in (0, π). Default 2π/3.

    Returns:
        Taps of one function; `error` is relative to the ideal filter on the band, aliases onto it included.

    Raises:
        ScaleGroupError: for an argument outside the ranges above.

    Source: J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", 1974.

    Example:
        >>> taps = interpolation_taps(factor=2, phase=0.5)
        >>> taps.values.shape, round(float(taps.values.sum()), 12), taps.predicted_error < 1e-4
        ((1, 34), 1.0, True)
    """
    if factor < 1 or halfwidth < 1 or int(factor) != factor or int(halfwidth) != halfwidth:
        raise ScaleGroupError(
            "integers factor ≥ 1 and halfwidth ≥ 1",
            (factor, halfwidth),
            "use operator_matrix for other ratios",
        )
    if not 0 <= phase < 1:
        raise ScaleGroupError("a phase in [0, 1)", phase, "count whole voxels in the position of the output")
    if not 0 < band < pi:
        raise ScaleGroupError("a band in (0, π), in radians per coarse sample", band, "2π/3 is the default")
    return _sinc_taps(int(factor), float(phase), int(halfwidth), float(band))


@lru_cache(maxsize=4096)
def _sinc_taps(factor: int, phase: float, halfwidth: int, band: float) -> Taps:
    radius = halfwidth * factor
    u = (np.arange(tap_count(radius, phase)) - radius - phase) / factor
    values = _windowed_sinc(u, halfwidth, band)[None]
    w, weight = quadrature(0.0, band, values.shape[1])
    miss = np.zeros_like(w)
    for alias in range(factor):  # fine frequencies that the coarse grid cannot tell from w
        fine = (w + 2 * pi * alias) / factor
        ideal = np.exp(1j * fine * phase) if alias == 0 else 0.0
        miss += np.abs(values[0] @ waves(fine, -radius, values.shape[1]) - ideal) ** 2
    error = np.sqrt(miss @ weight / band)
    return Taps(values, -radius, phase, float(factor), np.array([error]), "sinc")


def _windowed_sinc(u: Array, halfwidth: int, band: float) -> Array:
    """The window's sinc at distances u in coarse samples (last axis), of unit sum."""
    taps = np.sinc(u) * _kaiser(u / halfwidth, _shape(halfwidth, 2 * pi - 2 * band))
    return np.asarray(taps / taps.sum(axis=-1, keepdims=True))


def _shape(halfwidth: int, transition: float) -> float:
    """Kaiser's window parameter for the attenuation that a length and a transition band allow."""
    decibels = 8 + 2.285 * 2 * halfwidth * transition
    if decibels > 50:
        return 0.1102 * (decibels - 8.7)
    return float(0.5842 * max(decibels - 21, 0) ** 0.4 + 0.07886 * max(decibels - 21, 0))


def _kaiser(t: Array, shape: float) -> Array:
    inside = np.sqrt(np.clip(1 - t**2, 0, None))
    return np.asarray(np.where(np.abs(t) <= 1, np.i0(shape * inside) / np.i0(shape), 0.0))


def interpolation_matrix(
    in_positions: npt.ArrayLike,
    out_positions: npt.ArrayLike,
    halfwidth: int = 16,
    band: float = RESAMPLING_BAND,
    padding_mode: PaddingMode = "zeros",
) -> Array:
    """The matrix that evaluates a sampled function between its samples.

    `f(p) ≈ Σ_n A[p, n] f_n`, exact to 1e-7 for `|w| ≤ 2π/3` radians per sample, away from the border.

    Args:
        in_positions: sample positions, ascending and equally spaced, at least two: shape `(n_in,)`.
        out_positions: any positions in the same unit, shape `(n_out,)`.
        halfwidth: half-width of the windowed sinc in samples. Default 16.
        band: what has to be exact, in radians per sample. Default 2π/3.
        padding_mode: what lies beyond the border, see `fold_index`. Default "zeros".

    Returns:
        Shape `(n_out, n_in)`.

    Raises:
        ScaleGroupError: for input positions that are not equally spaced.

    Example:
        >>> matrix = interpolation_matrix(range(64), [31.25])
        >>> bool(abs(matrix @ np.cos(np.arange(64.0)) - np.cos(31.25)).max() < 1e-6)
        True
    """
    samples = np.asarray(in_positions, dtype=np.float64)
    steps = np.diff(samples)
    if samples.ndim != 1 or len(samples) < 2 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-6):
        raise ScaleGroupError(
            "in_positions to be at least two ascending, equally spaced positions",
            samples.tolist(),
            "scattered samples have no windowed-sinc interpolation",
        )
    voxels = (np.asarray(out_positions, dtype=np.float64) - samples[0]) / steps[0]
    matrix = taps_matrix(
        lambda phase: interpolation_taps(1, phase, halfwidth, band), voxels, len(samples), padding_mode
    )
    return np.ascontiguousarray(matrix[0])


def _centred(n_in: int, n_out: int, ratio: float) -> Array:
    """The positions of a centred grid in samples of another one."""
    return np.asarray((n_in - 1) / 2 + ratio * (np.arange(n_out) - (n_out - 1) / 2))


@lru_cache(maxsize=256)
def resampling_matrix(n_in: int, n_out: int, ratio: float, padding_mode: PaddingMode = "replicate") -> Array:
    """The matrix from one centred grid to another whose spacing is any multiple of the first one's.

    Output `i` lies at `(n_in - 1) / 2 + ratio (i - (n_out - 1) / 2)` input samples. To a finer grid this interpolates;
    to a coarser one it removes first what that cannot hold. Up to the border and the normalisation of its rows,
    `resampling_matrix(n_out, n_in, 1 / ratio)` is `ratio` times the transpose.

    Args:
        n_in: number of input samples.
        n_out: number of output samples.
        ratio: output spacing over input spacing.
        padding_mode: what lies beyond the border, see `fold_index`. Default "replicate".

    Returns:
        Shape `(n_out, n_in)`, read-only; unit gain for a constant, exact to 6e-5 for `|w| ≤ 2π/3` radians per sample
        of the coarser grid.

    Raises:
        ScaleGroupError: for sizes below 1 and a ratio that is not positive.

    Example:
        >>> coarse = resampling_matrix(64, 17, 2**0.5) @ np.cos(0.5 * np.arange(64.0))
        >>> bool(abs(coarse[8] - np.cos(0.5 * 31.5)) < 1e-4)  # the centre
        True
    """
    if n_in < 1 or n_out < 1 or not 0 < ratio < float("inf"):
        raise ScaleGroupError("sizes ≥ 1 and a ratio > 0", (n_in, n_out, ratio), "the ratio is that of the spacings")
    coarse = max(ratio, 1.0)
    positions = _centred(n_in, n_out, ratio)
    reach = ceil(_HALFWIDTH * coarse)
    reads = np.floor(positions).astype(np.int64)[:, None] + np.arange(-reach, reach + 2)
    values = _windowed_sinc((reads - positions[:, None]) / coarse, _HALFWIDTH, RESAMPLING_BAND)
    sources = fold_index(reads, n_in, padding_mode)
    rows = np.broadcast_to(np.arange(n_out)[:, None], reads.shape)
    matrix = np.zeros((n_out, n_in))
    inside = sources != OUTSIDE
    np.add.at(matrix, (rows[inside], sources[inside]), values[inside])
    matrix.flags.writeable = False  # the cache hands it out to everybody
    return matrix


@lru_cache(maxsize=256)
def smoothing_matrix(
    n_in: int, n_out: int, ratio: float, sigma: float = 1.0, padding_mode: PaddingMode = "zeros"
) -> Array:
    """The Hermite function of order 0, of unit mass, between centred grids: a Gaussian as wide as the output's spacing.

    `y(p) = ∫ x(p + u) g(u / w) / w du` with `w = sigma * ratio` input samples, at the positions of
    `resampling_matrix`. Times `ratio`, the transpose is the adjoint for the measures of both grids.

    Args:
        n_in: number of input samples.
        n_out: number of output samples.
        ratio: output spacing over input spacing.
        sigma: standard deviation in output samples; from .8 on, the adjoint keeps constants to 1e-5, to 3e-3 where the
            output is finer than the input. Default 1.
        padding_mode: what lies beyond the border, see `fold_index`. Default "zeros".

    Returns:
        Shape `(n_out, n_in)`, read-only.

    Example:
        >>> matrix = smoothing_matrix(64, 33, 2.0)
        >>> rows, columns = matrix.sum(axis=1)[8:-8], 2 * matrix.sum(axis=0)[16:-16]
        >>> bool(abs(rows - 1).max() < 1e-5), bool(abs(columns - 1).max() < 1e-5)
        (True, True)
    """
    basis = HermiteBasis(0, 1)
    positions = _centred(n_in, n_out, ratio)
    matrix = operator_matrix(basis, sigma * ratio, np.arange(n_in), positions, padding_mode=padding_mode)
    matrix = matrix[0] / basis.means[0]
    matrix.flags.writeable = False
    return np.asarray(matrix)
