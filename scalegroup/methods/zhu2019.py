"""ScDCFNet: convolutions over space and scale whose filters are sums of Fourier-Bessel functions times waves.

Zhu, Qiu, Calderbank, Sapiro, Cheng, "Scaling-Translation-Equivariant Networks with Decomposed Convolutional Filters",
arXiv 1909.11193, 2019 (JMLR 2022).

`F'(x, α) = act(Σ_c ∫∫ F_c(x + u, α + α') 2^(-dα) W_c(2^-α u, α') du dα' + b)` with `W = Σ_km a_km ψ_k(u) φ_m(α')`: the
vibrations ψ_k of a ball up to a frequency, times the slowest waves φ_m over the neighbouring scales. Leaving out what
is fast saves parameters, and makes the layers stable under small deformations. The first layer has no integral over α'.

Exact: the scale law of the filters. Approximate: their samples, because a vibration leaves its edge at an angle; with a
radius of 4 voxels at the finest scale the layer's kernels differ by 2 to 8 % between scales (the most in 1-D), by a
third of that or less with 8 voxels, at the price of wider filters. Above the window of scales the coarsest one is
repeated, as in the paper.

Choices: the waves are those of the Fourier series over `scale_extent` scales, the constant first, of which two are kept
for three scales. Where the grid is halved, the blur grows with the scale (1.5 voxels at scale 1), as the average
pooling of the third-party code does and equivariance asks.
"""

from __future__ import annotations

from math import cos, pi, sin, sqrt

import torch

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.symbolic import FourierBesselBasis

BLUR = 0.75  # of the pooling at scale 1, in units of the output grid: 1.5 voxels at stride 2


def scale_waves(extent: int, count: int) -> tuple[tuple[float, ...], ...]:
    """The first `count` functions of the Fourier series over `extent` scales: constant, sine, cosine, sine, …

    `1, √2 sin(2π (t + ½) / T), √2 cos(2π (t + ½) / T), …`, divided by T: the first takes the mean over the scales.

    Args:
        extent: T, the number of scales.
        count: how many, at most T; where that is all of them and T is even, the last is the alternating one.

    Raises:
        ScaleGroupError: for more functions than scales, or none.

    Example:
        >>> [[round(value, 2) for value in wave] for wave in scale_waves(3, 2)]
        [[0.33, 0.33, 0.33], [0.41, 0.0, -0.41]]
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= extent:
        hint = "as many functions as scales are free taps"
        raise ScaleGroupError(f"a number of functions from 1 to scale_extent = {extent}", repr(count), hint)
    rows = []
    for m in range(count):
        turns = [2 * pi * ((m + 1) // 2) * (t + 0.5) / extent for t in range(extent)]
        rows.append([1.0] * extent if m == 0 else [sqrt(2) * (sin(a) if m % 2 else cos(a)) for a in turns])
    return tuple(tuple(value / extent for value in row) for row in rows)


class DecomposedLayers(RegularLayers):
    """The layers of ScDCFNet.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 4.
        radius: of the filters at the finest scale, in voxels. Default 4.
        max_frequency: of the vibrations, in radians per radius; see `FourierBesselBasis`. Default 6.3.
        scale_extent: neighbouring scales that a filter spans. Default 3.
        scale_size: waves over them. Default 2.

    Raises:
        ScaleGroupError: for numbers out of range.

    Example:
        >>> conv = DecomposedLayers(dim=2).conv(4, 8)
        >>> tuple(conv.weight.shape), conv.scale_extent  # out, in, waves over the scales, vibrations
        ((8, 4, 2, 6), 3)
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        radius: float = 4.0,
        max_frequency: float = 6.3,
        scale_extent: int = 3,
        scale_size: int = 2,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.vibrations = FourierBesselBasis(dim, max_frequency=max_frequency)
        self.options = {"sigma": radius}
        self.scale_extent = scale_extent
        self.scale_options = {"scale_basis": scale_waves(scale_extent, scale_size), "scale_padding": "replicate"}

    def basis(self) -> FourierBesselBasis:
        """The vibrations of a ball whose radius is the width of the filters."""
        return self.vibrations

    def down(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """The average by a Gaussian window that grows with the scale."""
        return nn.ScaleBlurPool(self.field(channels), stride, sigma=BLUR)


METHOD = Method(
    name="zhu2019",
    title="ScDCFNet",
    source="Zhu, Qiu, Calderbank, Sapiro, Cheng, "
    "Scaling-Translation-Equivariant Networks with Decomposed Convolutional Filters, 2019",
    kind="steerable",
    interscale=True,
    scales="all",
    equivariance="global",
    layers=DecomposedLayers,
)
