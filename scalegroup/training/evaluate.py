"""Testing a trained network on scans made larger and smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from scalegroup.data import Scan, rescale
from scalegroup.data.rescale import Canvas
from scalegroup.training.metrics import mean_of_present
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

    Example:
        >>> from scalegroup.data import Scan
        >>> from scalegroup.training import ModelConfig, TrainerConfig
        >>> model = ModelConfig("plain", channels=(2, 4), strides=(2,))
        >>> module = Segmentation(model, TrainerConfig(), classes=("liver",), in_channels=1)
        >>> scan = Scan("anna", np.ones((1, 8, 8, 8), np.float32), np.ones((8, 8, 8), np.uint8), np.eye(4))
        >>> [(row.scale, row.case, row.label) for row in dice_at_scales(module, [scan], scales=(1.0, 1.5))]
        [(1.0, 'anna', 'liver'), (1.5, 'anna', 'liver')]
    """
    module.eval()
    rows = []
    items = Rescaled(scans, scales, canvas)
    for item in map(items.__getitem__, range(len(items))):
        batch = {key: item[key].to(module.device) for key in ("image", "label", "spacing")}
        with torch.inference_mode():
            rows += dice_rows_of(item, module.dice(batch), module.classes)
        advance()
    return rows


def dice_rows_of(item: Mapping[str, Any], dice: Sequence[Sequence[float]], classes: Sequence[str]) -> list[DiceRow]:
    """The measurements of one item of `Rescaled`."""
    return [DiceRow(item["scale"], item["case"], name, value) for name, value in zip(classes, dice[0], strict=True)]


class Rescaled(Dataset[dict[str, Any]]):
    """Each scan at each scale, one by one, made when it is asked for.

    What is magnified by a factor was, for the network, seen with voxels smaller by this factor: the object is the same.
    An item is a batch of one scan, `image`, `label` and `spacing`, with its `scale` and the name of its `case`.

    Args:
        scans: normalised scans at their own scale, which is 1.
        scales: factors.
        canvas: whether the grid grows with the content; see `rescale`.
    """

    def __init__(self, scans: Sequence[Scan], scales: Sequence[float], canvas: Canvas = "proportional") -> None:
        self.pairs, self.canvas = [(scale, scan) for scale in scales for scan in scans], canvas

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        scale, scan = self.pairs[index]
        image, label = rescale(scan.image, scan.label, scale, self.canvas)
        tensors = {"image": torch.from_numpy(image), "label": torch.from_numpy(label)[None]}
        batch = {key: value[None] for key, value in tensors.items()}
        return {**batch, "spacing": torch.tensor([scan.spacing]) / scale, "scale": scale, "case": scan.name}


@torch.inference_mode()
def predict(
    module: Segmentation, image: np.typing.NDArray[np.float32], spacing: Sequence[float] | None = None
) -> torch.Tensor:
    """The class indices `(*space)` of one normalised image `(channel, *space)`, given its voxel size if need be."""
    known = None if spacing is None else torch.tensor([spacing])
    return module.predict(torch.from_numpy(image)[None].to(module.device), known)[0].cpu()


def summarise(rows: Sequence[DiceRow]) -> dict[str, dict[float, float]]:
    """The mean over scans for each class and scale, and under "mean" the mean over classes; what is absent is left out.

    Args:
        rows: of `dice_at_scales`, with `scale`, `case`, `label` and `dice`.

    Returns:
        For each class, and "mean", the mean Dice at each scale.

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
