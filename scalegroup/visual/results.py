"""Dice against scale, and slices with truth and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter, NullLocator

from scalegroup.errors import ScaleGroupError
from scalegroup.visual.figure import SIZE, Picture, new_figure

# Told apart with any kind of colour vision, and in grey by their lightness and line style (Okabe and Ito,
# 2008).
_LINES = (
    *(("#0072B2", "-", "o"), ("#D55E00", "--", "s"), ("#009E73", "-.", "^"), ("#000000", ":", "D")),
    *(("#CC79A7", "-", "v"), ("#E69F00", "--", "P"), ("#56B4E9", "-.", "X")),
)
_CLASSES = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73", "#D55E00")


@dataclass(frozen=True)
class Curve:
    """One network's line: for every scale the Dice of each scan (the mean over its classes).

    Args:
        name: of the network.
        dice: for each test scale a number in [0, 1] for each scan; nan for a scan without any class.

    Example:
        >>> from scalegroup import visual
        >>> visual.Curve("ours", {0.5: [0.81, 0.79], 1.0: [0.84, 0.86]}).dice[0.5]
        [0.81, 0.79]
    """

    name: str
    dice: Mapping[float, Sequence[float]]


@dataclass(frozen=True)
class Panel:
    """One row of slices: a grey image with several segmentations of it, all `(height, width)`.

    Args:
        name: of the scan.
        image: its intensities.
        labels: for each segmentation, by name, the class of each pixel; 0 is the background.

    Example:
        >>> import numpy as np
        >>> from scalegroup import visual
        >>> truth = np.eye(3, dtype=int)
        >>> visual.Panel("scan 1", np.ones((3, 3)), {"truth": truth, "ours": truth}).labels["ours"].sum()
        3
    """

    name: str
    image: npt.NDArray[np.floating[Any]]
    labels: Mapping[str, npt.NDArray[np.integer[Any]]]


def plot_dice_curves(curves: Sequence[Curve], trained_at: float = 1.0) -> Picture:
    """A picture of Dice against test scale: means over scans, with their standard errors as bands.

    Args:
        curves: one per network.
        trained_at: the scale of the training scans, marked by a vertical line. Default 1.

    Returns:
        The picture.

    Raises:
        ScaleGroupError: if there is no curve.

    Example:
        >>> from scalegroup import visual
        >>> dice = {0.5: [0.81, 0.79], 1.0: [0.84, 0.86], 2.0: [0.80, 0.82]}
        >>> visual.plot_dice_curves([visual.Curve("ours", dice)]).axes[0].get_ylabel()
        'hard Dice, mean over classes'
    """
    if not curves:
        raise ScaleGroupError("at least one curve", "none", "a curve is a visual.Curve")
    figure = new_figure(4.6, 3.2)
    axes = figure.add_subplot()
    axes.axvline(trained_at, color="0.75", linewidth=1, zorder=0)
    axes.annotate(
        "training scale",
        (trained_at, 0.02),
        xytext=(3, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color="0.45",
        fontsize=SIZE,
    )
    for number, curve in enumerate(curves):
        colour, line, marker = _LINES[number % len(_LINES)]
        scales = np.array(sorted(curve.dice))
        everything = [np.asarray(curve.dice[scale], dtype=float) for scale in scales]
        values = [value[np.isfinite(value)] for value in everything]  # a scan without any class says nothing
        scales = scales[[len(value) > 0 for value in values]]
        values = [value for value in values if len(value)]
        mean = np.array([value.mean() for value in values])
        error = np.array([value.std() / np.sqrt(max(1, len(value) - 1)) for value in values])
        axes.fill_between(scales, mean - error, mean + error, color=colour, alpha=0.18, linewidth=0)
        axes.plot(scales, mean, line + marker, color=colour, markersize=4, linewidth=1.6, label=curve.name)
    ticks = sorted({scale for curve in curves for scale in curve.dice})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("scale of the test scans (training: 1)", fontsize=SIZE)
    axes.set_ylabel("hard Dice, mean over classes", fontsize=SIZE)
    axes.tick_params(labelsize=SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    columns = min(len(curves), 2)  # names in one row would be wider than the picture
    axes.legend(frameon=False, fontsize=SIZE, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)
    return figure


def plot_slices(rows: Sequence[Panel], classes: Sequence[str]) -> Picture:
    """A picture with one row per scan: the image, then each segmentation over it.

    Args:
        rows: the scans, all with segmentations of the same names.
        classes: the names of the classes 1, 2, …, six at most.

    Returns:
        The picture.

    Raises:
        ScaleGroupError: if there is no row, if rows have segmentations of different names, and for classes that have
            no colour.

    Example:
        >>> import numpy as np
        >>> from scalegroup import visual
        >>> truth = np.eye(8, dtype=int)
        >>> rows = [visual.Panel("scan 1", np.random.rand(8, 8), {"truth": truth, "ours": truth})]
        >>> [axes.get_title() for axes in visual.plot_slices(rows, ["tumour"]).axes]
        ['image', 'truth', 'ours']
    """
    if not rows or any(list(row.labels) != list(rows[0].labels) for row in rows):
        received = [list(row.labels) for row in rows] or "none"
        raise ScaleGroupError("rows with segmentations of the same names", received, "a row is a visual.Panel")
    if not 1 <= len(classes) <= len(_CLASSES):
        raise ScaleGroupError(f"names of 1 to {len(_CLASSES)} classes", f"{len(classes)}", "leave classes out")
    titles = ["image", *rows[0].labels]
    side = 1.55
    figure = new_figure(side * len(titles) + 0.3, side * len(rows) + 0.75)
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    colours = ListedColormap(_CLASSES[: len(classes)])
    for line, row in zip(grid, rows, strict=True):
        low, high = np.percentile(row.image, [1, 99.5])
        for axes, title in zip(line, titles, strict=True):
            axes.imshow(row.image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            if title in row.labels:
                label = np.where(row.labels[title] > 0, row.labels[title], np.nan)  # NaN is not drawn
                axes.imshow(label, cmap=colours, vmin=1, vmax=len(classes), alpha=0.75, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(row.name, fontsize=SIZE)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=SIZE)
    patches = [Patch(color=_CLASSES[index], label=name) for index, name in enumerate(classes)]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(classes), frameon=False, fontsize=SIZE)
    return figure
