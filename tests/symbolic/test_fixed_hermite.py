"""Hermite-Gaussians on kernels of a fixed number of voxels: the published formula, written out once more."""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import sample_taps
from scalegroup.symbolic import Basis, FixedHermiteBasis, HermiteBasis
from scalegroup.testing import BasisContract

Array = NDArray[np.float64]
WIMMER = (1.0, 0.9, 0.81, 0.729)
SESN = (1.5, 2.6, 4.5)


class TestMulti(BasisContract):
    def make_basis(self) -> Basis:
        return FixedHermiteBasis(kernel_size=13, effective_size=7, full_sigma=4.5, norm_sigma=1.5, dim=2)


class TestSingle(BasisContract):
    def make_basis(self) -> Basis:
        return FixedHermiteBasis(kind="single", effective_size=4)


def published(
    size: int, scales: tuple[float, ...], effective: int, kind: str, cut: bool, dim: int, mult: float = 1.2
) -> Array:
    """`(functions, scales, *size)`: from the papers' formulas, with the first axis of space counting fastest."""
    kernels = []
    for scale in scales:
        own = int(size * scale / max(scales)) // 2 * 2 + 1 if cut else size
        x = np.linspace(-(own // 2), own // 2, own)
        top = effective - 1 if kind == "single" else 4
        degrees = [p for p in product(range(top + 1), repeat=dim) if kind == "single" or sum(p) <= top]
        functions = []
        for j in range(ceil(effective**dim / len(degrees))):
            width = scale / mult**j
            envelope = np.exp(-(x**2) / (2 * width**2)) / width
            hermite: Any = np.polynomial.hermite_e.hermeval
            axis = [envelope * hermite(x / width, [0] * n + [1]) for n in range(top + 1)]
            functions += [outer([axis[n] for n in reversed(p)]) for p in degrees]
        margin = (size - own) // 2
        kernels.append([np.pad(function, margin) for function in functions[: effective**dim]])
    basis = np.stack([np.stack(one) for one in kernels], axis=1)
    norms = np.sqrt((basis**2).sum(axis=tuple(range(2, 2 + dim)), keepdims=True))
    return np.asarray(basis / norms[:, :1])


def outer(axes: list[Array]) -> Array:
    result = axes[0]
    for axis in axes[1:]:
        result = np.multiply.outer(result, axis)
    return result


def ours(basis: FixedHermiteBasis, scales: tuple[float, ...]) -> Array:
    kernels = []
    for scale in scales:
        values, first = basis.taps(scale, 0.0)
        assert first == -(values.shape[1] // 2)
        margin = (basis.kernel_size - values.shape[1]) // 2
        kernels.append(np.stack([np.pad(outer([values[n] for n in p]), margin) for p in basis.products]))
    return np.stack(kernels, axis=1)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    ("size", "scales", "effective", "kind", "cut"),
    [
        (5, WIMMER, 3, "multi", False),
        (5, WIMMER, 3, "multi", True),
        (13, SESN, 3, "multi", True),
        (7, (0.9, 1.269, 1.78929), 3, "single", True),
        (9, SESN, 4, "multi", False),  # two widths, the second one cut short
    ],
)
def test_kernels_are_the_published_ones(
    size: int, scales: tuple[float, ...], effective: int, kind: Any, cut: bool, dim: int
) -> None:
    full = max(scales) if cut else None
    basis = FixedHermiteBasis(size, effective, kind, full_sigma=full, norm_sigma=scales[0], dim=dim)
    expected = published(size, scales, effective, kind, cut, dim)
    assert len(basis) == effective**dim
    np.testing.assert_allclose(ours(basis, scales), expected, rtol=0, atol=1e-12)
    wrong = published(size, tuple(1.1 * s for s in scales), effective, kind, cut, dim)
    assert np.abs(ours(basis, scales) - wrong).max() > 1e-2


def test_seven_squared_functions_need_four_widths() -> None:
    """SESN on MNIST: 15 + 15 + 15 + 4 functions, and of the last width degrees up to 3 on one axis only."""
    basis = FixedHermiteBasis(15, 7, full_sigma=3.0, norm_sigma=1.5, dim=2)
    assert basis.num_functions == 19
    assert basis.products[-1] == (18, 15)
    np.testing.assert_allclose(
        ours(basis, (1.5, 2.0, 3.0)), published(15, (1.5, 2.0, 3.0), 7, "multi", True, 2), rtol=0, atol=1e-12
    )


def test_a_width_that_was_rounded_counts_as_the_whole_number_of_voxels_it_is() -> None:
    """Widths are powers of a base, which never hit their numbers exactly."""
    basis = FixedHermiteBasis(11, full_sigma=1.1, dim=1)
    widths = [basis.taps(sigma, 0.0)[0].shape[1] for sigma in (1.1, 0.8, 0.8 - 1e-12, 0.8 - 1e-6)]
    assert widths == [11, 9, 9, 7]


def test_between_voxels_there_is_one_tap_more() -> None:
    values, first = FixedHermiteBasis(5, dim=1).taps(0.9, 0.5)
    assert (values.shape, first) == ((3, 6), -2)
    signs = np.array([1.0, -1.0, 1.0])[:, None]
    np.testing.assert_allclose(values[:, ::-1], signs * values, atol=1e-15)


def test_the_error_of_the_taps_is_that_of_the_cut() -> None:
    """Kernels that hold ±2 widths; METHODS.md 0.4 has the first line to two digits (.038, .23, .12)."""
    for size, sigma, expected in ((13, 3.0, (3.85e-2, 2.28e-1, 1.24e-1)), (5, 1.0, (8.6e-3, 1.05e-1, 2.69e-1))):
        taps = sample_taps(FixedHermiteBasis(size, 5, "single", dim=1), sigma)
        assert taps.method == "own"
        np.testing.assert_allclose(taps.error[[0, 2, 4]], expected, rtol=0.03)
    wide = sample_taps(FixedHermiteBasis(11, 5, "single", dim=1), 1.0)
    np.testing.assert_allclose(wide.error, sample_taps(HermiteBasis(4, dim=1), 1.0, method="sampled").error, rtol=1e-6)
    assert wide.predicted_error < 3e-3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kernel_size": 4}, "kernel_size, an odd integer >= 3, received 4; an even kernel has no voxel in its middle"),
        ({"kernel_size": 1}, "kernel_size, an odd integer >= 3, received 1"),
        ({"kernel_size": 5.0}, r"kernel_size, an odd integer >= 3, received 5\.0"),
        ({"kernel_size": True}, "kernel_size, an odd integer >= 3, received True"),
        ({"effective_size": 0}, "effective_size, an integer >= 1, received 0"),
        ({"kind": "onescale"}, "kind 'single' or 'multi', received 'onescale'"),
        ({"mult": 1.0}, "mult, a finite number > 1, received 1.0"),
        ({"max_order": -1}, "max_order, an integer >= 0, received -1"),
        ({"full_sigma": 0.0}, "full_sigma, a finite number > 0, received 0.0"),
        ({"norm_sigma": float("inf")}, "norm_sigma, a finite number > 0, received inf"),
        ({"norm_sigma": None}, "norm_sigma, a finite number > 0, received None"),
        ({"dim": 4}, "dim 1, 2 or 3, received 4"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        FixedHermiteBasis(**arguments)


def test_a_kernel_of_one_voxel_is_refused() -> None:
    basis = FixedHermiteBasis(5, full_sigma=4.0)
    with pytest.raises(ScaleGroupError, match=r"a width of at least 1\.6 voxels, received 1\.5; take a larger kernel"):
        basis.taps(1.5, 0.0)
