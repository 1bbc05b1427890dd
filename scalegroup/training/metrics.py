"""How good a segmentation is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch


def hard_dice(predicted: torch.Tensor, truth: torch.Tensor, num_classes: int) -> list[float]:
    """The Dice coefficient of each class but the background, from class indices (not probabilities).

    `2 |P ∩ T| / (|P| + |T|)`; NaN where the class is in neither, so that it can be left out of a mean.

    Args:
        predicted: class indices of any shape.
        truth: class indices of the same shape.
        num_classes: with the background.

    Returns:
        one value for each class 1, 2, …, `num_classes - 1`.

    Example:
        >>> hard_dice(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]), num_classes=4)
        [0.666..., 0.666..., nan]
    """
    values = []
    for index in range(1, num_classes):
        found, wanted = predicted == index, truth == index
        size = int(found.sum() + wanted.sum())
        values.append(2 * int((found & wanted).sum()) / size if size else float("nan"))
    return values


def mean_of_present(values: Iterable[float]) -> float:
    """The mean of what is there: NaN, a class that is in neither truth nor prediction, is left out.

    Example:
        >>> mean_of_present([0.5, float("nan"), 1.0]), mean_of_present([])
        (0.75, nan)
    """
    present = [value for value in values if np.isfinite(value)]
    return float(np.mean(present)) if present else float("nan")
