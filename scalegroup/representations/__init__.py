"""Representations: how the channels of a feature field mix when the field is transformed."""

from __future__ import annotations

from scalegroup.representations.base import Representation
from scalegroup.representations.basic import Character, Regular, Scalar, on_scales
from scalegroup.representations.composite import DirectSum, TensorProduct
from scalegroup.representations.phase import Phase
from scalegroup.representations.rotational import Irrep, Quotient, Rotational, invariants, permutes

__all__ = [
    "Character",
    "DirectSum",
    "Irrep",
    "Phase",
    "Quotient",
    "Regular",
    "Representation",
    "Rotational",
    "Scalar",
    "TensorProduct",
    "invariants",
    "on_scales",
    "permutes",
]
