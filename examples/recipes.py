"""Which window, projection and training make Dice flat over the size of objects: one remedy at a time.

    python examples/recipes.py --root ../shared/data/Task04_Hippocampus [--quick]

Short runs (25 epochs of 10 hippocampus volumes, one seed) on the split with seed 5; Dice on its 10 *validation* volumes
(rescaled). What wins is the recipe of `examples/hippocampus.py`, which tests it on other volumes. A finished run is
not repeated. Writes `recipes.md`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scalegroup.data import Decathlon, load
from scalegroup.training import (
    DataConfig,
    ModelConfig,
    Segmentation,
    TrainerConfig,
    build_model,
    dice_at_scales,
    fit,
    parameter_count,
    summarise,
)
from scalegroup.training.report import dice_table, markdown_table, open_console

SCALES = (0.5, 0.63, 0.8, 1.0, 1.25, 1.6)
SMALL, LARGE = (8, 16, 32), (12, 24, 48)
ONE_GRID = {"sampling": "uniform", "num_scales": 4, "first": 0, "train_scales": None}
RUNS = {**ONE_GRID, "train_scales": 3}
FINER = {**RUNS, "num_scales": 6, "first": -2}
HAAR = {**FINER, "sampling": "haar"}
HERMITE = {**HAAR, "order": 2}


def ours(channels: tuple[int, ...], options: dict[str, Any], pool: str) -> ModelConfig:
    """Our U-Net; every option that differs between the recipes is named."""
    return ModelConfig("scale", channels, options={**options, "scale_pool": pool})


RECIPES: dict[str, ModelConfig] = {
    "MONAI's U-Net": ModelConfig("plain", (6, 12, 24)),
    "one scale": ours(SMALL, {**ONE_GRID, "num_scales": 1}, "logsumexp"),
    "4 scales, mean": ours(SMALL, ONE_GRID, "mean"),
    "+ random runs of 3": ours(SMALL, RUNS, "mean"),
    "the same, max": ours(SMALL, RUNS, "max"),
    "the same, attention": ours(SMALL, RUNS, "attention"),
    "6 scales from 1/2, runs of 3, mean": ours(SMALL, FINER, "mean"),
    "6 scales from 1/2, runs of 3, max": ours(SMALL, FINER, "max"),
    "6 scales from 1/2, runs of 3, logsumexp": ours(SMALL, FINER, "logsumexp"),
    "the same, 1.5 times the channels": ours(LARGE, FINER, "logsumexp"),
    "the same on Haar grids": ours(LARGE, HERMITE, "logsumexp"),
    "Haar grids, mean": ours(LARGE, HERMITE, "mean"),
    "Haar grids, max": ours(LARGE, HERMITE, "max"),
    "Haar grids, free kernels, logsumexp": ours(SMALL, HAAR, "logsumexp"),
    "Haar grids, free kernels, mean": ours(SMALL, HAAR, "mean"),
    "Haar grids, free kernels, max": ours(SMALL, HAAR, "max"),
}


def measure(model: ModelConfig, data: DataConfig, trainer: TrainerConfig, out: Path) -> dict[float, float]:
    """Mean Dice of both classes at each scale; trains unless it was done before."""
    done = out / "dice.json"
    if not done.is_file():
        module = Segmentation.load(fit(data, model, trainer, out))
        rows = dice_at_scales(module, [load(case) for case in data.split().validation], SCALES)
        done.write_text(json.dumps(list(summarise(rows)["mean"].values())))
    return dict(zip(SCALES, json.loads(done.read_text()), strict=True))


def main() -> None:
    """All recipes, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/Task04_Hippocampus"))
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"), help="checkpoints and measurements")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the table")
    parser.add_argument("--quick", action="store_true", help="two recipes, one epoch: does it run?")
    options = parser.parse_args()
    data = DataConfig("hippocampus", options.root, train=10, validation=10, test=8, seed=5)
    trainer = TrainerConfig(max_epochs=25, learning_rate=0.01, batch_size=1, validate_every=5)
    recipes = RECIPES
    if options.quick:
        data = DataConfig("hippocampus", options.root, train=2, validation=1, test=1, seed=5)
        trainer = TrainerConfig(max_epochs=1, validate_every=1)
        recipes = {name: RECIPES[name] for name in ("MONAI's U-Net", "one scale")}
    classes = 1 + len(Decathlon(options.root).classes)
    table = {}
    for n, (name, model) in enumerate(recipes.items()):
        weights = parameter_count(build_model(model, 1, classes))
        table[f"{name} ({weights:,} weights)"] = measure(model, data, trainer, options.runs / str(n))
        open_console().print(dice_table("hard Dice on the validation volumes", table))
    text = (
        "# Recipes: what makes Dice flat over the size of objects\n\n"
        "Command: `python examples/recipes.py`. Hippocampus, 10 training volumes at scale 1, 250 steps, one seed, hard "
        "Dice of 10 validation volumes (which also chose the checkpoint at scale 1), rescaled by a factor; the grid "
        "grows with it. Short runs to choose a recipe; the test is in [hippocampus.md](hippocampus.md).\n\n"
    )
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "recipes.md").write_text(text + markdown_table(table) + "\n")


if __name__ == "__main__":
    main()
