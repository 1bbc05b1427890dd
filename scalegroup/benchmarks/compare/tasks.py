"""What there is to learn: digits of all sizes, digits of sizes that were not seen, scans of other sizes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from scalegroup.benchmarks.compare.learn import Budget, Scores, Task
from scalegroup.benchmarks.compare.networks import classifier
from scalegroup.data import LabelledImages, MnistScale, load_all
from scalegroup.data.mnist_scale import REALISATIONS
from scalegroup.training.classification import Classification, fit_classifier, probabilities
from scalegroup.training.config import DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.evaluate import dice_at_scales, summarise
from scalegroup.training.module import Segmentation
from scalegroup.training.run import fit

VALIDATION, TEST = 500, 10_000  # images
BATCH = 32
RATE = 0.01
SEEN = 0.6  # smallest factor of the digits that are learned from, where smaller ones are tested on
PARTS = {"0.3–0.5": (0.3, 0.5), "0.5–0.75": (0.5, 0.75), "0.75–1": (0.75, 1.01)}  # of the digits by their factor
TEST_FACTORS = (0.7, 1.0, 1.4)  # of scans
CHOOSING = 5  # scans that choose the epoch


def mnist_scale(name: str, seed: int, budget: Budget, root: Path, folder: Path) -> tuple[int, Scores]:
    """Trains on digits of all sizes and tests on digits of all sizes; the seed is also that of the realisation.

    Adam at 0.01, times 0.1 after one and two thirds of the epochs, batches of 32, no augmentation; 500 further images
    choose the epoch. As `examples/experiments/mnist_scale.py`, but for the size of the batches: there are few images.
    """
    data = _digits(root, seed % REALISATIONS, budget.images, budget.tested)
    factors = data.factors[-len(data.test.labels) :]
    return _fit_digits(name, seed, budget.epochs, (data.train, data.validation, data.test), factors, folder)


def unseen_sizes(name: str, seed: int, budget: Budget, root: Path, folder: Path) -> tuple[int, Scores]:
    """The same, but trained on digits of factors above 0.6 and tested on smaller ones."""
    data = _digits(root, seed % REALISATIONS, 3 * budget.images, 3 * budget.tested)
    large = data.factors >= SEEN
    count, stop = len(data.train.labels), len(data.train.labels) + len(data.validation.labels)
    train = _only(data.train, large[:count], budget.images)
    validation = _only(data.validation, large[count:stop], VALIDATION)
    test = _only(data.test, ~large[stop:], budget.tested)
    factors = data.factors[stop:][~large[stop:]][: budget.tested]
    return _fit_digits(name, seed, budget.epochs, (train, validation, test), factors, folder)


def _only(data: LabelledImages, where: Any, count: int) -> LabelledImages:
    return LabelledImages(data.images[where][:count], data.labels[where][:count])


@lru_cache(1)
def _digits(root: Path, realisation: int, train: int, test: int) -> MnistScale:
    return MnistScale(root, realisation, train, VALIDATION, test)


def _fit_digits(
    name: str,
    seed: int,
    epochs: int,
    parts: tuple[LabelledImages, LabelledImages, LabelledImages],
    factors: Any,
    folder: Path,
) -> tuple[int, Scores]:
    train, validation, test = parts
    torch.manual_seed(seed)
    network = classifier(name, 2)
    steps = tuple(max(1, round(epochs * share)) for share in (1 / 3, 2 / 3))
    module = Classification(network, 10, learning_rate=RATE, weight_decay=0.0, optimiser="adam", milestones=steps)
    fit_classifier(module, train, validation, folder, epochs, BATCH, seed, monitor="val_accuracy")
    found = probabilities(network, test.images, batch_size=128).argmax(dim=1).numpy()
    right = 100.0 * (found == test.labels)
    bins = {part: right[(low <= factors) & (factors < high)] for part, (low, high) in PARTS.items()}
    scores = {"accuracy": right.mean(), **{part: values.mean() for part, values in bins.items() if len(values)}}
    weights = sum(parameter.numel() for parameter in network.parameters())
    return weights, {key: round(float(value), 3) for key, value in scores.items()}


def hippocampus(name: str, seed: int, budget: Budget, root: Path, folder: Path) -> tuple[int, Scores]:
    """Trains U-Nets on scans of one size and tests them on scans that are rescaled: the mean hard Dice."""
    data = DataConfig("hippocampus", root, budget.images, CHOOSING, budget.tested)
    model = ModelConfig(method=name, channels=(8, 16), strides=(2,))
    trainer = TrainerConfig(budget.epochs, validate_every=max(1, budget.epochs // 2), seed=seed)
    module = Segmentation.load(fit(data, model, trainer, folder))
    scans, _ = load_all(data.split().test)
    table = summarise(dice_at_scales(module, scans, TEST_FACTORS))["mean"]
    weights = sum(parameter.numel() for parameter in module.parameters())
    return weights, {f"{factor:g}": round(dice, 4) for factor, dice in table.items()}


DIGITS = """The classifier of `sg.methods.classifier` with 16 and 32 channels and one stride of 2. Adam at 0.01, times \
0.1 after one and two thirds of the epochs, batches of 32, no augmentation; 500 further images choose the epoch."""
DATA = Path("../shared/data")
TASKS: Mapping[str, Task] = {
    "mnist-scale": Task(
        "MNIST-Scale: digits of all sizes",
        f"Digits shrunk by 0.3 to 1 to learn from and to test on. {DIGITS} Accuracy in per cent, by the factor too.",
        DATA / "mnist",
        2,
        Budget(2000, 10, 3, TEST),
        mnist_scale,
    ),
    "unseen-sizes": Task(
        "Unseen sizes: learned from large digits, tested on small ones",
        f"Digits shrunk by 0.6 to 1 to learn from, by 0.3 to 0.6 to test on. {DIGITS} Accuracy in per cent.",
        DATA / "mnist",
        2,
        Budget(2000, 10, 3, TEST),
        unseen_sizes,
    ),
    "hippocampus": Task(
        "Hippocampus: scans of one size, tested at three",
        "The U-Net of `sg.methods.unet` with 8 and 16 channels, `scalegroup fit` with its defaults; 5 further scans "
        "choose the epoch. Hard Dice, mean of both classes, of scans rescaled by three factors. The published methods "
        "have one U-Net, with batch norm and the maximum over their scales; ours is `models.UNet` as it comes, with "
        "instance norm, six scales on grids of their own, and their mean weighted by confidence: the row compares "
        "recipes, not kernels.",
        DATA / "Task04_Hippocampus",
        3,
        Budget(10, 10, 3, 10),
        hippocampus,
    ),
}
