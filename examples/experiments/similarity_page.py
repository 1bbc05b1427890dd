"""The page, the table and the pictures of `similarity.py`."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scalegroup.training.classification import accuracy, auc, bootstrap_interval
from scalegroup.training.report import write_csv
from scalegroup.visual import new_figure

DRAWS = 1000
READING = """Networks: three blocks, strides (2, 2, 1). *Plain*: 3×3×3 convolutions, batch norm, SiLU, the maximum over
space. *Scale*: `Classifier` with kernels of order 2 on Haar grids of scales √2 to 4 voxels, the mean over scales.
*Rotation*: the same with one scale and `rotations="octahedral"`; *Sim(3)* has both. Their channels are chosen so that
all have about as many weights; ours then compute more numbers, and take longer, than the plain network.

- **Rotations cost a network that does not know them.** Turned by 90°, the scores of *rotation* and *Sim(3)* stay, to
  rounding; turned at random, their probabilities move by .02, though only the 24 rotations of the cube are built in:
  smooth kernels do the rest. Those of the plain network move by .3, and its accuracy falls below that of always
  answering "normal".
- **Scale.** The two networks with scales keep an AUC of .77 to .87 at 0.7 and 1.4 in every run. The plain one has none
  left at 0.7; *rotation*, with its one scale, is between chance and that, by run. Probabilities do move with the size,
  by .1 to .2 for *Sim(3)* too: that is the truncated window of scales. Where sizes are mixed at random, one order has
  to suit them all, and the networks without augmentation lose .1 to .2 of their AUC.
- **Both.** *Sim(3)* is the only one without augmentation that fails at no move of one kind. It does not win everywhere:
  on rescaled glands that lie as in training, *scale* alone is better.
- **Augmentation** buys a plain network much of this: its probabilities move by about .1 or less under every move, less
  than those of *Sim(3)* under scales. Its runs differ more from each other, and on turned glands its AUC stays lower,
  with three times as many epochs.

