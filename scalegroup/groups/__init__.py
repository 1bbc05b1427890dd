"""Groups and their elements: dilations, symmetries of the grid, and their product with translations."""

from __future__ import annotations

from scalegroup.groups.base import Element, Group
from scalegroup.groups.compact import CompactElement, CompactGroup
from scalegroup.groups.diffusion import DiffusionElement, DiffusionGroup
from scalegroup.groups.registry import register_representation
from scalegroup.groups.scale import ScaleElement, ScaleGroup
from scalegroup.groups.scale_translation import ScaleTranslationElement, ScaleTranslationGroup
from scalegroup.groups.signed_permutations import SignedPermutations

__all__ = [
    "CompactElement",
    "CompactGroup",
    "DiffusionElement",
    "DiffusionGroup",
    "Element",
    "Group",
    "ScaleElement",
    "ScaleGroup",
    "ScaleTranslationElement",
    "ScaleTranslationGroup",
    "SignedPermutations",
    "register_representation",
]
