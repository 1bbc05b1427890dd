"""The group of scale factors."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.base import Element, Group
from scalegroup.groups.checks import as_base, as_finite, as_integer


def exponent_of(scale: object, base: float) -> int:
    """The integer k with ``base**k == scale`` (to 1e-6), or an error that names the two neighbours.

    Example:
        >>> exponent_of(2.0, 2 ** 0.5)
        2
    """
    factor = as_finite(scale, "a scale factor > 0", "1.0 leaves the size as it is", positive=True)
    steps = math.log(factor) / math.log(base)
    exponent = round(steps)
    if abs(steps - exponent) > 1e-6:
        below = math.floor(steps)
        near = f"the nearest are {base**below:.6g} and {base ** (below + 1):.6g}"
        raise ScaleGroupError(f"a scale that is a power of the base {base:.6g}", factor, near)
    return exponent


@final
class ScaleElement(Element):
    """A dilation ``x -> scale * x``.

    Example:
        >>> doubling = ScaleGroup(base=2.0, dim=2).from_scale(2.0)
        >>> doubling.scale, (~doubling @ ~doubling).scale, doubling.act([1.0, 3.0]).tolist()
        (2.0, 0.25, [2.0, 6.0])
    """

    @property
    def scale(self) -> float:
        """The factor."""
        group = self.group
        return float(self.value if not isinstance(group, ScaleGroup) or group.base is None else group.base**self.value)


@final
class ScaleGroup(Group):
    """The dilations ``x -> s x`` of R^dim with ``s = base**k``, or with any ``s > 0``.

    With a base, an element is its integer exponent k, so products are exact. Without, it is the factor
    itself.

    Args:
        base: ratio of neighbouring scales, any positive number but 1 (below 1 it is replaced by its inverse,
            which generates the same group); ``None`` (default) for all positive factors.
        dim: dimension of the space, for the action on points.

    Raises:
        ScaleGroupError: for a base that is not a positive number other than 1.

    Example:
        >>> ScaleGroup(base=2.0).element(3).scale
        8.0
        >>> (ScaleGroup().element(0.5) @ ScaleGroup().element(3.0)).scale
        1.5
    """

    element_type = ScaleElement

    def __init__(self, base: float | None = None, dim: int = 1) -> None:
        self.base = None if base is None else as_base(base)
        self.dim = as_integer(dim, "dim >= 1", "it is the dimension of the space", minimum=1)

    def unit(self) -> Any:
        return 1.0 if self.base is None else 0

    def multiply(self, a: Any, b: Any) -> Any:
        return a * b if self.base is None else a + b

    def invert(self, a: Any) -> Any:
        return 1 / a if self.base is None else -a

    def draw(self, rng: np.random.Generator) -> Any:
        return float(np.exp(rng.uniform(-2, 2))) if self.base is None else int(rng.integers(-3, 4))

    def transform(self, a: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
        factor: float = a if self.base is None else self.base**a
        return points * factor

    def contains(self, a: Any) -> bool:
        return self.base is not None or a > 0

    def from_scale(self, scale: float) -> ScaleElement:
        """The element with this factor.

        Raises:
            ScaleGroupError: if the factor is not a power of the base.
        """
        if self.base is None:
            return ScaleElement(self, as_finite(scale, "a scale factor > 0", "1.0 is the identity", positive=True))
        return ScaleElement(self, exponent_of(scale, self.base))

    def haar_weight(self, g: ScaleElement) -> float:
        """Density of the invariant measure at `g`: 1 for powers of a base (counting), ``1/s`` for all ``s >
        0``."""
        scale: float = self.own(g).scale
        return 1 / scale if self.base is None else 1.0
