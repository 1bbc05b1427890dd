"""Point clouds: which brain structure is it, at sizes that training has not seen; and what it costs.

    python examples/experiments/points.py [--quick] [--part accuracy|cost|both]

Part 1: 15 structures as clouds of 256 points, subjects 1 to 9 to learn from and 10 to 12 to test on, coordinates in mm
and as they are; tested as they are, at fixed factors, each cloud by a random factor from 0.5 to 2, and turned at
random. Ours at absolute scales, at scales relative to each cloud and with rotations (which need escnn), and DGCNN of
the same number of weights: as it is, on clouds normalised to one size, and trained on clouds of all sizes. A finished
run is kept under `--runs` and not repeated. Part 2: time and memory of a training step. Writes points.md, points.csv,
points_cost.csv and points.png.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import points_cost
import points_page
import torch
from torch import Tensor

import scalegroup as sg
from scalegroup.benchmarks.point_baseline import DGCNN
from scalegroup.data import (
    BrainShapes,
    LabelledClouds,
    collate_clouds,
    normalise_clouds,
    random_factors,
    random_rotations,
    rescale_clouds,
    rotate_clouds,
)
from scalegroup.models import PointClassifier

FACTORS = (0.5, 0.63, 0.8, 1.0, 1.25, 1.6, 2.0)
RANGE = (0.5, 2.0)
BATCH = 16
RATE = 0.005
CHANNELS = (16, 32, 64)
TURNING_CHANNELS = (40, 80, 128)  # about as many weights: rotations leave fewer free
LONGER = 2  # DGCNN needs more epochs, which are cheaper


@dataclass(frozen=True)
class Arm:
    """A network, what is done to the clouds before it sees them, and how much longer than ours it learns."""

    make: Callable[[], torch.nn.Module]
    longer: int = 1
    normalised: bool = False
    all_sizes: bool = False

    def read(self, pos: Tensor, batch: Tensor) -> Tensor:
        """What the network sees of the positions."""
        return normalise_clouds(pos, batch) if self.normalised else pos


def arms(quick: bool) -> dict[str, Arm]:
    """All that are compared."""
    channels, more = ((2, 3, 4), (4, 4, 4)) if quick else (CHANNELS, TURNING_CHANNELS)
    ours = partial(PointClassifier, num_classes=15, channels=channels)
    relative = partial(ours, num_scales=3, sigma=4.0, relative=True)
    sizes: dict[str, Any] = {"channels": (4, 4), "embedding": 4, "hidden": 4} if quick else {"embedding": 80}
    plain = partial(DGCNN, num_classes=15, **sizes)
    return {
        "ours, mm": Arm(partial(ours, num_scales=7, first=-1)),
        "ours, relative": Arm(relative),
        "ours, relative, so3": Arm(partial(relative, rotations="so3", channels=more)),
        "DGCNN, mm": Arm(plain, LONGER),
        "DGCNN, mm, sizes 0.5 to 2 in training": Arm(plain, LONGER, all_sizes=True),
        "DGCNN, normalised clouds": Arm(plain, LONGER, normalised=True),
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/brainshapes"))
    parser.add_argument("--runs", type=Path, default=Path("runs/points"), help="results of finished runs")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--part", choices=("accuracy", "cost", "both"), default="both")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--points", type=int, default=256, help="of each cloud, in training and tests")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="few points, one epoch, tiny networks: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.points, options.epochs = [0], 32, 1
    return options


def train(arm: Arm, clouds: LabelledClouds, epochs: int, seed: int) -> torch.nn.Module:
    """Adam with one cycle of the learning rate up to 0.005, batches of 16 clouds."""
    torch.manual_seed(seed)
    net = arm.make()
    points, labels = torch.from_numpy(clouds.points), torch.from_numpy(clouds.labels)
    optimiser = torch.optim.Adam(net.parameters())
    steps = len(labels) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels))[: steps * BATCH].split(BATCH):
            pos, batch = collate_clouds(points[chosen])
            if arm.all_sizes:
                pos = rescale_clouds(pos, batch, random_factors(BATCH, *RANGE))
            optimiser.zero_grad()
            scores = net(arm.read(pos, batch), batch)
            torch.nn.functional.cross_entropy(scores, labels[chosen]).backward()
            optimiser.step()
            schedule.step()
    return net.eval()


Change = Callable[[Tensor, Tensor], Tensor]


def tests(count: int) -> dict[str, Change]:
    """What is done to so many test clouds, the same for all networks and seeds."""
    generator = torch.Generator().manual_seed(0)
    factors, turns = random_factors(count, *RANGE, generator), random_rotations(count, 3, generator)
    changes: dict[str, Change] = {
        f"{factor:g}": partial(rescale_clouds, factors=torch.full((count,), factor)) for factor in FACTORS
    }
    changes["random"] = partial(rescale_clouds, factors=factors)
    changes["turned"] = partial(rotate_clouds, rotations=turns)
    return changes


@torch.inference_mode()
def accuracy(net: torch.nn.Module, arm: Arm, clouds: LabelledClouds, change: Change) -> float:
    """The share of right answers in per cent."""
    pos, batch = collate_clouds(torch.from_numpy(clouds.points))
    pos = arm.read(change(pos, batch), batch)
    right = 0
    for part in torch.arange(len(clouds.labels)).split(BATCH):
        mine = (batch >= part[0]) & (batch <= part[-1])
        found = net(pos[mine], batch[mine] - part[0]).argmax(dim=1)
        right += int((found == torch.from_numpy(clouds.labels)[part]).sum())
    return 100 * right / len(clouds.labels)


def measured(options: argparse.Namespace) -> list[points_page.Row]:
    """A row for each arm, seed and test."""
    data = BrainShapes(options.root)
    rows: list[points_page.Row] = []
    for seed in options.seeds:
        known, unknown = (part.subsample(options.points, seed) for part in (data.train, data.test))
        if options.quick:
            known, unknown = (part.subset(np.arange(BATCH)) for part in (known, unknown))
        for name, arm in arms(options.quick).items():
            kept = options.runs / f"{''.join(c if c.isalnum() else '-' for c in name)}-{seed}-{options.epochs}.json"
            if not kept.is_file():
                start = time.process_time()
                net = train(arm, known, arm.longer * options.epochs, seed)
                seconds = time.process_time() - start
                nets = {name: net}
                if name == "ours, mm":
                    nets["ours, mm, two scales more at test"] = sg.with_window(net, 9, -1)
                weights = sum(p.numel() for p in net.parameters())
                found = [
                    points_page.Row(title, seed, test, accuracy(each, arm, unknown, change), weights, seconds)
                    for title, each in nets.items()
                    for test, change in tests(len(unknown.labels)).items()
                ]
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps([asdict(row) for row in found]))
            rows += [points_page.Row(**row) for row in json.loads(kept.read_text())]
    return rows


def main() -> None:
    """Both parts, then the page."""
    options = arguments()
    if options.part != "cost":
        points_page.write_accuracy(options.results, measured(options))
    if options.part != "accuracy":
        points_page.write_costs(options.results, points_cost.measured(options.root, options.quick))
    points_page.write_page(options.results, options)


if __name__ == "__main__":
    main()
