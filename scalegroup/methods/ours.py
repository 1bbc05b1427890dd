"""The method of this library: the idea of Wimmer et al., by rules under which it is equivariant on a grid.

Wimmer, Golkov, Dang, Zaiss, Maier, Cremers, "Scale-Equivariant Deep Learning for 3D Data", 2022.

`F(s,x) = ∫ f(x+u) s^-d ψ(u/s) du` and `F'(s,x) = ∫ F(s,x+u) s^-d ψ(u/s) du` with kernels `ψ = Σ_f w_f ψ_f` of all
products of Hermite-Gaussians up to a total degree of 2: a space that is closed under rotation and favours no axis.

Exact: the law of the group, up to sampling and truncation of kernels that are 4.5 widths long: 2e-4 at a width of one
voxel, 2e-5 at 1.5; in the U-Net, where each scale has a grid of its own, every layer behind the lifting. Approximate:
activations, which make frequencies that the grid cannot hold, and the ends of the window of scales.

The classifier is `models.Classifier` with the mean over the scales (`docs/results/mnist_scale.md`), the U-Net is
`models.UNet` with its defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.models import Classifier, UNet
from scalegroup.symbolic import HermiteBasis


class HermiteLayers(RegularLayers):
    """Group convolutions with Hermite-Gaussians up to a total degree of 2, 4.5 widths long.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 4.
        sigma: width of the kernels at scale 1 in voxels. Default 1.0.
        scale_extent: neighbouring scales that a convolution mixes. Default 1.

    Example:
        >>> HermiteLayers(dim=2).conv(2, 3)
        GroupConv(2*regular -> 3*regular, order=2, sigma=1)
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        sigma: float = 1.0,
        scale_extent: int = 1,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.options = {"sigma": sigma}
        self.scale_extent = scale_extent

    def basis(self) -> HermiteBasis:
        """Hermite-Gaussians."""
        return HermiteBasis(2, self.dim)


def classifier(
    dim: int, in_channels: int, num_classes: int, channels: Sequence[int], base: float = 2**0.5, num_scales: int = 4
) -> Classifier:
    """`models.Classifier` with a stride of 2 in each block but the first, and the mean over the scales."""
    strides = (1, *[2] * (len(channels) - 1))
    scales: dict[str, Any] = {"base": base, "num_scales": num_scales, "scale_pool": "mean"}
    return Classifier(dim, in_channels, num_classes, channels, strides, **scales)


def unet(
    dim: int,
    in_channels: int,
    out_channels: int,
    channels: Sequence[int],
    strides: Sequence[int],
    base: float = 2**0.5,
    num_scales: int = 6,
) -> UNet:
    """`models.UNet` with its defaults."""
    return UNet(dim, in_channels, out_channels, channels, strides, base=base, num_scales=num_scales)


METHOD = Method(
    name="ours",
    title="scalegroup",
    source="Wimmer et al., Scale-Equivariant Deep Learning for 3D Data, 2022, by the accuracy rules of this library",
    kind="steerable",
    interscale=True,
    scales="all",
    equivariance="global",
    layers=HermiteLayers,
    classifier=classifier,
    unet=unet,
)
