"""Scale-equivariant deep learning for three-dimensional data, in PyTorch."""

from scalegroup import errors, fields, groups, kernels, models, nn, representations, symbolic
from scalegroup.errors import FieldTypeError, MissingExtraError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, Group, ScaleGroup, ScaleTranslationGroup
from scalegroup.nn import with_window
from scalegroup.symbolic import HermiteBasis

__all__ = [
    "CompactGroup",
    "FieldType",
    "FieldTypeError",
    "Group",
    "HermiteBasis",
    "MissingExtraError",
    "ScaleGroup",
    "ScaleGroupError",
    "ScaleTranslationGroup",
    "errors",
    "fields",
    "groups",
    "kernels",
    "models",
    "nn",
    "representations",
    "symbolic",
    "with_window",
]
