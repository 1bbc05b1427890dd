"""Resolution transfer: trained on AdrenalMNIST3D at 28³, tested on the same objects at 20³, 28³ and 40³.

    python examples/experiments/resolution_transfer.py --root ../shared/data/medmnist

One classifier of this library and a plain 3-D CNN of the same layers and as many weights learn from the training
split at 28³; a tenth of it, by a fixed seed, chooses the epoch. The tested objects are the official validation split,
at 28³ and resampled by `scalegroup.data.rescale_image` on a canvas that grows and shrinks with them, so that a voxel
of 20³ is 28/20 of a training voxel. The official 64³ file is tested on too where it lies beside the other. Every
finished run leaves its predictions under `--runs` and is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from scalegroup.data import DataError, LabelledImages, MedMnist3D, rescale_image
from scalegroup.models import Classifier
from scalegroup.training.classification import (
    Classification,
    accuracy,
    auc,
    bootstrap_interval,
    fit_classifier,
    plain_classifier,
    probabilities,
)
from scalegroup.training.report import open_console, write_csv
from scalegroup.visual import new_figure

Images = npt.NDArray[np.float32]
Chances = npt.NDArray[np.float64]  # of class 1, (seeds, objects)
TRAINED_AT = 28
SIZES = (20, 28, 40)
OFFICIAL = 64
SPLIT_SEED = 20
DRAWS = 1000
LAYERS: dict[str, Any] = {"channels": (16, 32, 48), "strides": (2, 2, 1)}
# The finest grid has a spacing of √2 voxels: what the smallest of the tested volumes still holds.
WINDOW: dict[str, Any] = {"sampling": "haar", "basis": "free", "first": 1, "num_scales": 3, "scale_pool": "mean"}
# (network, how it is tested). "spacing": told the voxel size; "nothing": not told; "resampled": the volume is first
# brought back to 28³, which is what one does with a network that has no spacing. "common" is the plain network that
# learned at 20³, the coarsest of the tested resolutions, to which all volumes are brought before it sees them.
METHODS = {
    ("ours", "spacing"): "ours, with the true spacing",
    ("ours", "nothing"): "ours, without spacing",
    ("plain", "nothing"): "plain CNN",
    ("plain", "resampled"): "plain CNN, volume resampled to 28³",
    ("common", "resampled"): "plain CNN, all resampled to 20³, in training too",
}
NETWORKS = {"ours": TRAINED_AT, "plain": TRAINED_AT, "common": min(SIZES)}  # and the size at which they learn
READING = """The AUC asks only for the right order of the objects; the accuracy asks for the right probabilities, too.
At 28³ the networks cannot be told apart. Told the true spacing, ours sees every object on the grids on which it
learned, and keeps its AUC at both other resolutions, where networks that are not told lose at 20³. Resampling the
volumes helps a plain network's AUC as much, but not its probabilities: brought back to 28³, an object has another
sharpness than those of training, and most are called hyperplasia. Ours keeps them at 40³; at 20³ a part is lost, as
the glands are two or three voxels thick and coarser voxels blur them, which shifts all probabilities the same way. A
plain network that has learned at 20³ is best there, by construction (its volumes of 20³ and 28³ are the same arrays),
and not at 40³.

Nothing was chosen on the tested objects. On the training split alone (769 objects to learn from, 119 to choose the
epoch, 300 to compare, 12 to 15 epochs, one seed) some combinations of these were tried: windows of 3 or 4 scales
from 1/√2, 1 or √2 on, all at once or in random runs of 2; the maximum or the mean over scales; strides (2, 2, 2) or
(2, 2, 1); for the plain CNN rates of 0.001 and 0.003; with and without mirroring. AUCs at 28³ were 0.73 to 0.75 for
ours and 0.72 to 0.78 for the plain CNN, with a standard error of 0.035. With the window from √2 on and the mean,
ours kept its accuracy best at other resolutions: finer grids see edges that 20³ does not hold."""
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73")  # Okabe and Ito, 2008


class Prediction(NamedTuple):
    """The probability of class 1 that one trained network gives to one object, tested in one way at one size."""

    network: str
    seed: int
    way: str
    size: int
    object: int
    label: int
    chance: float

    @classmethod
    def read(cls, row: Mapping[str, str]) -> Prediction:
        """From a row of the file."""
        numbers = [int(row[key]) for key in ("size", "object", "label")]
        return cls(row["network"], int(row["seed"]), row["way"], *numbers, float(row["chance"]))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/medmnist"))
    parser.add_argument("--runs", type=Path, default=Path("runs/resolution_transfer"), help="weights and predictions")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="a few objects, one epoch, tiny networks: does it run?")
    return parser.parse_args()


def network(name: str, quick: bool) -> torch.nn.Module:
    """Ours or a plain one, of the same layers."""
    layers = {**LAYERS, "channels": (2, 2, 4)} if quick else LAYERS
    return Classifier(3, 1, 2, **layers, **WINDOW) if name == "ours" else plain_classifier(3, 1, 2, **layers)


def dealt(train: LabelledImages, quick: bool) -> tuple[LabelledImages, LabelledImages]:
    """Nine tenths to learn from, one to choose the epoch."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(train.labels))
    if quick:
        order = order[:60]
    few = len(order) // 10
    return train.subset(order[few:]), train.subset(order[:few])