The window of scales and its mean (maximum, three scales) were chosen with smaller networks on a split by seed 5. That
is another split of the same 1286 glands, so some of the glands tested here were among those; the network of each kind,
its rate and its epochs were not tuned."""
COLOURS = ("#D55E00", "#E69F00", "#56B4E9", "#009E73", "#0072B2")  # Okabe and Ito, 2008
MARKERS = "^vsDo"
Measure = Callable[..., float]


class Results:
    """The predictions of all runs, and what follows from them.

    Args:
        predictions: rows of network, seed, move, object, label and chance, over the same objects.
        draws: of each bootstrap.
    """

    def __init__(self, predictions: Sequence[Any], draws: int = DRAWS) -> None:
        self.draws = draws
        self._intervals: dict[tuple[str, str, str], tuple[float, float]] = {}
        self.networks = list(dict.fromkeys(row.network for row in predictions))
        self.moves = list(dict.fromkeys(row.move for row in predictions))
        self.seeds = sorted({row.seed for row in predictions})
        labels = {row.object: row.label for row in predictions}
        self.labels = np.array([labels[n] for n in sorted(labels)])
        shape = (len(self.seeds), len(labels))
        self.chances = {key: np.full(shape, np.nan) for key in ((n, m) for n in self.networks for m in self.moves)}
        for row in predictions:
            self.chances[row.network, row.move][self.seeds.index(row.seed), row.object] = row.chance

    def values(self, measure: Measure, network: str, move: str, drawn: Any = slice(None)) -> list[float]:
        """AUC or accuracy over the drawn objects, for each seed."""
        labels = torch.from_numpy(self.labels[drawn])
        rows = torch.from_numpy(self.chances[network, move][:, drawn])
        return [measure(torch.stack([1 - row, row], dim=1), labels) for row in rows]

    def mean(self, measure: Measure, network: str, move: str, drawn: Any = slice(None)) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.values(measure, network, move, drawn)))

    def interval(self, measure: Measure, network: str, move: str) -> tuple[float, float]:
        """Its 95 % interval over the objects; computed once."""
        key = (measure.__name__, network, move)
        if key not in self._intervals:
            found = bootstrap_interval(lambda drawn: self.mean(measure, network, move, drawn), self.labels, self.draws)
            self._intervals[key] = found
        return self._intervals[key]

    def difference(self, network: str, other: str, move: str) -> tuple[float, float, float]:
        """AUC of one network minus that of another over the same objects, and its 95 % interval."""

        def gap(drawn: Any = slice(None)) -> float:
            return self.mean(auc, network, move, drawn) - self.mean(auc, other, move, drawn)

        return (gap(), *bootstrap_interval(gap, self.labels, self.draws))

    def change(self, network: str, move: str) -> float:
        """How far the probability of an object moves from that of the object as it is, mean over objects and seeds."""
        first = self.chances[network, self.moves[0]]
        return float(np.abs(self.chances[network, move] - first).mean())


def table(cell: Callable[[str, str], str], moves: Sequence[str], networks: Sequence[str]) -> str:
    """Rows of networks, columns of moves."""
    lines = [f"| | {' | '.join(moves)} |", "|---" * (1 + len(moves)) + "|"]
    lines += [f"| {name} | {' | '.join(cell(name, move) for move in moves)} |" for name in networks]
    return "\n".join(lines)


def draw_results(path: Path, results: Results) -> None:
    """AUC of each network under each move, with its interval."""
    figure = new_figure(7.2, 3.2)
    axes = figure.subplots()
    for n, network in enumerate(results.networks):
        values = np.array([results.mean(auc, network, move) for move in results.moves])
        ends = np.array([results.interval(auc, network, move) for move in results.moves]).T
        x = np.arange(len(values)) + 0.12 * (n - (len(results.networks) - 1) / 2)
        style = {"color": COLOURS[n], "marker": MARKERS[n], "capsize": 2, "markersize": 5, "linewidth": 1.2}
        axes.errorbar(x, values, np.abs(ends - values), label=network, linestyle="none", **style)
    axes.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(results.moves)), [move.replace(" and ", "\nand ") for move in results.moves], fontsize=8)
    axes.set_ylabel("AUC", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=len(results.networks), frameon=False, fontsize=8)
    figure.savefig(path, dpi=200)


def draw_moves(path: Path, volumes: Sequence[tuple[str, npt.NDArray[np.float32]]]) -> None:
    """One gland under each move, seen along an axis: the largest value on each line of sight."""
    figure = new_figure(1.25 * len(volumes), 1.6)
    for axes, (name, volume) in zip(figure.subplots(1, len(volumes)), volumes, strict=True):
        axes.imshow(volume.max(axis=0), cmap="gray", vmin=0, vmax=1)
        axes.set_title(name.replace(" and ", "\nand ").replace(" as large", "\nas large"), fontsize=7)
        axes.set_axis_off()
    figure.savefig(path, dpi=200)


def write_page(
    folder: Path, runs: Any, volumes: Sequence[tuple[str, npt.NDArray[np.float32]]], options: argparse.Namespace
) -> str:
    """Writes `similarity.md`, `.csv` and the pictures; returns the table of AUCs."""
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(runs.predictions, 10 if options.quick else DRAWS)
    rows = []
    for name in results.networks:
        for move in results.moves:
            pairs = zip(results.values(auc, name, move), results.values(accuracy, name, move), strict=True)
            for seed, (area, share) in zip(results.seeds, pairs, strict=True):
                row = {"network": name, "move": move, "seed": seed, "auc": f"{area:.5f}", "accuracy": f"{share:.5f}"}
                rows.append(row)
    write_csv(folder / "similarity.csv", rows)
    draw_results(folder / "similarity.png", results)
    draw_moves(folder / "similarity_moves.png", volumes)
    areas = _areas(results)
    (folder / "similarity.md").write_text(_page(results, areas, runs, options))
    return areas


def _areas(results: Results) -> str:
    def cell(name: str, move: str) -> str:
        low, high = results.interval(auc, name, move)
        return f"{results.mean(auc, name, move):.3f} [{low:.2f}, {high:.2f}]"

    return table(cell, results.moves, results.networks)


def _gaps(results: Results, best: str) -> str:
    def cell(name: str, move: str) -> str:
        gap, low, high = results.difference(best, name, move)
        return f"{gap:+.3f} [{low:+.2f}, {high:+.2f}]"

    return table(cell, results.moves, [name for name in results.networks if name != best])


def _facts(results: Results, runs: Any) -> str:
    lines = ["| | weights | minutes of one core per training |", "|---|---|---|"]
    for name in results.networks:
        lines.append(f"| {name} | {runs.weights[name]:,} | {np.mean(runs.minutes[name]):.1f} |")
    return "\n".join(lines)


def _by_seed(results: Results) -> str:
    def cell(name: str, move: str) -> str:
        return " / ".join(f"{value:.3f}" for value in results.values(auc, name, move))

    return table(cell, results.moves, results.networks)


def _page(results: Results, areas: str, runs: Mapping[str, Any] | Any, options: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("scalegroup", "torch", "monai"))
    counts = np.bincount(results.labels, minlength=2)
    accuracies = table(lambda n, m: f"{results.mean(accuracy, n, m):.3f}", results.moves, results.networks)
    changes = table(lambda n, m: f"{results.change(n, m):.3f}", results.moves[1:], results.networks)
    gaps = _gaps(results, results.networks[-1])
    seeds = f"{len(results.seeds)} seed{'s' if len(results.seeds) > 1 else ''}"
    return f"""# Rotated and rescaled: plain, scale, rotation, and Sim(3)

Command: `python examples/experiments/similarity.py --seeds {" ".join(map(str, results.seeds))} \
--epochs {options.epochs}`; it
writes this page, `similarity.csv` (one row for each network, move and seed) and the pictures.
{versions}; {platform.machine()}, one thread of a shared machine with two cores.

AdrenalMNIST3D, 28³ voxels: the shapes of adrenal glands, normal or with hyperplasia. {options.glands} glands to learn
from, as they lie in the file; {len(results.labels)} others to test on ({counts[0]} normal, {counts[1]} with
hyperplasia), drawn from both published splits by seed {options.split}. All masks are smoothed by a Gaussian of one
voxel. Test glands are moved by cubic splines on a canvas of 40³ voxels, all networks see the same moves.
{options.epochs} epochs of AdamW, one cycle up to 0.003, batches of 30, no augmentation and no choice of an epoch;
*augmented*: random rotations and zooms by 0.7 … 1.4, three times as many epochs.
Mean over {seeds}; brackets: 95 % intervals over the glands ({results.draws} bootstrap draws).

![A gland under each move](similarity_moves.png)

{_facts(results, runs)}

Area under the ROC curve:

{areas}

![AUC under each move](similarity.png)

The same for each seed:

{_by_seed(results)}

{results.networks[-1]} minus each other network, over the same glands, in AUC:

{gaps}

Accuracy (always answering "normal" gives {counts.max() / counts.sum():.3f}):

{accuracies}

How far the predicted probability of a gland moves from that of the gland as it is, mean over glands and seeds:

{changes}

{READING}
"""
