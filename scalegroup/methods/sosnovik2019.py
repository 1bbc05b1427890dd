"""SESN: kernels are learned combinations of Hermite-Gaussians, sampled at every scale.

Sosnovik, Szmaja and Smeulders, "Scale-Equivariant Steerable Networks", ICLR 2020, arXiv 1910.11093.

`F'(s, x) = Σ_{i < I} Σ_y F(s base^i, x + y) κ_i(y; s)` with `κ(y; s) = Σ_n w_n ψ_n(y; σ s)` and
`ψ_n(y; σ) = σ^-d Π_j He_{n_j}(y_j / σ) e^{-y_j² / 2σ²}`, the weights shared by all scales. Basis A has one width and
all degrees below e on each axis; basis B has total degrees up to 4, then the same at the widths σ / mult, σ / mult²,
…, and keeps the first e^d of these functions.

Exact: the scale law of the continuous functions. Approximate, as published: kernels are cut off after a number of
voxels in proportion to their scale, `int(size s / s_max) // 2 * 2 + 1`, at 1.4 of their widths in the published
networks, so that in 2-D the spectra of the smallest scale and the next differ by 28 % (8 % of the energy); the smallest
functions of B are narrower than a voxel; and B ends inside a set of functions of one width, so that its axes are not
alike. A larger `kernel_size`, kind "A" and a window of scales that starts at wide kernels remove these errors.

Choices: the published MNIST-scale network "vector" (σ = 1.5, 3 scales up to 3, 13 voxels, mult 1.5, e = 7), without
interaction of scales, as all their MNIST networks are. In 3-D e = 3: 343 functions, of which the last are 25 times
narrower than a voxel, would help nobody. Scales beyond the window are zero. Their "scalar" networks forget the scale
after every convolution.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.local_max import local_scale_max
from scalegroup.methods.method import Method
from scalegroup.symbolic import FixedHermiteBasis

Kind = Literal["A", "B"]
EFFECTIVE_SIZES = {1: 7, 2: 7, 3: 3}
WIDTHS = 13 / 4.5  # that a kernel spans, as published


class SteerableLayers(RegularLayers):
    """The layers of SESN.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √3.
        num_scales: number of scales. Default 3.
        kernel_size: voxels along each axis of the kernels of the largest scale, odd. Default 13 for a width of 4.5
            voxels there, in proportion for others.
        sigma: width of the functions in voxels at the smallest scale. Default 1.5.
        effective_size: e; the basis has `e ** dim` functions. Default 7, in 3-D 3.
        kind: basis "A" or "B", see above. Default "B".
        mult: ratio of neighbouring widths of "B". Default 1.5.
        scale_extent: neighbouring scales that a kernel spans; 1 for no interaction. Default 1.
        scalar: whether the maximum over the scales follows every convolution. Default False.

    Raises:
        ScaleGroupError: for an even kernel_size, one that leaves a single voxel to the smallest scale, or other bad
            arguments.

    Example:
        >>> conv = SteerableLayers(dim=2).conv(4, 8)
        >>> tuple(conv.weight.shape), [tuple(conv.kernels(scale).shape[2:]) for scale in range(3)]
        ((8, 4, 1, 49), [(5, 5), (7, 7), (13, 13)])
    """

    base = 3**0.5
    num_scales = 3

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        kernel_size: int | None = None,
        sigma: float = 1.5,
        effective_size: int | None = None,
        kind: Kind = "B",
        mult: float = 1.5,
        scale_extent: int = 1,
        scalar: bool = False,
    ) -> None:
        super().__init__(dim, base, num_scales)
        if kind not in get_args(Kind):
            raise ScaleGroupError(
                "kind 'A' or 'B'", repr(kind), "'A' has one width, 'B' adds functions of smaller ones"
            )
        widest = sigma * self.group.scales[-1]
        self.kernel = FixedHermiteBasis(
            int(WIDTHS * widest) // 2 * 2 + 1 if kernel_size is None else kernel_size,
            EFFECTIVE_SIZES[dim] if effective_size is None else effective_size,
            "single" if kind == "A" else "multi",
            mult,
            full_sigma=widest,
            norm_sigma=sigma * self.group.scales[0],
            dim=dim,
        )
        self.options = {"sigma": sigma}
        self.scale_extent = scale_extent
        self.scalar = scalar

    def basis(self) -> FixedHermiteBasis:
        """The Hermite-Gaussians, cut off as published."""
        return self.kernel

    def field(self, channels: int) -> FieldType:
        """Regular fields, or scalars if the scale is forgotten after every convolution."""
        return channels * self.group.scalar if self.scalar else super().field(channels)

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """A group convolution of an image, and the maximum over the scales if they are forgotten."""
        if not self.scalar:
            return super().lift(in_channels, out_channels)
        return local_scale_max(self.group, in_channels, out_channels, self.kernel, **self.options)

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """A group convolution between features."""
        return self.lift(in_channels, out_channels) if self.scalar else super().conv(in_channels, out_channels)

    def project(self, channels: int) -> torch.nn.Module:
        """The maximum over the scales, if it was not taken already."""
        return torch.nn.Identity() if self.scalar else super().project(channels)


METHOD = Method(
    name="sosnovik2019",
    title="SESN",
    source="Sosnovik, Szmaja and Smeulders, Scale-Equivariant Steerable Networks, 2019",
    kind="steerable",
    interscale=True,
    scales="all",
    equivariance="global",
    layers=SteerableLayers,
)
