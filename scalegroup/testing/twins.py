"""The twins that the contracts make of any layer: a measurement that they pass would show nothing.

Twins of your own, broken as only you know, go into `make_twin` or `assert_rejected`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup import nn
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


class Growing(torch.nn.Module):
    """The negative twin of a layer: the layer, and then a gain that grows with the scale."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer, self.in_type, self.out_type = layer, layer.in_type, layer.out_type

    def forward(self, *arguments: Any, **options: Any) -> Any:
        y = self.layer(*arguments, **options)
        y = y[0] if isinstance(y, tuple) else y
        gains = [
            np.tile(1.0 + np.arange(rep.num_scales), multiplicity * (rep.size // rep.num_scales))
            for multiplicity, rep in self.out_type.blocks
        ]
        return y * torch.from_numpy(np.concatenate(gains)).to(y)


class Sized(torch.nn.Module):
    """The negative twin of a layer that no factor changes: the layer, and then the size of the cloud as a gain."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer, self.in_type, self.out_type = layer, layer.in_type, layer.out_type

    def forward(self, x: Tensor, pos: Any, *arguments: Any, **options: Any) -> Any:
        y = self.layer(x, pos, *arguments, **options)
        return (y[0] if isinstance(y, tuple) else y) * (pos.pos if isinstance(pos, nn.Points) else pos).std()
