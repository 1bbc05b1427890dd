"""How the one contraction behind every convolution is executed."""

from scalegroup.engine import dense, separable, spectral
from scalegroup.engine.autocast import autocasts, without_autocast
from scalegroup.engine.contraction import Contraction, Term
from scalegroup.engine.execute import METHODS, contract, multiply_adds
from scalegroup.engine.opaque import tell_compiler
from scalegroup.engine.operators import AxisOperator
from scalegroup.engine.resample import along_axes, resample, smooth
from scalegroup.engine.response import Response

__all__ = [
    "METHODS",
    "AxisOperator",
    "Contraction",
    "Response",
    "Term",
    "along_axes",
    "autocasts",
    "contract",
    "dense",
    "multiply_adds",
    "resample",
    "separable",
    "smooth",
    "spectral",
    "tell_compiler",
    "without_autocast",
]
