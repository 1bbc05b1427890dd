"""A scale-invariant classifier of point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import CompactGroup, ScaleTranslationGroup
from scalegroup.models.blocks import Recipe
from scalegroup.models.checks import as_count, as_flag
from scalegroup.models.fields import Fields, level_fields
from scalegroup.models.point_blocks import PointUnit, as_levels, coarser, read_clouds, summary_of, widths

POOLS = ("mean", "max")


class PointClassifier(torch.nn.Module):
    """Convolutions over scale and points, pooling over the points of each cloud and over the scales, a linear layer.

    The scales are absolute by default, in the unit of the positions: an object of twice the size fills the next scale
    (`base=2`) as the smaller one filled the one before, and the scores are invariant up to the truncated window. With
    `relative=True` each cloud is measured in units of its own spacing (`nn.cloud_spacing`): the scores do not depend on
    the size at all, for any factor, to rounding. Where the size is worth knowing, leave it absolute.

    Args:
        dim: number of coordinates, 1 to 3. Default 3.
        in_channels: features of each point. Default 1: a one for each point if none are given.
        num_classes: number of scores. Default 2.
        channels: fields of each level. Default (16, 32, 64).
        strides: points of the level before for each point of this one, which are chosen by `nn.farthest_points`.
            Default (4, 4, 2).
        act, norm, dropout, bias, adn_ordering: as in `UNet`; norm "batch" (default) or None.
        order: largest total degree of the kernels. Default 2.
        sigma: width of the first level's kernels at scale 1, in the unit of the positions (mm, say), or in spacings
            with `relative`. Default 1.0.
        growth: ratio of the widths of successive levels. Default √2.
        support: radius of the neighbourhoods in widths. Default 3.0.
        base: ratio of neighbouring scales. Default 2.0.
        num_scales: number of scales. Default 4.
        first: exponent of the first scale. Default 0.
        rotations: a compact group or its name, such as "octahedral" or "so3": scores do not change when clouds are
            turned. Default None.
        fields: how a number of channels becomes a field type, as in `UNet`.
        scale_extent: neighbouring scales that a convolution mixes. Default 1.
        scale_padding: as in `nn.PointGroupConv`. Default "zeros".
        scale_pool: mode of `nn.ScalePool`. Default "mean": kernels between points do not fade at the ends of the
            window (a point alone, a cloud seen from afar), so that a maximum sees the window's ends.
        cloud_pool: what is taken over the points of a cloud, one or both of "mean" and "max". Default both.
        admissible: zero-mean kernels behind the first level. Default False.
        density: of all convolutions: "source" (default), or "target" for weighted means of the neighbours.
        relative: scales in units of the spacing of each cloud. Default False.

    Shape:
        `(points, dim)` in some clouds to `(clouds, num_classes)`.

    Raises:
        ScaleGroupError: for bad arguments, and for positions or features that do not fit.

    Source: the layers are those of Wimmer et al. on points; strides as in Qi et al. 2017, "PointNet++".

    Example:
        >>> import torch, scalegroup as sg
        >>> net = sg.models.PointClassifier(num_classes=15, channels=(4, 8), strides=(4, 4))
        >>> batch = torch.arange(2).repeat_interleave(64)
        >>> net(torch.randn(128, 3), batch).shape
        torch.Size([2, 15])
        >>> print(net.summary())
        PointClassifier(1*scalar -> 15 scores, channels=(4, 8), strides=(4, 4), scales 1 … 8 | 651 weights)
    """

    def __init__(
        self,
        dim: int = 3,
        in_channels: int = 1,
        num_classes: int = 2,
        channels: Sequence[int] = (16, 32, 64),
        strides: Sequence[int] = (4, 4, 2),
        act: Any = "silu",
        norm: Any = "batch",
        dropout: Any = 0.0,
        bias: bool = True,
        adn_ordering: str = "NDA",
        *,
        order: int = 2,
        sigma: float = 1.0,
        growth: float = 2**0.5,
        support: float = 3.0,
        base: float = 2.0,
        num_scales: int = 4,
        first: int = 0,
        rotations: CompactGroup | str | None = None,
        fields: Fields | None = None,
        scale_extent: int = 1,
        scale_padding: str = "zeros",
        scale_pool: str = "mean",
        cloud_pool: Sequence[str] = POOLS,
        admissible: bool = False,
        density: str = "source",
        relative: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.strides = as_levels(channels, strides)
        self.relative = as_flag(relative, "relative")
        self.in_channels = as_count(in_channels, "in_channels")
        group = ScaleTranslationGroup(dim, base, num_scales, rotations, first)
        conv = {
            "order": order,
            "support": support,
            "scale_extent": scale_extent,
            "scale_padding": scale_padding,
            "bias": bias,
            "density": density,
        }
        types = [*(level_fields(group, count, fields) for count in self.channels[:-1])]
        types.append(self.channels[-1] * group.regular)
        type_ = self.in_channels * group.scalar
        self.blocks = torch.nn.ModuleList()
        zero_mean = as_flag(admissible, "admissible")
        for wanted, sigma_ in zip(types, widths(sigma, growth, len(types)), strict=True):
            options = {**conv, "admissible": zero_mean and len(self.blocks) > 0}
            block = PointUnit(Recipe(act, norm, dropout, adn_ordering, conv=options), type_, wanted, sigma_)
            type_ = block.out_type
            self.blocks.append(block)
        if isinstance(cloud_pool, str) or not cloud_pool or not set(cloud_pool) <= set(POOLS):
            raise ScaleGroupError(f"cloud_pool, some of {POOLS}", repr(cloud_pool), "write for example ('mean',)")
        self.pools = torch.nn.ModuleList(nn.CloudPool(type_, mode) for mode in cloud_pool)
        self.project = nn.ScalePool(type_, scale_pool)
        self.head = torch.nn.Linear(len(self.pools) * self.channels[-1], as_count(num_classes, "num_classes"))

    def forward(self, pos: Any, batch: Any = None, x: Any = None) -> Tensor:
        """Positions `(points, dim)` to scores `(clouds, num_classes)`.

        Args:
            pos: positions, an `nn.Points`, or an object with `pos`, `batch` and perhaps `x`, such as a
                `torch_geometric.data.Batch`.
            batch: the cloud of each point, integers in any order. Default None: one cloud.
            x: features `(points, in_channels)`. Default None: ones.
        """
        y, points = self.features(pos, batch, x)
        pooled = [self.project(pool(y, points)) for pool in self.pools]
        return self.head(torch.cat(pooled, dim=1))  # type: ignore[no-any-return]

    def features(self, pos: Any, batch: Any = None, x: Any = None) -> tuple[Tensor, nn.Points]:
        """The equivariant part: `channels[-1]` regular fields, and the points of the last level where they live."""
        x, points = read_clouds(pos, batch, x, self.in_channels, self.relative, self.head.weight.dtype)
        for block, stride in zip(self.blocks, self.strides, strict=True):
            targets = coarser(points, stride)
            x, points = block(x, points, targets), targets
        return x, points

    def summary(self) -> str:
        """One line: types, levels, scales, and the number of weights."""
        return summary_of(self, self.blocks[0].in_type, self.head.out_features)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """The summary's content."""
        return self.summary().removeprefix("PointClassifier(").removesuffix(")")
