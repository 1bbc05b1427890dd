"""The poster's two experiments: Dice against the number of training scans, and against the scale of the test scans.

    python examples/experiments/poster.py                                   # hippocampus, on CPUs in pieces
    python examples/experiments/poster.py --data brats --data.root DIR      # the original, for a GPU

Networks of about the same number of weights (within 20 %), trained on 10, 15 and 25 scans of one size with the same
optimiser, epochs and choice of the checkpoint on validation scans: our U-Net with the maximum, the mean and the
confidence of its scales as projection, and MONAI's, each with and without scaling augmentation (zoom 0.5 … 1.6). All
are tested on the same other scans, rescaled by 0.5 … 1.6 on two canvases: one that grows with its content, and a fixed
one. Every finished run leaves its measurements in a file and is not repeated, so that this can be stopped at any
time and goes on where it was; `--seeds` and `--counts` let several processes share the work. After every run the tables
and figures are written anew, from all runs that there are.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from monai.inferers import sliding_window_inference
from poster_page import DEFAULTS, SETTINGS, write_page
from torch import Tensor

from scalegroup.data import Scan, load, rescale
from scalegroup.data.rescale import Canvas
from scalegroup.errors import ScaleGroupError
from scalegroup.models import Projection
from scalegroup.training import (
    DataConfig,
    ModelConfig,
    Segmentation,
    TrainerConfig,
    build_model,
    fit,
    hard_dice,
    match_parameters,
    parameter_count,
)
from scalegroup.training.files import replacing
from scalegroup.training.metrics import mean_of_present
from scalegroup.training.report import ShowProgress, open_console, progress_bar, write_csv

ROOTS = {"hippocampus": Path("../shared/data/Task04_Hippocampus"), "brats": Path("../shared/data/BraTS")}
FACTORS = (0.5, 0.63, 0.8, 1.0, 1.25, 1.6)
CANVASES: tuple[Canvas, ...] = ("proportional", "fixed")
ZOOM = (0.5, 1.6)
OURS = ModelConfig("scale", (16, 32, 64), (2, 2), norm="instance", act="prelu")  # act and norm are MONAI's defaults


@dataclass(frozen=True)
class Network:
    """A line of the comparison.

    Args:
        model: its configuration.
        zoom, coarsen: augmentations, as in `TrainerConfig`.
        projections: ways to project the scales of the trained network; none for networks without scales.
        matched: widen a plain network to our number of weights, or leave it as many channels as ours has.
    """

    model: ModelConfig
    zoom: tuple[float, float] | None = None
    coarsen: float | None = None
    projections: tuple[str, ...] = ()
    matched: bool = True


# One training serves the mean and the confidence: that is the mean while it trains.
MAX = replace(OURS, options={"scale_pool": "max"})
PLAIN = replace(OURS, name="plain")
BOTH = ("mean", "volume_confidence")
NETWORKS = {
    "plain": Network(PLAIN),
    "plain, zoom": Network(PLAIN, ZOOM),
    "ours": Network(OURS, projections=BOTH),
    "ours, max": Network(MAX, projections=("max",)),
    "ours, zoom": Network(OURS, ZOOM, projections=BOTH),
    "ours, max, zoom": Network(MAX, ZOOM, projections=("max",)),
    "ours, coarsened": Network(OURS, coarsen=0.5, projections=BOTH),
    "plain, large, zoom": Network(PLAIN, ZOOM, matched=False),
}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=ROOTS, default="hippocampus")
    parser.add_argument("--data.root", dest="root", type=Path, help="folder of the scans")
    parser.add_argument("--runs", type=Path, help="checkpoints and measurements; default runs/poster-<data>")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 25, 15], help="numbers of training scans")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--test", type=int, default=DEFAULTS["test"], help="number of test scans")
    parser.add_argument("--epochs", type=int, default=DEFAULTS["epochs"])
    parser.add_argument("--patch", type=int, nargs=3, help="random patches, for scans too large for the memory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few scans, one epoch, tiny networks: does it run?")
    options = parser.parse_args(words)
    options.root = options.root or ROOTS[options.data]
    options.runs = options.runs or Path("runs") / f"poster-{options.data}"
    if options.data == "brats" and options.patch is None:
        options.patch = [96, 96, 96]
    return options


def settings(network: Network, count: int, seed: int, options: argparse.Namespace) -> tuple[Any, ...]:
    """The network with its channels, the scans and the training of one run.

    The split's seed 9 is the first whose test scans are none of those on which recipes were chosen (seed 5).
    """
    data = DataConfig(options.data, options.root, count, 1 if options.quick else 10, options.test, seed=9)
    trainer = TrainerConfig(
        options.epochs,
        batch_size=1,
        patch=None if options.patch is None else tuple(options.patch),
        validate_every=max(1, options.epochs // 3),
        seed=seed,
        threads=options.threads,
    )
    model = replace(network.model, channels=(2, 4), strides=(2,)) if options.quick else network.model
    if model.name == "plain" and network.matched:
        opened = data.open()
        channels, classes = len(opened.channels), 1 + len(opened.classes)
        wanted = parameter_count(build_model(replace(model, name="scale"), channels, classes))
        model = match_parameters(model, wanted, channels, classes)
        ratio = parameter_count(build_model(model, channels, classes)) / wanted
        if abs(ratio - 1) > 0.2 and not options.quick:
            raise ScaleGroupError("numbers of weights within 20 %", f"a ratio of {ratio:.2f}", "choose other channels")
    return replace(network, model=model), data, trainer


def scores_of(module: Segmentation, x: Tensor, projections: Sequence[str]) -> dict[str, Tensor]:
    """The scores of all classes on the voxels by each projection, all scales being computed once.

    Of networks that were trained on patches, by overlapping windows, as `Segmentation.predict` does.
    """

    def scores(x: Tensor) -> dict[str, Tensor]:
        if not projections:
            return {"none": module(x)}
        noted = _Noted()
        module.network.projection.pool = noted  # type: ignore[union-attr]
        module(x)
        return {name: Projection(name).eval()(noted.scores) for name in projections}

    if module.trainer_config.patch is None:
        return scores(x)
    window = module.window(x.shape)[2:]
    found: Any = sliding_window_inference(x, window, 1, scores, 0.5, mode="gaussian")
    return dict(found)


class _Noted(torch.nn.Module):
    """Stands where the projection is, and keeps what it is given: `(batch, classes, scales, *space)`."""

    scores: Tensor

    def forward(self, x: Tensor) -> Tensor:
        self.scores = x
        return x[:, :, 0]


def test(
    module: Segmentation, projections: Sequence[str], scans: Sequence[Scan], canvases: Sequence[Canvas]
) -> Iterator[dict[str, Any]]:
    """Rows of hard Dice, mean over the classes: one for each scan, canvas, factor and projection."""
    module.eval()
    classes = 1 + len(module.classes)
    for scan, canvas, factor in product(scans, canvases, FACTORS):
        if factor == 1 and canvas == "fixed":
            continue  # is the other canvas
        image, label = rescale(scan.image, scan.label, factor, canvas)
        with torch.inference_mode():
            found = scores_of(module, torch.from_numpy(image)[None].to(module.device), projections)
        for projection, scores in found.items():
            dice = mean_of_present(hard_dice(scores[0].argmax(dim=0).cpu(), torch.from_numpy(label), classes))
            place = {"canvas": canvas, "factor": factor, "projection": projection, "case": scan.name}
            yield {**place, "dice": f"{dice:.4f}"}


def measure(
    name: str,
    network: Network,
    data: DataConfig,
    trainer: TrainerConfig,
    runs: Path,
    canvases: Sequence[Canvas] = CANVASES,
) -> bool:
    """Trains and tests one network, unless its measurements are there; returns whether there are new ones."""
    out = runs / f"{''.join(letter if letter.isalnum() else '-' for letter in name)}-{data.train}-{trainer.seed}"
    if out.with_suffix(".csv").is_file():
        return False
    trainer = replace(trainer, zoom=network.zoom, coarsen=network.coarsen)
    start = time.process_time()
    with progress_bar() as bar:
        best = fit(data, network.model, trainer, out, callbacks=[ShowProgress(bar, out.name)])
        minutes = (time.process_time() - start) / 60
        module = Segmentation.load(best).to("cuda" if torch.cuda.is_available() else "cpu")
        scans = [load(case) for case in data.split().test]
        count = len(scans) * (len(canvases) * len(FACTORS) - ("fixed" in canvases)) * max(1, len(network.projections))
        task, rows = bar.add_task("testing", total=count, note=""), []
        for row in test(module, network.projections, scans, canvases):
            rows.append({"network": name, "count": data.train, "seed": trainer.seed, **row})
            bar.advance(task)
    facts = {"weights": parameter_count(module), "minutes": f"{minutes:.2f}"}
    write_csv(out.with_suffix(".csv"), [{**row, **facts} for row in rows])  # last: it says that the run is finished
    return True


def keep_settings(path: Path, settings: dict[str, Any]) -> None:
    """Notes what all runs of a folder have in common, and refuses a folder whose runs have something else."""
    before = json.loads(path.read_text()) if path.is_file() else settings
    if before != settings:
        raise ScaleGroupError(f"the settings of the runs in {path.parent}, {before}", settings, "give another --runs")
    with replacing(path) as part:
        part.write_text(json.dumps(settings))


def main(words: Sequence[str] | None = None) -> None:
    """All runs, the cheap and the telling ones first."""
    options = arguments(words)
    if options.quick:
        options.counts, options.seeds, options.test, options.epochs = [2], [0], 2, 1
    keep_settings(options.runs / SETTINGS, {name: getattr(options, name) for name in DEFAULTS})
    for seed, count, name in product(options.seeds, options.counts, options.networks):
        if measure(name, *settings(NETWORKS[name], count, seed, options), runs=options.runs):
            write_page(options.results, options.runs, options.data)  # what there is, should the next run be stopped
    write_page(options.results, options.runs, options.data)
    open_console().print((options.results / f"poster_{options.data}.md").read_text())


if __name__ == "__main__":
    main()
