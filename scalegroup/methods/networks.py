"""The same small networks for every method: a classifier and a U-Net, from a method's layers alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from scalegroup.methods.layers import Layers


def block(layers: Layers, in_channels: int, out_channels: int, lifts: bool = False) -> torch.nn.Sequential:
    """Convolution, norm and activation."""
    conv = layers.lift if lifts else layers.conv
    return torch.nn.Sequential(conv(in_channels, out_channels), layers.norm(out_channels), layers.act(out_channels))


class LayerClassifier(torch.nn.Module):
    """Blocks with a stride of 2 between them, projection, the maximum over space, and a linear layer.

    Args:
        layers: of a method.
        in_channels: channels of the image.
        num_classes: number of scores.
        channels: features of each block.

    Shape:
        `(batch, in_channels, *space)` to `(batch, num_classes)`.
    """

    def __init__(self, layers: Layers, in_channels: int, num_classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        parts: list[torch.nn.Module] = [block(layers, in_channels, channels[0], lifts=True)]
        for width, wider in pairwise(channels):
            parts += [layers.down(width), block(layers, width, wider)]
        self.features = torch.nn.Sequential(*parts, layers.project(channels[-1]))
        self.head = torch.nn.Linear(channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_channels, *space)` to `(batch, num_classes)`."""
        return self.head(self.features(x).flatten(2).amax(dim=2))  # type: ignore[no-any-return]


class LayerUNet(torch.nn.Module):
    """A block at each level of the encoder and of the decoder, skip connections, projection, and a 1×1 convolution.

    Args:
        layers: of a method.
        in_channels: channels of the image.
        out_channels: channels of the result.
        channels: features at each level, finest first.
        strides: stride between the levels.

    Shape:
        `(batch, in_channels, *space)` to `(batch, out_channels, *space)`.
    """

    def __init__(
        self, layers: Layers, in_channels: int, out_channels: int, channels: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        steps = list(zip(channels[:-1], channels[1:], strides, strict=True))
        self.first = block(layers, in_channels, channels[0], lifts=True)
        self.downs = torch.nn.ModuleList(layers.down(width, stride) for width, _, stride in steps)
        self.encoders = torch.nn.ModuleList(block(layers, width, wider) for width, wider, _ in steps)
        self.ups = torch.nn.ModuleList(layers.up(wider, stride) for _, wider, stride in reversed(steps))
        self.decoders = torch.nn.ModuleList(block(layers, wide + width, width) for width, wide, _ in reversed(steps))
        self.project = layers.project(channels[0])
        convolution = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[layers.dim - 1]
        self.head = convolution(channels[0], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_channels, *space)` to `(batch, out_channels, *space)`."""
        x = self.first(x)
        skips = []
        for down, encoder in zip(self.downs, self.encoders, strict=True):
            skips.append(x)
            x = encoder(down(x))
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(torch.cat([skip, up(x, output_size=skip.shape[2:])], dim=1))
        return self.head(self.project(x))  # type: ignore[no-any-return]
