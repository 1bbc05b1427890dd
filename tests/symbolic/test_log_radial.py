"""Log-radial harmonics: scaling is a phase, the law of the factor, directions, and the error of sampling them."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import LogRadialBasis

Array = NDArray[np.float64]


def ring(basis: LogRadialBasis, scale: float, count: int = 300) -> Array:
    """Points that are between the inner and the outer radius at scale 1 and at `scale`."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((basis.dim, count))
    low, high = basis.inner * max(1.0, scale), basis.support * min(1.0, scale)
    return directions / np.sqrt((directions**2).sum(axis=0)) * rng.uniform(low, high, count)


def steered(basis: LogRadialBasis, coefficients: Array, scale: float) -> Array:
    """The coefficients of the kernel at another scale: `c = a - ib` of each pair is multiplied by `e^{-iκ log s}`."""
    pairs = coefficients.reshape(-1, 2)
    turned = (pairs[:, 0] - 1j * pairs[:, 1]) * np.exp(-1j * np.array(basis.frequencies) * math.log(scale))
    return np.stack([turned.real, -turned.imag], axis=1).reshape(-1)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("scale", [0.7, 2**0.5, 2.0])
def test_scaling_is_a_phase(dim: int, scale: float) -> None:
    basis = LogRadialBasis(dim)
    points = ring(basis, scale)
    coefficients = np.random.default_rng(1).standard_normal(len(basis))
    scaled = coefficients @ basis.functions(points / scale) / scale**dim
    functions = basis.functions(points)
    np.testing.assert_allclose(
        steered(basis, coefficients, scale) @ functions, scaled, atol=1e-6 * np.abs(scaled).max()
    )
    wrong = steered(basis, coefficients, 1 / scale) @ functions  # the other way round
    assert np.abs(wrong - scaled).max() > 0.05 * np.abs(scaled).max()


def test_the_phase_holds_for_samples_too() -> None:
    basis = LogRadialBasis(2, support=9.0)
    scale = 2**0.5
    coefficients = np.random.default_rng(1).standard_normal(len(basis))
    small, large = basis.sample((1.0, 1.0), (0, 0)), basis.sample((scale, scale), (0, 0))
    offset = (large.shape[1] - small.shape[1]) // 2
    large = large[:, offset:-offset, offset:-offset]
    axis = np.arange(small.shape[1]) - small.shape[1] // 2
    radius = np.hypot(*np.meshgrid(axis, axis))
    common = (radius > scale + 0.71) & (radius < 9.0 - 0.71)  # whole voxels inside both rings
    assert common.sum() > 100
    kernel = coefficients @ large[:, common]
    np.testing.assert_allclose(steered(basis, coefficients, scale) @ small[:, common], kernel, atol=1e-9)
    assert np.abs(coefficients @ small[:, common] - kernel).max() > 0.1 * np.abs(kernel).max()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_published_law_multiplies_by_a_power_of_the_scale(dim: int) -> None:
    basis = LogRadialBasis(dim, normalise="l2")
    scale = 2.0
    points = ring(basis, scale)
    coefficients = np.random.default_rng(1).standard_normal(len(basis))
    scaled = coefficients @ basis.functions(points / scale) / scale ** (dim / 2)
    functions = basis.functions(points)
    np.testing.assert_allclose(
        steered(basis, coefficients, scale) @ functions, scaled, atol=1e-6 * np.abs(scaled).max()
    )
    sums = []
    for law in ("l1", "l2"):
        basis = LogRadialBasis(dim, orders=(1,), lmax=1, normalise=law)  # type: ignore[arg-type]
        axes = tuple(range(1, dim + 1))
        low, high = (np.abs(basis.sample([w] * dim, [0.0] * dim)).sum(axis=axes) for w in (2.0, 4.0))
        sums.append(float(np.median(high / low)))
    assert sums[0] == pytest.approx(1, abs=0.1)
    assert sums[1] == pytest.approx(2 ** (dim / 2), rel=0.1)


@pytest.mark.parametrize(("dim", "directions"), [(1, 2), (2, 8), (3, 9)])
def test_number_and_order_of_functions(dim: int, directions: int) -> None:
    basis = LogRadialBasis(dim)
    assert len(basis) == 2 * 3 * directions == len(basis.functions(np.zeros((dim, 4))))
    unit = 2 * math.pi / math.log(basis.support / basis.inner)
    kappas = np.repeat([0.5, 1.0, 2.0], directions) * unit
    np.testing.assert_allclose(basis.frequencies, kappas)
    values = basis.functions(ring(basis, 1.0)).reshape(-1, 2, 300)
    radius = np.sqrt((ring(basis, 1.0) ** 2).sum(axis=0))
    size = np.hypot(values[:, 0], values[:, 1])  # the same for all κ, and a wave of that frequency
    np.testing.assert_allclose(size[:directions], size[-directions:], atol=1e-12)
    for factor, zero in ((1.0, True), (1.1, False)):
        turns = factor * kappas[:, None] * np.log(radius)
        assert (np.abs(values[:, 0] * np.sin(turns) - values[:, 1] * np.cos(turns)).max() < 1e-12) == zero


