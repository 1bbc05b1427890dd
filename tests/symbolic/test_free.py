"""Free-form kernels as a basis: one box for each sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import sample_taps
from scalegroup.symbolic import Basis, FreeBasis, HermiteBasis
from scalegroup.testing import BasisContract


class TestContract(BasisContract):
    def make_basis(self) -> Basis:
        return FreeBasis(kernel_size=5, dim=2)


@given(st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 2, 3]))
def test_sampled_functions_are_unit_vectors(kernel_size: int, dim: int) -> None:
    basis = FreeBasis(kernel_size, dim)
    assert len(basis) == kernel_size**dim
    taps = sample_taps(basis, 1.0, method="sampled", radius=kernel_size // 2)
    np.testing.assert_array_equal(taps.values, np.eye(kernel_size))
    assert taps.first == -(kernel_size // 2)


def test_products_count_as_the_kernels_of_a_convolution_do() -> None:
    """The last axis fastest, so that weights are kernels by a reshape."""
    assert FreeBasis(3, 2).products[:4] == ((0, 0), (0, 1), (0, 2), (1, 0))


def test_boxes_tile_the_line() -> None:
    basis = FreeBasis(3, 1)
    points = np.linspace(-1.45, 1.45, 30)
    np.testing.assert_array_equal(basis.functions(points).sum(axis=0), 1.0)
    np.testing.assert_array_equal(basis.functions([-1.6, 1.6]).sum(axis=0), 0.0)
    np.testing.assert_allclose(basis.means, 1.0)


def test_values() -> None:
    basis = FreeBasis(3, 2)
    assert basis == FreeBasis(3, 2)
    assert hash(basis) == hash(FreeBasis(3, 2))
    assert basis != FreeBasis(5, 2)
    assert basis != FreeBasis(3, 3)
    assert basis != HermiteBasis(2, 2)
    assert eval(repr(basis)) == basis


def test_admissible_kernels_have_no_mean() -> None:
    basis = FreeBasis(3, 2)
    constraint = basis.zero_mean_constraint()
    assert constraint.shape == (9, 8)
    np.testing.assert_allclose(constraint.sum(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize("kernel_size", [0, 2, -1, 3.0, "3", True, None])
def test_wrong_sizes(kernel_size: Any) -> None:
    with pytest.raises(
        ScaleGroupError, match=r"kernel_size, an odd integer >= 1, received .*; an odd kernel has a sample"
    ):
        FreeBasis(kernel_size, 2)


@pytest.mark.parametrize("dim", [0, 4, "3", None])
def test_wrong_dim(dim: Any) -> None:
    with pytest.raises(ScaleGroupError, match="dim 1, 2 or 3, received"):
        FreeBasis(3, dim)
