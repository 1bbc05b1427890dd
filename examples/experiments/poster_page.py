"""The page, the table of all runs and the two figures of examples/experiments/poster.py."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.ticker import NullFormatter, NullLocator
from scale_channels_page import table
from scipy.stats import wilcoxon

from scalegroup.benchmarks.table import machine
from scalegroup.data import DataError
from scalegroup.training.files import replacing
from scalegroup.training.report import write_csv
from scalegroup.visual.figure import SIZE, new_figure

SETTINGS = "settings.json"  # what all runs of a folder have in common
DEFAULTS: dict[str, Any] = {"epochs": 30, "patch": None, "test": 20}
PACKAGES = ("torch", "monai", "lightning", "numpy")
# Line in tables and figures, network, projection, colour, line style.
LINES = (
    ("MONAI's U-Net", "plain", "none", "#000000", ":"),
    ("MONAI's U-Net, zoom", "plain, zoom", "none", "#000000", "-"),
    ("MONAI's U-Net of our channels, zoom", "plain, large, zoom", "none", "#888888", "--"),
    ("ours, max", "ours, max", "max", "#E69F00", ":"),
    ("ours, max, zoom", "ours, max, zoom", "max", "#E69F00", "-"),
    ("ours, mean", "ours", "mean", "#56B4E9", ":"),
    ("ours, mean, zoom", "ours, zoom", "mean", "#56B4E9", "-"),
    ("ours, confidence", "ours", "volume_confidence", "#D55E00", ":"),
    ("ours, confidence, zoom", "ours, zoom", "volume_confidence", "#D55E00", "-"),
    ("ours, confidence, coarsened", "ours, coarsened", "volume_confidence", "#009E73", "-"),
)
PAIRS = (
    ("ours, confidence", "MONAI's U-Net, zoom"),
    ("ours, confidence, coarsened", "MONAI's U-Net, zoom"),
    ("ours, confidence, zoom", "MONAI's U-Net, zoom"),
    ("ours, confidence", "MONAI's U-Net"),
    ("ours, confidence", "MONAI's U-Net of our channels, zoom"),
)


@dataclass(frozen=True)
class Measured:
    """One run's test on one canvas, at one factor, by one projection: the Dice of each scan, in the scans' order."""

    network: str
    count: int
    seed: int
    canvas: str
    factor: float
    projection: str
    weights: int
    minutes: float
    dice: tuple[float, ...]
    cases: tuple[str, ...]


def collect(runs: Path) -> list[Measured]:
    """The measurements of all finished runs."""
    found: dict[tuple[str, ...], list[dict[str, str]]] = {}
    keys = ("network", "count", "seed", "canvas", "factor", "projection", "weights", "minutes")
    for path in sorted(runs.glob("*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(tuple(row[key] for key in keys), []).append(row)
    measured = []
    for key, rows in found.items():
        network, count, seed, canvas, factor, projection, weights, minutes = key
        dice = {row["case"]: float(row["dice"]) for row in sorted(rows, key=lambda row: row["case"])}
        place = (network, int(count), int(seed), canvas, float(factor), projection)
        one = Measured(*place, int(weights), float(minutes), tuple(dice.values()), tuple(dice))
        measured += (
            [one, replace(one, canvas="fixed")] if one.factor == 1 else [one]
        )  # both canvases are the same there
    return measured


class Results:
    """All measurements, and the questions that the page asks of them."""

    def __init__(self, measured: Sequence[Measured]) -> None:
        self.measured = measured
        self.counts = sorted({one.count for one in measured})
        self.factors = sorted({one.factor for one in measured})
        self.scans = len(measured[0].cases)
        if len({one.cases for one in measured}) > 1:
            hint = "give another --runs to tests of other scans"
            raise DataError("the same test scans in all runs", "runs that were tested on others", hint)

    def of(self, label: str, count: int, canvas: str, factor: float) -> list[Measured]:
        """The runs of a line, one for each seed."""
        network, projection = next((name, how) for line, name, how, *_ in LINES if line == label)
        wanted = (network, count, canvas, factor, projection)
        found = (o for o in self.measured if (o.network, o.count, o.canvas, o.factor, o.projection) == wanted)
        return sorted(found, key=lambda one: one.seed)

    def means(self, label: str, count: int, canvas: str, factor: float) -> list[float]:
        """The mean over the scans of each seed."""
        return [float(np.mean(one.dice)) for one in self.of(label, count, canvas, factor)]

    def over_factors(self, label: str, count: int, canvas: str) -> list[float]:
        """The mean over all factors of each seed."""
        table = [self.means(label, count, canvas, factor) for factor in self.factors]
        return [float(np.mean(seed)) for seed in zip(*table, strict=True)]

    def labels(self, count: int) -> list[str]:
        """The lines of which there is a finished run."""
        return [label for label, *_ in LINES if self.of(label, count, "proportional", 1.0)]

    def per_scan(self, label: str, count: int, canvas: str, factors: Iterable[float], seeds: set[int]) -> np.ndarray:
        """For each scan the mean over these seeds and factors."""
        runs = [one.dice for factor in factors for one in self.of(label, count, canvas, factor) if one.seed in seeds]
        return np.asarray(np.mean(runs, axis=0))

    def difference(self, ours: str, other: str, count: int, canvas: str, factors: Sequence[float]) -> str:
        """The mean difference, and the chance of one as large if the two were equal (Wilcoxon, paired by scan).

        Of the seeds that both lines have.
        """
        one, two = ({run.seed for run in self.of(label, count, canvas, factors[0])} for label in (ours, other))
        if not one & two:
            return "–"
        a, b = (self.per_scan(label, count, canvas, factors, one & two) for label in (ours, other))
        chance = float(wilcoxon(a, b).pvalue) if np.any(a != b) else 1.0
        return f"{np.mean(a - b):+.3f} (p {'< .001' if chance < 0.001 else f'= {chance:.3f}'.replace('0.', '.')})"


def number(values: Sequence[float]) -> str:
    """Mean ± standard deviation over seeds."""
    if not values:
        return "–"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}".replace("0.", ".")


def shown(value: Any) -> str:
    """A setting as the command line has it."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def dice_table(results: Results, count: int, canvas: str) -> str:
    """Dice of all lines at all factors."""
    rows = [
        [
            label,
            *(number(results.means(label, count, canvas, factor)) for factor in results.factors),
            number(results.over_factors(label, count, canvas)),
        ]
        for label in results.labels(count)
    ]
    return table(["test factor", *(f"{factor:g}" for factor in results.factors), "mean"], rows)


