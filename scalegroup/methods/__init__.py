"""Published scale-equivariant methods, side by side: each a short composition of the library's parts."""

from scalegroup.methods.layers import Layers, RegularLayers, ScalarLayers
from scalegroup.methods.method import Method
from scalegroup.methods.registry import classifier, get, list, names, unet
from scalegroup.methods.table import MethodTable

__all__ = [
    "Layers",
    "Method",
    "MethodTable",
    "RegularLayers",
    "ScalarLayers",
    "classifier",
    "get",
    "list",
    "names",
    "unet",
]
