"""How rotations mix the kernels of a basis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import SignedPermutations
from scalegroup.symbolic import Basis, FourierBesselBasis, FreeBasis, HermiteBasis, JointBasis
from scalegroup.symbolic.rotation import action_by_points


def rotations(dim: int) -> st.SearchStrategy[np.ndarray]:
    """Orthogonal matrices, reflections among them."""
    seeds = st.integers(0, 2**32 - 1)
    return seeds.map(lambda seed: np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0])


@pytest.mark.parametrize(("order", "dim"), [(4, 1), (4, 2), (3, 3), (2, 6)])
@given(st.data())
def test_hermite_actions_are_a_representation(order: int, dim: int, data: st.DataObject) -> None:
    basis = HermiteBasis(order, dim)
    one, two = data.draw(rotations(dim)), data.draw(rotations(dim))
    u = np.random.default_rng(0).normal(size=(dim, 20))
    np.testing.assert_allclose(basis.at(one @ u), basis.action(one) @ basis.at(u), atol=1e-12)
    # ψ(k h u) = A(k) ψ(h u) = A(k) A(h) ψ(u)
    np.testing.assert_allclose(basis.action(one @ two), basis.action(one) @ basis.action(two), atol=1e-10)
    assert np.abs(basis.at(one @ u) - basis.action(one.T) @ basis.at(u)).max() > 1e-3 or np.allclose(one, one.T)


@pytest.mark.parametrize(("order", "dim"), [(3, 2), (2, 3), (4, 3)])
def test_symmetric_powers_and_the_fit_agree(order: int, dim: int) -> None:
    basis = HermiteBasis(order, dim)
    k = np.linalg.qr(np.random.default_rng(3).normal(size=(dim, dim)))[0]
    np.testing.assert_allclose(basis.action(k), action_by_points(basis, k, radius=3.0), atol=1e-10)


@pytest.mark.parametrize(
    "basis", [FreeBasis(3, 3), HermiteBasis(1, 3, truncation="each"), FourierBesselBasis(3)], ids=str
)
def test_symmetries_of_the_grid_mix_bases_of_other_kinds(basis: Basis | JointBasis) -> None:
    k = SignedPermutations.full_octahedral().elements[29].matrix
    u = np.random.default_rng(1).uniform(-1, 1, (3, 30))
    np.testing.assert_allclose(basis.at(k @ u), basis.action(k) @ basis.at(u), atol=1e-9)


@pytest.mark.parametrize("basis", [FreeBasis(3, 2), HermiteBasis(1, 2, truncation="each"), HermiteBasis((1, 2), 2)])
def test_bases_that_are_not_closed_are_refused(basis: Basis) -> None:
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    with pytest.raises(ScaleGroupError, match=r"a basis that contains its rotated kernels, received .*Basis"):
        basis.action(turn)


@pytest.mark.parametrize("matrix", [np.eye(2), 2 * np.eye(3), [[1.0]]])
def test_other_matrices_are_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ScaleGroupError, match=r"an orthogonal matrix of shape \(3, 3\)"):
        HermiteBasis(2, 3).action(matrix)
