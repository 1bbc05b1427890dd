"""A scale as an angle keeps the laws of a representation."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup, SignedPermutations
from scalegroup.representations import Phase
from scalegroup.testing import RepresentationContract

GROUP = ScaleTranslationGroup(dim=2, base=2**0.5, num_scales=3, first=-1)


class TestPhase(RepresentationContract):
    def make_representation(self) -> Phase:
        return Phase(GROUP, rate=0.7)


def test_a_factor_turns_by_the_rate_times_its_logarithm() -> None:
    turned = Phase(GROUP, rate=pi / (2 * log(2)))(GROUP.element(s=2.0)) @ [1.0, 0.0]
    np.testing.assert_allclose(turned, [0.0, 1.0], atol=1e-12)
    assert not np.allclose(Phase(GROUP, rate=1.0)(GROUP.element(s=2.0)) @ [1.0, 0.0], [0.0, 1.0])


def test_translations_do_not_turn() -> None:
    np.testing.assert_array_equal(Phase(GROUP, rate=0.7)(GROUP.element(t=(1.0, 2.0))), np.eye(2))


def test_the_rate_is_part_of_the_value() -> None:
    assert Phase(GROUP, 0.5) == Phase(GROUP, 0.5) != Phase(GROUP, 0.6)


def test_field_types_are_read_from_text() -> None:
    field = FieldType.parse("3*phase(0.5)", GROUP)
    assert field == 3 * Phase(GROUP, 0.5)
    assert field.size == 6
    assert str(field) == "3*phase(0.5)"


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), "fast", True])
def test_rates_are_finite_numbers(rate: object) -> None:
    with pytest.raises(ScaleGroupError, match="a rate, a finite number"):
        Phase(GROUP, rate)  # type: ignore[arg-type]


def test_a_group_without_scales_has_no_phase() -> None:
    with pytest.raises(ScaleGroupError, match="a ScaleTranslationGroup"):
        Phase(SignedPermutations.trivial(2), 1.0)
