"""The group of diffusion MRI: its laws, what dilations do to positions and to q-space."""

from __future__ import annotations

import numpy as np
import pytest

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import DiffusionElement, DiffusionGroup, Group, ScaleTranslationGroup
from scalegroup.representations import Irrep, Representation
from scalegroup.testing import GroupContract, RepresentationContract

POWERS = {"p": (1, 0), "q": (0, 1), "joint": (1, -1)}


class TestPositions(GroupContract):
    def make_group(self) -> Group:
        return DiffusionGroup("p", dim=3, base=2.0, rotations="octahedral")


class TestQSpace(GroupContract):
    def make_group(self) -> Group:
        return DiffusionGroup("q", dim=2, num_scales=3, first=-1)


class TestJoint(GroupContract):
    def make_group(self) -> Group:
        return DiffusionGroup("joint", dim=1, rotations="reflection")


class TestRegular(RepresentationContract):
    def make_representation(self) -> Representation:
        return Irrep(DiffusionGroup("q", dim=3, rotations="octahedral"), "T1")


@pytest.mark.parametrize("acts_on", POWERS)
def test_dilations_multiply_by_their_powers(acts_on: str) -> None:
    group = DiffusionGroup(acts_on, base=2.0)
    g = group.element(t=(1, 2, 3), s=4.0)
    assert isinstance(g, DiffusionElement)
    for_p, for_q = (4.0**power for power in POWERS[acts_on])
    np.testing.assert_array_equal(g.act([1, 0, 0]), [for_p + 1, 2, 3])
    np.testing.assert_array_equal(g.act_q([[1, 0, 0], [0, -2, 5]]), [[for_q, 0, 0], [0, -2 * for_q, 5 * for_q]])
    assert group.haar_weight(g) == for_p**-3


@pytest.mark.parametrize("acts_on", POWERS)
def test_the_action_on_q_space_follows_the_product(acts_on: str) -> None:
    group, rng = DiffusionGroup(acts_on, rotations="octahedral"), np.random.default_rng(0)
    q = rng.standard_normal((5, 3))
    for _ in range(8):
        g, h = group.sample(rng), group.sample(rng)
        np.testing.assert_allclose((g @ h).act_q(q), g.act_q(h.act_q(q)), atol=1e-12)
        np.testing.assert_allclose((~g).act_q(g.act_q(q)), q, atol=1e-12)
        assert group.q_power == 0 or not np.allclose(g.act_q(q), q) or g.s == 1


def test_rotations_turn_both_spaces_alike() -> None:
    group = DiffusionGroup("joint", rotations="octahedral")
    k = group.element(k=(-2, 1, 3))
    np.testing.assert_array_equal(k.act_q([1, 2, 3]), k.act([1, 2, 3]))


def test_windows_keep_the_class() -> None:
    group = DiffusionGroup("q", num_scales=2)
    assert group.window(num_scales=5, first=-1) == DiffusionGroup("q", num_scales=5, first=-1)
    assert group.window(num_scales=2) != ScaleTranslationGroup(num_scales=2)
    assert group.p_group == ScaleTranslationGroup(num_scales=2)
    assert DiffusionGroup("p") != DiffusionGroup("q")


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ScaleGroupError, match="acts_on out of"):
        DiffusionGroup("b")
    with pytest.raises(ScaleGroupError, match="acts_on out of"):
        DiffusionGroup(1)  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match="sampling='uniform'"):
        DiffusionGroup("p").window(sampling="haar")
    with pytest.raises(ScaleGroupError, match=r"points of shape \(..., 3\)"):
        DiffusionGroup("p").element().act_q([1.0, 2.0])
