"""What all pictures are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from textwrap import wrap
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scalegroup.errors import ScaleGroupError

SIZE = 9  # of letters, in points
WIDE = 6.5  # inches
LETTERS = 12  # in an inch of a heading
INK = "#333333"  # of letters
ACCENT = "#0072B2"  # of arrows; a blue of Okabe and Ito (2008)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # of theirs too, for lines
DIVERGING = "RdBu_r"  # of values of both signs: white is zero, told apart with any kind of colour vision

Array = npt.NDArray[np.floating[Any]]


class Picture(Figure):
    """A figure of matplotlib without pyplot: no window, no state that a caller's own pictures would share.

    It saves itself as any other, `figure.savefig("picture.png")`, and shows itself where it is the last line of a cell
    of a notebook.

    Example:
        >>> from scalegroup import visual
        >>> figure = visual.plot_dice_curves([visual.Curve("ours", {0.5: [0.8], 1.0: [0.8]})])
        >>> type(figure).__name__
        'Picture'
    """

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        png = BytesIO()
        dpi = 130 if self.get_figwidth() > WIDE else 100  # pages shrink wide ones: letters are then equally large
        self.savefig(png, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.12)
        return png.getvalue()


def new_figure(width: float, height: float, placed: bool = False) -> Picture:
    """An empty picture, for what the functions here do not draw.

    Args:
        width: in inches.
        height: in inches.
        placed: all is drawn where the caller says. Default False: matplotlib arranges it so that nothing overlaps.

    Example:
        >>> from scalegroup import visual
        >>> figure = visual.new_figure(4, 3)
        >>> line = figure.subplots().plot([1, 2, 3])
    """
    figure = Picture(figsize=(width, height), layout=None if placed else "constrained")
    FigureCanvasAgg(figure)
    return figure


def set_heading(figure: Picture, text: str) -> None:
    """Words above a figure, in as many lines as its width needs."""
    lines = wrap(text, max(20, int(LETTERS * figure.get_figwidth())))
    figure.suptitle("\n".join(lines), fontsize=SIZE + 1, color=INK)


def chosen(numbers: Sequence[int] | None, count: int, name: str) -> list[int]:
    """These of `count` things, by their numbers, checked; None for all."""
    wanted = list(range(count)) if numbers is None else list(numbers)
    if not wanted or any(isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < count for one in wanted):
        raise ScaleGroupError(f"{name} from 0 to {count - 1}", f"{wanted}", f"there are {count}, counted from 0")
    return wanted


def limits(*images: Array) -> tuple[float, float]:
    """The range of colours for images of one kind: from 0 if nothing is negative, else the same for both signs."""
    low = min((float(np.nanmin(image)) for image in images), default=0.0)
    top = max((float(np.nanmax(np.abs(image))) for image in images), default=0.0) or 1.0
    return (0.0 if low >= -1e-6 * top else -top, top)


def signed(bounds: tuple[float, float]) -> tuple[float, float]:
    """The same range for both signs."""
    return (-bounds[1], bounds[1])


def show(axes: Any, values: Array, bounds: tuple[float, float], screen: Sequence[Array] | None = None) -> Any:
    """Draws an image, grey or with white as zero, by its range; or a curve. Returns what a colour bar needs, if any.

    Args:
        axes: where.
        values: `(height, width)`, or `(width,)`.
        bounds: see `limits`.
        screen: positions along each axis, the last two of which are drawn. Default: counted.
    """
    sides = [np.arange(n) for n in values.shape] if screen is None else screen[-values.ndim :]
    if values.ndim == 1:
        axes.plot(sides[0], values, color=ACCENT, linewidth=1.2)
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.set_ylim(*(1.05 * bound for bound in bounds))
        image = None
    else:
        (y0, y1), (x0, x1) = ((side[0], side[-1]) for side in sides)
        dy, dx = ((side[-1] - side[0]) / max(len(side) - 1, 1) / 2 for side in sides)
        image = axes.imshow(
            values,
            cmap="gray" if bounds[0] == 0 else DIVERGING,
            vmin=bounds[0],
            vmax=bounds[1],
            extent=(x0 - dx, x1 + dx, y1 + dy, y0 - dy),
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.75")
    return image
