"""The poster's table of methods, with measured columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import overload

from scalegroup.methods.method import Method

HEADS = ("method", "title", "kind", "interscale", "scales", "equivariance", "dims")
MEASURED = {"torus": "torus", "end_to_end": "end to end", "forward": "time", "step": "step", "memory": "memory"}


class MethodTable(Sequence[Method]):
    """Methods in the order of the poster's table; `print` shows it, with what `scalegroup compare` measured in 3-D.

    The measured columns: equivariance error of two layers on the torus and of the classifier end to end; time of a
    forward pass, time and memory of a training step, over those of an ordinary network.

    Args:
        methods: the rows.

    Example:
        >>> from scalegroup import methods
        >>> table = methods.list()
        >>> table[0].name, len(table[:3])
        ('kanazawa2014', 3)
        >>> print(str(table).splitlines()[0].split()[:4])
        ['method', 'title', 'kind', 'interscale']
    """

    def __init__(self, methods: tuple[Method, ...]) -> None:
        self.methods = methods

    @overload
    def __getitem__(self, index: int) -> Method: ...

    @overload
    def __getitem__(self, index: slice) -> MethodTable: ...

    def __getitem__(self, index: int | slice) -> Method | MethodTable:
        """A row, or some of them."""
        return self.methods[index] if isinstance(index, int) else MethodTable(self.methods[index])

    def __len__(self) -> int:
        return len(self.methods)

    def __iter__(self) -> Iterator[Method]:
        return iter(self.methods)

    def rows(self, dim: int = 3) -> list[dict[str, str]]:
        """The cells of each row by the name of their column; "" where nothing was measured."""
        return [_cells(method) | _measured_cells(method.name, dim) for method in self.methods]

    def __str__(self) -> str:
        rows = self.rows()
        heads = list(rows[0])
        widths = [max(len(head), *(len(row[head]) for row in rows)) for head in heads]
        lines = [heads, *([row[head] for head in heads] for row in rows)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def measured(name: str, dim: int) -> dict[str, float]:
    """What was measured of a method in so many dimensions, by the names of `measured.csv`; empty if nothing was."""
    return _measurements().get((name, dim), {})


@cache
def _measurements() -> dict[tuple[str, int], dict[str, float]]:
    text = files("scalegroup.methods").joinpath("measured.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        (row["name"], int(row["dim"])): {key: float(row[key]) for key in row if key not in ("name", "dim") and row[key]}
        for row in rows
    }


def _cells(method: Method) -> dict[str, str]:
    dims = ", ".join(map(str, method.dims))
    interscale = "yes" if method.interscale else "no"
    values = (method.name, method.title, method.kind, interscale, method.scales, method.equivariance, dims)
    return dict(zip(HEADS, values, strict=True))


def _measured_cells(name: str, dim: int) -> dict[str, str]:
    found = measured(name, dim)
    return {head: _two_digits(found[key]) if key in found else "" for key, head in MEASURED.items()}


def _two_digits(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"
