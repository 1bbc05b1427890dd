"""B-spline networks: kernels on the group of translations and scales as sums of B-splines.

Bekkers, "B-Spline CNNs on Lie Groups", arXiv 1909.12057, 2019 (ICLR 2020).

`k(x, h) = Σ_i c_i Π_j B_p((x_j - x_ij) / knot) B_p((ln h - η_i) / knot_h)`: splines in space and over the logarithm of
the scale, with `s^-d k(x / s, h / s)` at scale s and the integral over Haar's measure `d ln h`.

Exact: the kernels are known at every point, so nothing is interpolated, and any ratio of scales will do. Approximate:
a B-spline is not band-limited; its spectrum falls as `w^-(p+1)`, and degree 3 with two or more voxels for each knot
keeps the error of a layer near 1e-3 of its output. The window of scales is finite.

Choices: degree 3 (the paper's code has 2), 3 splines along each axis with knots 2 voxels apart, and 2 splines over 3
neighbouring scales, which lie on one side of the output's scale, as everywhere in this library, where the paper centres
them. Splines are fitted to the grid where sampling them would alias. The integral over the scale is taken by the
trapezoidal rule. Localised kernels are a small `size` or `scale_extent`, atrous ones a large `spread`; centres that are
learned (deformable kernels) are left out.
"""

from __future__ import annotations

from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.symbolic import SplineBasis, scale_splines


class SplineLayers(RegularLayers):
    """The layers of a B-spline network on translations and scales.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 4.
        degree: of the splines, in space and over the scales. Default 3.
        size: splines along each axis of space. Default 3.
        knot: distance of knots in voxels at scale 1. Default 2.
        spread: distance of centres in knots, in space. Default 1; `degree + 1` leaves gaps between the splines.
        scale_extent: neighbouring scales that a kernel spans; 1 for no interaction. Default 3.
        scale_size: splines over them, at least 2. Default 2.
        scale_spread: distance of their centres in knots. Default 1.

    Raises:
        ScaleGroupError: for numbers that make no splines.

    Example:
        >>> conv = SplineLayers(dim=2, degree=3).conv(4, 8)
        >>> tuple(conv.weight.shape), conv.scale_extent  # out, in, splines over the scales, splines in space
        ((8, 4, 2, 9), 3)
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        degree: int = 3,
        size: int = 3,
        knot: float = 2.0,
        spread: float = 1.0,
        scale_extent: int = 3,
        scale_size: int = 2,
        scale_spread: float = 1.0,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.splines = SplineBasis(degree, size, knot, dim, spread)
        self.options = {"support": self.splines.support}
        self.scale_extent = scale_extent
        if scale_extent > 1:
            matrix = scale_splines(scale_extent, self.group.base, scale_size, degree, scale_spread)
            self.scale_options = {"scale_basis": matrix.tolist()}

    def basis(self) -> SplineBasis:
        """The splines in space."""
        return self.splines


METHOD = Method(
    name="bekkers2019",
    title="B-spline networks",
    source="Bekkers, B-Spline CNNs on Lie Groups, 2019",
    kind="steerable",
    interscale=True,
    scales="all",
    equivariance="global",
    layers=SplineLayers,
)