@pytest.mark.parametrize("normalise", ["l1", "l2"])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_pairs_have_a_mean_square_of_one(dim: int, normalise: Any) -> None:
    basis = LogRadialBasis(dim, orders=(0.5, 2), normalise=normalise)
    count = {1: 20000, 2: 600, 3: 60}[dim]
    axis = basis.support * ((2 * np.arange(count) + 1) / count - 1)
    points = np.stack(np.meshgrid(*[axis] * dim, indexing="ij")).reshape(dim, -1)
    points = points[:, np.sqrt((points**2).sum(axis=0)) >= basis.inner]
    squares = (basis.functions(points) ** 2).sum(axis=1) * (2 * basis.support / count) ** dim
    np.testing.assert_allclose(squares.reshape(-1, 2).mean(axis=1), 0.5, rtol=0.02)


def test_bumps_turn_into_each_other() -> None:
    basis = LogRadialBasis(2, orders=(1,), angles=6)
    step = math.pi / 6
    rotation = np.array([[math.cos(step), -math.sin(step)], [math.sin(step), math.cos(step)]])
    points = ring(basis, 1.0)
    there, here = basis.functions(rotation @ points).reshape(6, 2, -1), basis.functions(points).reshape(6, 2, -1)
    np.testing.assert_allclose(np.roll(there, -1, axis=0), here, atol=1e-12)
    np.testing.assert_allclose(basis.functions(-points), basis.functions(points), atol=1e-12)  # half turns do not count
    assert np.abs(there - here).max() > 0.05


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_middle_is_the_mean_over_the_directions(dim: int) -> None:
    basis = LogRadialBasis(dim)
    angles = 2 * np.pi * np.arange(720) / 720
    if dim == 2:
        around = 0.5 * np.stack([np.cos(angles), np.sin(angles)])
    else:
        directions = np.random.default_rng(0).standard_normal((dim, 20000))
        around = 0.5 * directions / np.sqrt((directions**2).sum(axis=0))
        around = np.concatenate([around, -around], axis=1)
    means, middle = basis.functions(around).mean(axis=1), basis.functions(np.zeros((dim, 1)))[:, 0]
    np.testing.assert_allclose(means, middle, atol=1e-3 if dim == 2 else 0.02)
    assert not basis.functions(np.full((dim, 1), basis.support)).any() or dim == 1  # a corner lies outside


def test_means_over_voxels_alias_less_than_their_middles() -> None:
    # the wave of a kernel that is averaged changes little when the grid is moved by half a voxel
    changes = []
    for subsamples in (1, 4):
        basis = LogRadialBasis(1, subsamples=subsamples)
        w = np.linspace(-math.pi / 2, math.pi / 2, 33)
        spectra = []
        for phase in (0.0, 0.5):
            values = basis.sample((1.0,), (phase,))
            where = np.arange(values.shape[1]) - basis.reach(1.0) - phase
            spectra.append(values @ np.exp(-1j * np.outer(where, w)))
        changes.append(float(np.linalg.norm(spectra[0] - spectra[1]) / np.linalg.norm(spectra[0])))
    assert changes[1] < 0.4 * changes[0]


@pytest.mark.parametrize("subsamples", [1, 4])
@pytest.mark.parametrize("width", [0.7, 1.0, 2**0.5, 3.0])
def test_kernels_end_with_the_last_voxel_that_is_not_zero(width: float, subsamples: int) -> None:
    basis = LogRadialBasis(1, support=3.5, subsamples=subsamples)
    reach = basis.reach(width)
    assert basis.sample((width,), (0,))[:, [0, -1]].any(axis=0).all()
    points = reach + 1 + (np.arange(subsamples) + 0.5) / subsamples - 0.5  # of the next voxel
    assert not basis.functions(points[None] / width).any()


def test_it_is_a_value() -> None:
    basis = LogRadialBasis(dim=2, orders=[1, 2], angles=4)  # type: ignore[arg-type]
    assert basis.orders == (1.0, 2.0)
    points = np.random.default_rng(0).uniform(-5, 5, (2, 9))
    for twin in (eval(repr(basis)), copy.deepcopy(basis), pickle.loads(pickle.dumps(basis))):
        assert twin == basis
        assert hash(twin) == hash(basis)
        assert np.array_equal(twin.functions(points), basis.functions(points))
    assert basis != LogRadialBasis(dim=2, orders=(1, 2), angles=5)
    with pytest.raises(ValueError, match="read-only"):
        basis.sample((1.0, 1.0), (0, 0))[0] = 1.0  # samples are shared by all layers


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dim": 0}, "dim 1, 2 or 3, received 0"),
        ({"orders": ()}, "orders, a tuple of numbers > 0"),
        ({"orders": (1, 0)}, "orders, a tuple of numbers > 0"),
        ({"angles": 0}, "angles, an integer >= 1, received 0"),
        ({"lmax": -1}, "lmax, an integer >= 0, received -1"),
        ({"subsamples": 1.5}, "subsamples, an integer >= 1, received 1.5"),
        ({"inner": 5.0}, "0 < inner < support"),
        ({"normalise": "max"}, "normalise 'l1' or 'l2', received 'max'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        LogRadialBasis(**arguments)
