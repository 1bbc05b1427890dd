"""SI-ConvNet: every layer looks at its input in all sizes, and keeps the strongest response.

Kanazawa, Sharma, Jacobs, "Locally Scale-Invariant Convolutional Neural Networks", NIPS workshop, arXiv 1412.5104, 2014.

`F(x) = max_s [T_s⁻¹(w ⋆ T_s f + b)](x)`, where `T_s` resamples the input of the layer to a grid of spacing s: a small
kernel sees an image enlarged by 1/s, and is therefore as wide as s. The scale is forgotten: features are images.

Exact: with the scale 1 alone it is an ordinary convolution. Approximate: the resampling (1e-4 for smooth images), and
the maximum over a finite number of scales, which follows the dilation of an image only where the strongest scale is
inside the window. Of a network even that is only local: every layer picks its scale anew at each voxel, so that parts
of an object that are scaled by different factors look alike.

Choices: images are resampled by a windowed sinc that does not alias, not linearly; as in the original, and unlike in
later implementations, an enlarged image keeps its border, and what lies outside takes no part in the maximum. The
paper's scales {0.63, 0.79, 1, 1.26, 1.59, 2} without the last; its pooling, a maximum over 2 voxels, of fixed size.
"""

from __future__ import annotations

import torch

from scalegroup import nn
from scalegroup.methods.layers import ScalarLayers
from scalegroup.methods.method import Method


class PyramidLayers(ScalarLayers):
    """The layers of SI-ConvNet.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default 2^(1/3).
        num_scales: number of scales, the middle one (or the one above it) is 1. Default 5.
        kernel_size: samples of the kernels along each axis. Default 5.

    Example:
        >>> [round(scale, 2) for scale in PyramidLayers(dim=2).group.scales]
        [0.63, 0.79, 1.0, 1.26, 1.59]
    """

    base = 2 ** (1 / 3)
    num_scales = 5
    sampling = "haar"

    def __init__(
        self, dim: int = 3, base: float | None = None, num_scales: int | None = None, kernel_size: int = 5
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.kernel_size = kernel_size

    @staticmethod
    def first(num_scales: int) -> int:
        """The middle scale is 1."""
        return -(num_scales // 2)

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """The maximum over the scales of the image."""
        return nn.PyramidConv(self.field(in_channels), self.field(out_channels), self.kernel_size)

    def down(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """The largest of so many voxels along each axis, as published."""
        pool = (torch.nn.MaxPool1d, torch.nn.MaxPool2d, torch.nn.MaxPool3d)[self.dim - 1]
        return pool(stride, ceil_mode=True)


METHOD = Method(
    name="kanazawa2014",
    title="SI-ConvNet",
    source="Kanazawa, Sharma, Jacobs, Locally Scale-Invariant Convolutional Neural Networks, 2014",
    kind="input scaling",
    interscale=False,
    scales="grid",
    equivariance="local",
    layers=PyramidLayers,
)
