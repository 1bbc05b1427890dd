"""Riesz networks: kernels that look the same at every scale, and no axis of scales.

Barisin, Schladitz, Redenbach, "Riesz networks: scale-invariant neural networks in a single forward pass", JMIV 66,
2024, arXiv 2305.04665.

`F'_o = Σ_c (C_oc + Σ_j C_ocj R_j + Σ_{j≤k} C_ocjk R_j R_k) F_c` with the Riesz transforms
`(R_j f)^(w) = -i w_j/|w| f̂(w)`, which commute with every dilation: no scales are chosen, and none are missing.

Exact: all layers on periodic images that are scaled by resampling, batch norm with running statistics, and dilations by
any factor. Approximate: what lies outside the image, which the kernels see, since they fall off as `|x|^-d` only (here
the image is continued to twice its size); the frequencies that activations make above those of the grid.

Where the paper is silent, or has no such layers: images are made smaller by a windowed sinc, because a blur or a
maximum over a window of fixed size would break what the layers keep; the activation is that of all networks here,
where the paper has ReLU.
"""

from __future__ import annotations

import torch

from scalegroup import nn
from scalegroup.methods.layers import ScalarLayers
from scalegroup.methods.method import Method


class RieszLayers(ScalarLayers):
    """The layers of a Riesz network.

    Args:
        dim: number of axes of space. Default 3.
        base, num_scales: of no use to this method, which has all scales.
        order: largest number of Riesz transforms in a row. Default 2.

    Example:
        >>> RieszLayers(dim=2).conv(4, 8)
        RieszConv(4*scalar -> 8*scalar, order=2)
    """

    num_scales = 1

    def __init__(self, dim: int = 3, base: float | None = None, num_scales: int | None = None, order: int = 2) -> None:
        super().__init__(dim, base, num_scales)
        self.order = order

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Learned combinations of the Riesz transforms."""
        return nn.RieszConv(self.field(in_channels), self.field(out_channels), order=self.order)

    def down(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """Resampling, which leaves alone what the coarse grid holds."""
        return nn.Downsample(self.field(channels), stride)


METHOD = Method(
    name="barisin2024",
    title="Riesz networks",
    source="Barisin, Schladitz, Redenbach, "
    "Riesz networks: scale-invariant neural networks in a single forward pass, 2024",
    kind="Riesz transforms",
    interscale=False,
    scales="all",
    equivariance="global",
    layers=RieszLayers,
    beyond=True,
)
