"""Negative twins of layers: a test that they pass would show nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from scalegroup.nn.module import Samples, each


class Smeared(torch.nn.Module):
    """The negative twin of a layer: the layer, and then something that is not equivariant.

    On the grid of the voxels that is a fixed 3-tap convolution, which does not know the scale. On a grid for each scale
    it is right as it is; there the second scale and those after it get a gain.
    """

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Samples) -> Samples:
        y: Samples = self.layer(x)
        if isinstance(y, tuple):
            return tuple(part * (1 + k) for k, part in enumerate(y))
        return y + 0.5 * (y.roll(-1, dims=-1) - y.roll(1, dims=-1))


class Tilted(torch.nn.Module):
    """The layer, and then a gain that grows along each axis of space by another slope: no rotation leaves it alone."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Samples) -> Samples:
        y: Samples = each(_tilt, self.layer(x))
        return y


def _tilt(x: Tensor) -> Tensor:
    for axis in range(2, x.ndim):
        slope = torch.linspace(1, 1 + 0.2 * (axis - 1), x.shape[axis]).to(x)
        x = x * slope.view(-1, *[1] * (x.ndim - axis - 1))
    return x
