"""Surfaces of equal value in volumes, by marching tetrahedra, and how they look from one side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from scalegroup.visual.figure import SIZE

Array = npt.NDArray[np.float64]

# From where surfaces are seen: turned about the vertical axis, then tilted; in degrees.
AZIMUTH, ELEVATION = 35.0, 22.0
LIGHT = np.array([-0.45, 0.55, 0.7])  # from the left, from above, from the eye
AMBIENT, SHINE, GLOSS = 0.45, 0.35, 12
NAMES = "xyz"
CUBE = list(product((0, 1), repeat=3))


def isosurface(values: npt.ArrayLike, level: float) -> Array:
    """Triangles of the surface on which a sampled volume has the value `level`.

    Each cube between eight samples is cut into six tetrahedra, in which the volume is taken as linear.

    Args:
        values: the samples, `(n_x, n_y, n_z)`.
        level: the value; below zero the negative parts are enclosed.

    Returns:
        Corners in samples, `(triangles, 3, 3)`: of each triangle three points, which turn about the direction in which
        the absolute value falls.

    Example:
        >>> import numpy as np
        >>> x, y, z = np.meshgrid(*[np.arange(-4.0, 5)] * 3, indexing="ij")
        >>> corners = isosurface(5 - np.sqrt(x**2 + y**2 + z**2), 2.0) - 4
        >>> bool(np.abs(np.linalg.norm(corners, axis=2) - 3).max() < 0.11)
        True
    """
    samples = np.asarray(values, dtype=np.float64)
    inside = samples > level
    eight = [inside[tuple(slice(k, n - 1 + k) for k, n in zip(corner, samples.shape, strict=True))] for corner in CUBE]
    index = np.argwhere(np.any(eight, axis=0) & ~np.all(eight, axis=0))  # the first corner of each cube that is cut
    triangles = []
    for order in permutations(range(3)):  # a tetrahedron goes along the three axes one after the other
        steps = np.vstack([np.zeros((1, 3), dtype=int), np.cumsum(np.eye(3, dtype=int)[list(order)], axis=0)])
        corners = index[:, None] + steps  # (cubes, 4, 3)
        heights = samples[tuple(corners.transpose(2, 0, 1))] - level
        ranks = np.argsort(-heights, axis=1)
        corners = np.take_along_axis(corners, ranks[:, :, None], axis=1)
        heights = np.take_along_axis(heights, ranks, axis=1)
        above = (heights > 0).sum(axis=1)
        for count, sheets in _SHEETS.items():
            chosen = above == count
            triangles += [_cut(corners[chosen], heights[chosen], sheet) for sheet in sheets]
    outside = np.concatenate([far for _, far in triangles])
    found = np.concatenate([points for points, _ in triangles])
    if level < 0:
        outside = -outside
    normal = np.cross(found[:, 1] - found[:, 0], found[:, 2] - found[:, 0])
    turned = (normal * outside).sum(axis=1) < 0
    found[turned] = found[turned][:, ::-1]
    return found


# By the number of corners above the level: the edges, from a higher corner to a lower one, that carry each triangle.
_SHEETS = {
    1: [((0, 1), (0, 2), (0, 3))],
    2: [((0, 2), (0, 3), (1, 3)), ((0, 2), (1, 3), (1, 2))],
    3: [((0, 3), (1, 3), (2, 3))],
}


def _cut(corners: Any, heights: Array, edges: tuple[tuple[int, int], ...]) -> tuple[Array, Array]:
    """The triangle on three edges of each tetrahedron, and the direction from its highest corner to its lowest."""
    points = []
    for high, low in edges:
        share = (heights[:, high] / (heights[:, high] - heights[:, low]))[:, None]
        points.append(corners[:, high] + share * (corners[:, low] - corners[:, high]))
    return np.stack(points, axis=1), np.asarray(corners[:, 3] - corners[:, 0], dtype=np.float64)


def draw_surfaces(axes: Any, surfaces: Sequence[tuple[Array, str]], radius: float, named: bool = False) -> None:
    """Draws triangles in space as they look from one side, the nearer ones over those behind.

    Args:
        axes: where.
        surfaces: triangles `(n, 3, 3)` about the origin, the third axis upward, and their colour.
        radius: half the side of the picture.
        named: whether the directions of the three axes are drawn in a corner. Default False.
    """
    screen = _screen()
    triangles = np.concatenate([triangles for triangles, _ in surfaces])
    paint = np.concatenate([np.tile(to_rgb(colour), (len(part), 1)) for part, colour in surfaces])
    corners, normal = triangles @ screen.T, _normals(triangles) @ screen.T
    shade = np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)[:, None]
    colours = np.clip(paint * (AMBIENT + (1 - AMBIENT) * shade) + SHINE * shade**GLOSS, 0, 1)
    order = np.argsort(corners[:, :, 2].mean(axis=1))
    collection = PolyCollection(
        list(corners[order][:, :, :2]), facecolors=colours[order], edgecolors=colours[order], linewidths=0.25
    )
    axes.add_collection(collection)
    for name, end in zip(NAMES if named else "", screen.T[:, :2], strict=False):
        start = np.array([-0.82, -0.86]) * radius
        arrow = {"arrowstyle": "->", "color": "0.4", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", start + 0.3 * radius * end, start, arrowprops=arrow)
        axes.text(*(start + 0.4 * radius * end), name, color="0.4", fontsize=SIZE - 2, ha="center", va="center")
    axes.set(xlim=(-radius, radius), ylim=(-radius, radius), aspect="equal")
    axes.set_axis_off()


def _screen() -> Array:
    """The directions to the right, upward, and towards the eye, `(3, 3)`."""
    azimuth, elevation = np.deg2rad([AZIMUTH, ELEVATION])
    right = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    ahead = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    rise, run = np.sin(elevation), np.cos(elevation)
    return np.stack([right, run * up + rise * ahead, rise * up - run * ahead])


def _normals(triangles: Array) -> Array:
    """The direction out of each triangle, `(n, 3)`; neighbours blend, so that surfaces look round."""
    flat = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])  # as long as the area
    _, point = np.unique(triangles.reshape(-1, 3).round(9), axis=0, return_inverse=True)
    around = np.zeros((point.max(initial=-1) + 1, 3))
    np.add.at(around, point.ravel(), np.repeat(flat, 3, axis=0))
    normal = around[point.reshape(-1, 3)].sum(axis=1)
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12))
