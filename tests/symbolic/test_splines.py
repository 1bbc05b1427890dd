"""Splines: exact values, partition of unity, their accuracy on a grid, resized kernels, splines over the scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import sample_taps
from scalegroup.symbolic import Basis, ResizedBasis, SplineBasis, b_spline, scale_splines
from scalegroup.testing import BasisContract


class TestSplines(BasisContract):
    def make_basis(self) -> Basis:
        return SplineBasis(degree=3, size=5, dim=2)


class TestSplinesOfEvenSize(BasisContract):
    def make_basis(self) -> Basis:
        return SplineBasis(degree=2, size=4, knot=0.5, dim=1)


class TestAtrousSplines(BasisContract):
    def make_basis(self) -> Basis:
        return SplineBasis(degree=3, size=3, knot=2.0, dim=3, spread=4.0)


class TestLinear(BasisContract):
    def make_basis(self) -> Basis:
        return ResizedBasis(kernel_size=5, dim=2)


class TestCubic(BasisContract):
    def make_basis(self) -> Basis:
        return ResizedBasis(kernel_size=3, interpolation="cubic", dim=1)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_values_are_exact(degree: int) -> None:
    x = sympy.Symbol("x")
    exact = sympy.bspline_basis(degree, tuple(range(degree + 2)), 0, x)
    points = [sympy.Rational(k, 8) for k in range(1, 8 * (degree + 1), 3)]
    expected = [float(exact.subs(x, point)) for point in points]
    values = b_spline(degree, [float(point) - (degree + 1) / 2 for point in points])
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-15)
    assert abs(b_spline(degree + 1, 0.25) - b_spline(degree, 0.25)) > 1e-3


@given(st.integers(1, 7), st.floats(-10, 10))
def test_splines_are_even_positive_and_end(degree: int, t: float) -> None:
    value = float(b_spline(degree, t))
    assert value == float(b_spline(degree, -t)) >= 0
    assert (value > 1e-300) <= (abs(t) < (degree + 1) / 2)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_partition_of_unity(degree: int) -> None:
    basis = SplineBasis(degree, size=9, knot=0.5, dim=1)
    inside = np.linspace(-1, 1, 101) * (basis.support - 0.5 * degree - 0.5)
    np.testing.assert_allclose(basis.functions(inside).sum(axis=0) * basis.knot, 1.0, atol=1e-12)
    gaps = SplineBasis(degree, size=9, knot=0.5, dim=1, spread=1.5).functions(inside).sum(axis=0)
    assert np.ptp(gaps) > 1e-3 * gaps.max()


@pytest.mark.parametrize(("degree", "knot", "tolerance"), [(2, 1.0, 0.03), (3, 1.0, 0.006), (3, 2.0, 1e-3)])
def test_sampled_splines_on_a_grid(degree: int, knot: float, tolerance: float) -> None:
    """METHODS.md section 8: the distance of sampled splines to the continuous ones, at a width of 1.5 voxels."""
    basis = SplineBasis(degree, 5, knot, dim=1)
    assert sample_taps(basis, 1.5, basis.support, method="sampled").predicted_error < tolerance
    smaller = SplineBasis(degree - 1, 5, knot, dim=1)
    assert sample_taps(smaller, 1.5, smaller.support, method="sampled").predicted_error > tolerance


@pytest.mark.parametrize("degree", [2, 3])
def test_fitted_splines_on_a_grid(degree: int) -> None:
    """The library fits where sampling aliases, and then one voxel for each knot is enough."""
    basis = SplineBasis(degree, 5, dim=1)
    fitted = sample_taps(basis, 1.0, basis.support)
    assert fitted.method == "fitted"
    sampled = sample_taps(basis, 1.0, basis.support, method="sampled")
    assert fitted.predicted_error < 1e-4 < sampled.predicted_error / 30


def test_atrous_splines_do_not_overlap() -> None:
    apart, dense = SplineBasis(3, 3, dim=1, spread=4.0), SplineBasis(3, 3, dim=1)
    points = np.linspace(-apart.support, apart.support, 999)
    assert ((apart.functions(points) > 0).sum(axis=0) <= 1).all()
    assert ((dense.functions(points) > 0).sum(axis=0) > 1).any()


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_the_taps_of_scale_one_are_the_numbers(interpolation: Any, kernel_size: int) -> None:
    basis = ResizedBasis(kernel_size, interpolation, dim=1)
    taps = sample_taps(basis, 1.0)
    middle = taps.values[:, -taps.first - kernel_size // 2 :][:, :kernel_size]
    np.testing.assert_array_equal(middle, np.eye(kernel_size))
    assert np.abs(taps.values).sum() == kernel_size
    assert taps.method == "own"


@pytest.mark.parametrize("phase", [0.0, 0.5])
def test_resizing_keeps_the_volume_at_whole_factors(phase: float) -> None:
    for interpolation in ("linear", "cubic"):
        for factor in (1.0, 2.0, 3.0):
            values, first = ResizedBasis(3, interpolation, dim=1).taps(factor, phase)  # type: ignore[arg-type]
            np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-12)
            assert values.shape[1] == -2 * first + 1 + (phase > 0)
    assert abs(ResizedBasis(3, "linear", dim=1).taps(1.4, phase)[0].sum(axis=1) - 1).max() > 1e-3  # not at others


def test_cubic_reproduces_parabolas() -> None:
    points = np.linspace(-1, 1, 21)
    for interpolation, error in (("cubic", 1e-12), ("linear", 1.0)):
        basis = ResizedBasis(7, interpolation, dim=1)  # type: ignore[arg-type]
        parabola = np.arange(-3.0, 4.0) ** 2
        miss = abs(parabola @ basis.functions(points) - points**2).max()
        assert miss < error
        assert (miss > 0.2) == (interpolation == "linear")


@given(st.integers(2, 5), st.integers(1, 4), st.sampled_from([1.2, 2**0.5, 2.0]))
def test_splines_over_the_scales_are_a_quadrature(size: int, degree: int, base: float) -> None:
    """A finer base over the same range gives the same integrals of a smooth function of the scale."""
    extent = 9
    for refinement, tolerance in ((2, 2e-2), (4, 2e-2)):
        coarse = scale_splines(extent, base, size, degree)
        fine = scale_splines((extent - 1) * refinement + 1, base ** (1 / refinement), size, degree)
        f = [np.cos(np.linspace(0, 2, matrix.shape[1])) for matrix in (coarse, fine)]
        np.testing.assert_allclose(coarse @ f[0], fine @ f[1], atol=tolerance * np.abs(fine).sum(axis=1).max())
        without_measure = coarse / np.log(base) @ f[0] - fine * refinement / np.log(base) @ f[1]
        assert np.abs(without_measure).max() > tolerance * np.abs(fine).sum(axis=1).max()


def test_wrong_arguments() -> None:
    with pytest.raises(ScaleGroupError, match="degree to be an integer ≥ 1, received 0"):
        SplineBasis(degree=0)
    with pytest.raises(ScaleGroupError, match="size to be an integer ≥ 1, received True"):
        SplineBasis(size=True)
    with pytest.raises(ScaleGroupError, match="knot to be a positive number, received -1"):
        SplineBasis(knot=-1)
    with pytest.raises(ScaleGroupError, match="dim to be an integer ≥ 1"):
        ResizedBasis(dim=0)
    with pytest.raises(ScaleGroupError, match="an odd kernel_size, received 4"):
        ResizedBasis(4)
    with pytest.raises(ScaleGroupError, match="interpolation 'linear' or 'cubic', received 'nearest'"):
        ResizedBasis(3, "nearest")  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match="extent to be an integer ≥ 2, received 1; one scale has no neighbours"):
        scale_splines(1, 2.0, 2)
    with pytest.raises(ScaleGroupError, match="a base > 1"):
        scale_splines(3, 1.0, 2)
