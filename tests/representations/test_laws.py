"""Representations are homomorphisms: everywhere, or on the overlap of a truncated window."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import scalegroup.groups
import scalegroup.representations
from scalegroup.groups import Group, ScaleGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.representations import Character, Representation, Scalar
from scalegroup.testing.algebra import RepresentationContract, check_representation
from scalegroup.testing.strategies import elements, groups, representations

NAMES = {**vars(scalegroup.groups), **vars(scalegroup.representations)}
GROUP = ScaleTranslationGroup(dim=2, base=2.0, num_scales=4, rotations="d4")


@given(groups(), st.data())
def test_homomorphism_on_the_overlap(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    rho = data.draw(representations(group))
    g, h = (data.draw(elements(group)) for _ in range(2))
    rows = rho.overlap(g)
    np.testing.assert_allclose((rho(g) @ rho(h))[rows], rho(g @ h)[rows], atol=1e-9)
    np.testing.assert_array_equal(rho(group.identity), np.eye(rho.size))


@given(groups(), st.data())
def test_shifts_of_one_sign_are_exact_in_all_rows(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    rho = data.draw(representations(group))
    m, n = (data.draw(st.integers(0, 3)) for _ in range(2))
    for sign in (1, -1):
        g, h = group.element(s=group.base ** (sign * m)), group.element(s=group.base ** (sign * n))
        np.testing.assert_allclose(rho(g) @ rho(h), rho(g @ h), atol=1e-9)


def test_opposite_shifts_lose_content() -> None:
    up = GROUP.element(s=2.0)
    for rho in (GROUP.regular, GROUP.irrep("E")):
        lost = rho(up) @ rho(~up)
        assert not np.allclose(lost, rho(up @ ~up))
        np.testing.assert_array_equal(lost, np.diag(rho.overlap(up).astype(float)))


@given(groups(), st.data())
def test_without_a_window_the_law_is_exact(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    rho = data.draw(representations(group).filter(lambda rho: rho.overlap(group.element(s=group.base)).all()))
    g, h = (data.draw(elements(group)) for _ in range(2))
    np.testing.assert_allclose(rho(g) @ rho(h), rho(g @ h), atol=1e-9)


@given(groups(), st.data())
def test_round_trips(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    rho = data.draw(representations(group))
    assert eval(repr(rho), dict(NAMES)) == rho
    twin = pickle.loads(pickle.dumps(rho))
    assert twin == rho
    assert hash(twin) == hash(rho)
    assert copy.deepcopy(rho) is rho


@given(groups(), st.data())
def test_another_window_and_back(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    rho = data.draw(representations(group))
    wide = group.window(num_scales=group.num_scales + 1)
    moved = rho.with_group(wide)
    assert moved.group == wide
    assert str(moved) == str(rho)
    assert moved.with_group(group) == rho


@pytest.mark.parametrize(
    "rho",
    [
        GROUP.scalar,
        GROUP.regular,
        GROUP.character(0.5),
        GROUP.irrep("E"),
        GROUP.irrep("B1", weight=-1),
        Character(ScaleGroup(), 2.0),
        Scalar(SignedPermutations.octahedral()),
    ],
    ids=str,
)
class TestContract:
    def test_accepts(self, rho: Representation) -> None:
        check_representation(rho)


class TestRegular(RepresentationContract):
    def make_representation(self) -> Representation:
        return GROUP.regular


class Doubling(Representation):
    """Correct: the determinant of the linear part; broken below in one place each."""

    size = 1

    def __init__(self, group: Group) -> None:
        self.group = group

    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.array([[g.s**2]])

    def __str__(self) -> str:
        return "doubling"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.group!r})"


class Offset(Doubling):
    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.array([[g.s + 1]])


class NotMultiplicative(Doubling):
    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.array([[1 + abs(np.log(g.s))]])


class AntiHomomorphism(Doubling):
    size = 2

    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.asarray(g.k.matrix.T)


class Integers(Doubling):
    def matrix(self, g: Any) -> Any:
        return np.ones((1, 1), dtype=int)


class SilentTruncation(Doubling):
    size = 4

    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.eye(4, k=-g.exponent)


class Anyone(Doubling):
    def __call__(self, g: Any) -> NDArray[np.float64]:
        return np.ones((1, 1))


class NoRepr(Doubling):
    def __repr__(self) -> str:
        return f"Doubling({self.group!r}.window(first=7))"


def test_the_contract_accepts_a_correct_representation() -> None:
    check_representation(Doubling(GROUP))


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Offset, r"rho\(e\) == 1"),
        (NotMultiplicative, r"rho\(g\) rho\(h\) == rho\(g @ h\)"),
        (AntiHomomorphism, r"rho\(g\) rho\(h\) == rho\(g @ h\)"),
        (SilentTruncation, r"rho\(g\) rho\(h\) == rho\(g @ h\)"),
        (Integers, "float64"),
        (Anyone, "another group"),
    ],
)
def test_the_contract_refuses_a_broken_representation(broken: type[Representation], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_representation(broken(GROUP))  # type: ignore[call-arg]


def test_the_contract_refuses_a_repr_that_is_wrong() -> None:
    class TestNoRepr(RepresentationContract):
        def make_representation(self) -> Representation:
            return NoRepr(GROUP)

        def names(self) -> dict[str, Any]:
            return {**super().names(), "Doubling": NoRepr}

    with pytest.raises(AssertionError, match="round trip of repr"):
        TestNoRepr().run()
