"""Testing a trained network on scans made larger and smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from scalegroup.data import Scan, rescale
from scalegroup.data.rescale import Canvas
from scalegroup.training.metrics import hard_dice, mean_of_present
from scalegroup.training.module import Segmentation

TEST_SCALES = (0.7, 0.8, 0.9, 1.0, 1.2, 1.5)


@dataclass(frozen=True)
class DiceRow:
    """One measurement: the hard Dice of one class in one scan at one scale (NaN where there is nothing to
    find)."""

    scale: float
    case: str
    label: str
    dice: float


def dice_at_scales(
    module: Segmentation,
    scans: Sequence[Scan],
    scales: Sequence[float] = TEST_SCALES,
    canvas: Canvas = "proportional",
    advance: Callable[[], object] = lambda: None,
) -> list[DiceRow]:
    """The hard Dice of each class in each scan, rescaled by each factor with `scalegroup.data.rescale`.

    Args:
        module: a trained network; its batch statistics are not touched.
        scans: normalised scans at their own scale, which is 1.
        scales: factors.
        canvas: whether the grid grows with the content; see `rescale`.
        advance: called after every scan, for a progress bar.

    Returns:
        one row per scale, scan and class.
    """
    module.eval()
    rows = []
    for scale in scales:
        for scan in scans:
            image, label = rescale(scan.image, scan.label, scale, canvas)
            values = hard_dice(predict(module, image), torch.from_numpy(label), 1 + len(module.classes))
            named = zip(module.classes, values, strict=True)
            rows += [DiceRow(scale, scan.name, name, dice) for name, dice in named]
            advance()
    return rows


@torch.inference_mode()
def predict(module: Segmentation, image: np.typing.NDArray[np.float32]) -> torch.Tensor:
    """The class indices `(*space)` of one normalised image `(channel, *space)`."""
    return module.predict(torch.from_numpy(image)[None].to(module.device))[0].cpu()


def summarise(rows: Sequence[DiceRow]) -> dict[str, dict[float, float]]:
    """The mean over scans for each class and scale, and under "mean" the mean over classes; what is absent is left out.

    Example:
        >>> rows = [DiceRow(1.0, "a", "x", 0.5), DiceRow(1.0, "b", "x", 0.7), DiceRow(1.0, "a", "y", 1.0)]
        >>> {name: values[1.0] for name, values in summarise(rows).items()}
        {'x': 0.6, 'y': 1.0, 'mean': 0.8}
    """
    scales = list(dict.fromkeys(row.scale for row in rows))
    classes = list(dict.fromkeys(row.label for row in rows))

    def mean(label: str, scale: float) -> float:
        return mean_of_present(row.dice for row in rows if (row.label, row.scale) == (label, scale))

    table = {label: {scale: mean(label, scale) for scale in scales} for label in classes}
    table["mean"] = {scale: mean_of_present(table[label][scale] for label in classes) for scale in scales}
    return table
