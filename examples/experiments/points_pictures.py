"""Pictures for docs/tutorials/08_point_clouds.md: the clouds, and a lifted cloud beside the same one at twice the size.

python examples/experiments/points_pictures.py [--root ../shared/data/brainshapes] [--results docs/results]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

import scalegroup as sg
from scalegroup.data import BrainShapes

SHOWN = "hippocampus"
RADIUS = 45.0  # mm that the panels of all structures reach from their centre
FACTOR = 2.0


def new_figure(width: float, height: float) -> Figure:
    """A figure without a window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def clouds(path: Path, data: BrainShapes) -> None:
    """One cloud of each structure, all to one scale."""
    figure = new_figure(10, 6.4)
    for n, name in enumerate(data.classes):
        axes: Any = figure.add_subplot(3, 5, n + 1)
        x, y, z = data.clouds.points[np.flatnonzero(data.clouds.labels == n)[0]].T
        order = np.argsort(x)  # the nearest in front
        axes.scatter(y[order], z[order], c=x[order], s=1.5, cmap="viridis")
        axes.set(xlim=(-RADIUS, RADIUS), ylim=(-RADIUS, RADIUS), aspect="equal", xticks=[], yticks=[])
        axes.set_title(name.replace("_", " "), fontsize=9)
        if n == 0:
            axes.plot([20, 40], [-40, -40], color="black")
            axes.text(30, -37, "20 mm", ha="center", fontsize=8)
    figure.savefig(path, dpi=110)


def lifted(pos: Tensor, num_scales: int) -> Tensor:
    """One field on the scales of a lifting with kernels of the second degree: `(points, num_scales)`."""
    torch.manual_seed(1)
    group = sg.ScaleTranslationGroup(3, base=FACTOR, num_scales=num_scales)
    lift = sg.nn.PointGroupConv(1 * group.scalar, 1 * group.regular, sigma=2.0, bias=False, admissible=True).double()
    field: Tensor = lift(torch.ones(len(pos), 1).double(), pos).detach()
    return field


def fields(path: Path, data: BrainShapes) -> None:
    """The field of a cloud and of the same cloud at twice the size: one scale further, the same numbers."""
    index = np.flatnonzero(data.clouds.labels == data.classes.index(SHOWN))[0]
    pos = torch.from_numpy(data.clouds.points[index]).double()
    scales = 4
    rows = {"as it is": (pos, lifted(pos, scales)), "twice the size": (FACTOR * pos, lifted(FACTOR * pos, scales))}
    figure = new_figure(11, 4.2)
    small, large = (field for _, field in rows.values())
    error = (large[:, 1:] - small[:, :-1]).abs().max() / small.abs().max()
    for row, (name, (cloud, field)) in enumerate(rows.items()):
        x, y, z = cloud.numpy().T
        order = np.argsort(x)
        for s in range(scales):
            axes: Any = figure.add_subplot(2, scales, row * scales + s + 1)
            value = field[:, s].numpy()
            limit = np.abs(small[:, s if row == 0 else max(0, s - 1)].numpy()).max()
            axes.scatter(y[order], z[order], c=value[order], s=3, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set(xlim=(-58, 58), ylim=(-32, 32), aspect="equal", xticks=[], yticks=[])
            axes.set_title(f"scale {FACTOR**s * 2:g} mm", fontsize=9)
            if s == 0:
                axes.set_ylabel(name)
    shown = f"{error:.0e}" if error else "0"  # multiplication by powers of two is exact
    title = f"Each panel below equals the one above it to its left (largest difference: {shown} of the maximum)"
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/brainshapes"))
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    data = BrainShapes(options.root)
    clouds(options.results / "points_clouds.png", data)
    fields(options.results / "points_fields.png", data)


if __name__ == "__main__":
    main()
