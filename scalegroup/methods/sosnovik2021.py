"""DISCO: dilated kernels where the ratio of scales is a whole number, kernels that imitate them in between.

Sosnovik, Moskalev and Smeulders, "DISCO: accurate Discrete Scale Convolutions", BMVC 2021, arXiv 2106.02733.

`F'(s, x) = Σ_i Σ_y F(s base^i, x + y) κ_s(y)`: kernels at the smallest scale are combinations of a few smooth functions
on k voxels along each axis; `κ_{ns}` is `κ_s` with n - 1 zeros between its numbers; all others are those whose action
is nearest to that of the smallest scale.

Exact: factors of 2 (of any whole number that is a power of the base), for any input on the lattice. Approximate: scales
in between; where the paper finds their kernels by gradient descent on random images, here they solve the same problem
in closed form, axis by axis (see `symbolic.DilatedBasis`): below half the Nyquist frequency spectra differ by 1e-4 to
2e-4, those of the published kernels by 0.035. So other bases than the paper's √2 and 2^{1/3} work as well; a base of
which no power is a whole number is nowhere exact.

Choices: the published setting for STL-10 (3 voxels, σ = 0.9, basis A), which spans all kernels of 3 voxels; that for
MNIST is `kernel_size=7, sigma=1.9, kind="B", mult=1.9`. No interaction of scales by default.
"""

from __future__ import annotations

from typing import Literal, get_args

from scalegroup.errors import ScaleGroupError
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.symbolic import Basis, DilatedBasis, FixedHermiteBasis, HermiteBasis

Kind = Literal["A", "B"]

POWERS = range(1, 9)  # of the base, searched for a whole number


class DiscoLayers(RegularLayers):
    """The layers of DISCO.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 4.
        kernel_size: voxels along each axis at the smallest scale, odd; the basis has `kernel_size ** dim` functions.
            Default 3.
        sigma: width of the functions there in voxels. Default 0.9.
        kind: "A": Hermite-Gaussians of all degrees below `kernel_size` on each axis; "B": those of a total degree up to
            4, and then the same at smaller widths. Default "A".
        mult: ratio of neighbouring widths of "B". Default 1.9.
        extra: taps that a fitted kernel has on each side beyond its outermost number. Default 2.
        scale_extent: neighbouring scales that a kernel spans; 1 for no interaction. Default 1.

    Raises:
        ScaleGroupError: for an even or small kernel_size, or an unknown kind.

    Example:
        >>> conv = DiscoLayers(dim=2).conv(4, 8)
        >>> [tuple(conv.kernels(scale).shape[2:]) for scale in range(4)]
        [(3, 3), (9, 9), (5, 5), (17, 17)]
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        kernel_size: int = 3,
        sigma: float = 0.9,
        kind: Kind = "A",
        mult: float = 1.9,
        extra: int = 2,
        scale_extent: int = 1,
    ) -> None:
        super().__init__(dim, base, num_scales)
        if kind not in get_args(Kind):
            raise ScaleGroupError(
                "kind 'A' or 'B'", repr(kind), "'A' has one width, 'B' adds functions of smaller ones"
            )
        profile: Basis = FixedHermiteBasis(kernel_size, kernel_size, mult=mult, dim=dim)
        if kind == "A":
            profile = HermiteBasis(kernel_size - 1, dim, "each")
        ratio = whole_ratio(self.group.base)
        self.kernel = DilatedBasis(profile, kernel_size, sigma, extra=extra, ratio=ratio, dim=dim)
        self.scale_extent = scale_extent

    def basis(self) -> DilatedBasis:
        """The smooth functions and their dilations."""
        return self.kernel


def whole_ratio(base: float) -> int | None:
    """The smallest power of a base that is a whole number, or None.

    Example:
        >>> whole_ratio(2**0.5), whole_ratio(3**0.25), whole_ratio(1.5)
        (2, 3, None)
    """
    powers = [base**n for n in POWERS]
    return next((round(power) for power in powers if abs(power - round(power)) < 1e-9 * power), None)


METHOD = Method(
    name="sosnovik2021",
    title="DISCO",
    source="Sosnovik, Moskalev and Smeulders, DISCO: Accurate Discrete Scale Convolutions, 2021",
    kind="filter dilation",
    interscale=True,
    scales="√2^i",
    equivariance="global",
    layers=DiscoLayers,
)
