"""Rotated and rescaled test volumes: what equivariance to scale, to rotation, and to both is worth.

    python examples/experiments/similarity.py  # half an hour of one core; finished runs are kept under --runs

Five classifiers of about the same number of weights learn the shapes of adrenal glands (AdrenalMNIST3D) as they lie in
their file: a plain 3-D CNN, the same with random rotations and zooms as augmentation, and three of this library,
equivariant to scale, to rotation, and to both (Sim(3)). All are tested on the same other glands: as they are, turned
by a multiple of 90°, turned at random, made smaller and larger, and both. It writes a page, a table and two pictures.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial.transform import Rotation
from similarity_page import write_page
from torch import Tensor

from scalegroup.data import LabelledImages, MedMnist3D
from scalegroup.models import Classifier
from scalegroup.training.classification import plain_classifier, probabilities
from scalegroup.training.report import open_console, write_csv

Volume = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

CANVAS = 40  # voxels along each axis of a test volume: 28 times √2
SMOOTH = 1.0  # voxels; masks of 0 and 1 have edges that no resampling keeps
ZOOM = (0.7, 1.4)
TRAIN, TEST = 600, 300
SPLIT_SEED = 9  # what was tried out saw the split of seed 5 only
STRIDES = (2, 2, 1)
# Scales from √2 voxels on; a network without scales has this one.
HERMITE: dict[str, Any] = {"strides": STRIDES, "sampling": "haar", "first": 1, "scale_pool": "mean"}
MOVES = ("as it is", "turned by 90°", "turned", "0.7 times as large", "1.4 times as large", "turned and rescaled")


@dataclass(frozen=True)
class Network:
    """A line of the comparison.

    Args:
        channels: of the three blocks.
        options: of `models.Classifier`; None for the plain CNN.
        augmented: random rotations and zooms in training.
        longer: factor on the number of epochs.
    """

    channels: tuple[int, ...]
    options: Mapping[str, Any] | None = None
    augmented: bool = False
    longer: int = 1

    def build(self, quick: bool = False) -> torch.nn.Module:
        """The network, with new weights."""
        channels = (2, 2, 3) if quick else self.channels
        if self.options is None:
            return plain_classifier(3, 1, 2, channels, STRIDES)
        return Classifier(3, 1, 2, channels, **{**HERMITE, **self.options})


NETWORKS = {
    "plain": Network((6, 12, 20)),
    "plain, augmented": Network((6, 12, 20), augmented=True, longer=3),
    "scale": Network((10, 20, 30), {"num_scales": 4}),
    "rotation": Network((16, 32, 48), {"num_scales": 1, "rotations": "octahedral"}),
    "Sim(3)": Network((16, 32, 48), {"num_scales": 4, "rotations": "octahedral"}),
}


class Prediction(NamedTuple):
    """The probability of hyperplasia that one trained network gives to one gland, moved in one way."""

    network: str
    seed: int
    move: str
    object: int
    label: int
    chance: float


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/medmnist"))
    parser.add_argument("--runs", type=Path, default=Path("runs/similarity"), help="predictions of finished runs")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--split", type=int, default=SPLIT_SEED, help="seed of the split")
    parser.add_argument("--quick", action="store_true", help="a few glands, one epoch, tiny networks: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.seeds = 1, options.seeds[:1]
    return options


def split(options: argparse.Namespace) -> tuple[LabelledImages, LabelledImages]:
    """Smoothed glands to learn from and to test on, of both published splits."""
    data = MedMnist3D(options.root)
    parts = [data.split(name) for name in ("train", "val")]
    images, labels = (np.concatenate([part[n] for part in parts]) for n in range(2))
    order = np.random.default_rng(options.split).permutation(len(labels))
    train, test = (24, 12) if options.quick else (TRAIN, TEST)
    chosen = order[: train + test]
    glands = LabelledImages(ndimage.gaussian_filter(images[chosen], SMOOTH, axes=(2, 3, 4)), labels[chosen])
    return glands.subset(np.arange(train)), glands.subset(np.arange(train, train + test))


def moved(volume: Volume, rotation: Matrix, factor: float) -> Volume:
    """The gland turned about the centre of its volume and made `factor` times as large, on the larger canvas.

    Cubic splines; before shrinking the Gaussian of `scalegroup.data.rescale`. A multiple of 90° moves voxels only.
    """
    if factor < 1:
        volume = ndimage.gaussian_filter(volume, 0.5 * np.sqrt(factor**-2 - 1))
    inverse = rotation.T / factor
    offset = (np.array(volume.shape) - 1) / 2 - inverse @ np.full(3, (CANVAS - 1) / 2)
    if np.allclose(np.abs(inverse).round(), np.abs(inverse)):
        return np.asarray(ndimage.affine_transform(volume, inverse.round(), offset, (CANVAS,) * 3, order=0))
    return np.asarray(ndimage.affine_transform(volume, inverse, offset, (CANVAS,) * 3, np.float32))


def draw_move(name: str, rng: np.random.Generator) -> tuple[Matrix, float]:
    """A rotation and a factor of this kind."""
    rotation, factor = np.eye(3), 1.0
    if name == "turned by 90°":
        turns = Rotation.create_group("O").as_matrix()  # the 24 rotations of the cube
        rotation = turns[rng.integers(1, len(turns))]
    elif name.startswith("turned"):
        rotation = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    if name.endswith("as large"):
        factor = float(name.split()[0])
    elif name.endswith("rescaled"):
        factor = float(rng.choice(ZOOM))
    return rotation, factor


def moved_glands(glands: LabelledImages, seed: int) -> dict[str, LabelledImages]:
    """The glands moved in each way, the same for all networks."""
    found = {}
    for n, name in enumerate(MOVES):
        rng = np.random.default_rng((seed, n))
        images = np.stack([moved(gland[0], *draw_move(name, rng))[None] for gland in glands.images])
        found[name] = LabelledImages(images, glands.labels)
    return found


def augmented(x: Tensor) -> Tensor:
    """Each volume of `(batch, 1, *space)` turned at random and zoomed by 0.7 … 1.4, on the larger canvas."""
    seeds = torch.randint(2**31, (len(x),)).tolist()
    turns = torch.tensor(np.stack([Rotation.random(random_state=seed).as_matrix() for seed in seeds]))
    low, high = np.log(ZOOM)
    factors = torch.exp(torch.empty(len(x), dtype=torch.float64).uniform_(low, high))
    inverse = turns.transpose(1, 2) / factors[:, None, None] * (CANVAS / x.shape[-1])
    theta = F.pad(inverse, (0, 1)).to(x.dtype)
    grid = F.affine_grid(theta, [len(x), 1, *[CANVAS] * 3], align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def train(net: torch.nn.Module, data: LabelledImages, network: Network, epochs: int, seed: int) -> None:
    """AdamW under a one-cycle schedule up to 0.003, batches of 30; the last weights are kept."""
    torch.manual_seed(seed)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    epochs = epochs * network.longer
    batches = -(-len(labels) // 30)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, epochs * batches, pct_start=0.2)
    net.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(30):
            x = images[chosen]
            loss = F.cross_entropy(net(augmented(x) if network.augmented else x), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


@dataclass
class Runs:
    """What the finished runs left.

    Args:
        predictions: of all networks, seeds and moves, over the same glands.
        weights, minutes: of each network; the mean over its runs.
    """

    predictions: list[Prediction] = field(default_factory=list)
    weights: dict[str, int] = field(default_factory=dict)
    minutes: dict[str, list[float]] = field(default_factory=dict)

    def read(self, out: Path) -> None:
        """Adds one run."""
        facts = json.loads((out / "facts.json").read_text())
        with (out / "predictions.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                numbers = (int(row["object"]), int(row["label"]), float(row["chance"]))
                self.predictions.append(Prediction(row["network"], int(row["seed"]), row["move"], *numbers))
        self.weights[facts["network"]] = facts["weights"]
        self.minutes.setdefault(facts["network"], []).append(facts["minutes"])


def one_run(
    name: str, seed: int, data: LabelledImages, tests: Mapping[str, LabelledImages], options: argparse.Namespace
) -> Path:
    """Trains and tests one network, unless its predictions are there already; returns its folder."""
    out: Path = options.runs / f"{''.join(c if c.isalnum() else '-' for c in name)}-{seed}"
    if (out / "predictions.csv").is_file():
        return out
    start, network = time.process_time(), NETWORKS[name]
    torch.manual_seed(seed)
    net = network.build(options.quick)
    train(net, data, network, options.epochs, seed)
    minutes = (time.process_time() - start) / 60
    rows = []
    for move, glands in tests.items():
        chances = probabilities(net, glands.images)[:, 1].tolist()
        rows += [
            Prediction(name, seed, move, n, label, round(chance, 6))
            for n, (label, chance) in enumerate(zip(glands.labels.tolist(), chances, strict=True))
        ]
    out.mkdir(parents=True, exist_ok=True)
    weights = sum(p.numel() for p in net.parameters())
    (out / "facts.json").write_text(json.dumps({"network": name, "weights": weights, "minutes": minutes}))
    write_csv(out / "predictions.csv", [row._asdict() for row in rows])  # last: it says that the run is finished
    return out


def main() -> None:
    """All runs, then the page."""
    options, runs = arguments(), Runs()
    torch.set_num_threads(1)
    data, others = split(options)
    tests = moved_glands(others, options.split)
    for seed, name in product(options.seeds, options.networks):
        runs.read(one_run(name, seed, data, tests, options))
    options.glands = len(data.labels)
    examples = [(move, glands.images[0, 0]) for move, glands in tests.items()]
    table = write_page(options.results, runs, examples, options)
    open_console().print(table)


if __name__ == "__main__":
    main()
