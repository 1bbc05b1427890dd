"""Fourier layers: each wave of the output is made of waves of the input that are no finer.

Rahman and Yeh, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS 2023.

Scaling is ideal downsampling of a periodic image: the waves that fewer samples hold. A layer commutes with it if the
output's waves k depend on those of the input with `|k'| ≤ |k|` only. Convolutions multiply wave by wave, with the
transform of a kernel that is small on a grid of `modes` samples; activations act on `2r + 1` samples for one r after
the other and give the waves with `max_i |k_i| = r`.

Exact: the commutation with resampling, to rounding, for every number of samples from 7 on (`base` of
`nn.FourierPointwise`). Not equivariant: all other dilations, since kernels grow with the image and not with its
objects; translations, roughly only, as the activations act on few samples. The maximum over space before a classifier's
last layer changes with the samples.

Choices: batch norm as in all networks here, exact with running statistics (paper: instance norm for each resolution);
one head for the largest resolution (paper: one for each, and a loss that asks for consistent results); grids are
centred. A U-Net would not be equivariant: finer grids have waves that those of the coarse level cannot have.
"""

from __future__ import annotations

import torch

from scalegroup import nn
from scalegroup.methods.layers import ScalarLayers
from scalegroup.methods.method import Method


class FourierLayers(ScalarLayers):
    """The Fourier layers.

    Args:
        dim: number of axes of space. Default 3.
        base, num_scales: of no use to this method, whose scales are the numbers of samples.
        modes: samples along each axis of the grid on which kernels live. Default 28.
        kernel_size: samples along each axis of the kernels. Default 5.
        step: the waves of so many neighbouring radii are made together. Default 1.

    Example:
        >>> FourierLayers(dim=2).conv(4, 8)
        FourierConv(4*scalar -> 8*scalar, modes=28, kernel_size=5)
    """

    num_scales = 1

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        modes: int = 28,
        kernel_size: int = 5,
        step: int = 1,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.modes, self.kernel_size, self.step = modes, kernel_size, step

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """A convolution whose kernel grows with the image."""
        return nn.FourierConv(self.field(in_channels), self.field(out_channels), self.modes, self.kernel_size)

    def act(self, channels: int) -> torch.nn.Module:
        """SiLU, resolution by resolution."""
        return nn.FourierPointwise(self.field(channels), step=self.step)

    def down(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """Ideal downsampling."""
        return nn.FourierDownsample(self.field(channels), stride)


METHOD = Method(
    name="rahman2023",
    title="Fourier layers",
    source="Rahman and Yeh, Truly Scale-Equivariant Deep Nets with Fourier Layers, 2023",
    kind="Fourier layers",
    interscale=False,
    scales="all",
    equivariance="global",
    layers=FourierLayers,
    no_unet="upsampling does not commute with ideal downsampling",
    beyond=True,
)
