"""What makes Dice flat over the size of objects: one remedy at a time.

    python examples/experiments/recipes.py [--quick]

Hippocampus, 10 training scans of one size, 300 steps, two seeds, on the split with seed 5: these are the scans on which
the recipe of `UNet` and `scalegroup fit` was chosen, so its figures here flatter it; poster.py, beside this
script, tests it on other scans. A finished run is not repeated. Writes `recipes.md`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from poster import FACTORS, OURS, Network, measure
from poster_page import Measured, collect, number
from scale_channels_page import table

from scalegroup.training import DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.report import open_console

CONFIDENCE = "volume_confidence"


def ours(norm: str = "instance", channels: tuple[int, ...] = (16, 32, 64), **options: Any) -> ModelConfig:
    """Our U-Net, unlike its defaults in what is named."""
    return replace(OURS, norm=norm, channels=channels, options=options)


FREE: dict[str, Any] = {"basis": "free"}
BORDER = {**FREE, "padding_mode": "replicate"}
MONAI = replace(OURS, name="plain")
# Lines that name the same network are projections of one training.
NETWORKS = {
    "MONAI's U-Net, as many channels": Network(MONAI),
    "voxel's scale": Network(ours("batch", **BORDER, num_scales=1, first=0), projections=("mean",)),
    "coarser": Network(ours("batch", **BORDER, num_scales=4, first=0), projections=("mean",)),
    "start": Network(ours("batch", **BORDER), projections=("mean", CONFIDENCE)),
    "instance": Network(ours(**BORDER), projections=(CONFIDENCE,)),
    "zeros": Network(ours(**FREE), projections=(CONFIDENCE,)),
    "default": Network(ours(), projections=("mean", CONFIDENCE)),
    "max": Network(ours(scale_pool="max"), projections=("max",)),
    "batch": Network(ours("batch"), projections=(CONFIDENCE,)),
    "wide": Network(ours(channels=(24, 48, 96)), projections=(CONFIDENCE,)),
    "coarsened": Network(ours(), coarsen=0.5, projections=(CONFIDENCE,)),
    "zoom": Network(ours(), zoom=(0.5, 1.6), projections=(CONFIDENCE,)),
    "all scales": Network(ours(train_scales=None), projections=(CONFIDENCE,)),
}
LINES = (
    ("MONAI's U-Net, as many channels", "MONAI's U-Net, as many channels", "none"),
    ("one scale: 3×3×3 kernels, batch norm, border voxels go on", "voxel's scale", "mean"),
    ("+ three coarser scales, mean, random runs of three in training", "coarser", "mean"),
    ("+ two scales finer than the voxel", "start", "mean"),
    ("+ confidence in place of the mean", "start", CONFIDENCE),
    ("+ instance norm in place of batch norm", "instance", CONFIDENCE),
    ("+ zeros beyond the border", "zeros", CONFIDENCE),
    ("+ Hermite kernels in place of 3×3×3: **the default**", "default", CONFIDENCE),
    ("the default, mean", "default", "mean"),
    ("the default, max", "max", "max"),
    ("the default, batch norm", "batch", CONFIDENCE),
    ("the default, 1.5 times the channels", "wide", CONFIDENCE),
    ("the default, training scans coarsened", "coarsened", CONFIDENCE),
    ("the default, zoom in training", "zoom", CONFIDENCE),
    ("the default, all scales in each step", "all scales", CONFIDENCE),
)


def main() -> None:
    """All runs, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/Task04_Hippocampus"))
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"), help="checkpoints and measurements")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--quick", action="store_true", help="two scans, one epoch, tiny networks: does it run?")
    options = parser.parse_args()
    data = DataConfig("hippocampus", options.root, 10, 10, 16, seed=5)
    trainer = TrainerConfig(30, batch_size=1, validate_every=10)
    if options.quick:
        data, trainer = replace(data, train=2, validation=1, test=1), replace(trainer, max_epochs=1, validate_every=1)
    for seed, (name, network) in product(options.seeds, NETWORKS.items()):
        if options.quick:
            small = replace(network.model, channels=(2, 4), strides=(2,))
            network = replace(network, model=small)
        measure(name, network, data, replace(trainer, seed=seed), options.runs, ("proportional",))
        text = page(collect(options.runs), data.train)
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / "recipes.md").write_text(text)
    open_console().print(text)


def page(measured: list[Measured], count: int) -> str:
    """The table of the runs with so many training scans, as a page of the documentation."""
    rows = []
    for label, network, projection in LINES:
        place = (network, count, projection)
        found = [
            [one for one in measured if (one.network, one.count, one.projection, one.factor) == (*place, factor)]
            for factor in FACTORS
        ]
        seeds = [[float(np.mean(one.dice)) for one in runs if one.canvas == "proportional"] for runs in found]
        if all(seeds):
            means = [float(np.mean(over)) for over in zip(*seeds, strict=True)]
            rows.append([label, f"{found[0][0].weights:,}", str(len(means)), *map(number, seeds), number(means)])
    body = table(["test factor", "weights", "seeds", *(f"{factor:g}" for factor in FACTORS), "mean"], rows)
    return f"""# Recipes: what makes Dice flat over the size of objects

Command: `python examples/experiments/recipes.py`. Hippocampus, 10 training scans at factor 1, 300 steps of \
single scans; hard Dice
of 16 other scans, rescaled by a factor, on a grid that grows with its content; mean ± standard deviation over seeds. A
line that begins with + has one remedy more than the line above it. On these scans the recipe was chosen; the test on
others is [poster_hippocampus.md](poster_hippocampus.md).

{body}
"""


if __name__ == "__main__":
    main()
