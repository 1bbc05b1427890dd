"""MONAI's U-Net on the grids of all scales: Dice at scales that training has not seen, and how to choose the window.

    python examples/experiments/scale_channels.py --root ../shared/data/Task04_Hippocampus

Four networks of the same number of weights, optimiser and number of steps: the plain U-Net, the same with random zoom
of the training scans, `ScaleChannels` around the same U-Net, and that with training scans of random resolution. 30
volumes are tested on once, rescaled by six factors. The choices were made on other volumes by
`scale_channels_choices.py`. Every finished run leaves its measurements and is not repeated; an interrupted one goes on
from its last epoch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from scale_channels_page import write_page
from scale_windows import (
    COUNT,
    SHIFTS,
    Head,
    Image,
    OneScaleAtATime,
    Scores,
    agreement,
    dice,
    features,
    fit_head,
    known_shift,
    labels_of,
    mean_scores,
    phases_at_random,
    without_object,
)
from torch import Tensor

from scalegroup.data import Scan, load, rescale
from scalegroup.data.rescale import Canvas, rescale_label
from scalegroup.models import Projection, ScaleChannels
from scalegroup.models.scale_selection import select_window
from scalegroup.training import DataConfig, ModelConfig, Segmentation, TrainerConfig, fit, parameter_count
from scalegroup.training.evaluate import predict
from scalegroup.training.report import ShowProgress, open_console, progress_bar, write_csv

FACTORS = (1.0, 0.5, 0.63, 0.8, 1.25, 1.6)  # 1 first: the ideal of the others is made of its prediction
CANVASES: tuple[Canvas, ...] = ("proportional", "fixed")
EMPTY = {"object replaced": without_object, "phases at random": phases_at_random}
Row = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """A line of the comparison."""

    model: ModelConfig
    zoom: tuple[float, float] | None = None
    coarsen: float | None = None


PLAIN = ModelConfig("plain", (16, 32, 64), (2, 2), norm="instance", act="prelu")
OURS = replace(PLAIN, name="channels", options={"projection": "mean"})  # other projections and windows are tried on it
NETWORKS = {
    "plain": Network(PLAIN),
    "plain, zoom": Network(PLAIN, (0.5, 1.6)),
    "ours": Network(OURS),
    "ours, coarsened": Network(OURS, coarsen=0.5),
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/Task04_Hippocampus"))
    parser.add_argument("--runs", type=Path, default=Path("runs/scale_channels"), help="checkpoints and measurements")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the tables")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 25], help="numbers of training volumes")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="a few scans, one epoch, tiny networks: does it run?")
    return parser.parse_args()


class Found(NamedTuple):
    """A prediction: class indices `(*space)`, and how it came about."""

    labels: npt.NDArray[np.uint8]
    shift: int = 0
    seconds: float = 0.0
    voxels: float = 1.0
    agreement: float = 0.0


def by_plain(module: Segmentation, image: Image) -> dict[str, Found]:
    """The prediction of a network without scales."""
    start = time.perf_counter()
    labels = predict(module, image).numpy().astype(np.uint8)
    return {"none": Found(labels, seconds=time.perf_counter() - start)}


def by_windows(net: OneScaleAtATime, head: Head, image: Image, factor: float, same_volume: bool) -> dict[str, Found]:
    """The predictions of the network on one window or another, each grid being computed once."""
    scores = Scores(net, image)

    def unmoved(scores: Scores) -> tuple[Tensor, int]:
        return mean_scores(scores.window(0)), 0

    def weighted(scores: Scores) -> tuple[Tensor, int]:
        return Projection("volume_confidence")(scores.window(0)), 0

    def by_confidence(scores: Scores) -> tuple[Tensor, int]:
        chosen, shifts = select_window(scores, COUNT, mean_scores, SHIFTS, climb=True)
        return chosen, int(shifts)

    def by_head(scores: Scores) -> tuple[Tensor, int]:
        shift = head(features(scores.window(0)))
        return mean_scores(scores.window(shift)), shift

    def by_factor(scores: Scores) -> tuple[Tensor, int]:
        return mean_scores(scores.window(known_shift(factor))), known_shift(factor)

    ways = {"none": unmoved, "weighted": weighted, "confidence": by_confidence, "head": by_head, "known": by_factor}
    found = {name: found_by(scores, way) for name, way in ways.items()}
    if same_volume:  # the scan of another resolution: its voxels are 1/factor times as large as in training
        found["spacing"] = found_by(Scores(net, image, spacing=1 / factor), unmoved)
    return found


def found_by(scores: Scores, way: Callable[[Scores], tuple[Tensor, int]]) -> Found:
    """What one way of choosing the window leads to."""
    chosen, shift, seconds, voxels = scores.measured(way)
    labels = labels_of(chosen)[0].numpy().astype(np.uint8)
    return Found(labels, shift, seconds, voxels, float(np.mean(agreement(scores.window(shift)))))


def test(module: Segmentation, head: Head | None, scans: Sequence[Scan], factors: Sequence[float]) -> Iterator[Row]:
    """One row for each scan, canvas, factor and choice of the window."""
    net = None if head is None else OneScaleAtATime(cast(ScaleChannels, module.network))
    for scan, canvas in product(scans, CANVASES):
        at_one: npt.NDArray[np.uint8] | None = None
        for factor in factors:
            image, label = rescale(scan.image, scan.label, factor, canvas)
            if net is None or head is None:
                found = by_plain(module, image)
            else:
                found = by_windows(net, head, image, factor, canvas == "proportional")
            at_one = found["none"].labels if at_one is None else at_one
            found["ideal"] = Found(rescale_label(at_one, factor, canvas))
            for choice, guess in found.items():
                place = {"canvas": canvas, "factor": factor, "choice": choice, "case": scan.name}
                yield {**place, "dice": round(dice(torch.from_numpy(guess.labels), label), 5), **facts(guess)}


def test_empty(module: Segmentation, head: Head | None, scans: Sequence[Scan]) -> Iterator[Row]:
    """The same for scans without an object; the dice is left out."""
    net = None if head is None else OneScaleAtATime(cast(ScaleChannels, module.network))
    draw = np.random.default_rng(0)
    for scan, (name, emptied) in product(scans, EMPTY.items()):
        image = emptied(scan, draw)
        found = by_plain(module, image) if net is None or head is None else by_windows(net, head, image, 1.0, False)
        for choice, guess in found.items():
            yield {"canvas": name, "factor": 1.0, "choice": choice, "case": scan.name, "dice": "", **facts(guess)}


def facts(guess: Found) -> Row:
    """What a row says of a prediction, apart from its Dice."""
    measures = {"seconds": guess.seconds, "voxels": guess.voxels, "agreement": guess.agreement}
    rounded = {name: round(value, 4) for name, value in measures.items()}
    return {"foreground": int((guess.labels > 0).sum()), "shift": guess.shift, **rounded}


def one_run(
    name: str, data: DataConfig, trainer: TrainerConfig, model: ModelConfig, out: Path, factors: Sequence[float]
) -> None:
    """Trains and tests one network, unless its measurements are there already."""
    if (out / "test.csv").is_file():
        return
    constant = {"network": name, "train": data.train, "seed": trainer.seed}
    start = time.process_time()  # of one thread; another program on the machine does not change it
    with progress_bar() as bar:
        best = fit(data, model, trainer, out, callbacks=[ShowProgress(bar, f"{name}, {out.name}")])
    minutes, module, split = (time.process_time() - start) / 60, Segmentation.load(best), data.split()
    if not (out / "facts.json").is_file():
        about = {**constant, "minutes": minutes, "parameters": parameter_count(module)}
        (out / "facts.json").write_text(json.dumps(about))
    scans, head = [load(case) for case in split.test], None
    if isinstance(module.network, ScaleChannels):
        head = fit_head(OneScaleAtATime(module.network), [load(case) for case in split.train])
    rows = [*test(module, head, scans, factors), *test_empty(module, head, scans)]
    write_csv(out / "test.csv", [{**constant, **row} for row in rows])  # last: it says that the run is finished


def main() -> None:
    """All runs, then the page."""
    options = arguments()
    factors = FACTORS[:2] if options.quick else FACTORS
    outs = []
    for count, name, seed in product(options.counts, options.networks, options.seeds):
        network = NETWORKS[name]
        data = DataConfig("hippocampus", options.root, train=count, seed=9)
        augmented = {"zoom": network.zoom, "coarsen": network.coarsen}
        steps = TrainerConfig(options.epochs, batch_size=1, validate_every=10, seed=seed, **augmented)
        model = network.model
        if options.quick:
            data = replace(data, validation=1, test=1)
            model = replace(model, channels=(2, 4), strides=(2,))
        outs.append(options.runs / f"{name.replace(', ', '-')}-{count}-{seed}")
        one_run(name, data, steps, model, outs[-1], factors)
    write_page(options.results, outs)
    open_console().print((options.results / "scale_channels.md").read_text())


if __name__ == "__main__":
    main()
