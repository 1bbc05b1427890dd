"""Checks of arguments that turn a wrong value into a clear error."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from scalegroup.errors import ScaleGroupError


def as_integer(value: object, expected: str, hint: str, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return `value` as an int in ``[minimum, maximum]``, or raise; bools and floats are no integers.

    Example:
        >>> as_integer(4, "num_scales >= 1", "use at least one scale", minimum=1)
        4
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ScaleGroupError(expected, repr(value), hint) from None
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise ScaleGroupError(expected, number, hint)
    return number


def as_finite(value: object, expected: str, hint: str, positive: bool = False) -> float:
    """Return `value` as a finite float (> 0 if `positive`), or raise; bools and strings are no numbers.

    Example:
        >>> as_finite(2, "a number", "give a number")
        2.0
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ScaleGroupError(expected, repr(value), hint)
    number = float(value)
    if not math.isfinite(number) or (positive and number <= 0):
        raise ScaleGroupError(expected, number, hint)
    return number


def as_generator(rng: object) -> np.random.Generator:
    """Return a NumPy generator: the one given, one with this seed, or a fresh one for ``None``, or raise.

    Example:
        >>> bool(as_generator(0).integers(10) == np.random.default_rng(0).integers(10))
        True
    """
    if rng is not None and not isinstance(rng, np.random.Generator):
        rng = as_integer(rng, "a NumPy generator, a seed >= 0, or None", "0 gives the same draws each time", minimum=0)
    return np.random.default_rng(rng)


def as_base(value: object) -> float:
    """Return the base of a scale group as a float > 1; a base below 1 gives the same group as its inverse.

    Example:
        >>> as_base(0.5)
        2.0
    """
    expected, hint = "a base > 0 other than 1", "sqrt(2) is a common choice"
    base = as_finite(value, expected, hint, positive=True)
    if abs(base - 1) < 1e-6:
        raise ScaleGroupError(expected, base, hint)
    if base < 1:
        base = 1 / base
    if not math.isfinite(base):
        raise ScaleGroupError(expected, value, hint)
    return base


def as_like(pattern: Any, value: Any, hint: str) -> Any:
    """Return `value` as nested tuples with the structure and the number types of `pattern`, or raise.

    Example:
        >>> as_like(((0.0, 0.0), 0), [[1, 2], 3], "")
        ((1.0, 2.0), 3)
    """
    expected = f"a value like {pattern!r}"

    def convert(part: Any, item: Any) -> Any:
        if isinstance(part, tuple):
            if isinstance(item, str) or not isinstance(item, Iterable) or getattr(item, "ndim", 1) == 0:
                raise ScaleGroupError(expected, repr(value), hint)
            items = tuple(item)
            if len(items) != len(part):
                raise ScaleGroupError(expected, repr(value), hint)
            return tuple(map(convert, part, items))
        if isinstance(part, float):
            return as_finite(item, expected, hint)
        if isinstance(part, int) and not isinstance(part, bool):
            return as_integer(item, expected, hint)
        if type(item) is not type(part):
            raise ScaleGroupError(expected, repr(item), hint)
        return item

    return convert(pattern, value)
