"""Fourier-Bessel functions: against closed forms, orthonormal, eigenfunctions, closed under rotation."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import FourierBesselBasis
from scalegroup.symbolic.fourier_bessel import bessel
from scalegroup.symbolic.harmonics import harmonics

Array = NDArray[np.float64]

GRID = {1: 4000, 2: 400, 3: 64}  # points along each axis of the ball's cube, on which integrals are sums


def cube(dim: int, radius: float = 1.0) -> tuple[Array, float]:
    count = GRID[dim]
    axis = radius * ((2 * np.arange(count) + 1) / count - 1)
    return np.stack(np.meshgrid(*[axis] * dim, indexing="ij")), (2 * radius / count) ** dim


def test_radial_functions_have_their_closed_forms() -> None:
    x = np.linspace(0.1, 60, 500)
    cases = {
        (1, 0): np.cos(x),
        (1, 1): np.sin(x),
        (3, 0): np.sin(x) / x,
        (3, 1): np.sin(x) / x**2 - np.cos(x) / x,
        (3, 2): (3 / x**2 - 1) * np.sin(x) / x - 3 * np.cos(x) / x**2,
    }
    for (dim, degree), exact in cases.items():
        np.testing.assert_allclose(bessel(dim, degree, x), exact, atol=1e-13)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("degree", [1, 2, 7])
def test_radial_functions_obey_their_recurrence(dim: int, degree: int) -> None:
    x = np.linspace(0.5, 40, 300)
    around = bessel(dim, degree - 1, x) + bessel(dim, degree + 1, x)
    middle = bessel(dim, degree, x) / x
    np.testing.assert_allclose(around, (2 * degree + dim - 2) * middle, atol=1e-12)
    assert np.abs(around - (2 * degree + dim - 1) * middle).max() > 1e-3


def test_frequencies_are_the_tabulated_zeros() -> None:
    # Abramowitz & Stegun, tables 9.5 and 10.6
    bessels = {0: [2.4048255577, 5.5200781103], 1: [3.8317059702, 7.0155866698], 2: [5.1356223018], 3: [6.3801618959]}
    flat = sorted(zero for degree, zeros in bessels.items() for zero in zeros for _ in range(2 if degree else 1))
    np.testing.assert_allclose(FourierBesselBasis(2, max_frequency=7.1).frequencies, flat, atol=1e-9)
    solid = [math.pi, *[4.4934094579] * 3, *[5.7634591969] * 5, 2 * math.pi]
    np.testing.assert_allclose(FourierBesselBasis(3, max_frequency=6.3).frequencies, solid, atol=1e-9)
    line = [math.pi / 2 * n for n in range(1, 8)]
    np.testing.assert_allclose(FourierBesselBasis(1, max_frequency=11.1).frequencies, line, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_functions_are_orthonormal(dim: int, radius: float) -> None:
    basis = FourierBesselBasis(dim, radius, max_frequency=7.5)
    points, volume = cube(dim, radius)
    values = basis.functions(points).reshape(len(basis), -1)
    np.testing.assert_allclose(values @ values.T * volume, np.eye(len(basis)), atol=1e-3)
    stretched = FourierBesselBasis(dim, 1.5 * radius, max_frequency=7.5).functions(points).reshape(len(basis), -1)
    assert np.abs(stretched @ stretched.T * volume - np.eye(len(basis))).max() > 1e-2


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_functions_are_eigenfunctions_of_the_laplacian(dim: int) -> None:
    basis = FourierBesselBasis(dim, radius=2.0, max_frequency=7.5)
    rng = np.random.default_rng(0)
    points = rng.uniform(-1.8, 1.8, (dim, 400)) / math.sqrt(dim)
    step = 1e-3
    laplacian = np.zeros((len(basis), 400))
    for axis in range(dim):
        shift = np.zeros((dim, 1))
        shift[axis] = step
        triple = [basis.functions(points + k * shift) for k in (-1, 0, 1)]
        laplacian += (triple[0] - 2 * triple[1] + triple[2]) / step**2
    eigenvalues = -((np.array(basis.frequencies) / 2.0) ** 2)
    expected = eigenvalues[:, None] * basis.functions(points)
    np.testing.assert_allclose(laplacian, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_functions_vanish_at_the_edge_and_beyond(dim: int) -> None:
    basis = FourierBesselBasis(dim, radius=2.0)
    assert basis.support == 2.0
    directions = np.random.default_rng(0).standard_normal((dim, 50))
    directions /= np.sqrt((directions**2).sum(axis=0))
    assert not basis.functions(2.0 * (1 + 1e-12) * directions).any()
    assert np.abs(basis.functions(2.0 * (1 - 1e-9) * directions)).max() < 1e-7
    assert np.abs(basis.functions(1.9 * directions)).max() > 1e-2


@pytest.mark.parametrize("max_frequency", [2.5, 4.6, 6.3])
def test_the_space_is_closed_under_rotation(max_frequency: float) -> None:
    for dim in (2, 3):
        if max_frequency < (2.405, math.pi)[dim - 2]:
            continue
        basis = FourierBesselBasis(dim, max_frequency=max_frequency)
        rng = np.random.default_rng(1)
        rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        points = rng.uniform(-0.7, 0.7, (dim, 500))
        functions, turned = basis.functions(points), basis.functions(rotation @ points)
        matrix, *_ = np.linalg.lstsq(functions.T, turned.T, rcond=None)
        np.testing.assert_allclose(matrix.T @ functions, turned, atol=1e-10)
        if len(basis) > 3:  # without its last function it is not, unless that is alone of its frequency
            fewer = (
                functions[:-1]
                if basis.frequencies[-2] == basis.frequencies[-1]
                else functions[[0, *range(2, len(basis))]]
            )
            rest, *_ = np.linalg.lstsq(fewer.T, turned.T, rcond=None)
            assert np.abs(rest.T @ fewer - turned).max() > 1e-3


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_harmonics_are_orthonormal_on_the_sphere(dim: int) -> None:
    if dim == 1:
        units, weights = np.array([[-1.0, 1.0]]), np.ones(2)
    elif dim == 2:
        angles = 2 * np.pi * np.arange(64) / 64
        units, weights = np.stack([np.cos(angles), np.sin(angles)]), np.full(64, 2 * np.pi / 64)
    else:
        rule: Any = np.polynomial.legendre.leggauss
        heights, shares = rule(16)
        angles = 2 * np.pi * np.arange(32) / 32
        radius = np.sqrt(1 - heights**2)
        grid = [radius[:, None] * np.cos(angles), radius[:, None] * np.sin(angles), heights[:, None] + 0 * angles]
        units, weights = np.stack(grid).reshape(3, -1), np.repeat(shares * 2 * np.pi / 32, 32)
    values = np.concatenate([harmonics(dim, degree, units) for degree in range(6)])
    assert len(values) == {1: 2, 2: 11, 3: 36}[dim]
    np.testing.assert_allclose(values * weights @ values.T, np.eye(len(values)), atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_solid_harmonics_are_homogeneous_and_harmonic(dim: int) -> None:
    points = np.random.default_rng(2).standard_normal((dim, 20))
    for degree in range(5):
        values = harmonics(dim, degree, points)
        np.testing.assert_allclose(harmonics(dim, degree, 2 * points), 2**degree * values, rtol=1e-12, atol=1e-12)
        assert harmonics(dim, degree, np.zeros((dim, 1))).any() == (degree == 0)
        step, laplacian = 1e-2, np.zeros_like(values)
        for axis in range(dim):
            shift = np.zeros((dim, 1))
            shift[axis] = step
            there, back = harmonics(dim, degree, points + shift), harmonics(dim, degree, points - shift)
            laplacian += (there - 2 * values + back) / step**2
        # of a polynomial of degree 4 the difference quotient is off by step²/12 times its fourth derivatives
        assert np.abs(laplacian).max(initial=0) < 1e-2 * max(1.0, np.abs(values).max(initial=0))


def test_it_is_a_value() -> None:
    basis = FourierBesselBasis(dim=2, radius=1.5, max_frequency=5.0)
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (2, 9))
    for twin in (eval(repr(basis)), copy.deepcopy(basis), pickle.loads(pickle.dumps(basis))):
        assert twin == basis
        assert hash(twin) == hash(basis)
        assert np.array_equal(twin.functions(points), basis.functions(points))
    assert basis != FourierBesselBasis(dim=2, radius=1.5, max_frequency=5.2)
    with pytest.raises(AttributeError):
        basis.radius = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_mean_of_the_samples_does_not_depend_on_the_width(dim: int) -> None:
    basis = FourierBesselBasis(dim)
    means = [basis.sample([width] * dim, [0.0] * dim).sum(axis=tuple(range(1, dim + 1))) for width in (8.0, 11.3)]
    np.testing.assert_allclose(means[0], means[1], atol=2e-2)
    np.testing.assert_allclose(means[0], basis.means, atol=2e-2)
    assert np.abs(means[0] * 8.0 - means[1] * 11.3).max() > 0.1  # without the factor sigma^-d


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dim": 4}, "dim 1, 2 or 3, received 4"),
        ({"radius": 0.0}, "radius, a finite number > 0, received 0.0"),
        ({"radius": "1"}, "radius, a finite number > 0, received '1'"),
        ({"max_frequency": 2.0}, "above the lowest zero, received 2.0"),
        ({"max_frequency": math.inf}, "above the lowest zero, received inf"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        FourierBesselBasis(**arguments)
