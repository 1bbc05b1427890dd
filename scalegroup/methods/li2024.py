"""InvarPDEs-Net: a pointwise network of derivatives, each divided by the largest of its order.

Li, Qiu, Chen, He, Lin, "Affine Equivariant Networks Based on Differential Invariants", CVPR 2024.

`F' = W_2 φ(W_1 u + b_1) + b_2` at each point, where u are all derivatives up to order two of all channels, those of
order n divided by their maximum over channels and points. The derivative of order n of `f(x/a)` is `a^-n` times that of
f, and so is the maximum: there is no factor left, and no axis of scales is needed. (The paper's network is equivariant
to affine maps of its input; here only what concerns dilations is held to a figure.)

Exact: nothing but the law for true derivatives and the true maximum. Approximate: derivatives are those of a Gaussian
of one voxel, and the maximum is taken at the voxels; both errors vanish for smooth images. The maximum is that of the
whole image: parts of it are not scaled one by one, and what enters at the border changes everything.

Choices: the image itself, the derivative of order 0, is divided by its maximum too, as published, so that each layer
forgets the contrast; the Gaussian has the width 1.0 (paper: 0.99) and 4.5 widths on both sides (paper: 7 voxels in
all); images are made smaller by a windowed sinc (paper: maxima over windows of fixed size); φ is the activation of all
networks here (paper: ReLU).
"""

from __future__ import annotations

import torch

from scalegroup import nn
from scalegroup.methods.layers import ScalarLayers
from scalegroup.methods.method import Method


class InvariantLayers(ScalarLayers):
    """The layers of a network of differential invariants.

    Args:
        dim: number of axes of space. Default 3.
        base, num_scales: of no use to this method, which has all scales.
        order: largest order of the derivatives. Default 2.
        sigma: width of the Gaussian in voxels. Default 1.0.

    Example:
        >>> InvariantLayers(dim=2).conv(4, 8).extra_repr()
        '4*scalar -> 8*scalar, order=2, sigma=1'
    """

    num_scales = 1

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        order: int = 2,
        sigma: float = 1.0,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.order, self.sigma = order, sigma

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Derivatives over their largest value, and a pointwise network of them."""
        fields = self.field(in_channels), self.field(out_channels)
        return nn.DifferentialInvariants(*fields, order=self.order, sigma=self.sigma)

    def down(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """Resampling, which leaves alone what the coarse grid holds."""
        return nn.Downsample(self.field(channels), stride)


METHOD = Method(
    name="li2024",
    title="InvarPDEs-Net",
    source="Li, Qiu, Chen, He, Lin, Affine Equivariant Networks Based on Differential Invariants, 2024",
    kind="differential invariants",
    interscale=False,
    scales="all",
    equivariance="global",
    layers=InvariantLayers,
    beyond=True,
)
