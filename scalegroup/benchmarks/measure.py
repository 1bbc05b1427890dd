"""Time and peak memory of cases: first each in a process of its own, then those to be compared in turns."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import torch

from scalegroup.benchmarks.cases import WITHOUT_C, Case
from scalegroup.errors import ScaleGroupError

Key = TypeVar("Key", bound=Hashable)

# Multiply-adds in a second; a case that would take longer than the limit at this rate is not tried.
RATE = {"cpu": 150e9, "cuda": 5e12}
SLOW, SLOWEST = 2.0, 5.0  # seconds; slow cases are run once more, the slowest ones are not
LEAST, ENOUGH, MOST = 3, 7, 15  # runs of the others
FOR_ENOUGH = 4  # times the budget that is spent on the first seven runs; further ones keep to the budget


@dataclass(frozen=True)
class Measurement:
    """What was found out about a case.

    Attributes:
        case: what was measured.
        seconds: median time of a run; None if there was none.
        runs: how many runs the median is over.
        memory: bytes by which a process grows at the peak of a run, outputs and gradients included, inputs and weights
            not; None where it is not known.
        longer_than: seconds after which a run was stopped.
        note: why there is no time.
        times: seconds of the runs that took turns with those of other cases, in this order.
    """

    case: Case
    seconds: float | None = None
    runs: int = 0
    memory: int | None = None
    longer_than: float | None = None
    note: str = ""
    times: tuple[float, ...] = ()


def measure(
    cases: Iterable[Case], device: str = "cpu", threads: int = 2, limit: float = 20.0, budget: float = 0.4
) -> Iterator[Measurement]:
    """Measure cases; yields the measurements group by group.

    Each case first runs in a fresh process, which tells its peak memory and whether it ends in time. Cases of a group
    that take no longer than five seconds are then run in turns in this process, so that their ratios come from the same
    minutes; of the others, the first run counts. With CUDA, which knows its memory, all runs are in this process.

    Args:
        cases: what to measure.
        device: "cpu" or "cuda".
        threads: of torch.
        limit: seconds for one run. Cases that need more at `RATE` multiply-adds in a second are not tried.
        budget: seconds of runs in turns for each case. There are at least three (one for those above two seconds), and
            seven where these take no longer than four times the budget.

    Raises:
        ScaleGroupError: for a device that is not there, or numbers out of range.
    """
    where = _device(device)
    if threads < 1 or limit <= 0 or budget < 0:
        received = f"threads={threads}, limit={limit}, budget={budget}"
        raise ScaleGroupError("threads >= 1, limit > 0 and budget >= 0", received, "leave them out for the defaults")
    stopped: set[Case] = set()
    for _, members in groupby(sorted(cases, key=lambda case: case.group), key=lambda case: case.group):
        with _threads(threads):
            found = _measure_group(list(members), where, threads, limit, budget, stopped)
        yield from found


def _measure_group(
    cases: Sequence[Case], device: torch.device, threads: int, limit: float, budget: float, stopped: set[Case]
) -> list[Measurement]:
    first = {}
    for case in cases:
        if case.easier in stopped:
            first[case] = Measurement(case, note=f"skipped: {case.easier.name} was stopped")
            stopped.add(case)
        elif (case.multiply_adds or 0) > RATE[device.type] * limit:
            first[case] = Measurement(case, note=f"skipped: {case.multiply_adds:.1e} multiply-adds")
        else:
            first[case] = first_run(case, device, threads, limit * case.patience)
        if first[case].longer_than is not None:
            stopped.add(case)
    known = {case: one.seconds for case, one in first.items() if one.seconds is not None}
    again = {case: case.prepare(device) for case, seconds in known.items() if seconds <= SLOWEST}
    slow = {case for case in again if known[case] > SLOW}
    times = in_turns(again, budget, slow, _synchronise(device))
    return [
        Measurement(
            case, statistics.median(times[case]), len(times[case]), first[case].memory, times=tuple(times[case])
        )
        if case in times
        else first[case]
        for case in cases
    ]


def in_turns(
    functions: Mapping[Key, Callable[[], object]],
    budget: float,
    slow: set[Key],
    synchronise: Callable[[], object] = lambda: None,
) -> dict[Key, list[float]]:
    """Seconds of the runs of functions that take turns, after a run of each that is not counted.

    Args:
        functions: what to time.
        budget: seconds for the runs of each, and four times as many for the first seven.
        slow: those that are run only once, and without a run before.
        synchronise: waits until the device has done its work.

    Example:
        >>> sorted(in_turns({"sum": lambda: sum(range(9)), "none": int}, budget=0.0, slow={"none"}))
        ['none', 'sum']
    """
    times: dict[Key, list[float]] = {key: [] for key in functions}
    for key in functions.keys() - slow:
        timed(functions[key], synchronise)
    while waiting := [key for key, own in times.items() if _wants_more(own, budget, key in slow)]:
        for key in waiting:
            times[key].append(timed(functions[key], synchronise))
    return times


def _wants_more(own: Sequence[float], budget: float, slow: bool) -> bool:
    if slow:
        return not own
    count, spent = len(own), sum(own)
    return count < LEAST or (count < ENOUGH and spent < FOR_ENOUGH * budget) or (count < MOST and spent < budget)


def timed(function: Callable[[], object], synchronise: Callable[[], object] = lambda: None) -> float:
    """Seconds of one run."""
    synchronise()
    start = time.perf_counter()
    function()
    synchronise()
    return time.perf_counter() - start


def estimate(cases: Iterable[Case], limit: float, budget: float = 0.4) -> float:
    """About how many seconds `measure` takes, at most: from multiply-adds, not from runs."""
    return sum(_expected(case, limit, budget) for case in cases)


def _expected(case: Case, limit: float, budget: float) -> float:
    dense, counted = case.method in DENSE, case.multiply_adds
    if counted is None:
        return limit * case.patience if dense else LEAST
    rate = RATE["cpu"]
    if counted > rate * limit:
        return 0.0
    if dense and getattr(case, "width", 0) > FAST_WIDTH:
        return limit if case.easier is None else STARTING
    seconds = counted / rate * (1 if dense else SLOWER.get(case.method, 2))
    if seconds > SLOW:
        return STARTING + seconds + (0.0 if seconds > SLOWEST else seconds)
    runs = max(LEAST * seconds, min(ENOUGH * seconds, FOR_ENOUGH * budget), budget)
    return STARTING + seconds + seconds + runs


DENSE = ("published", "dense")
FAST_WIDTH = 13  # torch has fast dense kernels for all sizes up to here; wider ones are likely to be stopped
SLOWER = {"spectral": 5, WITHOUT_C: 5}  # seconds for the multiply-adds of dense kernels of one second
STARTING = 0.2  # seconds; a process, its layers and its inputs


# The first run


def first_run(case: Case, device: torch.device, threads: int, patience: float) -> Measurement:
    """Time and peak memory of one run in a fresh process, which is stopped when its patience is over."""
    if device.type == "cuda":
        return _run(case, device)
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_run_apart, args=(there, case, threads), daemon=True)
    process.start()
    there.close()
    try:
        found: Measurement | None = here.recv()  # None: all is prepared, and the run begins
        if found is None and not here.poll(patience):
            return Measurement(case, longer_than=patience, note=f"stopped after {patience:g} s")
        return found or here.recv()
    except EOFError:
        process.join()
        return Measurement(case, note=f"failed: its process ended with status {process.exitcode}")
    finally:
        process.kill()
        process.join()
        here.close()


# Children are copies of a process that has imported the library, what its layers import when made, and nothing else.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, "torch._dynamo"])


def _run_apart(pipe: Connection, case: Case, threads: int) -> None:
    torch.set_num_threads(threads)
    pipe.send(_run(case, torch.device("cpu"), ready=partial(pipe.send, None)))


def _run(case: Case, device: torch.device, ready: Callable[[], object] = lambda: None) -> Measurement:
    """One run after that of a small case, with an account of memory."""
    try:
        case.small().prepare(device)()
        function = case.prepare(device)
        ready()
        before = _start_account(device)
        seconds = timed(function, _synchronise(device))
    except (ScaleGroupError, RuntimeError) as error:  # such as: not on this device; no memory
        return Measurement(case, note=f"failed: {str(error).splitlines()[0]}")
    return Measurement(case, seconds, 1, None if before is None else _peak(device) - before)


_ACCOUNT = Path("/proc/self")  # Linux's account of this process


def _start_account(device: torch.device) -> int | None:
    """Forget the peak so far; returns the bytes in use, or None where there is no account."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        (_ACCOUNT / "clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _status("VmHWM")


def _status(field: str) -> int:
    lines = (_ACCOUNT / "status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise ScaleGroupError("the device 'cpu' or 'cuda'", repr(name), "'cpu' is the default")
    if name == "cuda" and not torch.cuda.is_available():
        raise ScaleGroupError("a machine with CUDA", "none that torch can see", "leave --device out to measure the CPU")
    return torch.device(name)


def _synchronise(device: torch.device) -> Callable[[], object]:
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
