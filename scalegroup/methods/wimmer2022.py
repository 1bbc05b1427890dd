"""Scale-equivariant deep learning for 3D data, exactly as published: narrow kernels and strided convolutions.

Wimmer, Golkov, Dang, Zaiss, Maier, Cremers, "Scale-Equivariant Deep Learning for 3D Data", arXiv 2304.05864, and its
code, github.com/wimmerth/scale-equivariant-3d-convnet.

`F(s,x) = ∫ f(x+u) s^-3 ψ(u/s) du` and `F'(s,x) = Σ_i ∫ F(s_i,x+u) s^-3 ψ_i(u/s) du` with kernels `ψ = Σ_f w_f ψ_f` of
27 products of three Hermite-Gaussians, σ = 1 voxel, on 5×5×5 voxels at each of the scales 0.729, 0.81, 0.9, 1.

Exact: nothing. Approximate: five voxels hold two widths of the widest kernel, and the narrowest aliases (16 % between
the ends of the window); 27 of the 35 products of a total degree up to 4 favour two axes; convolutions of stride 2
without a blur, and their adjoints, undo in the U-Net what is left of equivariance. `ours` is the same idea by the
accuracy rules of the library.

Where the paper is silent: in 1-D and 2-D the basis has 3 and 9 functions by the same rule. Networks from the layers,
such as the classifier, are made with the library's grids (`ScaleBlurPool`, `Upsample`); the strides of the paper are in
its U-Net, see `methods.wimmer2022_unet`. Neighbouring scales, which its experiments do not mix, are here the larger
ones and in the published code the smaller ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.methods.wimmer2022_unet import PublishedUNet
from scalegroup.nn.convolution import Convolution
from scalegroup.symbolic import FixedHermiteBasis


class PublishedLayers(RegularLayers):
    """The layers of Wimmer et al.: kernels of five voxels, batch statistics also in eval mode, SiLU.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default 1/0.9.
        num_scales: number of scales; the largest is 1. Default 4.
        kernel_size: voxels along each axis, odd. Default 5.
        effective_size: e, of e^dim functions. Default 3.
        basis_type: "multi" or "single", see `FixedHermiteBasis`. Default "multi".
        kernel_padding: narrower kernels for smaller scales, in proportion. Default False, as in the published U-Net.
        scale_extent: neighbouring scales that a convolution mixes, with replicated ends. Default 1, as in the published
            experiments.
        reduction: mode of the projection, "mean" (published as "avg") or "max". Default "mean".

    Raises:
        ScaleGroupError: for arguments out of range; for an even kernel_size.

    Example:
        >>> layers = PublishedLayers()
        >>> [round(scale, 3) for scale in layers.group.scales]
        [0.729, 0.81, 0.9, 1.0]
        >>> layers.lift(1, 4).kernels(0).shape
        torch.Size([4, 1, 5, 5, 5])
    """

    base = 1 / 0.9

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        kernel_size: int = 5,
        effective_size: int = 3,
        basis_type: Any = "multi",
        kernel_padding: bool = False,
        scale_extent: int = 1,
        reduction: str = "mean",
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.kernel = FixedHermiteBasis(
            kernel_size, effective_size, basis_type, full_sigma=1.0 if kernel_padding else None, dim=dim
        )
        self.scale_extent = scale_extent
        self.reduction = reduction

    @staticmethod
    def first(num_scales: int) -> int:
        """The last scale is 1."""
        return 1 - num_scales

    def basis(self) -> FixedHermiteBasis:
        """Hermite-Gaussians that are cut off after a fixed number of voxels."""
        return self.kernel

    def between(
        self, in_type: FieldType, out_type: FieldType, stride: int = 1, transposed: bool = False
    ) -> Convolution:
        """A convolution with published kernels and weights: zero padding, or none for a stride other than 1."""
        kind = nn.GroupConvTranspose if transposed else nn.GroupConv
        conv = kind(
            in_type,
            out_type,
            basis=self.kernel,
            sigma=1.0 / stride,  # the published kernels do not widen with the stride
            stride=stride,
            padding="same" if stride == 1 else "valid",
            scale_extent=self.scale_extent,
            scale_padding="replicate",
        )
        for weight in conv.weights:
            torch.nn.init.kaiming_uniform_(weight, a=5**0.5)
        return conv

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """From an image to regular fields."""
        return self.between(in_channels * self.group.scalar, self.field(out_channels))

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Between regular fields."""
        return self.between(self.field(in_channels), self.field(out_channels))

    def norm(self, channels: int) -> nn.BatchNorm:
        """Batch normalisation without running statistics."""
        return nn.BatchNorm(self.field(channels), track_running_stats=False)

    def project(self, channels: int) -> nn.ScalePool:
        """The mean over the scales, or the maximum."""
        return nn.ScalePool(self.field(channels), self.reduction)


def unet(
    dim: int = 3,
    in_channels: int = 4,
    out_channels: int = 1,
    channels: Sequence[int] = (4, 8, 16, 32),
    strides: Sequence[int] = (2, 2, 2),
    dropout: float = 0.07,
    base: float | None = None,
    num_scales: int | None = None,
    **options: Any,
) -> PublishedUNet:
    """The published U-Net with its published arguments; all others are those of `PublishedLayers`."""
    layers = PublishedLayers(dim, base, num_scales, **options)
    return PublishedUNet(layers, in_channels, out_channels, channels, strides, dropout)


METHOD = Method(
    name="wimmer2022",
    title="the poster, as published",
    source="Wimmer, Golkov, Dang, Zaiss, Maier, Cremers, Scale-Equivariant Deep Learning for 3D Data, 2022",
    kind="steerable",
    interscale=True,
    scales="all",
    equivariance="global",
    layers=PublishedLayers,
    unet=unet,
)
