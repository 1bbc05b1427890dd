"""Representations and field types that come from escnn and go there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("escnn")

import scalegroup as sg
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType, act
from scalegroup.groups import CompactGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.interop.escnn import (
    EscnnGroup,
    EscnnRepresentation,
    channel_order,
    escnn_field_type,
    escnn_representation,
    field_type,
    representation,
)
from scalegroup.interop.escnn.library import group as escnn_groups
from scalegroup.interop.escnn.library import gspaces
from scalegroup.interop.escnn.library import nn as escnn
from scalegroup.representations import Representation, permutes
from scalegroup.testing import RepresentationContract

# escnn leaves a file open where it solves for a basis numerically
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

TURN = ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))


def group_with(rotations: Any, num_scales: int = 3) -> ScaleTranslationGroup:
    named = rotations if isinstance(rotations, CompactGroup) else CompactGroup.named(rotations)
    return ScaleTranslationGroup(dim=named.dim, base=2.0, num_scales=num_scales, rotations=named)


class EscnnContract(RepresentationContract):
    def names(self) -> dict[str, Any]:
        return super().names() | {"EscnnGroup": EscnnGroup, "EscnnRepresentation": EscnnRepresentation}


class TestRegular(EscnnContract):
    def make_representation(self) -> Representation:
        return EscnnRepresentation(group_with(EscnnGroup("octahedral")), "regular")


class TestQuotient(EscnnContract):
    def make_representation(self) -> Representation:
        return EscnnRepresentation(group_with("icosahedral"), "quotient[(False, 5)]")


class TestDirectSum(EscnnContract):
    def make_representation(self) -> Representation:
        return EscnnRepresentation(group_with("o3"), "both", ("0u", "1g"), weight=-1.0)


class TestChangeOfBasis(EscnnContract):
    def make_representation(self) -> Representation:
        return EscnnRepresentation(group_with("so3"), "turned vectors", ("1",), TURN, ("norm",))


def fiber(name: str) -> Any:
    return EscnnGroup(name).space.fibergroup


THEIRS: dict[str, tuple[str, Callable[[Any], Any]]] = {  # the name of a group, and a representation of it
    "trivial": ("so3", lambda k: k.trivial_representation),
    "irrep": ("so3", lambda k: k.irrep(3)),
    "odd irrep": ("o3", lambda k: k.irrep(0, 1)),
    "direct sum": ("so3", lambda k: k.irrep(0) + k.irrep(2)),
    "tensor product": ("o3", lambda k: k.irrep(1, 1).tensor(k.irrep(1, 1))),
    "standard": ("so3", lambda k: k.standard_representation()),
    "regular": ("icosahedral", lambda k: k.regular_representation),
    "quotient": ("icosahedral", lambda k: k.quotient_representation((False, 3))),
    "plane regular": ("c8", lambda k: k.regular_representation),
    "plane quotient": ("d5", lambda k: k.quotient_representation((0, 1))),
    "plane irrep": ("so2", lambda k: k.irrep(4)),
}


@pytest.mark.parametrize("kind", list(THEIRS))
def test_representations_of_escnn_come_with_their_matrices_and_go_back(kind: str) -> None:
    name, make = THEIRS[kind]
    original, known, group = make(fiber(name)), EscnnGroup(name), group_with(name)
    ours = representation(original, group)
    for seed in range(4):
        k = known.sample(seed)
        np.testing.assert_allclose(ours.rotation(k), original(known.to_escnn(k)), rtol=0, atol=1e-12)
    assert escnn_representation(ours) == original
    field = 2 * ours + 1 * group.regular
    assert FieldType.parse(str(field), group) == field
    assert escnn_representation(representation(original, group, weight=-1.0)) == original


@pytest.mark.parametrize(
    "make",
    [
        lambda: group_with("octahedral").irrep("T2"),
        lambda: group_with("octahedral").irrep("E", weight=2.0),
        lambda: group_with("full_octahedral").irrep("T1u"),
        lambda: group_with("octahedral").quotient(),
        lambda: group_with("octahedral").quotient(SignedPermutations([(-2, 1, 3)])),
        lambda: group_with("d4").quotient(),
        lambda: group_with("c4").irrep("E"),
        lambda: group_with("icosahedral").quotient(),
        lambda: group_with("c8").quotient(EscnnGroup("c2")),
        lambda: group_with(SignedPermutations.trivial(3)).irrep("A"),
    ],
)
def test_our_representations_go_with_their_matrices(make: Any) -> None:
    rep = make()
    made = escnn_representation(rep)
    rotations = rep.group.rotations
    if not rotations.is_trivial:
        known = rotations if isinstance(rotations, EscnnGroup) else EscnnGroup(rotations.name)
        for seed in range(4):
            k = rotations.sample(seed)
            element = known.to_escnn(known.element(k.matrix))
            np.testing.assert_allclose(made(element), rep.rotation(k), rtol=0, atol=1e-12)
    assert ("pointwise" in made.supported_nonlinearities) == permutes(rep) or rotations.is_trivial
    assert escnn_representation(make()) == made


def test_pointwise_activations_know_permutations() -> None:
    group = group_with("icosahedral")
    assert permutes(EscnnRepresentation(group, "regular"))
    assert permutes(EscnnRepresentation(group, "quotient[(False, 5)]"))
    assert not permutes(EscnnRepresentation(group, "two", ("A", "T1")))


def test_wrong_representations_are_refused() -> None:
    so3, cube = group_with("so3"), group_with("octahedral")
    with pytest.raises(ScaleGroupError, match="a group whose rotations come from escnn"):
        EscnnRepresentation(cube, "regular")
    with pytest.raises(ScaleGroupError, match=r"'regular' or 'quotient\[id\]' of a finite"):
        EscnnRepresentation(so3, "regular")
    for wrong in ("quotient[nonsense]", "quotient[(False, 7)]", "sum", 3):
        with pytest.raises(ScaleGroupError, match=r"'regular' or 'quotient\[id\]' of a finite"):
            EscnnRepresentation(group_with("icosahedral"), wrong)  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match="a tuple of irreps, at least one"):
        EscnnRepresentation(so3, "none", ())
    with pytest.raises(ScaleGroupError, match=r"an orthogonal basis of shape \(3, 3\)"):
        EscnnRepresentation(so3, "stretched", ("1",), ((2.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    with pytest.raises(ScaleGroupError, match="a representation of escnn's SO"):
        representation(fiber("o3").irrep(1, 1), so3)
    with pytest.raises(ScaleGroupError, match="rotations that escnn has"):
        escnn_representation(group_with(SignedPermutations([(-1, 2, 3)])).irrep(1))


def test_a_scale_axis_is_escnns_multiplicity() -> None:
    space = EscnnGroup("so3").space
    mixed = space.type(*[space.trivial_repr] * 8, *[space.irrep(1)] * 4, *[space.irrep(2)] * 8)
    field = field_type(mixed, num_scales=4, base=2.0, first=-1)
    assert str(field) == "2*regular + 1*irrep('1') + 2*irrep('2')"
    assert field.group == ScaleTranslationGroup(dim=3, base=2.0, num_scales=4, first=-1, rotations="so3")
    assert field.size == mixed.size
    assert escnn_field_type(field) == mixed
    assert escnn_field_type(field_type(mixed, weight=0.0)) == mixed
    assert str(field_type(mixed, weight=0.0)) == "8*scalar + 4*irrep('1', weight=0.0) + 8*irrep('2', weight=0.0)"
    with pytest.raises(FieldTypeError, match="a multiple of 3 equal neighbours"):
        field_type(mixed, num_scales=3)
    with pytest.raises(FieldTypeError, match=r"an escnn.nn.FieldType"):
        field_type(field)


@pytest.mark.parametrize(
    "space",
    [
        gspaces.flipRot3dOnR3(),
        gspaces.octaOnR3(),
        gspaces.fullOctaOnR3(),
        gspaces.icoOnR3(),
        gspaces.fullIcoOnR3(),
        gspaces.rot2dOnR2(6),
        gspaces.flipRot2dOnR2(3),
        gspaces.rot2dOnR2(-1),
        gspaces.flipRot2dOnR2(-1),
        gspaces.trivialOnR2(),
        gspaces.trivialOnR3(),
    ],
    ids=str,
)
def test_spaces_are_recognised(space: Any) -> None:
    theirs = space.type(*[space.trivial_repr] * 2)
    field = field_type(theirs, num_scales=2)
    assert str(field) == "1*regular"
    assert escnn_field_type(field) == theirs


def test_other_spaces_are_refused() -> None:
    space = gspaces.rot2dOnR3(4)
    with pytest.raises(FieldTypeError, match="the space of a group that EscnnGroup has"):
        field_type(space.type(space.trivial_repr))


@pytest.mark.parametrize(
    ("name", "vectors", "others"),
    [("so3", 1, 2), ("octahedral", "T1", "E"), ("icosahedral", "T1", "G"), ("d4", "E", "B1"), ("o2", "E1", "A2")],
)
def test_channels_move_as_in_escnn(name: str, vectors: str | int, others: str | int) -> None:
    """Rotated by both libraries, a field of ours in escnn's order is the same, on all axes and channels."""
    group = group_with(name)
    field = 2 * group.irrep(vectors) + 1 * group.scalar + 1 * group.irrep(others) + 1 * group.irrep(vectors, weight=1.0)
    rotations = group.rotations
    known = rotations if isinstance(rotations, EscnnGroup) else EscnnGroup(name)
    x = torch.randn(2, field.size, *[5] * group.dim, dtype=torch.float64)
    order = channel_order(field)
    wrong = []
    for k in CompactGroup.named("full_octahedral" if group.dim == 3 else "d4").elements:
        value = tuple(map(tuple, k.matrix.tolist()))
        if known.contains(value):
            element = known.to_escnn(known.element(value))
            moved = act(field, group.element(k=value if rotations is known else k.value), x)
            there = escnn.GeometricTensor(x[:, order], escnn_field_type(field)).transform(element).tensor
            torch.testing.assert_close(moved[:, order], there, rtol=0, atol=1e-12)
            # The negative twin: in our order the components of a vector are not where escnn looks for them.
            unordered = escnn.GeometricTensor(x, escnn_field_type(field)).transform(element).tensor
            wrong.append(float((unordered - moved).norm() / moved.norm()))
    assert len(wrong) >= 8
    assert max(wrong) > 0.1


def test_channel_order_is_a_permutation_by_block() -> None:
    group = group_with("so3", num_scales=2)
    field = 2 * group.irrep(1) + 1 * group.scalar + 1 * group.irrep(1, weight=0.0)
    order = channel_order(field)
    assert sorted(order) == list(range(field.size))
    assert order[:6].tolist() == [0, 2, 4, 1, 3, 5]
    assert order[12:].tolist() == [12, 13, 14, 15]


def test_a_layer_takes_fields_of_escnn() -> None:
    space = EscnnGroup("icosahedral").space
    corners = space.type(*[space.quotient_repr((False, 5))] * 2)
    field = field_type(corners, num_scales=2)
    conv = sg.nn.GroupConv(1 * field.group.scalar, field)
    assert conv(torch.randn(1, 1, 7, 7, 7)).shape == (1, 24, 7, 7, 7)
    assert isinstance(escnn_representation(field.blocks[0][1]), escnn_groups.Representation)
