"""Compact groups: orders, elements, and a complete set of irreducible representations."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import CompactGroup, SignedPermutations
from scalegroup.groups.irreps import canonical_basis

NAMED = {
    "reflection": (1, 2),
    "c4": (2, 4),
    "d4": (2, 8),
    "octahedral": (3, 24),
    "full_octahedral": (3, 48),
}
ALL = [
    *(SignedPermutations.trivial(dim) for dim in (1, 2, 3)),
    *(CompactGroup.named(name) for name in NAMED),
    SignedPermutations([(-1, 2, 3)]),  # mirror left and right
    SignedPermutations([(2, 3, 1)]),  # three rotations about the diagonal
    SignedPermutations([(1, -3, 2), (1, -2, 3)]),  # the square in the plane of the slices
    SignedPermutations([(2, 3, 1), (-1, -2, 3)]),  # the rotations of the tetrahedron
    SignedPermutations([(2, 3, 1), (-1, -2, 3), (-1, -2, -3)]),
]
compact = st.sampled_from(ALL)


def characters(stack: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.trace(stack, axis1=1, axis2=2)


@pytest.mark.parametrize(("name", "dim", "order"), [(name, *sizes) for name, sizes in NAMED.items()])
def test_named_groups(name: str, dim: int, order: int) -> None:
    group = CompactGroup.named(name)
    assert (group.dim, group.order, group.name) == (dim, order, name)
    assert group == getattr(SignedPermutations, name)()
    assert group == CompactGroup.named(name.replace("_", " ").upper())
    assert repr(group) == f"SignedPermutations.{name}()"


@pytest.mark.parametrize("group", ALL, ids=repr)
def test_elements_are_distinct_orthogonal_matrices(group: SignedPermutations) -> None:
    matrices = np.stack([g.matrix for g in group.elements])
    assert len({m.tobytes() for m in matrices}) == group.order
    np.testing.assert_array_equal(
        matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(group.dim), matrices.shape)
    )
    assert group.elements[0] == group.identity
    assert all(k in group.elements for k in group.generators)


def test_the_rotations_of_the_cube_keep_its_orientation() -> None:
    rotations = {g.value for g in SignedPermutations.octahedral().elements}
    signs = {g.value: round(float(np.linalg.det(g.matrix))) for g in SignedPermutations.full_octahedral().elements}
    assert rotations == {value for value, sign in signs.items() if sign == 1}


@given(compact, st.data())
def test_products_are_matrix_products(group: SignedPermutations, data: st.DataObject) -> None:
    g, h = (data.draw(st.sampled_from(group.elements)) for _ in range(2))
    np.testing.assert_array_equal((g @ h).matrix, g.matrix @ h.matrix)
    np.testing.assert_array_equal((~g).matrix, g.matrix.T)
    np.testing.assert_array_equal(g.act(np.eye(group.dim)), g.matrix.T)


@given(compact, st.data())
def test_irreps_are_homomorphisms(group: SignedPermutations, data: st.DataObject) -> None:
    g, h = (data.draw(st.sampled_from(group.elements)) for _ in range(2))
    for name in group.irreps:
        tau = {k: group.irrep_matrix(name, k) for k in (g, h, g @ h)}
        np.testing.assert_allclose(tau[g @ h], tau[g] @ tau[h], atol=1e-12)
        np.testing.assert_allclose(tau[g] @ tau[g].T, np.eye(len(tau[g])), atol=1e-12)


@pytest.mark.parametrize("group", ALL, ids=repr)
def test_irreps_are_irreducible_different_and_complete(group: SignedPermutations) -> None:
    square = [group.values.index((g @ g).value) for g in group.elements]
    stacks = [group.irrep_matrices(name) for name in group.irreps]
    count = 0.0
    for stack in stacks:
        chi = characters(stack)
        # Only multiples of 1 may be symmetric and commute with the matrices: irreducible over the reals.
        assert np.mean(chi**2 + chi[square]) / 2 == pytest.approx(1)
        count += stack.shape[-1] ** 2 / np.mean(chi**2)  # the norm is 2 if it splits over the complex numbers
    assert count == pytest.approx(group.order)
    for a, b in combinations(stacks, 2):
        assert np.mean(characters(a) * characters(b)) == pytest.approx(0)
    np.testing.assert_allclose(stacks[0], 1)


def test_a_reducible_representation_fails_the_test_of_irreducibility() -> None:
    group = SignedPermutations([(-1, 2, 3)])
    chi = np.array([np.trace(g.matrix) for g in group.elements])
    square = [group.values.index((g @ g).value) for g in group.elements]
    assert np.mean(chi**2 + chi[square]) / 2 > 1.5


@pytest.mark.parametrize(
    ("name", "vectors"),
    [("reflection", "Au"), ("c4", "E"), ("d4", "E"), ("octahedral", "T1"), ("full_octahedral", "T1u")],
)
def test_vectors_are_an_irrep(name: str, vectors: str) -> None:
    group = CompactGroup.named(name)
    np.testing.assert_array_equal(group.irrep_matrices(vectors), [g.matrix for g in group.elements])


def test_equality_does_not_depend_on_the_generators() -> None:
    a, b = SignedPermutations([(2, 3, 1), (-2, 1, 3)]), SignedPermutations.octahedral()
    assert a == b
    assert hash(a) == hash(b)
    assert a.irreps == b.irreps
    assert SignedPermutations.c4() != SignedPermutations.d4()


@given(st.integers(1, 4), st.integers(0, 99))
def test_the_basis_of_a_space_does_not_depend_on_how_it_was_found(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = np.linalg.qr(rng.standard_normal((6, size)))[0]
    turned = space @ np.linalg.qr(rng.standard_normal((size, size)))[0]
    basis = canonical_basis(space)
    np.testing.assert_allclose(basis, canonical_basis(turned), atol=1e-7)
    np.testing.assert_allclose(basis @ basis.T, space @ space.T, atol=1e-9)


def test_irrep_matrices_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        SignedPermutations.c4().irrep_matrices("E")[0] = 0


@pytest.mark.parametrize(
    "generators",
    [(), ((1, 1),), ((1, 2), (1, 2, 3)), ((1, 2, 3, 4),), ((0, 1),), ((1.0, 2.0),), 3, None, ("ab",), ((),)],
)
def test_wrong_generators(generators: object) -> None:
    with pytest.raises(ScaleGroupError, match=r"expected generators such as .*each with a sign"):
        SignedPermutations(generators)


@pytest.mark.parametrize("name", ["cube", "trivial", 3, None])
def test_wrong_names(name: str) -> None:
    with pytest.raises(ScaleGroupError, match=r"the name of a compact group .*octahedral"):
        CompactGroup.named(name)


def test_wrong_irreps_and_elements() -> None:
    cube = SignedPermutations.octahedral()
    for wrong in ("T3", 5, -1, None, 1.0, True):
        with pytest.raises(ScaleGroupError, match="A1, A2, E, T1, T2"):
            cube.irrep_name(wrong)
    with pytest.raises(ScaleGroupError, match="not in it"):
        cube.element((-1, 2, 3))
    with pytest.raises(ScaleGroupError, match=r"a value like \(1, 2, 3\)"):
        cube.element((1, 2))
