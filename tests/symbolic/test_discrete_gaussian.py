"""The discrete Gaussian and its derivatives: exact values, semigroup, spectrum, distance to the continuous ones."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import sample_taps
from scalegroup.kernels.taps import waves
from scalegroup.symbolic import Basis, DiscreteGaussianBasis, HermiteBasis, discrete_gaussian
from scalegroup.symbolic.hermite import hermite_table
from scalegroup.testing import BasisContract


class TestContract(BasisContract):
    def make_basis(self) -> Basis:
        return DiscreteGaussianBasis(order=2, dim=3)


class TestOrderOne(BasisContract):
    def make_basis(self) -> Basis:
        return DiscreteGaussianBasis(order=1, dim=1)


@pytest.mark.parametrize("variance", [0.0, 0.3, 1.0, 4.5, 60.0])
def test_values_are_exact(variance: float) -> None:
    expected = [float(mpmath.exp(-variance) * mpmath.besseli(n, variance)) for n in range(-9, 10)]
    np.testing.assert_allclose(discrete_gaussian(variance, 9), expected, rtol=0, atol=3e-16)


@given(st.floats(0.05, 12.0), st.floats(0.05, 12.0))
def test_semigroup(one: float, other: float) -> None:
    reach = 60
    together = np.convolve(discrete_gaussian(one, reach), discrete_gaussian(other, reach), "same")
    np.testing.assert_allclose(together, discrete_gaussian(one + other, reach), rtol=0, atol=1e-15)


def test_sampled_gaussians_are_no_semigroup() -> None:
    x = np.arange(-60, 61)
    gauss = {t: np.exp(-(x**2) / (2 * t)) / np.sqrt(2 * np.pi * t) for t in (0.25, 0.5)}
    assert np.abs(np.convolve(gauss[0.25], gauss[0.25], "same") - gauss[0.5]).max() > 1e-3


@pytest.mark.parametrize(("phase", "fine"), [(0.0, 1), (0.5, 2)])
@pytest.mark.parametrize("sigma", [0.8, 1.0, 2.5])
def test_spectrum_of_the_taps(sigma: float, phase: float, fine: int) -> None:
    """`e^{-(fine σ)² (1 - cos(w / fine))}` times `iσ sin w` and `-2 σ² (1 - cos w)`, and the constants of the norm.

    On the finer grid every second tap is kept, which adds the spectrum one period away; and what lies beyond 4.5 widths
    is left out.
    """
    values, first = DiscreteGaussianBasis(2, dim=1).taps(sigma, phase)
    w = np.linspace(0, np.pi / 2, 33)
    smooth = np.exp(-((fine * sigma) ** 2) * (1 - np.cos(w / fine)))
    if fine == 2:
        smooth = smooth - np.exp(-((fine * sigma) ** 2) * (1 - np.cos(w / fine + np.pi)))
    stencils = np.array([np.ones_like(w), 1j * sigma * np.sin(w), -2 * sigma**2 * (1 - np.cos(w))])
    expected = np.sqrt(2 * np.pi) * hermite_table(2).norms[:, None] * stencils * smooth * np.exp(1j * w * phase)
    spectrum = values @ waves(w, first, values.shape[1])
    np.testing.assert_allclose(spectrum, expected, rtol=0, atol=1e-3)
    assert np.abs(spectrum - expected * np.exp(1j * w)).max() > 0.1  # one voxel beside


def test_derivatives_commute_with_smoothing() -> None:
    values, _ = DiscreteGaussianBasis(2, dim=1).taps(1.5, 0.0)
    more = discrete_gaussian(1.0, 30)
    wider, _ = DiscreteGaussianBasis(2, dim=1).taps(float(np.sqrt(1.5**2 + 1)), 0.0)
    for order in (0, 1, 2):
        smoothed = np.convolve(np.pad(values[order], 40), more, "same") / 1.5**order
        pad = (len(smoothed) - wider.shape[1]) // 2
        expected = np.pad(wider[order], pad) / 3.25 ** (order / 2)
        np.testing.assert_allclose(smoothed, expected, atol=1e-4)  # both are cut at 4.5 widths
        sampled = np.pad(HermiteBasis(2, dim=1).functions(np.arange(-9, 10) / 3.25**0.5)[order], 38) / 3.25**0.5
        assert np.abs(smoothed - sampled / 3.25 ** (order / 2)).max() > 1e-3


@pytest.mark.parametrize("phase", [0.0, 0.5])
def test_the_taps_become_those_of_the_continuous_functions(phase: float) -> None:
    coarse, fine = (sample_taps(DiscreteGaussianBasis(2, dim=1), sigma, phase=phase).error for sigma in (3.0, 12.0))
    np.testing.assert_allclose(coarse / fine, 16, rtol=0.2)  # of second order in the distance of the voxels
    taps = sample_taps(DiscreteGaussianBasis(2, dim=1), 16.0, phase=phase)
    continuous = sample_taps(HermiteBasis(2, dim=1), 16.0, phase=phase)
    assert taps.method == "own"
    np.testing.assert_allclose(taps.values, continuous.values, atol=2e-3 * np.abs(continuous.values).max())


def test_sampled_derivatives_are_nearer_to_the_continuous_ones() -> None:
    """METHODS.md section 11: from a width of 1 on."""
    for sigma in (1.0, 1.5, 3.0):
        discrete, sampled = (sample_taps(kind(2, dim=1), sigma) for kind in (DiscreteGaussianBasis, HermiteBasis))
        assert discrete.predicted_error > 10 * sampled.predicted_error


def test_products_are_those_of_hermite() -> None:
    assert DiscreteGaussianBasis(2, 3).products == HermiteBasis(2, 3).products
    assert len(DiscreteGaussianBasis(2, 3)) == 10
    assert DiscreteGaussianBasis(0, 1).taps(1.0, 0.0)[0].shape == (1, 11)


def test_wrong_arguments() -> None:
    with pytest.raises(ScaleGroupError, match="order 0, 1 or 2, received 3; HermiteBasis samples"):
        DiscreteGaussianBasis(3)
    with pytest.raises(ScaleGroupError, match="order 0, 1 or 2, received True"):
        DiscreteGaussianBasis(True)
    with pytest.raises(ScaleGroupError, match="dim to be an integer ≥ 1"):
        DiscreteGaussianBasis(2, 0)
    with pytest.raises(ScaleGroupError, match=r"a phase of 0 or 1/2, received 0\.3"):
        DiscreteGaussianBasis().taps(1.0, 0.3)
    with pytest.raises(ScaleGroupError, match="a variance ≥ 0 and a reach ≥ 0"):
        discrete_gaussian(-1.0, 3)
