"""The page, the table and the picture that `scale_channels.py` makes of its measurements."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scalegroup.training.report import write_csv

Row = dict[str, Any]
TITLES = {
    ("plain", "none"): "MONAI's U-Net",
    ("plain, zoom", "none"): "MONAI's U-Net, trained with zoom 0.5 … 1.6",
    ("ours", "none"): "`ScaleChannels`, window not moved",
    ("ours", "weighted"): "… not moved, its scales weighted by their confidence",
    ("ours", "confidence"): "… moved by confidence, for each volume",
    ("ours", "head"): "… moved by the head, for each volume",
    ("ours", "known"): "… moved by the known factor, in whole steps",
    ("ours", "spacing"): "… spacing known",
    ("ours", "ideal"): "ideal: what equivariance could give",
    ("ours, coarsened", "none"): "`ScaleChannels`, training scans coarsened, window not moved",
    ("ours, coarsened", "weighted"): "… not moved, its scales weighted",
    ("ours, coarsened", "confidence"): "… moved by confidence",
    ("ours, coarsened", "head"): "… moved by the head",
    ("ours, coarsened", "known"): "… moved by the known factor",
    ("ours, coarsened", "spacing"): "… spacing known",
    ("ours, coarsened", "ideal"): "its ideal",
}
DRAWN = {  # colours that everybody can tell apart (Okabe and Ito, 2008)
    ("ours", "ideal"): ("ideal", "#999999", "-"),
    ("ours", "confidence"): ("ScaleChannels, moved by confidence", "#0072B2", "o-"),
    ("ours", "none"): ("ScaleChannels, window not moved", "#56B4E9", "v--"),
    ("plain, zoom", "none"): ("U-Net, trained with zoom", "#009E73", "^-."),
    ("plain", "none"): ("U-Net", "#D55E00", "s:"),
}
CANVASES = {"proportional": "Canvas proportional to the factor", "fixed": "Fixed canvas"}
EMPTY = ("object replaced", "phases at random")
SURE = 0.6  # agreement of the scales below which a prediction counts as none; chosen by scale_channels_choices.py
ALLOWED = {"spacing": 0.02, "weighted": 0.03, "confidence": 0.03, "head": 0.03}


class Measurements:
    """All rows of all runs."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.rows: list[Row] = []
        self.runs: list[Row] = []
        for folder in folders:
            with (folder / "test.csv").open(newline="") as file:
                self.rows += [{**row, "factor": float(row["factor"])} for row in csv.DictReader(file)]
            self.runs.append(json.loads((folder / "facts.json").read_text()))
        self.counts = sorted({run["train"] for run in self.runs})
        self.factors = sorted({row["factor"] for row in self.rows})

    def select(self, train: int, **wanted: object) -> list[Row]:
        """The rows with these values."""
        return [row for row in self.rows if row["train"] == str(train) and wanted.items() <= row.items()]

    def per_seed(self, rows: Sequence[Row], value: Callable[[Row], float]) -> list[float]:
        """The mean of a value over the volumes, for each seed."""
        seeds = sorted({row["seed"] for row in rows})
        return [float(np.mean([value(row) for row in rows if row["seed"] == seed])) for seed in seeds]

    def dice(self, train: int, network: str, choice: str, canvas: str, factor: float) -> list[float]:
        """Mean Dice for each seed; empty where it was not measured."""
        rows = self.select(train, network=network, choice=choice, canvas=canvas, factor=factor)
        return self.per_seed(rows, lambda row: float(row["dice"]))


