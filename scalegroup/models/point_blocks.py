"""What networks on point clouds share: how they are called, and a convolution with what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_finite
from scalegroup.models.blocks import Recipe
from scalegroup.models.checks import as_channels, as_count
from scalegroup.nn.module import group_of
from scalegroup.nn.point_module import as_points


class PointUnit(nn.EquivariantModule):
    """A convolution on points, followed by norm, dropout and activation, as the recipe orders them.

    Args:
        recipe: what the units of a network have in common; `conv` holds options of `nn.PointGroupConv`.
        in_type: type of the input.
        out_type: type of the output.
        sigma: width of the kernel at scale 1, in the unit of the positions.

    Shape:
        `(points, in_type.size)` to `(targets, out_type.size)`.

    Raises:
        ScaleGroupError: for a norm that needs a grid.

    Example:
        >>> import torch, scalegroup as sg
        >>> from scalegroup.models.blocks import Recipe
        >>> from scalegroup.models.point_blocks import PointUnit
        >>> field = 2 * sg.ScaleTranslationGroup(dim=3, num_scales=3).regular
        >>> points = sg.nn.Points(torch.randn(40, 3))
        >>> PointUnit(Recipe(), field, field, 1.0)(torch.randn(40, 6), points, points.farthest(0.25)).shape
        torch.Size([10, 6])
    """

    def __init__(self, recipe: Recipe, in_type: FieldType, out_type: FieldType, sigma: float) -> None:
        conv = nn.PointGroupConv(in_type, recipe.before_adn(out_type), sigma=sigma, **recipe.conv)
        out_type = out_type.with_group(conv.out_type.group)
        super().__init__(in_type, out_type)
        self.conv = conv
        layers = recipe.adn(out_type)
        for layer in layers:
            if not layer.pointwise:
                hint = "norm='batch' takes its statistics over all points; None leaves it out"
                raise ScaleGroupError("layers that act on each point alone", type(layer).__name__, hint)
        self.adn = torch.nn.ModuleList(layers)

    def forward(self, x: Tensor, points: nn.Points, targets: nn.Points | None = None) -> Tensor:
        """`(points, in_type.size)` to `(targets, out_type.size)`, by default at the same points."""
        x = self.conv(x, points, out_pos=targets)
        for layer in self.adn:
            x = layer(x)
        return x


def summary_of(network: Any, in_type: FieldType, scores: int) -> str:
    """One line on a network with `channels` and `strides`: types, levels, scales, and the number of weights."""
    scales = group_of(in_type).scales
    weights = sum(p.numel() for p in network.parameters())
    text = f"{in_type} -> {scores} scores, channels={network.channels}, strides={network.strides}"
    return f"{type(network).__name__}({text}, scales {scales[0]:.3g} … {scales[-1]:.3g} | {weights:,} weights)"


def read_clouds(
    pos: Any, batch: Any, x: Any, in_channels: int, relative: bool, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, nn.Points]:
    """The features and the points of what a network was called with.

    Args:
        pos: positions, an `nn.Points`, or an object with `pos` and perhaps `batch` and `x`, such as a batch of PyTorch
            Geometric.
        batch: the cloud of each point, or None.
        x: features `(points, in_channels)`; None stands for ones.
        in_channels: number of features.
        relative: measure each cloud in units of its own spacing.
        dtype: that of the network's weights, and so of the ones. Default float32.

    Raises:
        ScaleGroupError: for features that are missing.

    Example:
        >>> from types import SimpleNamespace
        >>> x, points = read_clouds(SimpleNamespace(pos=torch.randn(5, 3)), None, None, 1, relative=False)
        >>> x.shape, points
        (torch.Size([5, 1]), Points(5 points of dim 3 in 1 cloud(s)))
    """
    if not isinstance(pos, Tensor | nn.Points) and hasattr(pos, "pos"):
        data, pos = pos, pos.pos
        batch = getattr(data, "batch", None) if batch is None else batch
        x = getattr(data, "x", None) if x is None else x
    points = as_points(pos, batch)
    points = points.relative() if relative else points
    if x is None:
        if in_channels != 1:
            hint = "only a network with in_channels=1 makes them itself, as ones"
            raise ScaleGroupError(f"features x of the shape (points, {in_channels})", None, hint)
        x = points.pos.new_ones(len(points), 1, dtype=dtype)
    return x, points


def coarser(points: nn.Points, stride: int) -> nn.Points:
    """One in `stride` of the points, as far from each other as can be."""
    return points if stride == 1 else points.farthest(1 / stride)


def as_levels(channels: object, strides: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Fields and strides of each level, one stride for each.

    Example:
        >>> as_levels([8, 16], [1, 4])
        ((8, 16), (1, 4))
    """
    levels = as_channels(channels)
    if isinstance(strides, str) or not isinstance(strides, Sequence):
        raise ScaleGroupError("strides, a sequence of integers", repr(strides), "write for example (4, 4)")
    steps = tuple(as_count(stride, "strides") for stride in strides)
    if not levels or len(steps) != len(levels):
        hint = "give one stride for each level"
        raise ScaleGroupError("channels and strides of equal length, 1 or more", (levels, steps), hint)
    return levels, steps


def widths(sigma: object, growth: object, count: int) -> list[float]:
    """The width of the kernels of each level.

    Example:
        >>> widths(0.5, 2, 3)
        [0.5, 1.0, 2.0]
    """
    first = as_finite(sigma, "sigma, a number > 0", "it is a width in the unit of the positions", positive=True)
    ratio = as_finite(growth, "growth, a number > 0", "it is a ratio of widths", positive=True)
    return [first * ratio**level for level in range(count)]