def tested(root: Path, quick: bool) -> tuple[npt.NDArray[np.int64], dict[int, Images]]:
    """Labels, and the volumes at each size."""
    images, labels = MedMnist3D(root, size=TRAINED_AT).split("val")
    if quick:
        chosen = np.concatenate([np.flatnonzero(labels == label)[:3] for label in (0, 1)])
        images, labels = images[chosen], labels[chosen]
    sizes = {size: at_size(images, size) for size in SIZES}
    try:
        sizes[OFFICIAL] = MedMnist3D(root, size=OFFICIAL).split("val").images
    except DataError:
        return labels, sizes
    return labels, sizes


def at_size(images: Images, size: int) -> Images:
    """The same objects on a grid of so many voxels, over the same field of view."""
    return images if size == images.shape[-1] else np.stack([rescale_image(x, size / x.shape[-1]) for x in images])


def one_run(name: str, seed: int, options: argparse.Namespace) -> list[Prediction]:
    """Trains and tests one network, unless its predictions are there already."""
    out = options.runs / f"{name}-{seed}"
    done = out / "predictions.csv"
    if not done.is_file():
        images, labels = MedMnist3D(options.root, size=TRAINED_AT).split("train")
        train, choose = dealt(LabelledImages(at_size(images, NETWORKS[name]), labels), options.quick)
        torch.manual_seed(seed)
        net = network(name, options.quick)
        module = Classification(net, 2, learning_rate=3e-3, mirror=True)
        start = time.process_time()
        fit_classifier(module, train, choose, out, 1 if options.quick else options.epochs, 32, seed)
        minutes = (time.process_time() - start) / 60
        rows = []
        labels, volumes = tested(options.root, options.quick)
        ways = [way for network, way in METHODS if network == name]
        for way, (size, images) in product(ways, volumes.items()):
            seen = at_size(images, NETWORKS[name]) if way == "resampled" else images
            chances = probabilities(net, seen, TRAINED_AT / size if way == "spacing" else None)[:, 1]
            table = zip(labels.tolist(), chances.tolist(), strict=True)
            rows += [Prediction(name, seed, way, size, n, label, p) for n, (label, p) in enumerate(table)]
        weights = sum(p.numel() for p in net.parameters())
        (out / "facts.json").write_text(json.dumps({"minutes": minutes, "weights": weights}))
        write_csv(done, [row._asdict() for row in rows])  # last: it says that the run is finished
    with done.open(newline="") as file:
        return [Prediction.read(row) for row in csv.DictReader(file)]