def test_table(results: Results, count: int, canvas: str) -> str:
    """Differences between lines, with their significance."""
    rows = []
    for ours, other in PAIRS:
        if {ours, other} <= set(results.labels(count)):
            at = [results.difference(ours, other, count, canvas, [factor]) for factor in results.factors]
            rows.append([f"{ours} − {other}", *at, results.difference(ours, other, count, canvas, results.factors)])
    return table(["difference", *(f"{factor:g}" for factor in results.factors), "all"], rows)


def goal_table(results: Results) -> str:
    """Whether the goals of this library's authors are met, on the canvas that grows with its content."""
    rows = []
    for count in results.counts:
        known = results.labels(count)
        for label in ("ours, confidence", "ours, confidence, coarsened"):
            if not {label, "MONAI's U-Net", "MONAI's U-Net, zoom"} <= set(known):
                continue
            place = (count, "proportional")
            ahead = np.mean(results.over_factors(label, *place)) - np.mean(
                results.over_factors("MONAI's U-Net, zoom", *place)
            )
            one = float(np.mean(results.means(label, *place, 1.0)))
            behind = float(np.mean(results.means("MONAI's U-Net", *place, 1.0))) - one
            drop, worst = max((one - float(np.mean(results.means(label, *place, f))), f) for f in results.factors)
            rows.append(
                [
                    label,
                    str(count),
                    f"{ahead:+.3f} ({'met' if ahead > 0 else '**missed**'})",
                    f"{-behind:+.3f} ({'met' if behind <= 0.01 else '**missed**'})",
                    f"{drop:.3f} at {worst:g} ({'met' if drop <= 0.03 else '**missed**'})",
                ]
            )
    goals = (
        "mean over factors, against MONAI's with zoom (> 0)",
        "at factor 1, against MONAI's (≥ −.01)",
        "largest drop below factor 1 (≤ .03)",
    )
    return table(["network", "N", *goals], rows)


def run_table(results: Results) -> str:
    """Weights and minutes of training."""
    rows = []
    for count in results.counts:
        networks = dict.fromkeys(one.network for one in results.measured if one.count == count)
        for network in networks:
            runs = {
                one.seed: one
                for one in results.measured
                if (one.network, one.count, one.factor, one.canvas) == (network, count, 1.0, "proportional")
            }
            minutes = [one.minutes for one in runs.values()]
            weights = next(iter(runs.values())).weights
            rows.append(
                [network, str(count), f"{weights:,}", ", ".join(map(str, sorted(runs))), f"{np.mean(minutes):.1f}"]
            )
    return table(["network", "N", "weights", "seeds", "minutes of training"], rows)


def draw_counts(path: Path, results: Results) -> None:
    """Dice at factor 1 against the number of training scans, with the spread over seeds as error bars."""
    figure = new_figure(7.6, 4.2)
    axes = figure.add_subplot()
    for shift, (label, _, _, colour, style) in enumerate(LINES):
        points = [(n, results.means(label, n, "proportional", 1.0)) for n in results.counts]
        points = [(n, values) for n, values in points if values]
        if points:
            x = [
                n * 1.008 ** (shift - len(LINES) / 2) for n, _ in points
            ]  # side by side, so that bars can be told apart
            _bars(axes, x, [values for _, values in points], label, colour, style)
    axes.set_xscale("log")
    axes.set_xticks(results.counts, [str(n) for n in results.counts])
    _finish(figure, axes, path, "training scans")


