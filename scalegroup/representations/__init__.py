"""Representations: how the channels of a feature field mix when the field is transformed."""

from __future__ import annotations

from scalegroup.representations.base import Representation
from scalegroup.representations.basic import Character, Irrep, Regular, Scalar, on_scales
from scalegroup.representations.composite import DirectSum, TensorProduct
from scalegroup.representations.phase import Phase

__all__ = [
    "Character",
    "DirectSum",
    "Irrep",
    "Phase",
    "Regular",
    "Representation",
    "Scalar",
    "TensorProduct",
    "on_scales",
]