class Results:
    """The predictions of all runs, and what follows from them.

    Args:
        predictions: of all networks, seeds, ways and sizes, over the same objects.
        draws: of each bootstrap.
    """

    def __init__(self, predictions: Sequence[Prediction], draws: int = DRAWS) -> None:
        self.draws = draws
        self.seeds = sorted({row.seed for row in predictions})
        self.sizes = sorted({row.size for row in predictions})
        first = predictions[0]
        mine = [row for row in predictions if row[:4] == first[:4]]
        self.labels = np.array([row.label for row in sorted(mine, key=lambda row: row.object)])
        self._chances = {
            (row.network, row.way, row.size): np.empty((len(self.seeds), len(self.labels))) for row in predictions
        }
        self._intervals: dict[tuple[str, tuple[str, str], int], tuple[float, float]] = {}
        for row in predictions:
            self._chances[row.network, row.way, row.size][self.seeds.index(row.seed), row.object] = row.chance

    def chances(self, method: tuple[str, str], size: int) -> Chances:
        """The probability of class 1, `(seeds, objects)`."""
        return self._chances[(*method, size)]

    def mean(
        self, measure: Callable[..., float], method: tuple[str, str], size: int, drawn: Any = slice(None)
    ) -> float:
        """AUC or accuracy over the drawn objects, mean over the seeds."""
        labels = torch.from_numpy(self.labels[drawn])
        rows = torch.from_numpy(self.chances(method, size)[:, drawn])
        return float(np.mean([measure(torch.stack([1 - row, row], dim=1), labels) for row in rows]))

    def interval(self, measure: Callable[..., float], method: tuple[str, str], size: int) -> tuple[float, float]:
        """Its 95 % interval over the objects; computed once."""
        key = (measure.__name__, method, size)
        if key not in self._intervals:
            found = bootstrap_interval(lambda drawn: self.mean(measure, method, size, drawn), self.labels, self.draws)
            self._intervals[key] = found
        return self._intervals[key]

    def difference(
        self, measure: Callable[..., float], method: tuple[str, str], other: tuple[str, str], size: int
    ) -> tuple[float, float, float]:
        """One method minus another over the same objects, and its 95 % interval."""

        def gap(drawn: Any = slice(None)) -> float:
            return self.mean(measure, method, size, drawn) - self.mean(measure, other, size, drawn)

        return (gap(), *bootstrap_interval(gap, self.labels, self.draws))

    def change(self, method: tuple[str, str], size: int) -> float:
        """The mean change of an object's probability against that at 28³, by the same trained network."""
        return float(np.abs(self.chances(method, size) - self.chances(method, TRAINED_AT)).mean())


def measured_table(results: Results, measure: Callable[..., float]) -> str:
    """Rows of methods, columns of sizes: mean and interval."""
    lines = [f"| | {' | '.join(f'{size}³' for size in results.sizes)} |", "|---" * (1 + len(results.sizes)) + "|"]
    for method, title in METHODS.items():
        cells = []
        for size in results.sizes:
            low, high = results.interval(measure, method, size)
            cells.append(f"{results.mean(measure, method, size):.3f} [{low:.2f}, {high:.2f}]")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def difference_table(results: Results) -> str:
    """Ours with spacing minus each other method, in AUC."""
    ours = ("ours", "spacing")
    lines = [f"| ours with spacing minus … | {' | '.join(f'{size}³' for size in results.sizes)} |"]
    lines.append("|---" * (1 + len(results.sizes)) + "|")
    for method, title in METHODS.items():
        if method != ours:
            gaps = [results.difference(auc, ours, method, size) for size in results.sizes]
            cells = [f"{gap:+.3f} [{low:+.2f}, {high:+.2f}]" for gap, low, high in gaps]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def change_table(results: Results) -> str:
    """How far the probabilities move from those at 28³."""
    others = [size for size in results.sizes if size != TRAINED_AT]
    lines = [f"| | {' | '.join(f'{size}³' for size in others)} |", "|---" * (1 + len(others)) + "|"]
    for method, title in METHODS.items():
        lines.append(f"| {title} | {' | '.join(f'{results.change(method, size):.3f}' for size in others)} |")
    return "\n".join(lines)


