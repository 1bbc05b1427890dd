"""Field types: arithmetic, layout, text, and error texts."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalegroup.fields
import scalegroup.groups
import scalegroup.representations
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup, SignedPermutations, registry
from scalegroup.representations import DirectSum, Scalar, TensorProduct
from scalegroup.testing.strategies import elements, field_types, groups

NAMES = {**vars(scalegroup.groups), **vars(scalegroup.fields), **vars(scalegroup.representations)}
GROUP = ScaleTranslationGroup(dim=3, base=2.0, num_scales=4, rotations="octahedral")


def test_the_example() -> None:
    field = 16 * GROUP.regular + 4 * GROUP.scalar
    assert field == FieldType(GROUP, ((16, GROUP.regular), (4, GROUP.scalar)))
    assert (field.group, field.size, field.num_fields, len(field)) == (GROUP, 68, 20, 2)
    assert list(field.slices) == [slice(0, 64), slice(64, 68)]
    assert list(field) == [(16, GROUP.regular), (4, GROUP.scalar)]
    assert str(field) == "16*regular + 4*scalar"


def test_arithmetic() -> None:
    regular, scalar = GROUP.regular, GROUP.scalar
    assert 2 * regular == regular * 2 == 1 * regular * 2 == 2 * (1 * regular)
    assert regular + scalar == 1 * regular + 1 * scalar == 1 * regular + scalar == regular + 1 * scalar
    assert 2 * (regular + 3 * scalar) == 2 * regular + 6 * scalar
    assert 1 * regular + 1 * scalar != 1 * scalar + 1 * regular
    assert 2 * regular != 1 * regular
    assert 1 * regular != regular


@given(groups(), st.data())
def test_text_round_trips(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    field = data.draw(field_types(group))
    assert FieldType.parse(str(field), group) == field
    assert eval(repr(field), dict(NAMES)) == field
    twin = pickle.loads(pickle.dumps(field))
    assert twin == field
    assert hash(twin) == hash(field)
    assert copy.deepcopy(field) is field


@given(groups(max_scales=3), st.data())
def test_sizes_and_slices(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    field = data.draw(field_types(group))
    assert field.num_fields == sum(count for count, _ in field)
    channels = [c for block in field.slices for c in range(field.size)[block]]
    assert channels == list(range(field.size))
    for (count, part), block in zip(field, field.slices, strict=True):
        assert block.stop - block.start == count * part.size


@given(groups(max_scales=3), st.data())
def test_the_representation_is_block_diagonal(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    field = data.draw(field_types(group))
    g = data.draw(elements(group))
    matrix = field.representation(g)
    for (count, part), block in zip(field, field.slices, strict=True):
        np.testing.assert_array_equal(matrix[block, block], np.kron(np.eye(count), part(g)))
        matrix[block, block] = 0
    assert not matrix.any()


def test_multiplicity_is_slowest_and_scale_fastest() -> None:
    field = 3 * GROUP.irrep("T1")
    content = np.zeros((3, 3, 4))  # (multiplicity, component, scale)
    content[2, 0, 1] = 1
    moved = (field.representation(GROUP.element(s=2.0, k=(-2, 1, 3))) @ content.ravel()).reshape(content.shape)
    assert np.argwhere(moved).tolist() == [[2, 1, 2]]


@given(groups(), st.data())
def test_another_window(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    field = data.draw(field_types(group))
    wide = field.with_group(group.window(num_scales=group.num_scales + 2))
    assert str(wide) == str(field)
    assert wide != field
    assert wide.with_group(group) == field


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scalar", 1 * GROUP.scalar),
        (" 2 * scalar+regular ", 2 * GROUP.scalar + GROUP.regular),
        ("2*character(-1)", 2 * GROUP.character(-1.0)),
        ("2*character(weight=.5)", 2 * GROUP.character(0.5)),
        ("irrep('T1') + 3*irrep(\"E\", weight=1)", 1 * GROUP.irrep("T1") + 3 * GROUP.irrep("E", 1)),
        ("irrep(3)", 1 * GROUP.irrep("T1")),
        ("regular*4", 4 * GROUP.regular),
        ("2*scalar*4", 8 * GROUP.scalar),
        ("2*(regular + 3*scalar)*2 + scalar", 4 * GROUP.regular + 12 * GROUP.scalar + GROUP.scalar),
        ("2*direct_sum(scalar, irrep('E'))", 2 * DirectSum((GROUP.scalar, GROUP.irrep("E")))),
        ("tensor_product(character(1), regular)", 1 * TensorProduct(GROUP.character(1), GROUP.regular)),
    ],
)
def test_parse(text: str, expected: FieldType) -> None:
    assert FieldType.parse(text, GROUP) == expected
    assert FieldType.parse(str(expected), GROUP) == expected


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("", "''"),
        ("16*", "'16"),
        ("16 regular", "'16 regular'"),
        ("2*regular - scalar", "2 . regular - scalar"),
        ("-scalar", "'-scalar'"),
        ("2*3", "'3'"),
        ("2*3*scalar", "2 . 3"),
        ("~1*scalar", "~1 . scalar"),
        ("regular*scalar", "regular . scalar"),
        ("(1+2)*scalar", "1 . 2"),
        ("16", "'16'"),
        ("16*vector", "'vector'"),
        ("scalar.regular", "'scalar.regular'"),
        ("__import__('os')", "__import__"),
        ("character", r"'character', where 'character\(weight\)' is wanted"),
        ("regular(3)", r"'regular.3.', where 'regular\(\)' is wanted"),
        ("irrep(x=1)", r"'irrep.x=1.', where 'irrep\(name, weight=None\)' is wanted"),
        ("regular(**{})", "regular"),
        ("character(x)", "'x'"),
        ("direct_sum(*scalar)", "scalar"),
        (None, "None"),
        (16, "16"),
        ("a\0b", "a"),
    ],
)
def test_wrong_text(text: Any, received: str) -> None:
    message = rf"text such as '16\*regular \+ 4\*scalar', received .*{received}.*representations are character"
    with pytest.raises(FieldTypeError, match=message) as caught:
        FieldType.parse(text, GROUP)
    assert "__init__" not in str(caught.value)


@pytest.mark.parametrize("factor", ["-1", "0", "2.5", "'a'", "None", "True"])
def test_multiplicities_in_text_are_named(factor: str) -> None:
    for text in (f"{factor}*regular", f"scalar + regular*{factor}", f"{factor}*(regular + scalar)"):
        with pytest.raises(FieldTypeError, match="a multiplicity, an integer >= 1, received"):
            FieldType.parse(text, GROUP)


def test_wrong_arguments_in_text_are_named_by_the_representation() -> None:
    with pytest.raises(ScaleGroupError, match="A1, A2, E, T1, T2, received 'T7'"):
        FieldType.parse("2*irrep('T7')", GROUP)
    with pytest.raises(ScaleGroupError, match="a weight, a finite number, received 'a'"):
        FieldType.parse("character('a')", GROUP)


@pytest.mark.parametrize("multiplicity", [0, -1, 1.5, "2", None, True, 2.0])
def test_wrong_multiplicities(multiplicity: Any) -> None:
    for build in (
        lambda: multiplicity * GROUP.scalar,
        lambda: (1 * GROUP.scalar) * multiplicity,
        lambda: FieldType(GROUP, ((multiplicity, GROUP.scalar),)),
    ):
        with pytest.raises(FieldTypeError, match="a multiplicity, an integer >= 1, received"):
            build()


def test_numpy_integers_are_multiplicities() -> None:
    field = FieldType(GROUP, ((np.int64(2), GROUP.scalar),))  # type: ignore[arg-type]
    assert field == 2 * GROUP.scalar
    assert eval(repr(field), dict(NAMES)) == field


@pytest.mark.parametrize("group", [None, 3, "octahedral"])
def test_wrong_groups(group: Any) -> None:
    for build in (lambda: FieldType.parse("scalar", group), lambda: FieldType(group, ((1, GROUP.scalar),))):
        with pytest.raises(FieldTypeError, match=r"the group that acts, received .*ScaleTranslationGroup\(dim=3\)"):
            build()


def test_wrong_blocks() -> None:
    for blocks in (None, GROUP.scalar, 3):
        with pytest.raises(FieldTypeError, match=r"a tuple of blocks, each of a multiplicity .*, received"):
            FieldType(GROUP, blocks)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match="at least one block"):
        FieldType(GROUP, ())
    for block in (GROUP.scalar, (1,), (GROUP.scalar, 1), (1, "scalar")):
        with pytest.raises(FieldTypeError, match="blocks of a multiplicity and a representation"):
            FieldType(GROUP, (block,))  # type: ignore[arg-type]


def test_groups_must_agree() -> None:
    other = GROUP.window(num_scales=6)
    with pytest.raises(FieldTypeError, match=r"field type of .*num_scales=4.*received one of .*num_scales=6"):
        1 * GROUP.scalar + 1 * other.scalar
    with pytest.raises(FieldTypeError, match=r"representation of .*num_scales=4.*received one of .*num_scales=6"):
        FieldType(GROUP, ((1, other.scalar),))


@pytest.mark.parametrize("summand", [3, "scalar", None])
def test_only_fields_can_be_added(summand: Any) -> None:
    for add in (
        lambda: 1 * GROUP.scalar + summand,
        lambda: summand + 1 * GROUP.scalar,
        lambda: GROUP.scalar + summand,
        lambda: summand + GROUP.scalar,
    ):
        with pytest.raises(FieldTypeError, match="a field type or a representation to add"):
            add()


def test_sums_of_lists() -> None:
    regular, scalar = GROUP.regular, GROUP.scalar
    assert sum([2 * regular, 3 * scalar]) == 2 * regular + 3 * scalar
    assert sum([regular, scalar]) == regular + scalar


def test_fields_of_other_groups() -> None:
    cube = SignedPermutations.octahedral()
    field = 3 * Scalar(cube)
    assert field.size == 3
    assert FieldType.parse("3*scalar", cube) == field


def test_without_the_package_fields_the_error_says_what_to_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_field_type", [])
    with pytest.raises(ScaleGroupError, match=r"import scalegroup\.fields first"):
        2 * GROUP.scalar
