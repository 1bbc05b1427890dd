"""Arguments that networks share, turned into plain tuples, integers and names, or into a clear error."""

from __future__ import annotations

from collections.abc import Iterable
from math import lcm, prod
from typing import Any

import numpy as np

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.checks import as_integer

ADMISSIBLE = (False, "lifting", "encoder")


def as_count(value: object, name: str, minimum: int = 1) -> int:
    """A number of channels, classes or units as an int.

    Example:
        >>> as_count(3, "in_channels")
        3
    """
    return as_integer(value, f"{name}, an integer >= {minimum}", f"{name} is a number of them", minimum)


def as_channels(value: object) -> tuple[int, ...]:
    """Fields of each level, finest first."""
    numbers = _as_tuple(value, "channels, a sequence of integers", "write for example (8, 16, 32)")
    return tuple(as_count(number, "channels") for number in numbers)


def as_strides(value: object) -> tuple[Any, ...]:
    """One stride for each step, an int or a tuple of ints; the convolutions check how large they are."""
    expected, hint = "strides, a sequence of numbers or of tuples with one per axis", "write for example (2, 2)"

    def convert(stride: object) -> Any:
        if isinstance(stride, Iterable) and not isinstance(stride, str) and getattr(stride, "ndim", 1) > 0:
            return tuple(as_integer(number, expected, hint) for number in stride)
        return as_integer(stride, expected, hint)

    return tuple(convert(stride) for stride in _as_tuple(value, expected, hint))


def total_stride(strides: Iterable[Any]) -> int:
    """The number of voxels between samples behind all strides, a common multiple of those of all axes.

    Example:
        >>> total_stride([2, (1, 2, 2)])
        4
    """
    axes = [stride if isinstance(stride, tuple) else (stride,) * 3 for stride in strides]
    return lcm(*(prod(stride) for stride in zip(*axes, strict=False))) if axes else 1


def as_flag(value: object, name: str) -> bool:
    """A switch: a bool of Python or NumPy, 0 or 1, or None for off."""
    if value is None or (isinstance(value, bool | np.bool_ | int | np.integer) and value in (0, 1)):
        return bool(value)
    raise ScaleGroupError(f"{name}, True or False", repr(value), "give a bool")


def as_admissible(value: object) -> bool | str:
    """One of `ADMISSIBLE`; True is the whole encoder.

    Example:
        >>> as_admissible(1), as_admissible(None), as_admissible("lifting")
        ('encoder', False, 'lifting')
    """
    if isinstance(value, str) and value in ADMISSIBLE:
        return value
    try:
        return "encoder" if as_flag(value, "admissible") else False
    except ScaleGroupError:
        raise ScaleGroupError(f"admissible out of {ADMISSIBLE}", repr(value), "True means 'encoder'") from None


def as_train_scales(value: object) -> int | None:
    """A number of scales, or None for all of the window; a number larger than that is all of it too."""
    if value is None:
        return None
    return as_integer(value, "train_scales, an integer >= 1", "None trains on all scales", 1)


def _as_tuple(value: object, expected: str, hint: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise ScaleGroupError(expected, repr(value), hint)
    return tuple(value)
