"""Taps are the continuous operator up to the error they declare; the design rules of DESIGN.md section 5 hold."""

from __future__ import annotations

from math import ceil, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import Taps, sample_taps
from scalegroup.symbolic import Basis, HermiteBasis, SymbolicBasis

BASIS = HermiteBasis(order=4, dim=1)
sigmas = st.floats(0.5, 4.0)
phases = st.sampled_from([0.0, 0.25, 0.5, 0.8])


def measured_error(basis: Basis, taps: Taps, band: float = pi / 2) -> np.ndarray:
    """The relative error on the band by a fine midpoint rule, with sums of taps written out."""
    w = (np.arange(4000) + 0.5) / 4000 * band
    target = basis.transfer(taps.sigma * w) * np.exp(1j * w * taps.phase)
    found = np.zeros_like(target)
    for i, m in enumerate(range(taps.first, taps.last + 1)):
        found += taps.values[:, i, None] * np.exp(1j * w * m)
    return np.linalg.norm(found - target, axis=1) / np.linalg.norm(target, axis=1)


@pytest.mark.parametrize(
    ("radius", "expected"),
    [
        (6, (3.8e-2, 2.3e-1, 1.2e-1)),  # 2 sigma, the published 5 taps at sigma 1: 4 to 23 %
        (9, (2.1e-3, 2.6e-2, 5.8e-2)),
        (12, (4.2e-5, 8.9e-4, 4.3e-3)),
        (14, (1.8e-6, 5.1e-5, 3.5e-4)),  # 4.5 sigma, the default
        (15, (3.2e-7, 1.0e-5, 8.4e-5)),
    ],
)
def test_truncation_table(radius: int, expected: tuple[float, ...]) -> None:
    """METHODS.md section 0.4, sigma 3, orders 0, 2 and 4, to its two digits."""
    taps = sample_taps(BASIS, 3.0, radius=radius, method="sampled")
    np.testing.assert_allclose(taps.error[::2], expected, rtol=0.04)


def test_default_support_is_that_of_the_table() -> None:
    assert sample_taps(BASIS, 3.0).last == 14


@pytest.mark.parametrize(("sigma", "low", "high"), [(0.729, 0.3, 1.0), (1.0, 1e-3, 4e-3), (1.5, 0.0, 1e-8)])
def test_aliasing_of_order_four(sigma: float, low: float, high: float) -> None:
    """With a support wide enough to leave no truncation."""
    assert low <= sample_taps(BASIS, sigma, support=8, method="sampled").error[4] <= high


def test_aliasing_of_order_zero() -> None:
    errors = [sample_taps(BASIS, s, support=8, method="sampled").error[0] for s in (0.7, 0.9, 1.0)]
    np.testing.assert_allclose(errors, [1.8e-3, 4.5e-5, 5.2e-6], rtol=0.05)


@given(sigmas, phases, st.sampled_from(["sampled", "fitted", "auto"]))
def test_declared_error_is_the_measured_one(sigma: float, phase: float, method: str) -> None:
    taps = sample_taps(BASIS, sigma, phase=phase, method=method)
    np.testing.assert_allclose(measured_error(BASIS, taps), taps.error, rtol=1e-3, atol=1e-12)
    assert taps.predicted_error == taps.error.max()


@given(sigmas, phases, st.floats(0, pi / 2))
def test_a_wave_is_filtered_by_the_transfer_function(sigma: float, phase: float, w: float) -> None:
    taps = sample_taps(BASIS, sigma, phase=phase)
    x = np.exp(1j * w * np.arange(taps.first, taps.last + 1))
    expected = BASIS.transfer(sigma * w) * np.exp(1j * w * phase)
    np.testing.assert_allclose(taps.values @ x, expected, atol=4e-3)
    np.testing.assert_allclose(taps.transfer(np.array([w]))[:, 0], taps.values @ x, atol=1e-12)


@given(sigmas, phases)
def test_sampled_taps_are_the_function(sigma: float, phase: float) -> None:
    taps = sample_taps(BASIS, sigma, phase=phase, method="sampled")
    radius = ceil(4.5 * sigma)
    assert (taps.first, taps.last) == (-radius, radius + (phase > 0))
    for i, m in enumerate(range(taps.first, taps.last + 1)):
        expected = BASIS.functions((m - phase) / sigma) / sigma
        np.testing.assert_allclose(taps.values[:, i], expected, rtol=1e-12, atol=1e-300)


