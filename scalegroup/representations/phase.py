"""The representation of a scale by an angle: plane vectors that turn when the volume is dilated."""

from __future__ import annotations

from math import cos, log, sin
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.groups.base import Group
from scalegroup.groups.checks import as_finite
from scalegroup.groups.registry import register_representation
from scalegroup.representations.base import Representation, scale_translation


@final
class Phase(Representation):
    """Vectors of a plane that turn by `rate * ln s`: ``rho(g) = [[cos, -sin], [sin, cos]](rate ln s)``.

    The plane has nothing to do with space. The length of such a vector is a number that dilation leaves alone, its
    angle says to which scale it belongs. Scales whose angles differ by 2π look alike: a window spans less than that if
    `rate < 2π / (num_scales ln base)`.

    Args:
        group: a `ScaleTranslationGroup`.
        rate: angle in radians for a factor e.

    Raises:
        ScaleGroupError: if `rate` is not a finite number, or the group has no scale factors.

    Source: Marcos et al. 2018, "Scale equivariance in CNNs with vector fields": the scale of the strongest response
        as an angle.

    Example:
        >>> from math import log, pi
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=1, base=2.0)
        >>> Phase(group, rate=pi / 6 / log(2))(group.element(s=2.0)).round(3)
        array([[ 0.866, -0.5  ],
               [ 0.5  ,  0.866]])
    """

    size = 2

    def __init__(self, group: Group, rate: float) -> None:
        self.group = scale_translation(group, "phase")
        self.rate = as_finite(rate, "a rate, a finite number", "it is the angle in radians for a factor e")

    def matrix(self, g: Any) -> NDArray[np.float64]:
        angle = self.rate * log(g.scale)
        return np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])

    def __str__(self) -> str:
        return f"phase({self.rate!r})"


register_representation("phase", Phase)
