"""The abstract group and its elements: what a group must say, and all that follows from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.checks import as_generator, as_like
from scalegroup.groups.registry import build_representation
from scalegroup.groups.value import Value


class Element(Value):
    """An element of a group: an immutable value with ``g @ h``, ``~g``, ``==`` and an action on points.

    Elements come from their group (`Group.element`, `Group.identity`, `Group.sample`), not from this class.
    Two elements are equal if their groups and integers are equal and their real numbers agree to 1e-9.

    Args:
        group: the group it belongs to.
        value: the numbers that tell it from the others: nested tuples of ints, floats and strings.

    Example:
        >>> from scalegroup.groups import ScaleGroup
        >>> g = ScaleGroup(base=2.0).element(3)
        >>> g @ ~g == g.group.identity
        True
        >>> g
        ScaleGroup(base=2.0, dim=1).element(3)
    """

    def __init__(self, group: Group, value: Any) -> None:
        self.group = group
        self.value = value

    def __matmul__(self, other: Self) -> Self:
        return self._wrap(self.group.multiply(self.value, self.group.own(other).value))

    def __invert__(self) -> Self:
        return self._wrap(self.group.invert(self.value))

    def act(self, points: ArrayLike) -> NDArray[np.float64]:
        """The image of points of shape ``(..., group.dim)`` under this element, in the same shape."""
        expected, hint = f"points of shape (..., {self.group.dim})", "put the coordinates on the last axis"
        try:
            array = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError):
            raise ScaleGroupError(f"{expected}, of real numbers", repr(points), hint) from None
        if array.ndim == 0 or array.shape[-1] != self.group.dim:
            raise ScaleGroupError(expected, array.shape, hint)
        return self.group.transform(self.value, array)

    def _wrap(self, value: Any) -> Self:
        return type(self)(self.group, as_like(self.group.unit(), value, "multiply and invert keep the form of unit()"))

    def __repr__(self) -> str:
        return f"{self.group!r}.element({self.value!r})"


class Group(Value, ABC):
    """A group that acts on points of R^dim; a subclass writes five short methods on plain values.

    A *value* is whatever tells one element from another: an int, a float, a string, or nested tuples of them.
    The five methods below compute with values only; elements, their operators, equality, hash, ``repr``,
    pickling, checking and random sampling are derived. If the group has parameters, store each constructor
    argument under its own name. ``docs/tutorials/06_own_group_and_basis.md`` builds a group step by step.

    Attributes:
        dim: dimension of the space that the group acts on (1 unless the subclass sets it).
        element_type: class of the elements, for subclasses that want more attributes on them.

    Example:
        >>> class Shifts(Group):
        ...     def unit(self):
        ...         return 0
        ...     def multiply(self, a, b):
        ...         return a + b
        ...     def invert(self, a):
        ...         return -a
        ...     def draw(self, rng):
        ...         return rng.integers(-5, 6)
        ...     def transform(self, a, points):
        ...         return points + a
        >>> g = Shifts().element(2)
        >>> g @ g @ ~g
        Shifts().element(2)
        >>> g.act([[10.0], [20.0]]).tolist()
        [[12.0], [22.0]]
    """

    dim: int = 1
    element_type: ClassVar[type[Element]] = Element

    @abstractmethod
    def unit(self) -> Any:
        """The value of the identity; it also fixes the form (tuples, ints, floats) of all other values."""

    @abstractmethod
    def multiply(self, a: Any, b: Any) -> Any:
        """The value of the product: first `b` acts, then `a`."""

    @abstractmethod
    def invert(self, a: Any) -> Any:
        """The value of the inverse."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Any:
        """The value of a random element."""

    @abstractmethod
    def transform(self, a: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The images of points of shape ``(..., dim)``."""

    def contains(self, a: Any) -> bool:
        """Whether a value of the right form belongs to the group; override it if not every one does."""
        return True

    @property
    def identity(self) -> Element:
        """The neutral element."""
        return self.element_type(self, self.unit())

    def element(self, value: Any, /) -> Element:
        """The element with this value.

        Raises:
            ScaleGroupError: if `value` does not have the form of the identity's value or is not in the group.
        """
        checked = as_like(self.unit(), value, f"see {type(self).__name__}.unit() for the form of a value")
        if not self.contains(checked):
            raise ScaleGroupError(f"the value of an element of {self!r}", checked, "it has the form but is not in it")
        return self.element_type(self, checked)

    def sample(self, rng: np.random.Generator | int | None = None) -> Element:
        """A random element, drawn with a NumPy generator or a seed; by default another one each time."""
        return self.element(self.draw(as_generator(rng)))

    def own(self, element: Any) -> Any:
        """Return `element` if it belongs to this group, or raise."""
        if not isinstance(element, Element) or element.group != self:
            received = element.group if isinstance(element, Element) else repr(element)
            raise ScaleGroupError(f"an element of {self!r}", received, "build it with this group's element(...)")
        return element

    def representation(self, name: str, *args: Any, **options: Any) -> Any:
        """The representation registered as `name`, such as ``"scalar"``, on this group."""
        return build_representation(name, self, *args, **options)
