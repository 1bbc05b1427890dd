"""What was measured of each method: measured, kept in a file, read again."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from scalegroup.benchmarks.compare.apart import apart
from scalegroup.benchmarks.compare.costs import Classifying, all_costs
from scalegroup.benchmarks.compare.equivariance import NAN, Errors, classifier_error, torus_errors, unet_error
from scalegroup.benchmarks.compare.networks import PLAIN, classifier, has_dim
from scalegroup.benchmarks.measure import Measurement

MEBIBYTE = 2**20
LISTED = ("name", "dim", "torus", "end_to_end", "parameters", "forward", "step", "memory")  # in `sg.methods.list()`


@dataclass(frozen=True)
class Row:
    """What was measured of a method; nan where there is nothing, and `notes` say why.

    Attributes:
        name: of the method or plain network.
        dim: number of axes.
        torus: error of two layers on the torus, see `torus_errors`.
        kernels: the same without activations.
        torus_factor: by which the input was scaled there.
        end_to_end: error of a classifier's logits, see `classifier_error`.
        unet: error of a U-Net's output, see `unet_error`.
        unet_scales: error of its worst scale before the projection over the scales.
        parameters: weights of the classifier that is timed.
        forward, step, memory: time of its forward pass, time and peak memory of its training step, over those of the
            plain network.
        forward_ms, step_ms, memory_mib: the same in milliseconds and in MiB.
        notes: why something is missing.
        made_by: the command, the versions and the machine.
    """

    name: str
    dim: int
    torus: float = NAN
    kernels: float = NAN
    torus_factor: float = NAN
    end_to_end: float = NAN
    unet: float = NAN
    unet_scales: float = NAN
    parameters: float = NAN
    forward: float = NAN
    step: float = NAN
    memory: float = NAN
    forward_ms: float = NAN
    step_ms: float = NAN
    memory_mib: float = NAN
    notes: str = ""
    made_by: str = ""


def measured_rows(
    names: Sequence[str],
    dims: Sequence[int],
    threads: int = 1,
    limit: float = 60.0,
    advance: Callable[[str], object] = lambda note: None,
) -> list[Row]:
    """Measures methods, each error in a process of its own, and their times in turns.

    Args:
        names: of methods and plain networks.
        dims: numbers of axes; a method that lacks one has no row there.
        threads: of torch. Default 1.
        limit: seconds for one error, and half of them for one timed run. Default 60.
        advance: is told what has been done.
    """
    rows = {}
    for dim in dims:
        for name in names:
            if has_dim(name, dim):
                rows[name, dim] = _errors(Row(name, dim), threads, limit)
                advance(f"{name} {dim}-D")
    timed = list(dict.fromkeys([PLAIN, *names]))
    for dim in dims:
        there = [name for name in timed if has_dim(name, dim)]
        found = []
        for one in all_costs(there, [dim], threads, limit / 2):
            found.append(one)
            advance(one.case.name)
        rows |= {(name, dim): _costs(rows[name, dim], found) for name in there if (name, dim) in rows}
    return list(rows.values())


def _errors(row: Row, threads: int, limit: float) -> Row:
    """A row with its errors and its number of weights."""
    reasons = []

    def ask(what: str, function: Callable[..., Any], nothing: Any) -> Any:
        found, reason = apart(partial(function, row.name, row.dim), limit, threads)
        if reason:
            reasons.append(f"{what}: {reason}")
        return nothing if found is None else found

    torus: Errors = ask("torus", torus_errors, Errors(NAN, factor=NAN))
    whole: Errors = ask("classifier", classifier_error, Errors(NAN))
    unet: Errors = ask("U-Net", unet_error, Errors(NAN))
    count = ask("weights", parameter_count, NAN)
    return replace(
        row,
        torus=torus.value,
        kernels=torus.inner,
        torus_factor=torus.factor,
        end_to_end=whole.value,
        unet=unet.value,
        unet_scales=unet.inner,
        parameters=count,
        notes="; ".join(reasons),
    )


def parameter_count(name: str, dim: int) -> int:
    """The number of weights of the classifier that learns and is timed.

    Example:
        >>> parameter_count("plain", 2)
        5226
    """
    return sum(parameter.numel() for parameter in classifier(name, dim).parameters())


def _costs(row: Row, found: Iterable[Measurement]) -> Row:
    """A row with its times and its memory, and those relative to the plain network."""
    by_case = {(one.case.method, one.case.train): one for one in found if isinstance(one.case, Classifying)}
    (forward, step), (plain_forward, plain_step) = (
        [by_case[name, train] for train in (False, True)] for name in (row.name, PLAIN)
    )
    reasons = [f"{one.case.group.split()[1]}: {one.note}" for one in (forward, step) if one.note]
    return replace(
        row,
        forward=_ratio(forward.seconds, plain_forward.seconds),
        step=_ratio(step.seconds, plain_step.seconds),
        memory=_ratio(step.memory, plain_step.memory),
        forward_ms=_times(forward.seconds, 1000),
        step_ms=_times(step.seconds, 1000),
        memory_mib=_times(step.memory, 1 / MEBIBYTE),
        notes="; ".join(filter(None, [row.notes, *reasons])),
    )


def _ratio(value: float | None, reference: float | None) -> float:
    return value / reference if value is not None and reference else NAN


def _times(value: float | None, factor: float) -> float:
    return NAN if value is None else value * factor


def as_cells(row: Row) -> dict[str, str]:
    """The cells of a row in a file: four digits, and "" for nan.

    Example:
        >>> cells = as_cells(Row("ours", 3, torus=1 / 3, parameters=1234))
        >>> cells["torus"], cells["parameters"], cells["unet"]
        ('0.3333', '1234', '')
    """
    return {key: _cell(value) for key, value in asdict(row).items()}


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value:.0f}" if value == round(value) else f"{value:.4g}"


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [_row(cells) for cells in csv.DictReader(file)]


def _row(cells: dict[str, str]) -> Row:
    kinds = {field.name: field.type for field in fields(Row)}
    known = {name: cell for name, cell in cells.items() if name in kinds}
    words = {name: cell for name, cell in known.items() if kinds[name] == "str"}
    numbers = {name: float(cell) if cell else NAN for name, cell in known.items() if kinds[name] == "float"}
    return Row(**words, **numbers, dim=int(cells["dim"]))  # type: ignore[arg-type]


def merged(old: Iterable[Row], new: Iterable[Row], order: Sequence[str]) -> list[Row]:
    """All rows, the new ones in place of the old ones, by the number of axes and in this order of names."""
    rows = {(row.name, row.dim): row for row in (*old, *new)}
    places = {name: place for place, name in enumerate(order)}
    return sorted(rows.values(), key=lambda row: (row.dim, places.get(row.name, len(places))))
