"""Immutable values that compare, hash, print and pickle by their constructor's arguments."""

from __future__ import annotations

import inspect
import math
from functools import cache
from typing import Any, Self

TOLERANCE = 1e-9  # two floats closer than this (relative or absolute) are the same number


class Value:
    """An immutable object that is known completely by its constructor's arguments.

    A subclass stores each constructor argument under its own name; equality, hash, ``repr`` (which evaluates
    back), pickling and copying follow. Numbers that went through rounding should still be equal, so floats
    are compared with a tolerance of 1e-9, and, because equal objects must have equal hashes, floats stay out
    of the hash.

    Example:
        >>> class Point(Value):
        ...     def __init__(self, label: str, x: float) -> None:
        ...         self.label, self.x = label, x
        >>> Point("a", 0.3)
        Point(label='a', x=0.3)
        >>> Point("a", 0.1 + 0.2) == Point("a", 0.3) and hash(Point("a", 0.1 + 0.2)) == hash(Point("a", 0.3))
        True
    """

    def _arguments(self) -> dict[str, Any]:
        names = _parameter_names(type(self))  # type: ignore[arg-type]  # mypy takes the class for unhashable
        return {name: getattr(self, name) for name in names}

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__:
            raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be changed; build a new one.")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be deleted.")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not isinstance(other, Value):
            return NotImplemented
        return _same(self._arguments(), other._arguments())

    def __hash__(self) -> int:
        return hash((type(self), _exact_part(self._arguments())))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._arguments().items())
        return f"{type(self).__name__}({inside})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._arguments())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@cache
def _parameter_names(cls: type) -> tuple[str, ...]:
    return tuple(inspect.signature(cls).parameters)


def _rebuild(cls: type, arguments: dict[str, Any]) -> Any:
    return cls(**arguments)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    # An int never equals a float here: the int is hashed and the float is not.
    return isinstance(a, float) == isinstance(b, float) and bool(a == b)


def _exact_part(a: Any) -> Any:
    if isinstance(a, dict):
        return tuple((key, _exact_part(item)) for key, item in a.items())
    if isinstance(a, tuple):
        return tuple(map(_exact_part, a))
    return None if isinstance(a, float) else a
