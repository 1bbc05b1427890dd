"""The picture of brain structures in docs/tutorials/08_point_clouds.md.

python examples/experiments/points_pictures.py [--root ../shared/data/brainshapes] [--results docs/results]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from scalegroup.data import BrainShapes
from scalegroup.visual import new_figure

RADIUS = 45.0  # mm that the panels of all structures reach from their centre


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


def main() -> None:
    """Draws it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/brainshapes"))
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    data = BrainShapes(options.root)
    clouds(options.results / "points_clouds.png", data)


if __name__ == "__main__":
    main()
