"""The constraint of rotations on weights: the solver against closed forms, and what its columns must be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup, SignedPermutations
from scalegroup.kernels import steerable
from scalegroup.kernels.steerable import _parts
from scalegroup.symbolic import HermiteBasis
from scalegroup.symbolic.harmonics import harmonics

Array = NDArray[np.float64]


def rotation(rng: np.random.Generator, dim: int = 3) -> Array:
    """A random orthogonal matrix of determinant 1."""
    q, r = np.linalg.qr(rng.normal(size=(dim, dim)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.linalg.det(q)
    return np.asarray(q)


def turned_harmonics(degree: int, k: Array) -> Array:
    """The matrix D with `Y(k u) = D Y(u)` of the solid harmonics of one degree."""
    u = np.random.default_rng(5).normal(size=(3, 200))
    return np.linalg.lstsq(harmonics(3, degree, u).T, harmonics(3, degree, k @ u).T, rcond=None)[0].T


GENERATORS = [rotation(np.random.default_rng(seed)) for seed in (1, 2)]  # of a dense part of SO(3)


def kernels_of(l_out: int, l_in: int, order: int) -> Array:
    basis = HermiteBasis(order, 3)
    stacks = [np.stack([turned_harmonics(degree, k) for k in GENERATORS]) for degree in (l_out, l_in)]
    action = np.stack([basis.action(k) for k in GENERATORS])
    return steerable(stacks[0], stacks[1], action, every_element=False)


@pytest.mark.parametrize("order", [0, 2, 4])
@pytest.mark.parametrize(("l_out", "l_in"), [(0, 0), (1, 0), (0, 2), (1, 1), (2, 1), (2, 2)])
def test_number_of_kernels_between_degrees(l_out: int, l_in: int, order: int) -> None:
    # The functions of total degree n hold the angular momenta n, n - 2, …; each of |l_out - l_in| … l_out + l_in is
    # allowed once: the selection rule of the Clebsch-Gordan coefficients, which the solver has never seen.
    held = [degree for n in range(order + 1) for degree in range(n, -1, -2)]
    wanted = sum(abs(l_out - l_in) <= degree <= l_out + l_in for degree in held)
    assert kernels_of(l_out, l_in, order).shape == ((2 * l_out + 1) * (2 * l_in + 1) * len(HermiteBasis(order)), wanted)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_kernels_from_scalars_are_solid_harmonics_times_functions_of_the_radius(degree: int) -> None:
    basis = HermiteBasis(4, 3)
    columns = kernels_of(degree, 0, 4)
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 50))
    values = np.einsum("mfa,fn->amn", columns.reshape(2 * degree + 1, len(basis), -1), basis.at(u))
    turned = np.einsum("mfa,fn->amn", columns.reshape(2 * degree + 1, len(basis), -1), basis.at(GENERATORS[0] @ u))
    angular = harmonics(3, degree, u)
    ratios = values / angular  # (kernels, components, points)
    assert np.abs(ratios - ratios[:, :1]).max() < 1e-9 * np.abs(ratios).max()  # one number for all components …
    moved = turned / harmonics(3, degree, GENERATORS[0] @ u)
    assert np.abs(ratios - moved).max() < 1e-9 * np.abs(ratios).max()  # … that depends on the radius alone
    other = values / np.roll(angular, 1, axis=0)  # the twin: another order of the components
    assert np.abs(other - other[:, :1]).max() > 0.1 * np.abs(ratios).max()


@pytest.mark.parametrize("name", ["octahedral", "full_octahedral"])
def test_mean_over_the_group_and_generators_agree(name: str) -> None:
    group = ScaleTranslationGroup(3, num_scales=1, rotations=name)
    basis, faces = HermiteBasis(2, 3), SignedPermutations([(-2, 1, 3)])
    for out_rep, in_rep in [(group.irrep(3), group.irrep(3)), (group.quotient(faces), group.irrep(2))]:
        elements = group.rotations.elements

        def solve(elements: tuple, every_element: bool, out_rep=out_rep, in_rep=in_rep) -> Array:  # type: ignore
            stacks = [np.stack([rep.rotation(k) for k in elements]) for rep in (out_rep, in_rep)]
            action = np.stack([basis.action(k.matrix) for k in elements])
            return steerable(stacks[0], stacks[1], action, every_element=every_element)

        one, two = solve(elements, True), solve(group.rotations.generators, False)
        assert one.shape == two.shape
        np.testing.assert_allclose(one, two, atol=1e-12)
        np.testing.assert_allclose(one.T @ one, np.eye(one.shape[1]), atol=1e-12)
        some = solve(group.rotations.generators[:1], False)  # the twin: one generator is not enough
        assert some.shape[1] > one.shape[1]


def test_columns_do_not_mix_total_degrees() -> None:
    basis = HermiteBasis(3, 3)
    columns = kernels_of(1, 1, 3).reshape(9, len(basis), -1)
    degrees = np.array([sum(p) for p in basis.products])
    for column in np.moveaxis(columns, -1, 0):
        used = {int(d) for d in degrees[np.abs(column).max(axis=0) > 1e-12]}
        assert len(used) == 1


@pytest.mark.parametrize(
    ("stack", "text"),
    [
        (np.array([[[1.0]], [[2.0]]]), "orthogonal matrices of a representation"),
        (np.array([[[1.0]], [[1.0]], [[-1.0]]]), "matrices that multiply as the elements of the group do"),
    ],
)
def test_matrices_of_no_representation_are_refused(stack: Array, text: str) -> None:
    one = np.ones((len(stack), 1, 1))
    with pytest.raises(ScaleGroupError, match=text):
        steerable(stack, one, one, every_element=True)


def test_functions_that_do_not_mix_are_solved_apart() -> None:
    action = np.stack([HermiteBasis(3, 3).action(k) for k in GENERATORS])
    degrees = [sum(p) for p in HermiteBasis(3, 3).products]
    assert sorted(tuple({degrees[f] for f in part}) for part in _parts(action)) == [(0,), (1,), (2,), (3,)]
    assert sorted(len(part) for part in _parts(action)) == [1, 3, 6, 10]
    zero_mean = HermiteBasis(3, 3).zero_mean_constraint()  # its columns mix degrees 0 and 2
    assert sorted(len(part) for part in _parts(zero_mean.T @ action @ zero_mean)) == [3, 6, 10]
