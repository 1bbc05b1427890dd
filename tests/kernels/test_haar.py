"""The grids of Haar sampling meet the same points at every stride; from one to another resampling is exact."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, pi
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import haar_grid, resampling_matrix, smoothing_matrix

Array = NDArray[np.float64]
BASES = st.sampled_from([2.0, 2**0.5, 1.25, 3.0, 1.7])
DIVISORS = st.sampled_from([1, 2, 3, 4, 6, 8, 16])


def centred(size: int, spacing: float) -> Array:
    return (np.arange(size) - (size - 1) / 2) * spacing


def strided(size: int, spacing: float, stride: int, odd: bool) -> Array:
    """Where a stride samples: around the centre as the layers here do, or from the corner as other networks do."""
    return centred(ceil(size / stride), stride * spacing) if odd else centred(size, spacing)[::stride]


def coincide(one: Array, two: Array, spacing: float) -> bool:
    """Whether two rows of points are one row, but for their ends."""
    offset = (one[0] - two[0]) / spacing
    return abs(offset - round(offset)) < 1e-6


# Sizes


@given(st.integers(1, 300), st.floats(0.2, 8), DIVISORS, st.booleans())
def test_sizes_cover_the_volume_and_are_equal_modulo_twice_the_divisor(
    n: int, ratio: float, divisor: int, odd: bool
) -> None:
    size, spacing = haar_grid(n, ratio, divisor, odd=odd)
    assert spacing == ratio
    assert size % (2 * divisor) == int(odd) % (2 * divisor)
    assert size * ratio >= n * (1 - 1e-6)
    smaller = size - 2 * divisor
    assert smaller < 1 or smaller * ratio < n + 1e-6


@given(st.integers(5, 300), st.integers(5, 300), BASES, st.integers(-3, 3), DIVISORS, st.booleans())
def test_at_every_stride_the_points_of_a_scale_are_those_of_the_one_before_it_dilated(
    n: int, n_dilated: int, base: float, k: int, divisor: int, odd: bool
) -> None:
    """Whatever the two volumes measure: the dilated one may be cut or padded."""
    size, spacing = haar_grid(n, base**k, divisor, odd=odd)
    size_next, spacing_next = haar_grid(n_dilated, base ** (k + 1), divisor, odd=odd)
    for stride in (q for q in range(1, divisor + 1) if divisor % q == 0):
        before = base * strided(size, spacing, stride, odd)
        after = strided(size_next, spacing_next, stride, odd)
        assert coincide(before, after, stride * spacing_next)


@given(st.integers(20, 300), BASES, DIVISORS, st.booleans(), st.data())
def test_strides_may_follow_one_another(n: int, base: float, divisor: int, odd: bool, data: st.DataObject) -> None:
    """After each of them sizes are equal modulo twice what is left of the divisor."""
    sizes = [haar_grid(n, base**k, divisor, odd=odd)[0] for k in range(3)]
    left = divisor
    while left > 1:
        stride = data.draw(st.sampled_from([q for q in range(2, left + 1) if left % q == 0]))
        sizes, left = [ceil(size / stride) for size in sizes], left // stride
        assert len({size % (2 * left) for size in sizes}) == 1


@given(st.integers(20, 200), BASES, st.sampled_from([2, 4, 8]), st.booleans())
def test_a_smaller_divisor_would_not_do(n: int, base: float, stride: int, odd: bool) -> None:
    """The negative twin: wherever sizes differ by less than twice the stride, its points lie elsewhere."""
    size, spacing = haar_grid(n, 1.0, stride // 2, odd=odd)
    size_next, spacing_next = haar_grid(n, base, stride // 2, odd=odd)
    assume((size - size_next) % (2 * stride))
    before = base * strided(size, spacing, stride, odd)
    assert not coincide(before, strided(size_next, spacing_next, stride, odd), stride * spacing_next)


@given(st.integers(1, 300), st.floats(0.2, 4), DIVISORS)
def test_periodic_grids_tile_the_volume(n: int, ratio: float, divisor: int) -> None:
    size, spacing = haar_grid(n, ratio, divisor, periodic=True)
    assert size % divisor == 0
    assert size * spacing == pytest.approx(n)
    assert abs(size - n / ratio) <= max(divisor / 2, divisor - n / ratio) + 1e-9


def test_the_sum_of_all_grids_is_little_more_than_the_finest() -> None:
    """What Haar sampling is for: S scales of base √2 in 3-D cost 1.55 times one, not S times."""
    sizes = [haar_grid(129, 2 ** (k / 2))[0] for k in range(8)]
    assert sum(n**3 for n in sizes) / sizes[0] ** 3 == pytest.approx(1 / (1 - 2**-1.5), rel=0.05)


def test_rounding_makes_no_grid_larger() -> None:
    for n in range(3, 200, 2):
        assert haar_grid(n, (2**0.5) ** 2 / 2)[0] == n
        assert haar_grid(n, 1 - 1e-12)[0] == n


@pytest.mark.parametrize(
    "arguments", [(0, 1.0), (9, 0.0), (9, -1.0), (9, float("inf")), (9, float("nan")), (9, 1.0, 0)]
)
def test_wrong_grids(arguments: Any) -> None:
    with pytest.raises(ScaleGroupError, match="n_in ≥ 1, divisor ≥ 1 and a ratio > 0, received"):
        haar_grid(*arguments)


# Between grids


def wave(positions: Array, w: float, phase: float) -> Array:
    return np.cos(w * positions + phase)


RATIOS = st.floats(0.25, 4)


@given(st.integers(40, 90), RATIOS, st.floats(0, 2 * pi / 3), st.floats(0, 2 * pi))
def test_waves_that_both_grids_hold_are_resampled(n: int, ratio: float, w: float, phase: float) -> None:
    """`w` in radians per sample of the coarser grid."""
    m, coarse = ceil(n / ratio), max(1.0, ratio)
    y = resampling_matrix(n, m, ratio) @ wave(centred(n, 1), w / coarse, phase)
    wanted = wave(centred(m, ratio), w / coarse, phase)
    inside = abs(centred(m, ratio)) < n / 2 - 8 * coarse - 1
    np.testing.assert_allclose(y[inside], wanted[inside], atol=3e-4)


@given(st.sampled_from([2.0, 2**0.5, 3.0]), st.floats(4 * pi / 3 + 0.05, 1.9 * pi), st.floats(0, 2 * pi))
def test_waves_that_would_alias_onto_the_band_are_removed(ratio: float, w: float, phase: float) -> None:
    assume(w / ratio < pi)
    y = resampling_matrix(120, 41, ratio) @ wave(centred(120, 1), w / ratio, phase)
    inside = abs(centred(41, ratio)) < 60 - 8 * ratio - 1
    assert np.abs(y[inside]).max() < 3e-4
    assert np.abs(wave(centred(41, ratio), w / ratio, phase)[inside]).max() > 0.2  # what picking samples would give


@given(st.integers(1, 50), st.integers(1, 60), RATIOS, st.sampled_from(["replicate", "reflect"]))
def test_constants_stay_constants(n: int, m: int, ratio: float, padding_mode: Any) -> None:
    np.testing.assert_allclose(resampling_matrix(n, m, ratio, padding_mode).sum(axis=1), 1.0, atol=1e-12)


@given(st.integers(30, 60), st.floats(0.3, 3))
def test_there_and_back_is_the_adjoint(n: int, ratio: float) -> None:
    """Up to the border and the normalisation of the rows."""
    m = ceil(n / ratio)
    there, back = (resampling_matrix(n, m, ratio, "zeros"), resampling_matrix(m, n, 1 / ratio, "zeros"))
    np.testing.assert_allclose(there.T * ratio, back, atol=2e-4)


def test_a_grid_on_itself_is_the_identity() -> None:
    np.testing.assert_allclose(resampling_matrix(20, 20, 1.0), np.eye(20), atol=1e-15)
    np.testing.assert_allclose(resampling_matrix(20, 22, 1.0, "zeros")[1:-1], np.eye(20), atol=1e-15)


@given(st.integers(10, 30), st.sampled_from([2, 3]))
def test_a_finer_grid_keeps_the_samples_it_shares(n: int, factor: int) -> None:
    m = factor * (n - 1) + 1
    np.testing.assert_allclose(resampling_matrix(n, m, 1 / factor)[::factor], np.eye(n), atol=1e-12)


def test_circular_grids_resample_what_is_periodic() -> None:
    n, m, w = 72, 51, 2 * pi * 12 / 72
    y = resampling_matrix(n, m, n / m, "circular") @ wave(centred(n, 1), w, 0.3)
    np.testing.assert_allclose(y, wave(centred(m, n / m), w, 0.3), atol=1e-4)


@pytest.mark.parametrize("arguments", [(0, 5, 1.0), (5, 0, 1.0), (5, 5, 0.0), (5, 5, -2.0), (5, 5, float("nan"))])
def test_wrong_matrices(arguments: Any) -> None:
    with pytest.raises(ScaleGroupError, match="sizes ≥ 1 and a ratio > 0, received"):
        resampling_matrix(*arguments)


@pytest.mark.parametrize("make", [resampling_matrix, smoothing_matrix])
def test_matrices_are_shared_and_cannot_be_changed(make: Any) -> None:
    matrix = make(9, 5, 2.0)
    assert matrix is make(9, 5, 2.0)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


@pytest.mark.parametrize("ratio", [0.5, 2**-0.5, 1.0, 2**0.5, 2.0, 4.0])
@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_smoothing_widens_gaussians(ratio: float, sigma: float) -> None:
    n, m, width = 161, 2 * ceil(40 / ratio) + 1, 4.0
    y = smoothing_matrix(n, m, ratio, sigma) @ np.exp(-0.5 * (centred(n, 1) / width) ** 2)
    wide = np.hypot(width, sigma * ratio)
    wanted = width / wide * np.exp(-0.5 * (centred(m, ratio) / wide) ** 2)
    np.testing.assert_allclose(y, wanted, atol=2e-5 if ratio * sigma >= 1 else 2e-3)


def test_smoothing_is_no_interpolation() -> None:
    x = np.cos(1.5 * centred(81, 1))
    smooth, sharp = (make(81, 21, 2.0) @ x for make in (smoothing_matrix, resampling_matrix))
    assert np.abs(smooth[5:-5]).max() < 0.02
    assert np.abs(sharp[5:-5]).max() > 0.1


def test_smoothing_of_one_scale_is_that_of_another_on_a_dilated_volume() -> None:
    """The matrix of scale 2 reads twice as many samples at half the distance: in the limit, the same integral."""
    positions = [(centred(n, 1), s) for n, s in ((41, 2.0), (81, 4.0), (161, 8.0))]
    y = [smoothing_matrix(len(p), 21, s) @ np.exp(-0.5 * ((p / s - 0.7) / 1.2) ** 2) for p, s in positions]
    for one, two in pairwise(y):
        np.testing.assert_allclose(one, two, atol=1e-5)
