"""The one-dimensional operators of a layer: taps of every scale as constants, geometry from the input."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from scalegroup.engine import AxisOperator
from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import Taps, output_size
from scalegroup.nn.module import EquivariantModule

PADDINGS = ("same", "valid")
PADDING_MODES = ("zeros", "replicate", "reflect", "circular")


def per_axis(value: int | Sequence[int], dim: int, name: str) -> tuple[int, ...]:
    """One positive integer per axis of space from a number or a sequence."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * dim
    if len(values) != dim or any(not isinstance(v, int) or isinstance(v, bool) or v < 1 for v in values):
        raise ScaleGroupError(f"{name}: a positive integer or one for each of {dim} axes", value, "check the group's dim")
    return values


def check_choice(value: str, choices: tuple[str, ...], name: str) -> str:
    """`value`, which must be one of `choices`."""
    if value not in choices:
        raise ScaleGroupError(f"{name} out of {choices}", repr(value), "check the spelling")
    return value
