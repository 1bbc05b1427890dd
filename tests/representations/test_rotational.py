"""Representations of the compact group on the scales: quotients, invariants, permutations."""

from __future__ import annotations

import numpy as np
import pytest

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.representations import Quotient, Representation, invariants, on_scales, permutes
from scalegroup.testing import RepresentationContract

CUBE = ScaleTranslationGroup(3, 2.0, 3, rotations="octahedral")
ABOUT_AN_AXIS = SignedPermutations([(-2, 1, 3)])


class TestFaces(RepresentationContract):
    def make_representation(self) -> Representation:
        return Quotient(CUBE, ABOUT_AN_AXIS)


class TestRegularOverTheRotations(RepresentationContract):
    def make_representation(self) -> Representation:
        return Quotient(CUBE, weight=-1.0)


@pytest.mark.parametrize(
    ("subgroup", "components"), [(None, 24), (ABOUT_AN_AXIS, 6), ("octahedral", 1), (SignedPermutations.trivial(3), 24)]
)
def test_components_are_cosets(subgroup: CompactGroup | str | None, components: int) -> None:
    rep = CUBE.quotient(subgroup)
    assert rep.size == 3 * components
    for k in CUBE.rotations.elements:
        matrix = rep.rotation(k)
        assert (matrix.sum(axis=0) == 1).all()
        assert (matrix.sum(axis=1) == 1).all()


def test_the_subgroup_keeps_the_first_coset() -> None:
    rep = CUBE.quotient(ABOUT_AN_AXIS)
    kept = [k for k in CUBE.rotations.elements if rep.rotation(k)[0, 0] == 1]
    assert {k.value for k in kept} == set(ABOUT_AN_AXIS.values)


def test_faces_hold_what_the_theory_of_characters_says() -> None:
    # Functions on the faces of the cube are A1 + E + T1.
    rep = CUBE.quotient(ABOUT_AN_AXIS)
    trace = {k: np.trace(rep.rotation(k)) for k in CUBE.rotations.elements}
    shares = {
        name: round(np.mean([trace[k] * np.trace(CUBE.rotations.irrep_matrix(name, k)) for k in trace]))
        for name in CUBE.rotations.irreps
    }
    assert shares == {"A1": 1, "A2": 0, "E": 1, "T1": 1, "T2": 0}


def test_wrong_subgroups() -> None:
    with pytest.raises(
        ScaleGroupError, match=r"a subgroup of .*octahedral.*, received .*elements that are not in the group"
    ):
        CUBE.quotient(SignedPermutations([(-1, -2, -3)]))
    with pytest.raises(ScaleGroupError, match="acts on another dimension"):
        CUBE.quotient("c4")
    with pytest.raises(ScaleGroupError, match="the name of a compact group"):
        CUBE.quotient("cube")


def test_field_types_parse_what_they_print() -> None:
    field = 2 * CUBE.quotient("octahedral") + 1 * CUBE.quotient(weight=1.0) + 3 * CUBE.irrep("T1")
    assert FieldType.parse(str(field), CUBE) == field
    faces = 1 * CUBE.quotient(ABOUT_AN_AXIS)
    assert str(faces) == "1*quotient(((-2, 1, 3),))"
    assert FieldType.parse(str(faces), CUBE) == faces
    assert [on_scales(rep) for _, rep in field.blocks] == [True, False, True]


@pytest.mark.parametrize(
    ("rep", "number", "moves"),
    [
        (CUBE.scalar, 1, True),
        (CUBE.regular, 1, True),
        (CUBE.character(1.0), 0, False),
        (CUBE.irrep("A1"), 1, True),
        (CUBE.irrep("A2"), 0, False),
        (CUBE.irrep("T1"), 0, False),
        (CUBE.quotient(), 1, True),
        (CUBE.quotient(ABOUT_AN_AXIS), 1, True),
        (CUBE.quotient(weight=2.0), 0, False),
    ],
    ids=str,
)
def test_invariants_and_permutations(rep: Representation, number: int, moves: bool) -> None:
    fixed = invariants(rep)
    assert fixed.shape == (rep.size // rep.num_scales, number)
    assert permutes(rep) == moves
    for k in CUBE.rotations.elements:
        np.testing.assert_allclose(rep.rotation(k) @ fixed, fixed, atol=1e-12)
    if number:
        assert np.abs(fixed).max() == 1.0


def test_mixed_invariants_are_found() -> None:
    class Pairs(Representation):
        """Two numbers that a quarter turn exchanges, and one that stays."""

        size = 3
        weight = 0.0

        def __init__(self, group: ScaleTranslationGroup) -> None:
            self.group = group

        def matrix(self, g):  # type: ignore[no-untyped-def]
            swap = np.eye(3)[[1, 0, 2]]
            return swap if abs(g.k.matrix[0, 0]) < 0.5 else np.eye(3)

        def __str__(self) -> str:
            return "pairs"

    group = ScaleTranslationGroup(2, rotations="c4")
    fixed = invariants(Pairs(group))
    np.testing.assert_allclose(fixed, [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], atol=1e-12)
