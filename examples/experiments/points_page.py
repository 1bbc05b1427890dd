"""The tables, the picture and the page that `points.py` makes of its measurements."""

from __future__ import annotations

import argparse
import csv
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from points_cost import LAYER, SMALL, Cost

# Colours that everybody can tell apart (Okabe and Ito, 2008).
STYLES = {
    "ours, mm": ("#0072B2", "o-"),
    "ours, mm, two scales more at test": ("#56B4E9", "v--"),
    "ours, relative": ("#009E73", "^-"),
    "ours, relative, so3": ("#E69F00", "<-"),
    "DGCNN, mm": ("#D55E00", "s:"),
    "DGCNN, mm, sizes 0.5 to 2 in training": ("#CC79A7", "D-."),
    "DGCNN, normalised clouds": ("#999999", "x--"),
    "DGCNN": ("#D55E00", "s:"),
    SMALL: ("#0072B2", "o-"),
    LAYER: ("#000000", ".-"),
}


@dataclass(frozen=True)
class Row:
    """The accuracy of one trained network in one test; `seconds` of a core for its training."""

    arm: str
    seed: int
    test: str
    accuracy: float
    weights: int
    seconds: float


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A table of values separated by commas."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_accuracy(folder: Path, rows: Iterable[Row]) -> None:
    """`points.csv`."""
    write_rows(
        folder / "points.csv",
        [{**asdict(row), "accuracy": f"{row.accuracy:.2f}", "seconds": f"{row.seconds:.0f}"} for row in rows],
    )


def write_costs(folder: Path, costs: Iterable[Cost]) -> None:
    """`points_cost.csv`."""
    write_rows(
        folder / "points_cost.csv",
        [{**c._asdict(), "seconds": f"{c.seconds:.4f}", "memory": f"{c.memory:.1f}"} for c in costs],
    )


def read_accuracy(folder: Path) -> list[Row]:
    """The rows of `points.csv`, or none."""
    path = folder / "points.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [
            Row(
                r["arm"],
                int(r["seed"]),
                r["test"],
                float(r["accuracy"]),
                int(r["weights"]),
                float(r["seconds"]),
            )
            for r in csv.DictReader(file)
        ]


def read_costs(folder: Path) -> list[Cost]:
    """The rows of `points_cost.csv`, or none."""
    path = folder / "points_cost.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [
            Cost(r["network"], int(r["points"]), int(r["clouds"]), float(r["seconds"]), float(r["memory"]))
            for r in csv.DictReader(file)
        ]


def values(rows: Iterable[Row], arm: str, test: str) -> list[float]:
    """The accuracies of all seeds."""
    return [row.accuracy for row in rows if (row.arm, row.test) == (arm, test)]


def names(rows: Iterable[Row]) -> list[str]:
    """The arms, in their order."""
    return list(dict.fromkeys(row.arm for row in rows))


def accuracy_table(rows: Sequence[Row]) -> str:
    """Mean and range over the seeds."""
    tests = {"1": "as they are", "0.5": "all × 0.5", "2": "all × 2", "random": "each × 0.5 … 2", "turned": "turned"}
    lines = [f"| accuracy, % | {' | '.join(tests.values())} | weights | training, s of a core |"]
    lines.append("|---" * (len(tests) + 3) + "|")
    for arm in names(rows):
        cells = []
        for test in tests:
            found = values(rows, arm, test)
            spread = f" ({min(found):.1f}, {max(found):.1f})" if len(found) > 1 else ""
            cells.append(f"{np.mean(found):.1f}{spread}")
        mine = [row for row in rows if row.arm == arm]
        seconds = np.mean([row.seconds for row in mine])
        shared = "–" if "at test" in arm else f"{seconds:.0f}"
        lines.append(f"| {arm} | {' | '.join(cells)} | {mine[0].weights:,} | {shared} |")
    return "\n".join(lines)


