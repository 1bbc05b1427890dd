"""What all pictures are drawn on."""

from __future__ import annotations

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SIZE = 9  # of letters, in points


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
        self.savefig(png, format="png", dpi=130)
        return png.getvalue()


def new_figure(width: float, height: float) -> Picture:
    """A figure of so many inches, in which nothing overlaps."""
    figure = Picture(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
