"""The group axioms and the action: for all groups of the library, and refused for broken ones."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalegroup.groups
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import Group, ScaleGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.testing.algebra import GroupContract, check_group
from scalegroup.testing.strategies import elements, groups

NAMES = vars(scalegroup.groups)
any_group = st.one_of(
    groups(),
    groups().map(lambda group: group.rotations),
    st.sampled_from((ScaleGroup(), ScaleGroup(2.0), ScaleGroup(0.3, dim=3))),
)


@given(st.data())
def test_axioms(data: st.DataObject) -> None:
    group = data.draw(any_group)
    f, g, h = (data.draw(elements(group)) for _ in range(3))
    e = group.identity
    assert (f @ g) @ h == f @ (g @ h)
    assert g @ e == g == e @ g
    assert g @ ~g == e == ~g @ g
    assert ~(g @ h) == ~h @ ~g


@given(st.data())
def test_action(data: st.DataObject) -> None:
    group = data.draw(any_group)
    g, h = data.draw(elements(group)), data.draw(elements(group))
    points = np.random.default_rng(0).standard_normal((2, 3, group.dim))
    np.testing.assert_allclose((g @ h).act(points), g.act(h.act(points)), atol=1e-9)
    np.testing.assert_allclose((~g).act(g.act(points)), points, atol=1e-9)


@given(st.data())
def test_round_trips(data: st.DataObject) -> None:
    group = data.draw(any_group)
    for value in (group, data.draw(elements(group))):
        assert eval(repr(value), dict(NAMES)) == value
        twin = pickle.loads(pickle.dumps(value))
        assert twin == value
        assert hash(twin) == hash(value)
        assert copy.deepcopy(value) is value


@given(any_group, st.integers(0, 2**32))
def test_samples_take_a_seed_a_generator_or_nothing(group: Group, seed: int) -> None:
    assert group.sample(seed) == group.sample(np.random.default_rng(seed))
    assert group.sample().group == group


@pytest.mark.parametrize("rng", ["a", 1.5, -1, True])
@pytest.mark.parametrize("group", [ScaleGroup(2.0), ScaleTranslationGroup()], ids=["scale", "all"])
def test_wrong_generators(group: Group, rng: Any) -> None:
    with pytest.raises(ScaleGroupError, match="a NumPy generator, a seed >= 0, or None, received"):
        group.sample(rng)


class TestOctahedral(GroupContract):
    def make_group(self) -> Group:
        return SignedPermutations.full_octahedral()


class TestScaleTranslation(GroupContract):
    def make_group(self) -> Group:
        return ScaleTranslationGroup(dim=2, base=1.7, num_scales=3, rotations="d4", first=-1)


class TestAllScales(GroupContract):
    def make_group(self) -> Group:
        return ScaleGroup()


class Shifts(Group):
    """The integers under addition: correct, and broken below in one place each."""

    def unit(self) -> Any:
        return 0

    def multiply(self, a: Any, b: Any) -> Any:
        return a + b

    def invert(self, a: Any) -> Any:
        return -a

    def draw(self, rng: np.random.Generator) -> Any:
        return rng.integers(-5, 6)

    def transform(self, a: Any, points: Any) -> Any:
        return points + a


class NotAssociative(Shifts):
    def multiply(self, a: Any, b: Any) -> Any:
        return a - b


class WrongInverse(Shifts):
    def invert(self, a: Any) -> Any:
        return a


class WrongIdentity(Shifts):
    def unit(self) -> Any:
        return 1


class WrongAction(Shifts):
    def transform(self, a: Any, points: Any) -> Any:
        return points + abs(a)


class NotClosed(Shifts):
    def draw(self, rng: np.random.Generator) -> Any:
        return rng.integers(4, 6)

    def contains(self, a: Any) -> bool:
        return bool(a < 6)


class OnlyIdentity(Shifts):
    def draw(self, rng: np.random.Generator) -> Any:
        return 0


class ForgetfulRepr(Shifts):
    def __init__(self, dim: int = 1) -> None:
        self.dim = dim

    def __repr__(self) -> str:
        return "ForgetfulRepr()"


def test_the_contract_accepts_a_correct_group() -> None:
    check_group(Shifts())


@pytest.mark.parametrize(
    ("group", "law"),
    [
        (NotAssociative(), r"f @ \(g @ h\)"),
        (WrongInverse(), "g @ ~g == e"),
        (WrongIdentity(), "g @ e == g"),
        (WrongAction(), "act"),
        (NotClosed(), "closure"),
        (OnlyIdentity(), "other than the identity"),
        (ForgetfulRepr(dim=2), "round trip of repr"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Group) else "",
)
def test_the_contract_refuses_a_broken_group(group: Group, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_group(group)
