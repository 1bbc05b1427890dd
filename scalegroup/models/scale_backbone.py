"""What is known about a network that somebody else wrote: channels, strides, and whether its output is usable."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.models.checks import as_strides, total_stride
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


def divisor_of(backbone: torch.nn.Module, channels: int = 1, dim: int = 3) -> int:
    """The product of its strides: from the attribute `strides` (MONAI's UNet) or `blocks_down` (SegResNet).

    Else 1 if no layer changes the size of a map, and 32 with a warning if one does, or if that cannot be found out.

    Example:
        >>> net = torch.nn.Conv2d(1, 1, 3, padding=1)
        >>> divisor_of(net, dim=2)
        1
        >>> net.strides = (2, (2, 1))
        >>> divisor_of(net, dim=2)
        4
    """
    with suppress(ScaleGroupError):
        total = total_stride(as_strides(getattr(backbone, "strides", None)))
        if total >= 1:
            return total
    blocks: Any = getattr(backbone, "blocks_down", None)
    if isinstance(blocks, tuple | list) and blocks:
        return int(2 ** (len(blocks) - 1))
    if _keeps_size(backbone, channels, dim):
        return 1
    warnings.warn(
        f"the strides of {type(backbone).__name__} are unknown, so that all grids get multiples of "
        f"{2 * UNKNOWN_DIVISOR} samples, which costs much on small volumes; give ScaleChannels(divisor=...), the "
        "product of its strides",
        stacklevel=3,
    )
    return UNKNOWN_DIVISOR


def _keeps_size(backbone: torch.nn.Module, channels: int, dim: int) -> bool:
    """Whether all maps in it are as large as its input, or one value; seen on shapes, so in functions too."""
    space = (UNKNOWN_DIVISOR,) * dim
    try:
        outputs = layer_outputs(backbone, (1, channels, *space))
    except ScaleGroupError:
        return False
    return {tuple(y.shape[2:]) for y in outputs if y.ndim == dim + 2} <= {space, (1,) * dim}


def layer_outputs(module: torch.nn.Module, shape: Sequence[int]) -> list[Tensor]:
    """What the modules without children return for an input of this shape, without data: on torch's device "meta".

    Raises:
        ScaleGroupError: if the network does not run on it.

    Example:
        >>> [tuple(y.shape) for y in layer_outputs(torch.nn.Conv2d(1, 4, 3), (1, 1, 9, 9))]
        [(1, 4, 7, 7)]
    """
    outputs: list[Tensor] = []

    def add(_: torch.nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            outputs.append(output)

    twin = copy.deepcopy(module).to("meta").eval()
    for part in twin.modules():
        if next(part.children(), None) is None:
            part.register_forward_hook(add)
    dtype = next((p.dtype for p in twin.parameters()), torch.float32)
    try:
        with torch.no_grad():
            twin(torch.zeros(tuple(shape), dtype=dtype, device="meta"))
    except Exception as error:  # whatever a user's forward does with a tensor that has no values
        hint = "it must run on torch's device 'meta', without decisions by values, and on such sizes"
        received = f"{type(module).__name__}, of which torch says: {error}"
        raise ScaleGroupError(f"a backbone that takes the shape {tuple(shape)}", received, hint) from error
    return outputs


def check_output(y: object, x: Tensor) -> Tensor:
    """What a backbone made of the grid `x`: a map on the same grid, or scores.

    Raises:
        ScaleGroupError: for anything else, such as the tuples of deep supervision.
    """
    if not isinstance(y, Tensor):
        hint = "switch deep supervision off, or wrap the backbone so that it returns one tensor"
        raise ScaleGroupError("a backbone that returns one tensor", type(y).__name__, hint)
    if y.ndim > x.ndim:
        hint = "an axis more is what deep supervision adds; switch it off"
        raise ScaleGroupError(f"an output of {x.ndim} axes from the backbone", tuple(y.shape), hint)
    if y.ndim != 2 and y.shape[2:] != x.shape[2:]:
        hint = "it must return (batch, classes) or a map of the size of its input; is the divisor right?"
        raise ScaleGroupError(f"an output of size {tuple(x.shape[2:])} from the backbone", tuple(y.shape), hint)
    if y.shape[0] != x.shape[0]:
        raise ScaleGroupError(f"an output of batch size {x.shape[0]}", tuple(y.shape), "the batch axis comes first")
    return y