@given(st.floats(0.5, 0.95), phases)
def test_fitted_is_better_where_sampling_aliases(sigma: float, phase: float) -> None:
    fitted = sample_taps(BASIS, sigma, phase=phase, method="fitted")
    sampled = sample_taps(BASIS, sigma, phase=phase, method="sampled")
    assert (fitted.error < 0.2 * sampled.error).all()
    assert sample_taps(BASIS, sigma, phase=phase) is fitted


@given(sigmas, phases)
def test_a_fit_amplifies_nothing_outside_the_band(sigma: float, phase: float) -> None:
    w = np.linspace(0, pi, 500)
    gain = np.abs(sample_taps(BASIS, sigma, phase=phase, method="fitted").transfer(w)).max(axis=1)
    assert (gain <= 1.15 * np.abs(BASIS.transfer(sigma * w)).max(axis=1)).all()


def test_fit_on_the_full_band() -> None:
    taps = sample_taps(BASIS, 1.0, band=pi, method="fitted")
    assert taps.predicted_error < sample_taps(BASIS, 1.0, band=pi, method="sampled").predicted_error


def test_auto_samples_where_that_is_good() -> None:
    assert sample_taps(HermiteBasis(2), 1.0).method == "sampled"
    assert sample_taps(HermiteBasis(4), 2.0).method == "sampled"
    assert sample_taps(HermiteBasis(4), 1.0).method == "fitted"


@given(sigmas, st.floats(0.01, 0.99), st.sampled_from(["sampled", "fitted"]))
def test_mirrored_phases_have_mirrored_taps(sigma: float, phase: float, method: str) -> None:
    left = sample_taps(BASIS, sigma, phase=phase, method=method).values
    right = sample_taps(BASIS, sigma, phase=1 - phase, method=method).values
    np.testing.assert_allclose(left, np.array(BASIS.parities)[:, None] * right[:, ::-1], atol=1e-9)


def test_normalisation_is_that_of_the_scale_law() -> None:
    """A factor other than 1/sigma would make the response to a constant depend on the scale."""
    sums = [sample_taps(BASIS, sigma).values[0].sum() for sigma in (1.0, 1.7, 3.1)]
    np.testing.assert_allclose(sums, BASIS.means[0], rtol=1e-5)


def test_symbolic_bases_have_taps_too() -> None:
    hermite = HermiteBasis(1, dim=1)
    same = SymbolicBasis(["exp(-x**2/2)", "x*exp(-x**2/2)"], dim=1)
    norms = hermite.functions(1.0) / same.functions(1.0)
    expected = sample_taps(hermite, 1.3).values
    np.testing.assert_allclose(norms[:, None] * sample_taps(same, 1.3).values, expected, atol=1e-12)
    kink = sample_taps(SymbolicBasis(["exp(-Abs(x))"], dim=1), 1.0, support=12, method="sampled")
    assert kink.predicted_error > 0.03  # sampling a kink aliases, and the taps say so


def test_cached_and_read_only() -> None:
    taps = sample_taps(HermiteBasis(2), 1.25)
    assert sample_taps(HermiteBasis(2), 1.25, support=4.5) is taps
    for array in (taps.values, taps.error):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0.0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"sigma": 0.0}, "a sigma > 0, in voxels, received 0.0"),
        ({"sigma": float("nan")}, "received nan"),
        ({"sigma": 1.0, "support": -1.0}, "a support > 0, in units of sigma, received -1.0"),
        ({"sigma": 1.0, "phase": 1.0}, r"a phase in \[0, 1\), received 1.0"),
        ({"sigma": 1.0, "method": "exact"}, "received 'exact'; 'auto' takes the better"),
        ({"sigma": 1.0, "band": 4.0}, r"a band in \(0, π\]"),
        ({"sigma": 1.0, "radius": -1}, "a radius ≥ 0, in voxels, received -1"),
    ],
)
def test_wrong_arguments(arguments: dict[str, float], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        sample_taps(BASIS, **arguments)  # type: ignore[arg-type]
