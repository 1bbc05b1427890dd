"""How the one contraction behind every convolution is executed."""

from scalegroup.engine import dense, native, points, separable, slabs, spectral, wide
from scalegroup.engine.autocast import autocasts, without_autocast
from scalegroup.engine.contraction import Contraction, Term
from scalegroup.engine.cost import Cost
from scalegroup.engine.execute import METHODS, contract
from scalegroup.engine.farthest import farthest_points
from scalegroup.engine.opaque import tell_compiler
from scalegroup.engine.operators import AxisOperator
from scalegroup.engine.planner import ENGINES, Candidate, Plan, choose, cost_of, seconds
from scalegroup.engine.point_basis import PointBasis
from scalegroup.engine.point_set import Points, cloud_spacing
from scalegroup.engine.points import PointOperator, PointPath
from scalegroup.engine.resample import along_axes, resample, smooth
from scalegroup.engine.response import Response

__all__ = [
    "ENGINES",
    "METHODS",
    "AxisOperator",
    "Candidate",
    "Contraction",
    "Cost",
    "Plan",
    "PointBasis",
    "PointOperator",
    "PointPath",
    "Points",
    "Response",
    "Term",
    "along_axes",
    "autocasts",
    "choose",
    "cloud_spacing",
    "contract",
    "cost_of",
    "dense",
    "farthest_points",
    "native",
    "points",
    "resample",
    "seconds",
    "separable",
    "slabs",
    "smooth",
    "spectral",
    "tell_compiler",
    "wide",
    "without_autocast",
]