TEXT = """# ScaleChannels: Dice at scales that training has not seen

Command: `python examples/experiments/scale_channels.py`. It writes this page and `scale_channels.csv` \
(one row for each run,
canvas, factor and choice of the window: means over the volumes). What was chosen, and by what, was measured on
other volumes: [scale_channels_choices.md](scale_channels_choices.md).

Medical Segmentation Decathlon Task04, split by seed 9: 30 test volumes, on none of which a choice was made; N
training volumes (the 10 are among the 25) and 10 to choose the checkpoint, all at scale 1. {seeds} seeds. All are
MONAI's `UNet(channels=(16, 32, 64), strides=(2, 2))` with its own instance norm and PReLU, and have the same number
of weights; `ScaleChannels(unet)` puts it on six grids from 1/2 to 2.8 voxels, three neighbouring ones at random in
each step of training. 30 epochs of single volumes (300 steps for N = 10, 750 for N = 25), AdamW, one cycle up to
.01, one CPU thread; no augmentation except where it is named. "Coarsened" are training scans that were resampled to
voxels up to twice as large, at random, and back: size, place and label stay, detail goes. That network was thought
of when the first test of the one without, N = 10, had shown the distance from the ideal at factor 0.5; it was tried on
the volumes of exploration, once, and then tested as it was.

Test volumes are rescaled by `scalegroup.data.rescale`; hard Dice, mean of both classes and all volumes, then mean ±
standard deviation over seeds. The windows:

- **not moved**: the window of training, 1/2 … 2.8 voxels.
- **not moved, its scales weighted**: the same grids and no search, but the mean over the scales is weighted by how
  sure each is of the foreground that it sees in the volume (`Projection("volume_confidence")`, training with the
  plain mean). Chosen on the volumes of exploration when the other tests were done, and tested once.
- **by confidence**: of the windows moved by -2 … 2 steps the one whose predicted foreground has the highest mean
  probability; coarser ones are tried first, finer ones only as long as they are surer (`select="confidence",
  climb=True`).
- **by the head**: a ridge regression sees the unmoved window only, for every scale how sure it is and how well it
  agrees with the whole, and says by how many steps to move. It has learnt that from the training volumes, their
  windows being moved by known steps. It sees no sizes.
- **by the known factor**: `round(log(factor) / log(√2))` steps.
- **spacing known**: the test volume is a scan of the same head with voxels 1/factor times as large; grids of the
  same mm as in training (proportional canvas only: on a fixed one the resolution is the same).
- **ideal**: the prediction at factor 1, rescaled as the truth is, against the rescaled truth. It has seen the scan
  in full resolution, which nothing that sees the scan at factor 0.5 has, and its errors are smoothed along with the
  truth.

{verdict}

{tables}

![Dice against test factor on both canvases, N = {largest}](scale_channels.png)

## Goals

How far the mean over seeds stays below the ideal, and below the window moved by the known factor, at the factor
where that is most.

{goals}

## What the search costs

Proportional canvas, mean over all volumes and runs: seconds of one thread for one volume, everything included, and
samples on all grids, relative to those of the unmoved window at that factor. The head costs what the window costs
to which it moves, which at factors below 1 is a finer one.

{cost}

## Volumes without an object

Foreground voxels, mean of all runs, in the test volumes as they are, with the hippocampus replaced by tissue like that
around it, and in noise of the same power spectrum. "Called empty": the scales of the window agree with it by a mean
Dice below {sure}, a bound that was chosen on the volumes of exploration. The search takes the surest window even where
there is nothing to be sure of, and finds somewhat more there than the unmoved window does; the agreement of the scales
tells such volumes from the others, which no single window's confidence does as well.

{empty}

## Training

Minutes of one thread, mean ± standard deviation over seeds, all measured in one session (coarsened: processor time;
the others by the clock, on a core with priority); validation on 10 volumes, three times in a run, included.

{training}
"""


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines))


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean and standard deviation, such as `.826 ± .004`."""
    both = (np.mean(values), np.std(values, ddof=len(values) > 1))
    return " ± ".join(f"{value:.{digits}f}".removeprefix("0") for value in both)


def dice_table(found: Measurements, train: int, canvas: str) -> str:
    """One line for each network and way to choose the window."""
    lines = []
    for (network, choice), title in TITLES.items():
        cells = [found.dice(train, network, choice, canvas, factor) for factor in found.factors]
        if all(cells):
            lines.append([title, *(spread(cell) for cell in cells)])
    return table(["test factor", *(f"{factor:g}" for factor in found.factors)], lines)


def distance(
    found: Measurements, train: int, network: str, canvas: str, choice: str, other: str
) -> tuple[float, float]:
    """By how much Dice stays below that of another choice, and the factor at which that is most."""
    gaps = {}
    for factor in found.factors:
        ours, theirs = (found.dice(train, network, name, canvas, factor) for name in (choice, other))
        if ours and theirs:
            gaps[float(np.mean(theirs) - np.mean(ours))] = factor
    return max(gaps.items(), default=(float("nan"), float("nan")))


def goals(found: Measurements) -> str:
    """How far each choice stays from the ideal and from the known factor, and whether that was the goal."""
    lines = []
    for network, train, canvas in product(("ours", "ours, coarsened"), found.counts, CANVASES):
        for choice, allowed in ALLOWED.items():
            gap, factor = distance(found, train, network, canvas, choice, "ideal")
            if gap == gap:  # measured
                behind, where = distance(found, train, network, canvas, choice, "known")
                verdict = "met" if gap <= allowed else "**missed**"
                cells = [f"{gap:.3f} at {factor:g}", f"{allowed:g}", verdict, f"{behind:.3f} at {where:g}"]
                lines.append([network, str(train), canvas, choice, *cells])
    header = ["network", "N", "canvas", "window by", "below the ideal", "goal", "", "below the known factor"]
    return table(header, lines)


def verdict(found: Measurements) -> str:
    """The result in a few sentences, of the largest number of training volumes."""
    train, half = max(found.counts), min(found.factors)

    def mean(network: str, choice: str, factor: float = half, train: int = train) -> str:
        values = found.dice(train, network, choice, "proportional", factor)
        return f"{np.mean(values):.3f}".removeprefix("0") if values else "–"

    behind = max(distance(found, n, "ours", "proportional", "confidence", "known")[0] for n in found.counts)
    plain, zoom, ours = mean("plain", "none"), mean("plain, zoom", "none"), mean("ours", "confidence")
    one = [mean(network, "none", 1.0) for network in ("plain", "plain, zoom", "ours")]
    also = "; ".join(
        f"N = {n}: {mean('ours', 'spacing', train=n)} of {mean('ours', 'ideal', train=n)} without, "
        f"{mean('ours, coarsened', 'spacing', train=n)} of {mean('ours, coarsened', 'ideal', train=n)} with it"
        for n in found.counts
        if found.dice(n, "ours, coarsened", "spacing", "proportional", half)
    )
    lines = f"""**In short** (N = {train}, proportional canvas). Dice at factor {half:g}: U-Net {plain}, with zoom
{zoom}, ours {ours} (window moved by confidence); at factor 1: {", ".join(one)}. A search that does not know the
factor stays at most {behind:.3f} below the window that the known factor gives. What is missing at {half:g} is missing
with known spacing, too: detail that the smaller scan has not kept. Training on scans of random resolution makes up
for some of it (spacing known, out of the ideal; {also}). On the fixed canvas the goals are missed: at {half:g} most of
the volume are copies of its border voxels, at {max(found.factors):g} the object's surroundings are cut off; training
has seen neither, the ideal, made at factor 1, sees neither, and no window helps there. The section on goals lists
all, met or missed."""
    return fill(" ".join(lines.split()), 116, break_long_words=False, break_on_hyphens=False)


def cost_table(found: Measurements) -> str:
    """Seconds and samples of each choice, canvas proportional."""
    lines = []
    for choice in ("none", "weighted", "confidence", "head"):
        cells = []
        for factor in found.factors:
            rows = [
                row
                for train in found.counts
                for row in found.select(train, network="ours", choice=choice, canvas="proportional", factor=factor)
            ]
            means = [np.mean([float(row[key]) for row in rows]) for key in ("seconds", "voxels")]
            cells.append(f"{means[0]:.2f} s, {means[1]:.1f} ×")
        lines.append([choice, *cells])
    return table(["window by", *(f"{factor:g}" for factor in found.factors)], lines)


def empty_table(found: Measurements) -> str:
    """Foreground voxels where there is no object, and how many volumes are recognised as empty."""
    lines = []
    for network, choice in TITLES:
        if choice not in ("none", "weighted", "confidence", "head"):
            continue
        cells = []
        for canvas in ("proportional", *EMPTY):
            rows = [
                row
                for train in found.counts
                for row in found.select(train, network=network, choice=choice, canvas=canvas, factor=1.0)
            ]
            if rows:
                cells.append(f"{np.mean([int(row['foreground']) for row in rows]):.0f}")
                few = np.mean([float(row["agreement"]) < SURE for row in rows])
                cells.append("–" if network.startswith("plain") else f"{100 * few:.0f} %")
        if cells:
            lines.append([network, choice, *cells])
    names = ("scans as they are", *EMPTY)
    return table(["network", "window by", *(cell for name in names for cell in (name, "called empty"))], lines)


def training_table(found: Measurements) -> str:
    """Minutes of training."""
    lines = []
    for train in found.counts:
        plain = np.mean([run["minutes"] for run in found.runs if (run["network"], run["train"]) == ("plain", train)])
        for network in dict.fromkeys(run["network"] for run in found.runs):
            runs = [run for run in found.runs if (run["network"], run["train"]) == (network, train)]
            if runs:
                minutes = [run["minutes"] for run in runs]
                ratio = f"{np.mean(minutes) / plain:.1f}"
                lines.append([network, str(train), f"{runs[0]['parameters']:,}", spread(minutes, 2), ratio])
    return table(["network", "N", "weights", "minutes", "over plain"], lines)


def means(found: Measurements) -> list[Row]:
    """One row for each run, canvas, factor and choice: means over the volumes."""
    keys = ("network", "train", "seed", "canvas", "factor", "choice")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in found.rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    measures = ("dice", "foreground", "shift", "seconds", "voxels", "agreement")
    lines = []
    for group, rows in groups.items():
        values = {key: [float(row[key]) for row in rows if row[key]] for key in measures}
        shown = {key: f"{np.mean(value):.4f}" if value else "" for key, value in values.items()}
        lines.append({**dict(zip(keys, group, strict=True)), "volumes": len(rows), **shown})
    return lines


def draw(found: Measurements, path: Path) -> None:
    """Dice against the factor on both canvases, for the largest number of training volumes."""
    train = max(found.counts)
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (canvas, title) in zip(panels, CANVASES.items(), strict=True):
        for (network, choice), (name, colour, line) in DRAWN.items():
            cells = {factor: found.dice(train, network, choice, canvas, factor) for factor in found.factors}
            measured = {factor: values for factor, values in cells.items() if values}
            middle = np.array([np.mean(values) for values in measured.values()])
            error = np.array([np.std(values, ddof=len(values) > 1) for values in measured.values()])
            if measured:
                axes.fill_between(list(measured), middle - error, middle + error, color=colour, alpha=0.18, linewidth=0)
                axes.plot(list(measured), middle, line, color=colour, markersize=4, label=name)
        axes.set(xscale="log", xlabel="factor of the test volumes (training: 1)", title=title, ylim=(0, 0.9))
        axes.set_xticks(found.factors, [f"{factor:g}" for factor in found.factors])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"hard Dice, N = {train}")
    panels[0].legend(loc="lower right", frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


def write_page(results: Path, folders: Iterable[Path]) -> None:
    """`scale_channels.md`, `.csv` (means over volumes) and `.png`."""
    found = Measurements(folders)
    results.mkdir(parents=True, exist_ok=True)
    write_csv(results / "scale_channels.csv", means(found))
    draw(found, results / "scale_channels.png")
    seeds = len({run["seed"] for run in found.runs})
    tables = [
        f"## N = {train}: {title}\n\n{dice_table(found, train, canvas)}"
        for train in found.counts
        for canvas, title in CANVASES.items()
    ]
    text = TEXT.format(
        seeds=seeds,
        verdict=verdict(found),
        tables="\n\n".join(tables),
        goals=goals(found),
        cost=cost_table(found),
        empty=empty_table(found),
        training=training_table(found),
        sure=SURE,
        largest=max(found.counts),
    )
    (results / "scale_channels.md").write_text(text)
