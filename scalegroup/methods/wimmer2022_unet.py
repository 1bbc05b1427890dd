"""The U-Net of Wimmer et al. as published: residual units, convolutions of stride 2 without padding, their adjoints.

Units are convolution, norm, dropout, activation. A level of the encoder is a residual unit of two of them, the first of
which strides; its shortcut is another strided convolution. A level of the decoder is a transposed convolution, the skip
connection having been concatenated before it, and a residual unit of one. The first level lifts; the last one ends with
a convolution alone, added to its input, and the projection over the scales.

Differences to the published code: the 1×1 shortcut of the lowest level has no bias, which there is made and never used
(32 of its 75,555 parameters never get a gradient); volumes of any size are accepted, see `PublishedUNet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer

if TYPE_CHECKING:
    from scalegroup.methods.wimmer2022 import PublishedLayers


class ResidualUnit(nn.EquivariantModule):
    """`shortcut(x) + unit(… unit(x))`, of which the first convolution strides."""

    def __init__(
        self,
        layers: PublishedLayers,
        in_type: FieldType,
        out_channels: int,
        *,
        stride: int = 1,
        units: int = 2,
        dropout: float = 0.0,
        ends: bool = False,
    ) -> None:
        field = layers.field(out_channels)
        super().__init__(in_type, field)
        parts: list[nn.EquivariantModule] = []
        for n in range(units):
            parts.append(layers.between(field if n else in_type, field, 1 if n else stride))
            parts += [] if ends and n == units - 1 else finish(layers, out_channels, dropout)
        self.units = nn.Sequential(*parts)
        self.shortcut: nn.EquivariantModule | None = None
        if stride != 1 or in_type.blocks[0][1] != field.blocks[0][1]:
            self.shortcut = layers.between(in_type, field, stride)
        elif in_type != field:
            self.shortcut = nn.Linear(in_type, field, bias=False)
            torch.nn.init.kaiming_uniform_(self.shortcut.weights[0], a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space')`."""
        y: Tensor = self.units(x)
        return y + (x if self.shortcut is None else self.shortcut(x))


def finish(layers: PublishedLayers, channels: int, dropout: float) -> list[nn.EquivariantModule]:
    """Norm, dropout and activation."""
    field = layers.field(channels)
    return [layers.norm(channels), nn.Dropout(field, dropout), nn.Pointwise(field, torch.nn.SiLU())]


class PublishedUNet(nn.EquivariantModule):
    """The published U-Net. It is not equivariant; `models.UNet` is.

    Without padding, strides of 2 fit volumes of `8 m + 21` voxels per axis only (for three of them). The published code
    crops scans to such sizes, 240 × 240 × 155 to 237 × 237 × 149, and leaves the border unsegmented. Here zeros are put
    around other volumes, up to the next such size, and the result is cropped back: the same numbers for the published
    sizes, and a result for every voxel.

    Args:
        layers: the convolutions, norms and projection.
        in_channels: channels of the image.
        out_channels: channels of the result, logits.
        channels: features of each level, finest first; the lowest does not stride.
        strides: stride of each level but the lowest.
        dropout: probability that a feature is dropped in training. Default 0.07.

    Shape:
        `(batch, in_channels, *space)` of any size to `(batch, out_channels, *space)`.

    Raises:
        ScaleGroupError: for fewer than two levels, or a number of strides that does not fit.

    Source: Wimmer et al.; github.com/wimmerth/scale-equivariant-3d-convnet, models/unet/run.py.

    Example:
        >>> import torch
        >>> from scalegroup.methods.wimmer2022 import unet
        >>> net = unet(dim=2, in_channels=1, channels=(2, 3), strides=(2,))
        >>> net(torch.randn(1, 1, 11, 12)).shape, net.fitting_size(12)
        (torch.Size([1, 1, 11, 12]), 13)
    """

    def __init__(
        self,
        layers: PublishedLayers,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        strides: Sequence[int],
        dropout: float = 0.07,
    ) -> None:
        if len(channels) < 2 or len(strides) != len(channels) - 1:
            hint = "the lowest level has no stride"
            expected = "two or more channels and a stride for all but the last of them"
            raise ScaleGroupError(expected, f"channels={tuple(channels)}, strides={tuple(strides)}", hint)
        image = layers.group.scalar
        super().__init__(in_channels * image, out_channels * image)
        self.strides = tuple(
            as_integer(s, "strides, integers >= 1", "they are the same on all axes", 1) for s in strides
        )
        self.kernel_size = layers.kernel.kernel_size
        inputs = [self.in_type, *(layers.field(n) for n in channels)]
        self.downs = torch.nn.ModuleList(
            ResidualUnit(layers, field, width, stride=stride, dropout=dropout)
            for field, width, stride in zip(inputs, channels, [*self.strides, 1], strict=False)
        )
        ups = []
        for level, (width, wider) in enumerate(pairwise(channels)):
            below = wider if level == len(channels) - 2 else width  # what the levels below return
            out = out_channels if level == 0 else channels[level - 1]
            up = layers.between(layers.field(width + below), layers.field(out), self.strides[level], transposed=True)
            unit = ResidualUnit(layers, layers.field(out), out, units=1, dropout=dropout, ends=level == 0)
            ups.append(nn.Sequential(up, *finish(layers, out, dropout), unit))
        self.ups = torch.nn.ModuleList(ups)
        self.project = layers.project(out_channels)

    def fitting_size(self, size: int) -> int:
        """The smallest number of voxels along an axis, at least `size`, that all strides fit."""
        strides = [stride for stride in self.strides if stride > 1]
        for stride in strides:
            size = max(0, -(-(size - self.kernel_size) // stride)) + 1
        for stride in reversed(strides):
            size = (size - 1) * stride + self.kernel_size
        return size

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_channels, *space)` to `(batch, out_channels, *space)`."""
        x = self.check(x)
        space = x.shape[2:]
        before = [(self.fitting_size(n) - n) // 2 for n in space]
        after = [self.fitting_size(n) - n - start for n, start in zip(space, before, strict=True)]
        x = torch.nn.functional.pad(x, [n for pair in zip(before[::-1], after[::-1], strict=True) for n in pair])
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for up, skip in zip(reversed(self.ups), reversed(skips), strict=True):
            x = up(torch.cat([skip, x], dim=1))
        y: Tensor = self.project(x)
        for axis, (start, count) in enumerate(zip(before, space, strict=True), start=2):
            y = y.narrow(axis, start, count)
        return y
