"""The demo's two pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scalegroup.data import Scan, rescale
from scalegroup.training.evaluate import DiceRow, predict
from scalegroup.training.metrics import mean_of_present
from scalegroup.training.module import Segmentation
from scalegroup.visual import Curve, Panel, plot_dice_curves, plot_slices


def draw_dice(path: Path, rows: Mapping[str, Sequence[DiceRow]]) -> None:
    """Dice against scale, one curve per network."""
    plot_dice_curves([Curve(name, dice_per_scan(found)) for name, found in rows.items()]).savefig(path, dpi=200)


def draw_slices(
    path: Path, scans: Sequence[Scan], trained: Mapping[str, Segmentation], scales: Sequence[float], channel: int
) -> None:
    """The scan with the median lesion at some scales, cut where the lesion is largest."""
    scan = sorted(scans, key=lambda scan: int((scan.label > 0).sum()))[len(scans) // 2]
    panels = []
    for scale in scales:
        image, label = rescale(scan.image, scan.label, scale)
        cut = (slice(None), slice(None), int(np.argmax((label > 0).sum(axis=(0, 1)))))
        found = {name: predict(module, image).numpy() for name, module in trained.items()}
        labels = {name: volume[cut].T for name, volume in {"truth": label, **found}.items()}
        panels.append(Panel(f"scale {scale:g}", image[channel][cut].T, labels))
    plot_slices(panels, next(iter(trained.values())).classes).savefig(path, dpi=200)


def dice_per_scan(rows: Sequence[DiceRow]) -> dict[float, list[float]]:
    """For every scale the mean over classes of each scan."""
    scales = dict.fromkeys(row.scale for row in rows)
    cases = dict.fromkeys(row.case for row in rows)
    return {
        scale: [mean_of_present(row.dice for row in rows if (row.scale, row.case) == (scale, case)) for case in cases]
        for scale in scales
    }