def slope(costs: Sequence[Cost], what: str) -> float:
    """The exponent of the number of points in time or memory, by least squares over the larger half of the sizes."""
    large = costs[len(costs) // 2 :] if len(costs) > 3 else costs
    points, found = (np.log2([max(float(getattr(c, name)), 1e-3) for c in large]) for name in ("points", what))
    return float(np.polyfit(points, found, 1)[0])


def sheets(costs: Iterable[Cost], network: str) -> list[Cost]:
    """The measurements on sheets of one network."""
    return [c for c in costs if c.network == network and c.clouds == 1]


def cost_table(costs: Sequence[Cost]) -> str:
    """A line for each network: seconds for each number of points, exponents, and the ratio to the first network."""
    networks = list(dict.fromkeys(c.network for c in costs if c.clouds == 1))
    counts = [c.points for c in sheets(costs, networks[0])]
    heads = [f"{count:,} points" for count in counts]
    lines = [f"| training step, s | {' | '.join(heads)} | time ~ points^ | memory ~ points^ | memory, largest |"]
    lines.append("|---" * (len(heads) + 4) + "|")
    for network in networks:
        mine = sheets(costs, network)
        cells = [f"{c.seconds:.3f}" for c in mine]
        exponents = f"{slope(mine, 'seconds'):.2f} | {slope(mine, 'memory'):.2f}"
        lines.append(f"| {network} | {' | '.join(cells)} | {exponents} | {mine[-1].memory:.0f} MiB |")
    return "\n".join(lines)


def batch_table(costs: Sequence[Cost]) -> str:
    """A training step on a batch of brain structures, and its ratio to the first network's."""
    batches = [c for c in costs if c.clouds > 1]
    size = f"{batches[0].clouds} brain structures of {batches[0].points:,} points"
    lines = [f"| {size} | training step, s | relative to {batches[0].network} | memory |", "|---|---|---|---|"]
    for c in batches:
        ratio = c.seconds / batches[0].seconds
        lines.append(f"| {c.network} | {c.seconds:.2f} | {ratio:.2f} | {c.memory:.0f} MiB |")
    return "\n".join(lines)


def picture(path: Path, rows: Sequence[Row], costs: Sequence[Cost]) -> None:
    """Accuracy against the factor, and time against the number of points."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for arm in names(rows):
        factors = sorted({float(r.test) for r in rows if r.arm == arm and r.test not in ("random", "turned")})
        colour, line = STYLES[arm]
        means = [float(np.mean(values(rows, arm, f"{factor:g}"))) for factor in factors]
        left.plot(factors, means, line, color=colour, label=arm, markersize=5)
    left.axvline(1, color="0.8", zorder=0)
    left.set(xscale="log", xlabel="size of the test clouds, relative to training", ylabel="accuracy, %", ylim=(0, 103))
    ticks = [0.5, 0.7, 1, 1.4, 2]
    left.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    left.minorticks_off()
    left.legend(fontsize=7, loc="lower right", framealpha=0.9)
    for network in dict.fromkeys(c.network for c in costs if c.clouds == 1):
        mine = sheets(costs, network)
        colour, line = STYLES[network]
        label = f"{network.replace('`', '')}: points^{slope(mine, 'seconds'):.2f}"
        right.plot([c.points for c in mine], [c.seconds for c in mine], line, color=colour, label=label, markersize=5)
    right.set(xscale="log", yscale="log", xlabel="points of one cloud (as dense, larger)", ylabel="training step, s")
    counts = sorted({c.points for c in costs if c.clouds == 1})
    right.set_xticks(counts, [str(count) for count in counts])
    right.minorticks_off()
    right.legend(fontsize=7)
    figure.savefig(path, dpi=130)


def write_page(folder: Path, options: argparse.Namespace) -> None:
    """`points.md` and `points.png`, of what has been measured so far."""
    rows, costs = read_accuracy(folder), read_costs(folder)
    parts = [TITLE.format(python=platform.python_version(), torch=torch.__version__, machine=platform.machine())]
    if rows:
        seeds = " and ".join(str(seed) for seed in sorted({row.seed for row in rows}))
        parts += [ACCURACY.format(points=options.points, epochs=options.epochs, seeds=seeds), accuracy_table(rows)]
        parts.append(READING)
    if costs:
        parts += [COST, batch_table(costs), SHEETS, cost_table(costs), COST_READING]
    if rows and costs:
        picture(folder / "points.png", rows, costs)
        parts.insert(1, "![Accuracy against size, time against number of points](points.png)")
    (folder / "points.md").write_text("\n\n".join(parts) + "\n")


TITLE = """# Point clouds: accuracy at other sizes, and cost

`python examples/experiments/points.py` on Python {python}, torch {torch}, {machine}, one thread of a shared machine. \
Every row is
in [points.csv](points.csv) and [points_cost.csv](points_cost.csv)."""
ACCURACY = """## Accuracy

`brainshapes`: 15 structures of the brain as surface points in mm, subjects 1–9 to learn from (240 clouds), 10–12 to
test on (81 clouds, so that one cloud is 1.2 %). {points} points of each cloud, {epochs} epochs (DGCNN twice as many)
of batches of 16, Adam with one cycle of the learning rate up to 0.005, no augmentation unless it is named. Means over
the seeds {seeds}, which choose the points and the first weights (smallest, largest). "Turned": each test cloud by a
random rotation."""
READING = """- In mm a plain network knows structures by their size, and is lost at others. Ours at absolute scales is
  not, without having seen them: its seven scales reach from 0.5 to 32 mm, so that little enters or leaves the
  window. The same weights on two scales more do hardly better, which says that the window is wide enough.
- Sizes in mm tell structures apart, and whoever is invariant cannot use them: at the sizes of training ours at
  absolute scales is behind the plain network. At relative scales it is not; there the shape is enough.
- Clouds normalised by their centre and radius make a plain network exactly invariant too, as long as an object is
  alone in its cloud and complete. Training on all sizes helps as well, less at the ends of the range.
- Only the arm with rotations knows turned structures. It cannot tell how a structure lies in the head, and it learns
  more slowly: with 20 epochs in place of 8 seed 0 reached 90.1 %, as they are and turned alike, from 84.0 %.

Windows, rates and lengths of training were chosen in short trials with subjects 1–7 to learn from and 8–9 to test on;
that seven scales are better than five, and the mean over them better than the maximum, was seen earlier, on a
prototype tested on subjects 10–12."""
COST = """## Cost

Seconds of one core for forward and backward, neighbours found anew in each step; memory is what the process grows by
at its peak."""
SHEETS = """One bent surface with one point for each unit of area, so that more points are a larger surface and every
point keeps its number of neighbours. Exponents are fitted to the larger half of the sizes."""
COST_READING = """The layer's time grows with the points, as its number of neighbours stays. Up to some hundred points
the neighbourhoods of the coarser scales are the whole cloud, and all pairs are neighbours. In the network the choice of
farthest points grows with their product, and is not yet the largest part here. DGCNN compares all pairs of points in
every layer: it is quicker for small clouds, and no longer for large ones."""
