"""Measuring: turns, limits, memory, and a machine that is left as it was found."""

from __future__ import annotations

from functools import partial
from itertools import groupby

import pytest
import torch

from scalegroup.benchmarks.cases import Case, Layer, all_cases
from scalegroup.benchmarks.measure import (
    ENOUGH,
    FOR_ENOUGH,
    LEAST,
    MOST,
    Measurement,
    estimate,
    first_run,
    in_turns,
    measure,
)
from scalegroup.errors import ScaleGroupError

CPU = torch.device("cpu")
SMALL = Layer("separable", 10, 5, 2, 8)


def only(case: Case, **options: float) -> Measurement:
    (one,) = measure([case], threads=1, **options)  # type: ignore[arg-type]
    return one


def test_functions_take_turns() -> None:
    calls: list[str] = []
    times = in_turns({name: partial(calls.append, name) for name in "abc"}, budget=0.0, slow={"c"})
    assert {name: len(own) for name, own in times.items()} == {"a": LEAST, "b": LEAST, "c": 1}
    turns = "".join(calls)[2:]  # "a" and "b" are warmed up first
    assert turns == "abc" + "ab" * (LEAST - 1)
    assert max(len(list(run)) for _, run in groupby(turns)) == 1


@pytest.mark.parametrize(
    ("seconds", "runs"),
    [(0.001, MOST), (0.055, 8), (0.2, ENOUGH), (1.6 / 6.5, ENOUGH), (0.45, 4), (1.0, LEAST)],
)
def test_short_runs_are_repeated_until_they_are_enough(
    seconds: float, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FOR_ENOUGH * 0.4 == 1.6
    monkeypatch.setattr("scalegroup.benchmarks.measure.timed", lambda *_: seconds)
    assert in_turns({"case": int}, budget=0.4, slow=set()) == {"case": [seconds] * runs}


def test_a_case_is_measured() -> None:
    before = torch.get_num_threads()
    one = only(SMALL, budget=0.0)
    assert one.seconds is not None
    assert 0 < one.seconds < 5
    assert (one.runs, one.note) == (LEAST, "")
    assert sorted(one.times)[LEAST // 2] == one.seconds
    assert torch.get_num_threads() == before


def test_peak_memory_is_that_of_one_run() -> None:
    small, large = (first_run(Layer("plain", 27, 5, 8, size), CPU, 1, 60.0).memory for size in (24, 48))
    if small is None or large is None:
        pytest.skip("needs Linux's account of memory")
    field = 4 * 4 * 8  # bytes of four scales with eight channels, for each voxel
    assert field * 48**3 < large
    assert large - small > 0.9 * field * (48**3 - 24**3)


def test_a_run_that_takes_too_long_is_stopped() -> None:
    one = first_run(Layer("separable", 27, 9, 8, 32, train=True), CPU, 1, patience=1e-4)
    assert one.seconds is None
    assert one.longer_than == 1e-4
    assert one.note == "stopped after 0.0001 s"


def test_what_is_hopeless_is_not_tried() -> None:
    assert only(Layer("published", 27, 25, 32, 48)).note == "skipped: 7.1e+12 multiply-adds"
    forward, both = measure([SMALL, Layer("separable", 10, 5, 2, 8, train=True)], threads=1, limit=1e-4)
    assert forward.note.startswith("stopped")
    assert both.note == f"skipped: {SMALL.name} was stopped"


def test_a_case_that_cannot_run_says_why() -> None:
    one = only(Layer("magic", 10, 5, 2, 8))
    assert one.seconds is None
    assert one.note.startswith("failed: expected method out of")


def test_the_whole_takes_minutes() -> None:
    assert 60 < estimate(all_cases(), 20.0) < 12 * 60
    assert estimate(all_cases(), 1.0) < estimate(all_cases(), 20.0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"device": "abacus"}, "expected the device 'cpu' or 'cuda', received 'abacus'"),
        ({"threads": 0}, "expected threads >= 1, limit > 0 and budget >= 0, received threads=0"),
        ({"limit": 0.0}, "received threads=2, limit=0.0"),
    ],
)
def test_bad_arguments(options: dict[str, object], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        list(measure([SMALL], **options))  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(ScaleGroupError, match="a machine with CUDA"):
        list(measure([SMALL], device="cuda"))
