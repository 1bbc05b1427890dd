"""SS-CNN: scale-steerable filters of log-radial harmonics, and a maximum over the scales after every layer.

Ghosh, Gupta, "Scale Steerable Filters for Locally Scale-Invariant Convolutional Neural Networks", 2019.

`y(x) = max_s (Re Σ_κφ c_κφ e^{-iκ log s} S_κφ ⋆ f)(x) + b` with `S_κφ(r, θ) = r^-d A_φ(θ) e^{iκ log r}` for
`r ≤ s · radius`: the filter of scale s is that of scale 1 with the phases of its coefficients turned, cut off at
another radius. All scales of a filter are thus linear in the same coefficients.

Exact: the phases, away from the middle and the edge of the filters. Approximate: the filters on the grid, whose waves
turn ever faster towards the middle; and the window of scales, at whose ends the maximum changes. Scales are forgotten
after each layer, so that parts of an object may be scaled by different factors, and a change of their relative scale
goes unnoticed. `ScaleAxisLayers` keeps the scales instead, and is equivariant as a whole (Ghosh, Gupta, SESS).

Choices: the published filters have the factor r^-1 in 2-D, so that responses grow by s^(d/2); the equivariant r^-d is
the default here (`normalise="l2"` gives theirs). Their middle voxel has r = 1 at all scales; here the middle grows with
the filter, without which neighbouring scales differ by more than their own size. Filters are averaged over voxels,
where the published ones take the middle of each. Directions in 1-D are even and odd, in 3-D spherical harmonics up to
degree 2.
"""

from __future__ import annotations

from typing import Any

import torch

from scalegroup.methods.layers import RegularLayers, ScalarLayers
from scalegroup.methods.local_max import local_scale_max
from scalegroup.methods.method import Method
from scalegroup.symbolic import LogRadialBasis

RADIUS = 3.5  # of the filters at the finest scale, in voxels: 7 wide there and 21 at the fourth, published 7 to 17


class ScaleAxisLayers(RegularLayers):
    """Log-radial filters with an axis of scales through the whole network, each scale for itself.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 4.
        radius: of the filters at the finest scale, in voxels. Default 3.5.
        **harmonics: arguments of `LogRadialBasis`, such as orders, angles, lmax or normalise.

    Raises:
        ScaleGroupError: for arguments that `LogRadialBasis` refuses.

    Source: Ghosh, Gupta, SESS; the code is theirs, a paper was not found.

    Example:
        >>> ScaleAxisLayers(dim=2, num_scales=3).conv(1, 2).out_type.size
        6
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        radius: float = RADIUS,
        **harmonics: Any,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.harmonics = LogRadialBasis(dim, support=radius, **harmonics)

    def basis(self) -> LogRadialBasis:
        """The log-radial harmonics."""
        return self.harmonics


class LogRadialLayers(ScalarLayers, ScaleAxisLayers):
    """The same filters at every scale, and the maximum over the scales: features are images.

    Args:
        dim, base, num_scales, radius, harmonics: as in `ScaleAxisLayers`.

    Example:
        >>> layer = LogRadialLayers(dim=2).conv(4, 8)
        >>> tuple(layer[0].weight.shape)  # out, in, 1, 8 directions · 3 waves · real and imaginary part
        (8, 4, 1, 48)
    """

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """The strongest response over the scales of one filter."""
        return local_scale_max(self.group, in_channels, out_channels, self.harmonics)


METHOD = Method(
    name="ghosh2019",
    title="SS-CNN",
    source="Ghosh, Gupta, Scale Steerable Filters for Locally Scale-Invariant Convolutional Neural Networks, 2019",
    kind="steerable",
    interscale=False,
    scales="all",
    equivariance="local",
    layers=LogRadialLayers,
)
