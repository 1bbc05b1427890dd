"""Hermite-Gaussians on kernels of a fixed number of voxels, as published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal, final, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray
from scalegroup.symbolic.checks import check_dim, is_integer, is_positive
from scalegroup.symbolic.hermite import HermiteBasis

Kind = Literal["single", "multi"]

ROUNDING = 1e-9  # σ / full_sigma went through powers of the base; the whole number that it was meant to be counts


@final
@dataclass(frozen=True)
class FixedHermiteBasis(Basis):
    """Hermite-Gaussians that are cut off after a fixed number of voxels, `effective_size ** dim` of them.

    `h_{jn}(u) = c_{jn} μ^j He_n(μ^j u) e^{-(μ^j u)²/2}` with `μ = mult`, sampled at whole voxels and cut off there,
    however much of the function lies beyond. `c_{jn} > 0` makes the norm of the taps 1 at a width of `norm_sigma`, and
    is the same for all widths.

    The continuous functions scale as they should; the taps do not, and `kernels.Taps.error` says by how much. For the
    same functions without the cut use `HermiteBasis`. Widths are in voxels of the grid that a layer reads: published
    layers do not widen their kernels with the stride, so build strided ones with `sigma / stride`.

    Args:
        kernel_size: voxels along each axis, odd. Default 5.
        effective_size: e; the basis has `e ** dim` functions. Default 3.
        kind: "single" (SESN's basis A, "onescale"): all degrees up to e - 1 on each axis, j = 0; "multi" (SESN's
            basis B, "multiscale"): degrees up to a total of `max_order`, first at j = 0, then at j = 1, …, in the order
            in which the last axis counts slowest, and no more of them than `e ** dim`, which is seldom a complete
            set: then the axes are not alike. Default "multi".
        mult: ratio μ of neighbouring widths of "multi", > 1. Default 1.2.
        max_order: largest total degree of "multi". Default 4.
        full_sigma: width in voxels of which the kernel is `kernel_size` wide; narrower ones have
            `int(kernel_size * sigma / full_sigma) // 2 * 2 + 1` voxels. Default None: `kernel_size` at every width.
        norm_sigma: width in voxels at which the taps have an L2 norm of 1: that of the first scale in the published
            lists. Default 1.0.
        dim: number of axes. Default 3.

    Raises:
        ScaleGroupError: for an even kernel size (whose published samples lie further apart than the voxels), other
            arguments out of range, and from `taps` for a width at which a single voxel would be left.

    Source: Sosnovik et al. 2019, "Scale-Equivariant Steerable Networks", and Wimmer et al. 2023, "Scale-Equivariant
        Deep Learning for 3D Data", with the published code of both.

    Example:
        >>> basis = FixedHermiteBasis(kernel_size=5, effective_size=3, dim=3)
        >>> len(basis), basis.products[0], basis.products[1], basis.products[-1]
        (27, (0, 0, 0), (1, 0, 0), (1, 0, 2))
        >>> values, first = basis.taps(0.9, 0.0)
        >>> values.shape, first
        ((5, 5), -2)
    """

    kernel_size: int = 5
    effective_size: int = 3
    kind: Kind = "multi"
    mult: float = 1.2
    max_order: int = 4
    full_sigma: float | None = None
    norm_sigma: float = 1.0
    dim: int = 3

    def __post_init__(self) -> None:
        size = self.kernel_size
        if not is_integer(size, 3) or size % 2 == 0:
            hint = "an even kernel has no voxel in its middle, and its published samples are not one voxel apart"
            raise ScaleGroupError("kernel_size, an odd integer >= 3", repr(size), hint)
        if not is_integer(self.effective_size, 1):
            hint = "the basis has effective_size ** dim functions"
            raise ScaleGroupError("effective_size, an integer >= 1", repr(self.effective_size), hint)
        if self.kind not in get_args(Kind):
            hint = "'single' has one width, 'multi' adds functions of smaller widths"
            raise ScaleGroupError("kind 'single' or 'multi'", repr(self.kind), hint)
        if not is_positive(self.mult) or self.mult <= 1:
            raise ScaleGroupError("mult, a finite number > 1", repr(self.mult), "1.2 is the published ratio of widths")
        if not is_integer(self.max_order, 0):
            raise ScaleGroupError("max_order, an integer >= 0", repr(self.max_order), "4 is the published degree")
        full = self.norm_sigma if self.full_sigma is None else self.full_sigma
        for name, sigma in (("norm_sigma", self.norm_sigma), ("full_sigma", full)):
            if not is_positive(sigma):
                raise ScaleGroupError(f"{name}, a finite number > 0", repr(sigma), "it is a width in voxels")
        check_dim(self.dim)

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """For each product the functions `j (top + 1) + n` on its axes, with the largest degree `top` of the kind."""
        return _products(self.effective_size**self.dim, self._top, self.kind, self.dim)

    def functions(self, u: npt.ArrayLike) -> Array:
        """The functions without the cut: points of any shape `S` (in widths) -> `(F1, *S)`."""
        points = np.asarray(u, dtype=np.float64)
        return np.asarray(self._raw(points) / self._norms(points.ndim))

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """The transfer functions without the cut: any shape `S` -> `(F1, *S)`."""
        frequencies = np.asarray(w, dtype=np.float64)
        hermite = HermiteBasis(self._top, dim=1)
        parts = [hermite.transfer(frequencies / self.mult**j) for j in self._widths]
        return np.asarray(np.concatenate(parts)[: self.num_functions] / self._norms(frequencies.ndim))

    def taps(self, sigma: float, phase: float) -> tuple[Array, int]:
        """The functions at whole voxels, as many as the kernel has, and one more for a point between voxels."""
        radius = self._radius(sigma)
        places = np.arange(-radius, radius + 1 + (phase > 0)) - phase
        return self.functions(places / sigma) / sigma, -radius

    @property
    def _top(self) -> int:
        return self.effective_size - 1 if self.kind == "single" else self.max_order

    @property
    def _widths(self) -> range:
        return range((self.num_functions - 1) // (self._top + 1) + 1)

    def _raw(self, points: Array) -> Array:
        """The functions before they are normalised; the constants of `HermiteBasis` drop out with that."""
        hermite = HermiteBasis(self._top, dim=1)
        parts = [self.mult**j * hermite.functions(self.mult**j * points) for j in self._widths]
        return np.asarray(np.concatenate(parts)[: self.num_functions])

    def _norms(self, axes: int) -> Array:
        """Norms of the taps at `norm_sigma`, shape `(F1, 1, …)`; those of products are their products."""
        radius = self._radius(self.norm_sigma)
        values = self._raw(np.arange(-radius, radius + 1) / self.norm_sigma) / self.norm_sigma
        return np.asarray(np.linalg.norm(values, axis=1).reshape(-1, *[1] * axes))

    def _radius(self, sigma: float) -> int:
        """Voxels on each side of the middle one."""
        if self.full_sigma is None:
            return self.kernel_size // 2
        radius = int(self.kernel_size * sigma / self.full_sigma + ROUNDING) // 2
        if radius < 1:
            expected = f"a width of at least {2 / self.kernel_size * self.full_sigma:g} voxels"
            raise ScaleGroupError(expected, f"{sigma:g}", "take a larger kernel_size, or full_sigma=None for no cut")
        return radius


@cache
def _products(count: int, top: int, kind: Kind, dim: int) -> tuple[tuple[int, ...], ...]:
    """The first `count` products in the published order: the first axis counts fastest, the width slowest."""
    degrees = [p[::-1] for p in product(range(top + 1), repeat=dim) if kind == "single" or sum(p) <= top]
    return tuple(
        tuple(n + j * (top + 1) for n in degrees[rest]) for j, rest in (divmod(i, len(degrees)) for i in range(count))
    )
