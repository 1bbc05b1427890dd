"""Deep scale-spaces: the image is lifted by blurring, and kernels are dilated by whole numbers.

Worrall and Welling, "Deep Scale-Spaces: Equivariance Over Scale", NeurIPS 2019, arXiv 1905.11697.

`F(k, x) = (T(t_k) * f)(x)` with the discrete Gaussian T of variance `t_k = σ_0² (b^{2k} - 1)`; then
`F'(k, x) = Σ_{l < I} Σ_y ψ(y, l) F(k + l, x + b^k y)` with a whole number b. What acts is a semigroup, downsampling by
powers of b: `(L_b F)(k, x) = F(k + 1, b x)`.

Exact: the convolution, for any features on any lattice. Approximate: the lifting, which takes σ_0 for the blur that the
image has (the published 0.25 and 0.5 are below what a grid can hold, and 1.0 is the default here); the coarse end of
the levels, where terms are missing; and everything for factors that are no powers of b.

Choices: kernels of 3 voxels along each axis, and interaction with one level further up (I = 2, as in the published
STL-10 network); the first convolution follows the lifting at once, so that a lifting has weights; the initialisation
of this library in place of the delta functions of the paper.
"""

from __future__ import annotations

import torch

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.symbolic import DilatedBasis


class ScaleSpaceLayers(RegularLayers):
    """The layers of deep scale-spaces.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring levels, a whole number. Default 2.
        num_scales: number of levels. Default 3.
        kernel_size: numbers along each axis of a kernel, odd. Default 3.
        scale_extent: levels that a kernel spans; 1 for no interaction. Default 2.
        zero_scale: standard deviation in voxels of the blur that the image has already. Default 1.0.

    Raises:
        ScaleGroupError: for a base that is no whole number, or an even kernel_size.

    Example:
        >>> conv = ScaleSpaceLayers(dim=2).conv(4, 8)
        >>> [tuple(conv.kernels(level).shape[2:]) for level in range(3)]
        [(3, 3), (5, 5), (9, 9)]
    """

    base = 2.0
    num_scales = 3

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        kernel_size: int = 3,
        scale_extent: int = 2,
        zero_scale: float = 1.0,
    ) -> None:
        super().__init__(dim, base, num_scales)
        if not float(self.group.base).is_integer():
            hint = "dilations by whole numbers keep kernels on the grid; sosnovik2021 fits kernels at other scales"
            raise ScaleGroupError("a whole number as base of deep scale-spaces", f"{self.group.base:g}", hint)
        self.kernel = DilatedBasis(kernel_size=kernel_size, fill="none", dim=dim)
        self.scale_extent = scale_extent
        self.zero_scale = zero_scale

    def basis(self) -> DilatedBasis:
        """An impulse for each voxel."""
        return self.kernel

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """The scale space of the image, and a convolution of its levels."""
        blur = nn.ScaleSpaceLift(in_channels * self.group.scalar, self.zero_scale)
        levels, field = blur.out_type, self.field(out_channels)
        return nn.Sequential(blur, nn.GroupConv(levels, field, basis=self.kernel, scale_extent=self.scale_extent))


METHOD = Method(
    name="worrall2019",
    title="Deep scale-spaces",
    source="Worrall and Welling, Deep Scale-Spaces: Equivariance Over Scale, 2019",
    kind="filter dilation",
    interscale=True,
    scales="integer",
    equivariance="global",
    layers=ScaleSpaceLayers,
)
