"""What each representation does, its sizes and layouts, and its error texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import ScaleGroup, ScaleTranslationGroup, SignedPermutations, register_representation, registry
from scalegroup.representations import Character, DirectSum, Irrep, Regular, Scalar, TensorProduct

GROUP = ScaleTranslationGroup(dim=3, base=2.0, num_scales=3, rotations="octahedral")
UP = GROUP.element(t=(1, 2, 3), s=2.0)
TURN = GROUP.element(k=(-2, 1, 3))


def test_groups_offer_representations() -> None:
    assert GROUP.scalar == Scalar(GROUP)
    assert GROUP.regular == Regular(GROUP)
    assert GROUP.character(1.5) == Character(GROUP, 1.5)
    assert GROUP.irrep(3) == GROUP.irrep("T1") == Irrep(GROUP, "T1")
    assert GROUP.irrep("T1") != GROUP.irrep("T2")
    assert GROUP.regular != GROUP.window(num_scales=4).regular
    assert GROUP.character(0.0) != GROUP.scalar


def test_acting_by_the_base_moves_content_one_step_up() -> None:
    content = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(GROUP.regular(UP) @ content, [0, 1, 2])
    np.testing.assert_array_equal(GROUP.regular(~UP) @ content, [2, 3, 0])
    np.testing.assert_array_equal(GROUP.regular(TURN) @ content, content)
    assert GROUP.regular.overlap(UP).tolist() == [False, True, True]


def test_shifts_beyond_the_window_leave_nothing() -> None:
    assert not GROUP.regular(GROUP.element(s=8.0)).any()
    assert not GROUP.regular.overlap(GROUP.element(s=8.0)).any()


def test_the_window_does_not_change_what_a_step_is() -> None:
    shifted = GROUP.window(first=-5)
    np.testing.assert_array_equal(GROUP.regular(UP), shifted.regular(shifted.element(s=2.0)))


def test_character_and_scalar_have_weights() -> None:
    assert (GROUP.scalar.weight, GROUP.character(-2).weight) == (0.0, -2.0)
    assert GROUP.character(-2)(UP) == pytest.approx(0.25)
    assert Character(ScaleGroup(), 0.5)(ScaleGroup().from_scale(9.0)) == pytest.approx(3.0)


def test_irrep_layout_is_component_slower_scale_fastest() -> None:
    rho = GROUP.irrep("T1")
    assert (rho.size, rho.num_scales, rho.components, rho.weight) == (9, 3, 3, None)
    field = np.zeros((3, 3))  # (component, scale)
    field[0, 0] = 1
    moved = (rho(UP @ TURN) @ field.ravel()).reshape(3, 3)
    expected = np.zeros((3, 3))
    expected[:, 1] = TURN.k.matrix[:, 0]
    np.testing.assert_array_equal(moved, expected)


def test_irrep_with_a_weight_lives_on_space() -> None:
    displacement = GROUP.irrep("T1", weight=1)
    assert (displacement.size, displacement.num_scales, displacement.weight) == (3, 1, 1.0)
    np.testing.assert_array_equal(displacement(UP @ TURN), 2 * TURN.k.matrix)


def test_the_trivial_irrep_acts_like_the_regular_representation() -> None:
    np.testing.assert_array_equal(GROUP.irrep("A1")(UP @ TURN), GROUP.regular(UP @ TURN))


def test_direct_sum() -> None:
    both = DirectSum((GROUP.regular, GROUP.character(1.0)))
    assert (both.size, both.num_scales) == (4, 1)
    assert DirectSum((GROUP.regular, GROUP.irrep("T1"))).num_scales == 3
    matrix = both(UP)
    np.testing.assert_array_equal(matrix[:3, :3], GROUP.regular(UP))
    np.testing.assert_array_equal(matrix[3:, 3:], [[2.0]])
    assert not matrix[:3, 3:].any()
    assert not matrix[3:, :3].any()
    assert both.overlap(UP).tolist() == [False, True, True, True]


def test_tensor_product_keeps_the_scale_fastest() -> None:
    vector = GROUP.irrep("T1", weight=1)
    for product in (TensorProduct(GROUP.regular, vector), TensorProduct(vector, GROUP.regular)):
        assert (product.size, product.num_scales) == (9, 3)
        np.testing.assert_array_equal(product(UP @ TURN), 2 * GROUP.irrep("T1")(UP @ TURN))
        rows = product.overlap(UP)
        np.testing.assert_allclose((product(UP) @ product(~UP))[rows], np.eye(9)[rows])
        assert not rows.all()
        assert eval(repr(product)) == product
        assert product.with_group(GROUP.window(num_scales=4)).size == 12


def test_two_factors_on_the_window_are_refused() -> None:
    with pytest.raises(FieldTypeError, match=r"at most one factor on the window .* received regular and irrep"):
        TensorProduct(GROUP.regular, GROUP.irrep("T1"))


def test_texts() -> None:
    parts = (GROUP.scalar, GROUP.character(-1), GROUP.irrep("T1"), GROUP.irrep("E", 2))
    assert list(map(str, parts)) == ["scalar", "character(-1.0)", "irrep('T1')", "irrep('E', weight=2.0)"]
    assert str(DirectSum(parts[:2])) == "direct_sum(scalar, character(-1.0))"
    assert repr(GROUP.regular) == f"{GROUP!r}.regular"
    assert repr(Scalar(SignedPermutations.c4())) == "Scalar(SignedPermutations.c4())"


def test_groups_must_agree() -> None:
    other = GROUP.window(num_scales=5)
    for build in (lambda: DirectSum((GROUP.scalar, other.scalar)), lambda: TensorProduct(GROUP.scalar, other.scalar)):
        with pytest.raises(FieldTypeError, match=r"num_scales=3.*received one of .*num_scales=5"):
            build()
    with pytest.raises(ScaleGroupError, match=r"expected an element of .*num_scales=3.*num_scales=5"):
        GROUP.regular(other.identity)


@pytest.mark.parametrize("parts", [(), (3,), ("regular",)])
def test_direct_sums_are_of_representations(parts: Any) -> None:
    with pytest.raises(FieldTypeError, match="representations, at least one"):
        DirectSum(parts)


@pytest.mark.parametrize("weight", ["1", None, float("nan"), float("inf"), True])
def test_wrong_weights(weight: Any) -> None:
    with pytest.raises(ScaleGroupError, match="expected a weight, a finite number, received"):
        GROUP.character(weight)


def test_wrong_names() -> None:
    with pytest.raises(ScaleGroupError, match="A1, A2, E, T1, T2, received 'T9'"):
        GROUP.irrep("T9")
    with pytest.raises(ScaleGroupError, match=r"name of a representation \(.*regular, scalar.*received 'rgular'"):
        GROUP.representation("rgular")


@pytest.mark.parametrize("build", [Regular, lambda group: Character(group, 1.0), lambda group: Irrep(group, 0)])
def test_groups_without_scales_have_only_scalars(build: Any) -> None:
    with pytest.raises(ScaleGroupError, match=r"whose scales the representation .* received SignedPermutations.c4"):
        build(SignedPermutations.c4())


def test_a_representation_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_representations", dict(registry._representations))
    register_representation("volume", lambda group: Character(group, group.dim))
    assert GROUP.representation("volume") == GROUP.character(3)
    with pytest.raises(ScaleGroupError, match="a Python identifier as name, received 'a b'"):
        register_representation("a b", Scalar)
