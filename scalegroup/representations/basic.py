"""Representations of the scales: scalar, character, and regular on the truncated window."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.groups.base import Element, Group
from scalegroup.groups.checks import as_finite
from scalegroup.groups.registry import register_representation
from scalegroup.groups.scale import ScaleGroup
from scalegroup.groups.scale_translation import ScaleTranslationGroup
from scalegroup.representations.base import Representation, scale_translation, shift_matrix, shift_overlap


@final
class Scalar(Representation):
    """The trivial representation ``rho(g) = 1``: a plain intensity, such as an MRI or CT value.

    Args:
        group: any group.

    Attributes:
        weight: 0.0; a scalar is the character of weight zero.

    Example:
        >>> group = ScaleTranslationGroup(dim=1, base=2.0)
        >>> group.scalar(group.element(s=4.0))
        array([[1.]])
    """

    size = 1
    weight = 0.0

    def __init__(self, group: Group) -> None:
        self.group = group

    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.ones((1, 1))

    def __str__(self) -> str:
        return "scalar"

    def __repr__(self) -> str:
        return super().__repr__() if isinstance(self.group, ScaleTranslationGroup) else f"Scalar({self.group!r})"


@final
class Character(Representation):
    """The one-dimensional representation ``rho(g) = s**weight``.

    A derivative along the space has weight -1, an integral over a volume in 3-D weight 3, a displacement
    weight 1.

    Args:
        group: a `ScaleTranslationGroup` or a `ScaleGroup`.
        weight: the power of the scale factor.

    Raises:
        ScaleGroupError: if `weight` is not a finite number, or the group has no scale factors.

    Example:
        >>> group = ScaleTranslationGroup(dim=1, base=2.0)
        >>> group.character(-1)(group.element(s=4.0))
        array([[0.25]])
    """

    size = 1
    weight: float

    def __init__(self, group: Group, weight: float) -> None:
        self.group = group if isinstance(group, ScaleGroup) else scale_translation(group, "character")
        self.weight = as_finite(weight, "a weight, a finite number", "values are multiplied by s**weight")

    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.array([[float(g.scale) ** self.weight]])

    def __str__(self) -> str:
        return f"character({self.weight!r})"

    def __repr__(self) -> str:
        if isinstance(self.group, ScaleTranslationGroup):
            return super().__repr__()
        return f"Character({self.group!r}, {self.weight!r})"


@final
class Regular(Representation):
    """The regular representation of the scales on the truncated window: one number per scale.

    Acting by ``base**m`` moves content m steps up the window: ``rho(g)[i, i - m] = 1``. What passes the top
    is lost, and the bottom is filled with zeros: "truncated". Therefore ``rho(g) rho(h) = rho(g @ h)`` holds
    in the rows of `overlap` only; between shifts of the same sign it holds in all rows. Translations and the
    compact group do not mix the channels.

    Args:
        group: a `ScaleTranslationGroup`.

    Example:
        >>> group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=3)
        >>> group.regular(group.element(s=2.0)).astype(int).tolist()
        [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    """

    weight = None

    def __init__(self, group: Group) -> None:
        self.group = scale_translation(group, "regular")
        self.size = self.num_scales = self.group.num_scales

    def matrix(self, g: Any) -> NDArray[np.float64]:
        return shift_matrix(self.size, g.exponent)

    def overlap(self, g: Element) -> NDArray[np.bool_]:
        return shift_overlap(self.size, self.group.own(g).exponent)

    def __str__(self) -> str:
        return "regular"


def on_scales(representation: Representation) -> bool:
    """Whether a field of this representation holds a copy for each scale of the window.

    Args:
        representation: any representation of a `ScaleTranslationGroup`.

    Example:
        >>> group = ScaleTranslationGroup(dim=1, num_scales=3)
        >>> on_scales(group.regular), on_scales(group.scalar)
        (True, False)
    """
    return representation.weight is None or representation.num_scales > 1


register_representation("scalar", Scalar)
register_representation("regular", Regular)
register_representation("character", Character)
