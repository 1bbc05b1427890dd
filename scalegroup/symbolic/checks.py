"""What arguments of bases are asked for."""

from __future__ import annotations

from math import isfinite

from scalegroup.errors import ScaleGroupError


def check_dim(dim: object) -> None:
    """Refuse a number of spatial axes other than 1, 2 or 3."""
    if dim not in (1, 2, 3):
        raise ScaleGroupError("dim 1, 2 or 3", repr(dim), "it is the number of spatial axes")


def is_integer(value: object, least: int) -> bool:
    """Whether a value is an integer of at least `least`; bools and floats are none.

    Example:
        >>> is_integer(3, 1), is_integer(0, 1), is_integer(3.0, 1)
        (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_positive(value: object) -> bool:
    """Whether a value is a finite number above 0; bools are none.

    Example:
        >>> is_positive(0.5), is_positive(0), is_positive(float("inf"))
        (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0