def draw_factors(path: Path, results: Results, count: int) -> None:
    """Dice against the factor, both canvases beside each other."""
    figure = new_figure(8.6, 4.4)
    pair = figure.subplots(1, 2, sharey=True)
    for axes, canvas in zip(pair, ("proportional", "fixed"), strict=True):
        for label, _, _, colour, style in LINES:
            if results.of(label, count, canvas, 1.0):
                values = [results.means(label, count, canvas, factor) for factor in results.factors]
                _bars(axes, results.factors, values, label, colour, style)
        axes.set_xscale("log")
        axes.set_xticks(results.factors, [f"{factor:g}" for factor in results.factors])
        axes.set_title(f"{canvas} canvas", fontsize=SIZE)
    _finish(figure, pair, path, f"factor of the test scans ({count} training scans, factor 1)")


def _bars(axes, x, values, label, colour, style) -> None:  # type: ignore[no-untyped-def]
    spread = [np.std(v, ddof=1) if len(v) > 1 else 0.0 for v in values]
    axes.errorbar(x, [np.mean(v) for v in values], spread, color=colour, linestyle=style, marker="o", markersize=3,
                  linewidth=1.4, capsize=2, label=label)  # fmt: skip


def _finish(figure, axes, path: Path, label: str) -> None:  # type: ignore[no-untyped-def]
    every = np.atleast_1d(axes)
    for one in every:
        one.xaxis.set_minor_locator(NullLocator())
        one.xaxis.set_minor_formatter(NullFormatter())
        one.tick_params(labelsize=SIZE)
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", color="0.92", linewidth=0.8)
        one.set_axisbelow(True)
    every[0].set_ylabel("hard Dice, mean ± deviation over seeds", fontsize=SIZE)
    figure.supxlabel(label, fontsize=SIZE)
    handles, labels = every[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=SIZE - 1)
    figure.savefig(path, dpi=200)


def write_page(folder: Path, runs: Path, data: str) -> Path:
    """Tables and figures of all finished runs; returns the page's path."""
    results = Results(collect(runs))
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"poster_{data}.md"
    draw_counts(folder / f"poster_{data}_counts.png", results)
    largest = max(results.counts, key=lambda n: (len(results.labels(n)), n))
    draw_factors(folder / f"poster_{data}_factors.png", results, largest)
    lines = [
        {
            **{name: value for name, value in vars(one).items() if name != "cases"},
            "minutes": f"{one.minutes:g}",
            "dice": " ".join(f"{value:.4f}" for value in one.dice),
        }
        for one in results.measured
        if (one.factor, one.canvas) != (1.0, "fixed")
    ]
    write_csv(folder / f"poster_{data}.csv", lines)
    settings = json.loads((runs / SETTINGS).read_text())
    with replacing(page) as part:
        part.write_text(_text(results, data, settings))
    return page


def _text(results: Results, data: str, settings: dict[str, Any]) -> str:
    facts = machine(1, "cuda" if torch.cuda.is_available() else "cpu")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    place = f"{facts['processor']}, {facts['device']}, Python {facts['python']}, {versions}"
    changed = "".join(f" --{name} {shown(settings[name])}" for name in DEFAULTS if settings[name] != DEFAULTS[name])
    seen = "single scans" if settings["patch"] is None else f"single patches of {shown(settings['patch'])} voxels"
    sections = []
    for count in results.counts:
        for canvas in ("proportional", "fixed"):
            sections += [
                f"### N = {count}, {canvas} canvas",
                dice_table(results, count, canvas),
                "Paired by scan (the mean over the seeds that both have; Wilcoxon's signed-rank test, two-sided, not "
                "corrected for the number of comparisons):",
                test_table(results, count, canvas),
            ]
    body = "\n\n".join(sections)
    return f"""# The poster's experiments on {data}

Command: `python examples/experiments/poster.py --data {data}{changed}`. It can be stopped at any time and goes \
on where it was; it
writes this page, `poster_{data}.csv` with the Dice of every scan, and the figures. {place}.

Training on N scans of one size; {results.scans} other scans to test on, on none of which anything was chosen, and
10 more to choose the checkpoint at factor 1; {settings["epochs"]} epochs of {seen}, AdamW, one cycle up to .01.
*Zoom*: training scans are magnified at random by 0.5 … 1.6. *Coarsened*: they lose resolution at random, by up to one
half, and keep their size. *Max*, *mean*, *confidence*: the projection of the scales, the last with one weight for each
scale and scan, by how sure it is of its foreground (`models.Projection`); trained as the mean is, both test the same
weights. All networks have the same activation and norm; ours is `UNet(channels=(16, 32, 64))` on six Haar grids from
1/2 to 2.8 voxels, three neighbouring ones at random in each step of training; MONAI's has as many weights, within 20 %,
or, where it is said, as many channels.

Test scans are rescaled by `scalegroup.data.rescale`: on the *proportional* canvas the grid grows with its content; on
the *fixed* one it stays, magnified content is cut off at the border, and shrunk content is surrounded by copies of the
border's voxels. Hard Dice, mean of all classes and scans, then mean ± standard deviation over seeds.

## Goals

On the proportional canvas:

{goal_table(results)}

## Number of training scans

![Dice against the number of training scans](poster_{data}_counts.png)

## Scale of the test scans

![Dice against the factor](poster_{data}_factors.png)

{body}

## Runs

{run_table(results)}
"""
