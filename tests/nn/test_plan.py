"""`plan` says what a convolution does."""

from __future__ import annotations

import pytest
import torch

import scalegroup as sg
from scalegroup import nn
from scalegroup.errors import ScaleGroupError

GROUP = sg.ScaleTranslationGroup(num_scales=2)
HAAR = sg.ScaleTranslationGroup(num_scales=2, sampling="haar")
FIELD = 2 * GROUP.regular


def test_a_plan_is_a_page() -> None:
    page = str(nn.GroupConv(FIELD, FIELD).plan((1, 4, 12, 12, 12)))
    assert page.startswith("GroupConv 1×4×12×12×12: separable (expected to be faster than")
    assert [line.split()[0] for line in page.splitlines()[1:]] == ["method", "dense", "separable", "spectral"]


def test_methods_that_were_asked_for() -> None:
    conv = nn.GroupConv(FIELD, FIELD, method="spectral")
    assert str(conv.plan((1, 4, 6, 6, 6))).startswith("GroupConv 1×4×6×6×6: spectral (asked for)")
    frozen = nn.GroupConv(FIELD, FIELD).eval()
    frozen.freeze()
    assert frozen.plan((1, 4, 6, 6, 6)).method == "dense"


def test_times_are_measured_on_request_and_leave_the_layer_as_it_was() -> None:
    conv = nn.GroupConv(FIELD, FIELD)
    plan = conv.plan((1, 4, 6, 6, 6), measure=True)
    assert all(candidate.measured is not None and candidate.measured > 0 for candidate in plan.candidates)
    assert conv.method == "auto"
    assert all(candidate.measured is None for candidate in conv.plan((1, 4, 6, 6, 6)).candidates)


def test_a_pass_that_would_take_minutes_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalegroup.nn.plan.LONGEST", 0.0)
    assert all(c.measured is None for c in nn.GroupConv(FIELD, FIELD).plan((1, 4, 6, 6, 6), measure=True).candidates)


def test_cost_grows_with_the_batch_in_time_and_not_in_work() -> None:
    one, four = (nn.GroupConv(FIELD, FIELD).plan((batch, 4, 12, 12, 12)).candidates[1] for batch in (1, 4))
    assert one.cost == four.cost
    assert one.expected < four.expected


def test_grids_of_their_own_are_planned_too() -> None:
    lift = nn.GroupConv(1 * HAAR.scalar, 2 * HAAR.regular)
    one, two = (tuple(grid.shape) for grid in lift(torch.zeros(1, 1, 9, 9, 9)))
    inner = nn.GroupConv(2 * HAAR.regular, 2 * HAAR.regular)
    assert inner.plan([one, two]).candidates[0].cost.calls == lift.plan((1, 1, 9, 9, 9)).candidates[0].cost.calls == 2
    with pytest.raises(
        ScaleGroupError, match=r"expected 2 shape\(s\) \(batch, 2, 3 sizes\), received \(1, 2, 9, 9, 9\)"
    ):
        inner.plan((1, 2, 9, 9, 9))


@pytest.mark.parametrize("shape", [(), (1, 4, 6, 6), (1, 3, 6, 6, 6), [(1, 4, 6, 6, 6)] * 2])
def test_other_shapes_are_refused(shape: object) -> None:
    with pytest.raises(ScaleGroupError, match=r"expected 1 shape\(s\) \(batch, 4, 3 sizes\), received .*forward takes"):
        nn.GroupConv(FIELD, FIELD).plan(shape)  # type: ignore[arg-type]
