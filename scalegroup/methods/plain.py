"""An ordinary convolutional network: what all methods are compared with. It knows nothing of scales."""

from __future__ import annotations

import torch

from scalegroup.methods.layers import ScalarLayers
from scalegroup.methods.method import Method


class PlainLayers(ScalarLayers):
    """Convolutions of 3 samples along each axis, as in most networks."""

    num_scales = 1
    kernel_size = 3

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """torch's own convolution."""
        convolution = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[self.dim - 1]
        return convolution(in_channels, out_channels, self.kernel_size, padding=self.kernel_size // 2)


METHOD = Method(
    name="plain",
    title="plain",
    source="LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998",
    kind="ordinary",
    interscale=False,
    scales="none",
    equivariance="none",
    layers=PlainLayers,
)
