"""Pictures: bases, kernels, fields, networks and layer types, the square of equivariance, and results."""

from __future__ import annotations

from scalegroup.errors import missing_extra

try:
    import matplotlib as _matplotlib  # noqa: F401
except ImportError as _error:
    raise missing_extra("matplotlib", "viz") from _error

from scalegroup.visual.basis import plot_basis
from scalegroup.visual.fields import plot_field
from scalegroup.visual.figure import Picture, new_figure
from scalegroup.visual.kernels import plot_kernels
from scalegroup.visual.layer_types import plot_layer_types
from scalegroup.visual.methods import MethodPoint, plot_methods
from scalegroup.visual.network import plot_network
from scalegroup.visual.results import Curve, Panel, plot_dice_curves, plot_slices
from scalegroup.visual.speed import Speed, plot_speeds
from scalegroup.visual.square import plot_commuting_square

__all__ = [
    "Curve",
    "MethodPoint",
    "Panel",
    "Picture",
    "Speed",
    "new_figure",
    "plot_basis",
    "plot_commuting_square",
    "plot_dice_curves",
    "plot_field",
    "plot_kernels",
    "plot_layer_types",
    "plot_methods",
    "plot_network",
    "plot_slices",
    "plot_speeds",
]
