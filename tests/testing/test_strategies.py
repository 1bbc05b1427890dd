"""The strategies make what they say, and Hypothesis prints it so that it can be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from scalegroup.groups import ScaleTranslationGroup
from scalegroup.symbolic import Basis, SymbolicBasis
from scalegroup.testing import check_basis, strategies


def test_all_names_exist_and_are_sorted() -> None:
    assert sorted(strategies.__all__) == strategies.__all__
    assert all(callable(getattr(strategies, name)) for name in strategies.__all__)


@settings(max_examples=8)
@given(strategies.bases(dim=1))
def test_bases_keep_their_contract(basis: Basis) -> None:
    check_basis(basis)


def test_bases_are_of_both_kinds() -> None:
    assert isinstance(find(strategies.bases(dim=2), lambda basis: isinstance(basis, SymbolicBasis)), SymbolicBasis)


def test_a_counterexample_is_simple_and_readable() -> None:
    """One axis, one scale, one step of the base, one voxel: and elements, not how they were drawn."""

    @settings(phases=[Phase.generate, Phase.shrink])
    @given(st.data())
    def elements_commute(data: Any) -> None:
        group = data.draw(strategies.groups(rotations=False))
        g, h = data.draw(strategies.elements(group)), data.draw(strategies.elements(group))
        assert g @ h == h @ g

    with pytest.raises(AssertionError) as caught:
        elements_commute()
    group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=1)
    shown = "\n".join(caught.value.__notes__)
    assert repr(group.element(t=(0.0,), s=2.0)) in shown
    assert repr(group.element(t=(1.0,), s=1.0)) in shown
