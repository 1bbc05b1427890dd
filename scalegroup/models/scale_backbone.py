"""What is known about a network that somebody else wrote: channels, strides, and whether its output is usable."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.nn import EquivariantModule

UNKNOWN_DIVISOR = 32  # five halvings: no common network has more
_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def check_backbone(backbone: object) -> torch.nn.Module:
    """The backbone, which must be a torch module without scales of its own.

    Raises:
        ScaleGroupError: otherwise.

    Example:
        >>> check_backbone(torch.nn.Identity())
        Identity()
    """
    if not isinstance(backbone, torch.nn.Module):
        hint = "give a network, such as monai.networks.nets.UNet(...)"
        raise ScaleGroupError("a torch.nn.Module as backbone", repr(backbone), hint)
    own = next((part for part in backbone.modules() if isinstance(part, EquivariantModule)), None)
    if own is not None:
        hint = "its layers are equivariant already; use it as it is"
        raise ScaleGroupError("a backbone without scales", f"one with {type(own).__name__}", hint)
    return backbone


def channels_of(backbone: torch.nn.Module) -> int | None:
    """The channels of its input: its attribute `in_channels`, or those of its first convolution; None if unknown.

    Example:
        >>> channels_of(torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3))), channels_of(torch.nn.ReLU())
        (4, None)
    """
    own: Any = getattr(backbone, "in_channels", None)
    if isinstance(own, int):
        return own
    return next((part.in_channels for part in backbone.modules() if isinstance(part, _CONVOLUTIONS)), None)


def divisor_of(backbone: torch.nn.Module) -> int:
    """The product of its strides: from the attribute `strides` (MONAI's UNet) or `blocks_down` (SegResNet), else 32.

    Example:
        >>> net = torch.nn.Conv2d(1, 1, 3)
        >>> divisor_of(net)
        32
        >>> net.strides = (2, (2, 1))
        >>> divisor_of(net)
        4
    """
    strides: Any = getattr(backbone, "strides", None)
    if isinstance(strides, Iterable) and not isinstance(strides, str | Tensor):
        steps = [max(step) if isinstance(step, Iterable) else step for step in strides]
        if steps and all(isinstance(step, int) and step >= 1 for step in steps):
            return prod(steps)
    blocks: Any = getattr(backbone, "blocks_down", None)
    if isinstance(blocks, tuple | list) and blocks:
        return int(2 ** (len(blocks) - 1))
    return UNKNOWN_DIVISOR


def check_output(y: object, x: Tensor) -> Tensor:
    """What a backbone made of the grid `x`: a map on the same grid, or scores.

    Raises:
        ScaleGroupError: for anything else, such as the tuples of deep supervision.
    """
    if not isinstance(y, Tensor):
        hint = "switch deep supervision off, or wrap the backbone so that it returns one tensor"
        raise ScaleGroupError("a backbone that returns one tensor", type(y).__name__, hint)
    if y.ndim != 2 and y.shape[2:] != x.shape[2:]:
        hint = "it must return (batch, classes) or a map of the size of its input; is the divisor right?"
        raise ScaleGroupError(f"an output of size {tuple(x.shape[2:])} from the backbone", tuple(y.shape), hint)
    if y.shape[0] != x.shape[0]:
        raise ScaleGroupError(f"an output of batch size {x.shape[0]}", tuple(y.shape), "the batch axis comes first")
    return y
