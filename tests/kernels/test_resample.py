"""Windowed-sinc resampling: unit gain below, silence above, and the error it declares."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import interpolation_matrix, interpolation_taps, output_positions, taps_matrix

BAND = 2 * pi / 3


@given(st.integers(1, 4), st.floats(0, 0.99), st.integers(4, 12))
def test_constants_are_kept(factor: int, phase: float, halfwidth: int) -> None:
    taps = interpolation_taps(factor, phase, halfwidth)
    assert taps.values.shape == (1, 2 * factor * halfwidth + 1 + (phase > 0))
    assert taps.values.sum() == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize(("factor", "phase"), [(1, 0.25), (2, 0.0), (2, 0.5), (3, 0.0), (4, 0.5)])
def test_pass_band_and_stop_band(factor: int, phase: float) -> None:
    taps = interpolation_taps(factor, phase)
    passed = np.linspace(0, BAND / factor, 400)
    np.testing.assert_allclose(taps.transfer(passed)[0], np.exp(1j * passed * phase), atol=2e-4)
    stopped = np.linspace((2 * pi - BAND) / factor, pi, 400)
    if factor > 1:
        assert np.abs(taps.transfer(stopped)).max() < 1e-4
    assert 1e-5 < taps.predicted_error < 1e-4


def test_the_window_grows_with_the_halfwidth() -> None:
    errors = [interpolation_taps(2, 0.5, halfwidth).predicted_error for halfwidth in (4, 8, 12, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-7
    assert interpolation_taps(2, 0.5, band=pi / 2).predicted_error < 2e-6


def test_declared_error_is_the_measured_one() -> None:
    """White content on the band of the coarse grid, and on the alias that folds onto it."""
    taps = interpolation_taps(2, 0.5)
    w = (np.arange(2000) + 0.5) / 2000 * BAND
    miss = np.abs(taps.transfer(w / 2)[0] - np.exp(0.25j * w)) ** 2
    alias = np.abs(taps.transfer(w / 2 + pi)[0]) ** 2
    assert taps.predicted_error == pytest.approx(np.sqrt((miss + alias).mean()), rel=1e-3)


def band_limited(n: int, w_max: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies, amplitudes and phases of a sum of waves."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, w_max, n), rng.standard_normal(n), rng.uniform(0, 2 * pi, n)


def evaluate(waves: tuple[np.ndarray, np.ndarray, np.ndarray], x: np.ndarray) -> np.ndarray:
    w, amplitude, phase = waves
    return np.cos(np.outer(x, w) + phase) @ amplitude


@given(st.lists(st.floats(20, 43), min_size=1, max_size=8), st.integers(0, 10))
def test_interpolation_between_samples(points: list[float], seed: int) -> None:
    waves = band_limited(12, BAND, seed)
    where = np.array(points)
    matrix = interpolation_matrix(np.arange(64.0), where)
    np.testing.assert_allclose(matrix @ evaluate(waves, np.arange(64.0)), evaluate(waves, where), atol=2e-6)


def test_linear_interpolation_would_not_do() -> None:
    waves, where = band_limited(12, BAND), np.linspace(20, 43, 50)
    linear = np.interp(where, np.arange(64.0), evaluate(waves, np.arange(64.0)))
    assert np.abs(linear - evaluate(waves, where)).max() > 0.5


def test_samples_are_kept() -> None:
    matrix = interpolation_matrix(np.arange(9) * 0.5, np.arange(9) * 0.5)
    np.testing.assert_allclose(matrix, np.eye(9), atol=1e-16)


@pytest.mark.parametrize("n", [64, 65])
def test_up_and_down_again(n: int) -> None:
    x = evaluate(band_limited(8, BAND), np.arange(float(n)))
    up = taps_matrix(lambda phase: interpolation_taps(1, phase), np.arange(2 * n) / 2 - 0.25, n)[0]
    down = taps_matrix(lambda phase: interpolation_taps(2, phase), output_positions(2 * n, n, 2), 2 * n)[0]
    inside = slice(18, n - 18)
    np.testing.assert_allclose((down @ up @ x)[inside], x[inside], atol=1e-3)
    nearest = np.repeat(x, 2).reshape(n, 2).mean(axis=1)
    assert np.allclose(nearest, x), "the grids are centred on each other"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: interpolation_taps(0), r"integers factor ≥ 1 and halfwidth ≥ 1, received \(0, 8\)"),
        (lambda: interpolation_taps(1.5), r"received \(1.5, 8\); use operator_matrix"),
        (lambda: interpolation_taps(1, 1.0), r"a phase in \[0, 1\), received 1.0"),
        (lambda: interpolation_taps(2, band=pi), r"a band in \(0, π\)"),
        (lambda: interpolation_matrix([0.0, 1.0, 3.0], [1.0]), "equally spaced positions, received"),
        (lambda: interpolation_matrix([0.0], [1.0]), "at least two"),
    ],
)
def test_wrong_arguments(call: object, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        call()  # type: ignore[operator]
