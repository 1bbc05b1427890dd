"""Hippocampus: ours and MONAI's plain U-Net, trained on 25 volumes at one scale, tested at several.

    python examples/hippocampus.py --root ../shared/data/Task04_Hippocampus

Both networks see the same 25 training volumes in the same order with the same optimiser, schedule and number of epochs;
10 further volumes choose the checkpoint; 30 others are tested on, once. The plain network is widened until it has about
as many parameters (within 20 %). Each run is at most `--minutes` of training on one CPU thread. Every finished run
leaves its own file of measurements and is not repeated; an interrupted one goes on from its last epoch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from scalegroup.data import Decathlon, load
from scalegroup.errors import ScaleGroupError
from scalegroup.training import (
    TEST_SCALES,
    DataConfig,
    ModelConfig,
    Segmentation,
    TrainerConfig,
    build_model,
    dice_at_scales,
    fit,
    match_parameters,
    parameter_count,
    summarise,
)
from scalegroup.training.evaluate import DiceRow
from scalegroup.training.pictures import draw_dice
from scalegroup.training.report import (
    ShowProgress,
    dice_rows,
    dice_table,
    markdown_table,
    open_console,
    progress_bar,
    read_dice_rows,
    write_csv,
)

NAMES = {"scale": "scale-equivariant", "plain": "plain (MONAI)"}
Table = dict[str, dict[float, float]]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/Task04_Hippocampus"))
    parser.add_argument("--runs", type=Path, default=Path("runs/hippocampus"), help="checkpoints and measurements")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the tables")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=15.0, help="limit of one run's training")
    parser.add_argument("--quick", action="store_true", help="a few scans, one epoch, tiny networks: does it run?")
    return parser.parse_args()


def settings(options: argparse.Namespace) -> tuple[DataConfig, TrainerConfig, ModelConfig]:
    """The data, the training and our network.

    The default recipe (a Haar grid for each of six scales from half the voxel's on, random runs of three) was chosen on
    10 training and 10 validation volumes of the split with seed 5 (examples/recipes.py); 9 is the first seed whose test
    volumes are none of those.
    """
    data = DataConfig("hippocampus", options.root, seed=9)
    trainer = TrainerConfig(options.epochs, options.minutes, validate_every=max(1, options.epochs // 12))
    ours = ModelConfig("scale", (8, 16, 32))
    if options.quick:
        data = replace(data, train=2, validation=1, test=2)
        trainer = replace(trainer, max_epochs=1, validate_every=1)
        ours = replace(ours, channels=(2, 4), strides=(2,), options={"num_scales": 2, "first": 0})
    return data, trainer, ours


def one_run(data: DataConfig, trainer: TrainerConfig, model: ModelConfig, out: Path) -> dict[str, float]:
    """Trains and tests one network, unless its measurements are there already; returns how long it took."""
    done, facts = out / "test.csv", out / "facts.json"
    if not done.is_file():
        start = time.perf_counter()
        with progress_bar() as bar:
            best = fit(data, model, trainer, out, callbacks=[ShowProgress(bar, f"{NAMES[model.name]}, {out.name}")])
            minutes = (time.perf_counter() - start) / 60
            module = Segmentation.load(best)
            scans = [load(case) for case in data.split().test]
            task = bar.add_task("testing", total=len(scans) * len(TEST_SCALES), note="")
            rows = dice_at_scales(module, scans, advance=lambda: bar.advance(task))
        facts.write_text(json.dumps({"minutes": minutes, "parameters": parameter_count(module)}))
        write_csv(done, dice_rows(rows, model=model.name, seed=trainer.seed))  # last: it says that the run is finished
    found: dict[str, float] = json.loads(facts.read_text())
    return found


def mean_over_seeds(measured: Mapping[tuple[str, int], list[DiceRow]]) -> Table:
    """One line for each network and class, and one for its mean over classes."""
    lines: Table = {}
    for name, title in NAMES.items():
        tables = [summarise(rows) for (model, _), rows in measured.items() if model == name]
        for label in tables[0]:
            scales = tables[0][label]
            lines[f"{title}: {label}"] = {s: float(np.mean([table[label][s] for table in tables])) for s in scales}
    return lines


def main() -> None:
    """All runs, then the tables."""
    options, console = arguments(), open_console()
    data, trainer, ours = settings(options)
    channels, classes = len(Decathlon(data.root).channels), 1 + len(Decathlon(data.root).classes)
    count = parameter_count(build_model(ours, channels, classes))
    plain = match_parameters(replace(ours, name="plain", options={}), count, channels, classes)
    ratio = parameter_count(build_model(plain, channels, classes)) / count
    if abs(ratio - 1) > 0.2 and not options.quick:
        raise ScaleGroupError("parameter counts within 20 %", f"a ratio of {ratio:.2f}", "choose other channels")
    measured: dict[tuple[str, int], list[DiceRow]] = {}
    notes = []
    for seed in options.seeds:
        for model in (ours, plain):
            out = options.runs / f"{model.name}-{seed}"
            facts = one_run(data, replace(trainer, seed=seed), model, out)
            measured[model.name, seed] = read_dice_rows(out / "test.csv")
            mean = summarise(measured[model.name, seed])["mean"][1.0]
            notes.append(
                f"- {NAMES[model.name]}, seed {seed}: channels {model.channels}, {facts['parameters']:,} parameters, "
                f"{facts['minutes']:.1f} minutes of training, mean Dice at scale 1: {mean:.3f}"
            )
    table = mean_over_seeds(measured)
    write_csv(
        options.results / "hippocampus.csv",
        [line for (name, seed), rows in measured.items() for line in dice_rows(rows, model=name, seed=seed)],
    )
    seeds = {
        title: [row for (m, _), rows in measured.items() if m == name for row in rows] for name, title in NAMES.items()
    }
    draw_dice(options.results / "hippocampus.png", seeds)
    (options.results / "hippocampus.md").write_text(page(data, trainer, table, notes))
    console.print(dice_table(f"hippocampus: hard Dice, mean over {data.test} volumes and seeds", table))


def page(data: DataConfig, trainer: TrainerConfig, table: Table, notes: list[str]) -> str:
    """The results as a page of the documentation."""
    return f"""# Hippocampus: Dice at scales that training has not seen

Command: `python examples/hippocampus.py`; it writes this page and `hippocampus.csv` (one row per network, seed, scale,
scan and class). Medical Segmentation Decathlon Task04: {data.train} training volumes, {data.validation} to choose the
checkpoint, {data.test} others to test on, split by seed {data.seed}. {trainer.max_epochs} epochs, AdamW with a
one-cycle schedule up to {trainer.learning_rate}, batches of {trainer.batch_size} whole volumes, no augmentation, one
CPU thread. Test volumes are rescaled by `scalegroup.data.rescale` with a grid that grows in proportion.

Hard Dice, mean over the test volumes and {len(notes) // 2} seed(s):

{markdown_table(table)}

![Dice against test scale](hippocampus.png)

The runs:

{chr(10).join(notes)}
"""


if __name__ == "__main__":
    main()
