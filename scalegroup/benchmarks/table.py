"""Measurements as tables of text, as Markdown and as JSON."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scalegroup.benchmarks.cases import PLAIN, PUBLISHED, Layer, UNetStep
from scalegroup.benchmarks.measure import Measurement
from scalegroup.benchmarks.targets import TARGETS, digits


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Args:
        title: in a few words.
        heads: of the columns.
        rows: as wide as the heads.

    Example:
        >>> print(Grid("times", ("case", "ms"), (("a", "1.5"),)).markdown())
        ## times
        <BLANKLINE>
        | case | ms |
        |---|---|
        | a | 1.5 |
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """A heading and a table."""
        lines = [self.heads, *self.rows]
        text = ["| " + " | ".join(line) + " |" for line in lines]
        return "\n".join([f"## {self.title}\n", text[0], "|---" * len(self.heads) + "|", *text[1:]])


def grids(found: Sequence[Measurement]) -> list[Grid]:
    """All tables that have a row: targets, times and peak memory of layers, training steps, and what has no time."""
    tables = [targets(found)]
    for name, train in (("forward", False), ("forward and backward", True)):
        own = [one for one in found if isinstance(one.case, Layer) and one.case.train == train]
        tables.append(_layers(f"Time of a layer, {name}, ms", own, _milliseconds))
        tables.append(_layers(f"Peak memory of a layer, {name}, MiB", own, _mebibytes))
    tables.append(_steps(found))
    notes = tuple((one.case.name, one.note) for one in found if one.note)
    tables.append(Grid("Without a time", ("case", "why"), notes))
    return [table for table in tables if table.rows]


def targets(found: Iterable[Measurement]) -> Grid:
    """What was promised, what was measured, and whether it was met."""
    by_case = {one.case: one for one in found}
    rows = []
    for target in TARGETS:
        ratio, verdict = target.judge(by_case)
        if ratio:
            rows.append((target.text, target.wanted, ratio, target.spread(by_case), verdict))
    return Grid("Targets", ("ratio of times", "target", "measured", "single runs", ""), tuple(rows))


def _layers(title: str, found: Iterable[Measurement], value: Callable[[Measurement], str]) -> Grid:
    cells: dict[tuple[int, int, int], dict[str, str]] = {}
    names: dict[str, None] = {}
    for one in found:
        if isinstance(one.case, Layer):
            case = one.case
            names[column(case)] = None
            cells.setdefault((case.channels, case.size, case.width), {})[column(case)] = value(one)
    rows = tuple((*map(str, row), *(cells[row].get(name, "") for name in names)) for row in sorted(cells))
    return Grid(title, ("C", "N", "k", *names), rows)


def column(case: Layer) -> str:
    """The name of a method in tables and pictures.

    Example:
        >>> column(Layer("separable", 10, 9, 16, 48)), column(Layer("plain", 27, 9, 16, 48))
        ('separable, 10', 'plain 3×3×3')
    """
    named = {PLAIN: "plain 3×3×3", PUBLISHED: "published conv3d", "dense": "dense"}
    return named.get(case.method, f"{case.method}, {case.functions}")


def _steps(found: Iterable[Measurement]) -> Grid:
    steps = [one for one in found if isinstance(one.case, UNetStep)]
    rows = tuple((one.case.group, one.case.method, _milliseconds(one), _mebibytes(one)) for one in steps)
    return Grid("Training step of a U-Net", ("case", "method", "ms", "peak memory, MiB"), rows)


def _milliseconds(one: Measurement) -> str:
    if one.seconds is None:
        return "–" if one.longer_than is None else f"> {1000 * one.longer_than:.0f}"
    return digits(1000 * one.seconds)


def _mebibytes(one: Measurement) -> str:
    return "–" if one.memory is None else digits(one.memory / 2**20)


def machine(threads: int, device: str) -> dict[str, Any]:
    """What the figures depend on: processor, threads, versions, date.

    Example:
        >>> sorted(machine(2, "cpu"))
        ['cores', 'date', 'device', 'mkl', 'numpy', 'onednn', 'processor', 'python', 'system', 'threads', 'torch']
    """
    built = torch.__config__.show()
    return {
        "processor": _processor(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "cores": cpu_count(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "onednn": _version(r"MKL-DNN v([\d.]+)", built),
        "mkl": _version(r"Math Kernel Library Version ([\d.]+)", built),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def _version(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None


def _processor() -> str:
    """The name of the processor: Linux has it in a file, other systems tell Python."""
    file = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.*)", file.read_text()) if file.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def as_markdown(found: Sequence[Measurement], about: Mapping[str, Any], command: str) -> str:
    """A page: the command, the machine, the tables."""
    words = ", ".join(f"{key} {value}" for key, value in about.items())
    head = f"# Speed, measured\n\n`{command}`: {words}.\n\n{_NOTES}"
    return "\n\n".join([head, *(grid.markdown() for grid in grids(found))]) + "\n"


_NOTES = """\
One layer: a group convolution C → C of four scales that do not interact, on N³ voxels, float32, batch 1, all kernels
k voxels wide; medians of runs that take turns. Single runs: the smallest and the largest ratio within a turn, which
show the noise; a fast case goes on for more turns than a slow one. Published conv3d: dense kernels, made from weights
and basis in every pass, all scales in one grouped convolution. Plain 3×3×3: one convolution for each scale. Separable
without C: what runs where there was no compiler. The number beside a method is that of the basis functions; dense and
plain kernels cost the same for all. Peak memory: what a process grows by in a run, outputs and gradients included,
inputs and weights not. A run longer than the limit is stopped: its time is a lower bound (>)."""


def as_json(found: Sequence[Measurement], about: Mapping[str, Any]) -> str:
    """Machine, targets and all measurements.

    Example:
        >>> case = Layer("dense", 27, 5, 8, 64)
        >>> json.loads(as_json([Measurement(case, 0.5, 3)], {}))["measurements"][0]["seconds"]
        0.5
    """
    rows = [{"name": one.case.name, "kind": type(one.case).__name__, **asdict(one)} for one in found]
    judged = [
        dict(zip(("text", "target", "measured", "single_runs", "verdict"), row, strict=True))
        for row in targets(found).rows
    ]
    return json.dumps({"machine": dict(about), "targets": judged, "measurements": rows}, indent=1, ensure_ascii=False)