def draw(path: Path, results: Results) -> None:
    """AUC and accuracy against the size, with their intervals as bars."""
    figure = new_figure(7.2, 3.4)
    panels = figure.subplots(1, 2)
    for axes, measure, name in zip(panels, (auc, accuracy), ("AUC", "accuracy"), strict=True):
        for place, (method, title) in enumerate(METHODS.items()):
            values = np.array([results.mean(measure, method, size) for size in results.sizes])
            ends = np.array([results.interval(measure, method, size) for size in results.sizes]).T
            x = np.arange(len(results.sizes)) + 0.09 * (place - 2)  # side by side, so that no bar hides another
            style = {"color": COLOURS[place], "marker": "os^Dv"[place], "capsize": 2, "linewidth": 1.4, "markersize": 4}
            axes.errorbar(x, values, np.abs(ends - values), label=title, linestyle="-" if place < 2 else "--", **style)
        axes.set_xticks(range(len(results.sizes)), [f"{size}³" for size in results.sizes])
        axes.set_xlabel(f"size of the tested volumes (training data: {TRAINED_AT}³)", fontsize=8)
        axes.set_ylabel(name, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92", linewidth=0.8)
    panels[0].axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    most = max((results.labels == label).mean() for label in (0, 1))
    panels[1].axhline(most, color="0.6", linewidth=0.8, linestyle=":")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    figure.savefig(path, dpi=200)


def page(results: Results, facts: Mapping[str, Mapping[str, float]], options: argparse.Namespace) -> str:
    """The results as a page of the documentation."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("scalegroup", "torch", "lightning", "monai"))
    times = "; ".join(
        f"{name}: {facts[f'{name}-{results.seeds[0]}']['weights']:,.0f} weights, "
        f"{np.mean([facts[f'{name}-{seed}']['minutes'] for seed in results.seeds]):.1f} minutes of one core per run"
        for name in NETWORKS
    )
    counts = np.bincount(results.labels, minlength=2)
    return f"""# Resolution transfer: trained at 28³, tested at other resolutions

Command: `python examples/experiments/resolution_transfer.py --seeds {" ".join(map(str, results.seeds))} \
--epochs {options.epochs}`;
it writes this page, `resolution_transfer.csv` (one row per method, size and seed) and the picture.
{versions}; {platform.machine()}, one thread of a shared machine with two cores.

AdrenalMNIST3D, the shapes of adrenal glands, normal or with hyperplasia. Training: the official training split at 28³
without a tenth of it (drawn by seed {SPLIT_SEED}) that chose the epoch by its loss. Tested on the {len(results.labels)}
objects of the official validation split ({counts[0]} normal, {counts[1]} with hyperplasia), which chose nothing; the
64³ file is not at hand here and is used when it is. The objects at other sizes are made by
`scalegroup.data.rescale_image` (cubic spline, a Gaussian before shrinking) on a canvas that keeps the field of view.
{options.epochs} epochs, AdamW with a one-cycle schedule up to 0.003, batches of 32, training objects mirrored at
random. Mean over {len(results.seeds)} seeds; brackets: 95 % intervals over the objects ({results.draws} bootstrap
draws, within classes). {times}.

Networks: `Classifier` with channels {LAYERS["channels"]}, strides {LAYERS["strides"]}, 3×3×3 kernels on Haar grids of
scales √2, 2 and 2√2, the mean over scales; the plain CNN has the same layers on the voxels. "With the true spacing" is
`net(volume, spacing=28/20)` for 20³: the voxel size in training voxels. The last row is a control: a plain CNN that
never sees more than the coarsest of the tested resolutions, which has to be known before training.

AUC:

{measured_table(results, auc)}

Accuracy (always answering "normal" gives {counts.max() / counts.sum():.3f}):

{measured_table(results, accuracy)}

![AUC and accuracy against the size of the tested volumes; dotted: chance, and always "normal"](resolution_transfer.png)

The objects are the same in every cell, so differences are surer than the intervals above say. In AUC:

{difference_table(results)}

How far the predicted probability of an object moves from that at 28³, mean over objects and seeds:

{change_table(results)}

{READING}
"""


def main() -> None:
    """All runs, then the page."""
    options, console = arguments(), open_console()
    torch.set_num_threads(1)
    predictions: list[Prediction] = []
    facts: dict[str, dict[str, float]] = {}
    for seed, name in product(options.seeds, NETWORKS):
        predictions += one_run(name, seed, options)
        facts[f"{name}-{seed}"] = json.loads((options.runs / f"{name}-{seed}" / "facts.json").read_text())
    results = Results(predictions, 10 if options.quick else DRAWS)
    options.results.mkdir(parents=True, exist_ok=True)
    rows = []
    for (method, title), size, (n, seed) in product(METHODS.items(), results.sizes, enumerate(results.seeds)):
        chances = torch.from_numpy(results.chances(method, size)[n])
        both, labels = torch.stack([1 - chances, chances], dim=1), torch.from_numpy(results.labels)
        values = {"auc": f"{auc(both, labels):.5f}", "accuracy": f"{accuracy(both, labels):.5f}"}
        rows.append({"method": title, "size": size, "seed": seed, **values})
    write_csv(options.results / "resolution_transfer.csv", rows)
    draw(options.results / "resolution_transfer.png", results)
    (options.results / "resolution_transfer.md").write_text(page(results, facts, options))
    console.print(measured_table(results, auc))


if __name__ == "__main__":
    main()
