"""A scale-equivariant U-Net for point clouds: scores for each point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, ScaleTranslationGroup
from scalegroup.models.blocks import Recipe
from scalegroup.models.checks import as_count, as_flag
from scalegroup.models.fields import Fields, level_fields
from scalegroup.models.point_blocks import PointUnit, as_levels, coarser, read_clouds, summary_of, widths


class PointUNet(torch.nn.Module):
    """Scores for each point: down over levels of fewer and fewer points, and up again with skip connections.

    On the way up the field of a level is interpolated at the points of the one above (`nn.PointUpsample`), mapped to
    its type, added to the field that was there on the way down, and convolved. At the points of the input the scales
    are projected (`nn.ScalePool`). Rescaled clouds get the scores of their points, as `PointClassifier` says.

    Args:
        dim, in_channels, num_classes: as in `PointClassifier`.
        channels: fields of each level, finest first, two or more. Default (8, 16, 32).
        strides: points of the level before for each point of this one; the first is for the level next to the input.
            Default (1, 4, 4).
        act, norm, dropout, bias, adn_ordering: as in `PointClassifier`.
        order, sigma, growth, support, base, num_scales, first, rotations, fields: as in `PointClassifier`.
        scale_extent, admissible, density, relative: as in `PointClassifier`.
        scale_padding: "zeros" (default) or "replicate".
        scale_pool: mode of `nn.ScalePool`. Default "mean".

    Shape:
        `(points, dim)` to `(points, num_classes)`.

    Raises:
        ScaleGroupError: for bad arguments, and for positions or features that do not fit.

    Source: Ronneberger et al. 2015; on points Qi et al. 2017, "PointNet++".

    Example:
        >>> import torch, scalegroup as sg
        >>> net = sg.models.PointUNet(num_classes=5, channels=(2, 4), strides=(1, 4))
        >>> net(torch.randn(60, 3)).shape
        torch.Size([60, 5])
        >>> print(net.summary())
        PointUNet(1*scalar -> 5 scores, channels=(2, 4), strides=(1, 4), scales 1 … 8 | 189 weights)
    """

    def __init__(
        self,
        dim: int = 3,
        in_channels: int = 1,
        num_classes: int = 2,
        channels: Sequence[int] = (8, 16, 32),
        strides: Sequence[int] = (1, 4, 4),
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
        admissible: bool = False,
        density: str = "source",
        relative: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.strides = as_levels(channels, strides)
        if len(self.channels) < 2:
            raise ScaleGroupError("two levels or more", self.channels, "one level has nothing to go down to")
        if scale_padding == "valid":
            hint = "skip connections need one window; use 'zeros' or 'replicate'"
            raise ScaleGroupError("scale_padding out of ('zeros', 'replicate')", repr(scale_padding), hint)
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
        types = [level_fields(group, count, fields) for count in self.channels]
        sizes = widths(sigma, growth, len(types))
        zero_mean = as_flag(admissible, "admissible")

        def unit(in_type: FieldType, out_type: FieldType, width: float, deep: bool) -> PointUnit:
            options = {**conv, "admissible": zero_mean and deep}
            return PointUnit(Recipe(act, norm, dropout, adn_ordering, conv=options), in_type, out_type, width)

        sources = [self.in_channels * group.scalar, *types]
        self.down = torch.nn.ModuleList(
            unit(source, own, width, deep=n > 0)
            for n, (source, own, width) in enumerate(zip(sources, types, sizes, strict=False))
        )
        levels = range(len(types) - 1)
        self.upsample = torch.nn.ModuleList(nn.PointUpsample(types[n + 1]) for n in levels)
        self.merge = torch.nn.ModuleList(nn.Linear(types[n + 1], types[n]) for n in levels)
        self.up = torch.nn.ModuleList(unit(types[n], types[n], sizes[n], deep=False) for n in levels)
        logits = as_count(num_classes, "num_classes") * group.regular
        self.spread = nn.PointUpsample(types[0])
        invariant = nn.RotationPool(types[0])
        self.head = nn.Sequential(invariant, nn.Linear(invariant.out_type, logits))
        self.project = nn.ScalePool(logits, scale_pool)

    def forward(self, pos: Any, batch: Any = None, x: Any = None) -> Tensor:
        """Positions `(points, dim)` to scores `(points, num_classes)`; arguments as in `PointClassifier`."""
        dtype = next(self.parameters()).dtype
        x, points = read_clouds(pos, batch, x, self.in_channels, self.relative, dtype)
        levels, skips = [points], []
        for block, stride in zip(self.down, self.strides, strict=True):
            levels.append(coarser(levels[-1], stride))
            x = block(x, levels[-2], levels[-1])
            skips.append(x)
        for n in reversed(range(len(self.up))):
            lifted = self.upsample[n](x, levels[n + 2], out_pos=levels[n + 1])
            x = self.up[n](skips[n] + self.merge[n](lifted), levels[n + 1])
        x = x if self.strides[0] == 1 else self.spread(x, levels[1], out_pos=points)
        return self.project(self.head(x))  # type: ignore[no-any-return]

    def summary(self) -> str:
        """One line: types, levels, scales, and the number of weights."""
        return summary_of(self, self.down[0].in_type, self.project.out_type.size)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """The summary's content."""
        return self.summary().removeprefix("PointUNet(").removesuffix(")")
