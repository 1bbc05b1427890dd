"""`scalegroup bench`: measure, show, keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from scalegroup.benchmarks.cases import Case, Layer
from scalegroup.benchmarks.measure import Measurement, estimate, measure
from scalegroup.benchmarks.table import Grid, as_json, as_markdown, column, grids, machine
from scalegroup.errors import ScaleGroupError


def run(
    cases: Sequence[Case],
    console: Console,
    bar: Progress,
    *,
    device: str,
    threads: int,
    limit: float,
    results: Path | None,
    command: str,
) -> list[Measurement]:
    """Measures cases, prints the tables, and writes `speed.md`, `speed.json` and `speed.png`.

    Args:
        cases: what to measure.
        console: where to print.
        bar: a progress bar.
        device: "cpu" or "cuda".
        threads: of torch.
        limit: seconds for one run.
        results: folder for the files, or None.
        command: the words that started it, for the page.
    """
    console.print(f"{len(cases)} cases, at most about {estimate(cases, limit) / 60:.1f} minutes")
    found = []
    with bar:
        task = bar.add_task("measuring", total=len(cases), note="")
        for one in measure(cases, device, threads, limit):
            found.append(one)
            bar.update(task, advance=1, note=one.case.group)
    for grid in grids(found):
        console.print(as_table(grid))
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        about = machine(threads, device)
        (results / "speed.md").write_text(as_markdown(found, about, command))
        (results / "speed.json").write_text(as_json(found, about))
        draw(results / "speed.png", found)
        console.print(f"{results / 'speed.md'}, {results / 'speed.json'}, {results / 'speed.png'}")
    return found


def chosen(cases: Sequence[Case], words: Sequence[str]) -> list[Case]:
    """The cases whose names have all the words.

    Example:
        >>> from scalegroup.benchmarks.cases import all_cases
        >>> [case.name for case in chosen(all_cases(), ["U-Net", "auto"])]
        ['auto U-Net step C=8,16,32 N=64']
    """
    found = [case for case in cases if set(words) <= set(case.name.split())]
    if not found:
        hint = f"such as those of {cases[0].name!r}"
        raise ScaleGroupError("words that a case is named by", " ".join(words), hint)
    return found


def as_table(grid: Grid) -> Table:
    """A table for the screen: words to the left, numbers to the right."""
    table = Table(title=grid.title, box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for head, *cells in zip(grid.heads, *grid.rows, strict=True):
        words = any(cell[:1].isalpha() for cell in cells)
        table.add_column(head, justify="left" if words else "right")
    for row in grid.rows:
        table.add_row(*row)
    return table


def draw(path: Path, found: Sequence[Measurement]) -> None:
    """Time of a forward pass against kernel width, a panel for each number of channels and voxels."""
    from scalegroup.visual import Speed, plot_speeds  # an extra of its own

    panels: dict[str, dict[str, dict[int, float]]] = {}
    for one in found:
        if isinstance(one.case, Layer) and not one.case.train and one.seconds is not None:
            panel = panels.setdefault(f"{one.case.channels} channels, {one.case.size}³ voxels", {})
            panel.setdefault(column(one.case), {})[one.case.width] = 1000 * one.seconds
    if panels:
        plot_speeds({name: [Speed(*line) for line in lines.items()] for name, lines in panels.items()}).savefig(
            path, dpi=200
        )
