"""Pictures of results: Dice against scale, and slices with truth and predictions."""

from __future__ import annotations

from scalegroup.errors import missing_extra

try:
    import matplotlib as _matplotlib  # noqa: F401
except ImportError as _error:
    raise missing_extra("matplotlib", "viz") from _error

from scalegroup.visual.results import Curve, Panel, plot_dice_curves, plot_slices

__all__ = ["Curve", "Panel", "plot_dice_curves", "plot_slices"]
