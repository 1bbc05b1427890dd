"""Scale-equivariant deep learning for three-dimensional data, in PyTorch."""

from scalegroup import errors, fields, groups, kernels, methods, models, nn, representations, symbolic, testing
from scalegroup.errors import FieldTypeError, MissingExtraError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, DiffusionGroup, Group, ScaleGroup, ScaleTranslationGroup
from scalegroup.nn import with_window
from scalegroup.representations import Character, DirectSum, Irrep, Regular, Representation, Scalar, TensorProduct
from scalegroup.symbolic import HermiteBasis, SymbolicBasis
from scalegroup.testing import check_equivariance

__all__ = [
    "Character",
    "CompactGroup",
    "DiffusionGroup",
    "DirectSum",
    "FieldType",
    "FieldTypeError",
    "Group",
    "HermiteBasis",
    "Irrep",
    "MissingExtraError",
    "Regular",
    "Representation",
    "Scalar",
    "ScaleGroup",
    "ScaleGroupError",
    "ScaleTranslationGroup",
    "SymbolicBasis",
    "TensorProduct",
    "check_equivariance",
    "errors",
    "fields",
    "groups",
    "kernels",
    "methods",
    "models",
    "nn",
    "representations",
    "symbolic",
    "testing",
    "with_window",
]
