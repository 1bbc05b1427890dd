"""`plan` says what a convolution does."""

from __future__ import annotations

import numpy as np
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
    text = r"expected 2 shape\(s\) \(batch, 2, 3 sizes\) of integers >= 1, received \(1, 2, 9, 9, 9\)"
    with pytest.raises(ScaleGroupError, match=text):
        inner.plan((1, 2, 9, 9, 9))


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (1, 4, 6, 6),
        (1, 3, 6, 6, 6),
        [(1, 4, 6, 6, 6)] * 2,
        5,
        None,
        "a",
        "14666",
        (1, 4, 6.5, 6, 6),
        (1, 4, "6", 6, 6),
        (1, 4, 0, 6, 6),
        (1, 4, 6, 6, -6),
        (0, 4, 6, 6, 6),
        [5],
        [(1, 4, 6, 6, 6), 5],
    ],
)
def test_other_shapes_are_refused(shape: object) -> None:
    text = r"expected 1 shape\(s\) \(batch, 4, 3 sizes\) of integers >= 1, received .*forward takes"
    with pytest.raises(ScaleGroupError, match=text):
        nn.GroupConv(FIELD, FIELD).plan(shape)  # type: ignore[arg-type]


def test_shapes_of_all_kinds_of_sequences_and_integers_are_taken() -> None:
    conv = nn.GroupConv(FIELD, FIELD)
    wanted = conv.plan((1, 4, 6, 6, 6))
    for shape in (
        [1, 4, 6, 6, 6],
        torch.Size([1, 4, 6, 6, 6]),
        [(1, 4, 6, 6, 6)],
        [np.int64(n) for n in (1, 4, 6, 6, 6)],
    ):
        assert conv.plan(shape) == wanted


@pytest.mark.parametrize(("method", "runs"), [("auto", "dense"), ("separable", "dense"), ("spectral", "spectral")])
def test_a_frozen_layer_is_measured_as_it_runs(method: str, runs: str) -> None:
    conv = nn.freeze(nn.GroupConv(FIELD, FIELD, method=method))
    plan = conv.plan((1, 4, 6, 6, 6), measure=True)
    assert plan.method == runs
    assert [c.method for c in plan.candidates if c.measured is not None] == [runs]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_planned_as_the_float32_that_the_cpu_computes_with(dtype: torch.dtype) -> None:
    single, double = (nn.GroupConv(FIELD, FIELD).to(kind).plan((1, 4, 6, 6, 6)) for kind in (None, torch.float64))
    assert nn.GroupConv(FIELD, FIELD).to(dtype).plan((1, 4, 6, 6, 6)) == single
    assert double.candidates[1].cost.bytes == 2 * single.candidates[1].cost.bytes
    with torch.autocast("cpu", dtype=dtype):
        assert nn.GroupConv(FIELD, FIELD).double().plan((1, 4, 6, 6, 6)) == single
