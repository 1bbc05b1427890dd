"""The abstract representation: a matrix for every element of a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import nan
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.base import Element, Group
from scalegroup.groups.registry import build_field_type
from scalegroup.groups.scale_translation import ScaleTranslationGroup
from scalegroup.groups.value import Value


class Representation(Value, ABC):
    """A representation ``rho`` of a group: matrices with ``rho(g) rho(h) = rho(g @ h)``.

    It says how the channels of a feature field mix when the field is transformed. A subclass stores `group`
    and its other constructor arguments under their own names, sets `size` (and `num_scales`), and writes
    `matrix` and `__str__`. Multiples and sums are field types: ``16 * group.regular + 4 * group.scalar``.

    Attributes:
        group: the group that is represented.
        size: number of rows of the matrices.
        num_scales: 1, or the number of scales of the group's window if the representation lives on the
            window; the scale is then the fastest index.
        weight: None for one that lives on the window, or the power of the scale factor for one on space alone.
            Convolutions need to know it; a representation that is neither does not set it.

    Example:
        >>> class Orientation(Representation):
        ...     size = 1
        ...     def __init__(self, group):
        ...         self.group = group
        ...     def matrix(self, g):
        ...         return np.array([[np.linalg.det(g.k.matrix)]])
        ...     def __str__(self):
        ...         return "orientation"
        >>> group = ScaleTranslationGroup(dim=2, rotations="d4")
        >>> Orientation(group)(group.element(k=(1, -2)))
        array([[-1.]])
        >>> print(3 * Orientation(group))
        3*orientation
    """

    group: Group
    size: int
    num_scales: int = 1
    weight: float | None = nan

    @abstractmethod
    def matrix(self, g: Any) -> NDArray[np.float64]:
        """The matrix of the element `g`, which belongs to the group: shape ``(size, size)``."""

    @abstractmethod
    def __str__(self) -> str:
        """The text that stands for it in ``"16*regular"``."""

    def __call__(self, g: Element) -> NDArray[np.float64]:
        """The matrix ``rho(g)``, float64, of shape ``(size, size)``."""
        return self.matrix(self.group.own(g))

    def overlap(self, g: Element) -> NDArray[np.bool_]:
        """The rows, of shape ``(size,)``, in which ``rho(g) rho(h) = rho(g @ h)`` holds for every h.

        All of them, unless the representation lives on a truncated window: there, row i of ``rho(g)`` reads
        from the scale ``s_i / s``, and the law holds where that scale is inside the window.
        """
        return np.ones(self.size, dtype=bool)

    def rotation(self, k: Any) -> NDArray[np.float64]:
        """The matrix of an element of the compact group on the components of one scale: ``size / num_scales`` rows."""
        group = scale_translation(self.group, str(self))
        return self.matrix(group.element(k=k))[:: self.num_scales, :: self.num_scales]

    def with_group(self, group: Group) -> Self:
        """The representation of the same name on another group, for instance on another window."""
        return type(self)(**{**self._arguments(), "group": group})

    def __rmul__(self, multiplicity: int) -> Any:
        return build_field_type(self.group, ((multiplicity, self),))

    def __mul__(self, multiplicity: int) -> Any:
        return multiplicity * self

    def __add__(self, other: Any) -> Any:
        return 1 * self + other

    def __radd__(self, other: Any) -> Any:
        return other + 1 * self  # sum([...]) starts with 0

    def __repr__(self) -> str:
        return f"{self.group!r}.{self}"


def scale_translation(group: object, name: str) -> ScaleTranslationGroup:
    """Return `group` if it has a window of scales, or say that the representation `name` needs one."""
    if not isinstance(group, ScaleTranslationGroup):
        raise ScaleGroupError(
            f"a ScaleTranslationGroup, whose scales the representation {name!r} uses",
            repr(group),
            "use the scalar representation, or write a Representation for this group",
        )
    return group


def shift_matrix(size: int, steps: int) -> NDArray[np.float64]:
    """The matrix that moves content `steps` up a window of `size` scales; what leaves the window is lost.

    Example:
        >>> shift_matrix(3, 1).astype(int).tolist()
        [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    """
    return np.eye(size, k=-steps)


def shift_overlap(size: int, steps: int) -> NDArray[np.bool_]:
    """The places of a window of `size` scales that are filled after moving content `steps` up."""
    source = np.arange(size) - steps
    return np.asarray((source >= 0) & (source < size))
