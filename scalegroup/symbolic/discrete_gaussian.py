"""The discrete analogue of the Gaussian, and its derivatives by small difference stencils."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import final

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray
from scalegroup.symbolic.hermite import HermiteBasis, hermite_table

SUPPORT = 4.5  # widths, as for the sampled derivatives; beyond lies 1e-5 of the kernel, far below its inexactness


def discrete_gaussian(variance: float, reach: int) -> Array:
    """The discrete analogue of the Gaussian, `T(n, t) = e^-t I_n(t)`, with modified Bessel functions `I_n`.

    Its spectrum is `Σ_n T(n, t) e^{iwn} = e^{-t (1 - cos w)}`, so kernels of variance t form a semigroup on the grid,
    `T(t) * T(t') = T(t + t')`, which sampled Gaussians do not.

    Args:
        variance: t ≥ 0, in squared samples.
        reach: the largest n ≥ 0.

    Returns:
        The values at n = -reach … reach, shape `(2 reach + 1,)`, exact to rounding.

    Raises:
        ScaleGroupError: for a negative variance or reach.

    Source: Lindeberg, "Scale-space for discrete signals", 1990.

    Example:
        >>> discrete_gaussian(1.0, reach=2).round(4).tolist()
        [0.0499, 0.2079, 0.4658, 0.2079, 0.0499]
    """
    if not (isfinite(variance) and variance >= 0) or reach < 0:
        raise ScaleGroupError("a variance ≥ 0 and a reach ≥ 0", (variance, reach), "both count samples")
    # A sum over N frequencies repeats the kernel every N samples: the next copy is too far away to be seen.
    count = 2 * (reach + 16 + ceil(8 * variance**0.5))
    half = np.fft.irfft(np.exp(-variance * (1 - np.cos(2 * np.pi * np.arange(count // 2 + 1) / count))), count)
    return np.concatenate([half[reach:0:-1], half[: reach + 1]])


@final
@dataclass(frozen=True)
class DiscreteGaussianBasis(Basis):
    """Derivatives of a Gaussian up to order 2 with taps of their own: a discrete Gaussian, then central differences.

    The functions, products and norms are those of `HermiteBasis(order, dim)`, `h_n ∝ d^n/du^n e^{-u²/2}`; the taps of
    width σ are `T(σ²)`, `-σ (T(m+1) - T(m-1)) / 2` and `σ² (T(m+1) - 2 T(m) + T(m-1))`, times the same constants. On
    the grid derivatives commute with smoothing, and smoothing is a semigroup. But the spectrum is
    `e^{-σ² (1 - cos w)}` with sin w for w, so scaling the kernel is exact only as σ grows, with an error that falls as
    `σ^-2`: some per cent at σ = 1, where sampled derivatives have 1e-4.

    For output points between two voxels everything is done on a grid twice as fine, of which every second tap is kept.

    Args:
        order: largest total degree, 0, 1 or 2. Default 2.
        dim: number of axes. Default 3.

    Raises:
        ScaleGroupError: for another order, or a `dim` that is no integer ≥ 1.

    Source: Lindeberg, "Discrete derivative approximations with scale-space properties", 1993; "Scale-covariant and
        scale-invariant Gaussian derivative networks", 2022.

    Example:
        >>> basis = DiscreteGaussianBasis(dim=2)
        >>> basis.products
        ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0))
        >>> values, first = basis.taps(1.0, 0.0)
        >>> values.shape, first
        ((3, 11), -5)
    """

    order: int = 2
    dim: int = 3

    def __post_init__(self) -> None:
        if isinstance(self.order, bool) or self.order not in (0, 1, 2):
            hint = "HermiteBasis samples derivatives of any order"
            raise ScaleGroupError("order 0, 1 or 2", repr(self.order), hint)
        object.__setattr__(self, "order", int(self.order))
        object.__setattr__(self, "dim", self._continuous.dim)

    @property
    def _continuous(self) -> HermiteBasis:
        return HermiteBasis(self.order, self.dim)

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The order of the derivative along each axis, for every product kernel."""
        return self._continuous.products

    def functions(self, u: npt.ArrayLike) -> Array:
        """The continuous functions that the taps stand for: shape `S` -> `(order + 1, *S)`."""
        return self._continuous.functions(u)

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """The transfer functions of the continuous functions: shape `S` -> `(order + 1, *S)`."""
        return self._continuous.transfer(w)

    def taps(self, sigma: float, phase: float) -> tuple[Array, int]:
        """The discrete derivatives, for output points on the voxels or half-way between them."""
        if phase not in (0.0, 0.5):
            hint = "a discrete Gaussian exists on a grid only; HermiteBasis exists everywhere"
            raise ScaleGroupError("a phase of 0 or 1/2", phase, hint)
        fine = 1 if phase == 0 else 2
        reach = ceil(SUPPORT * sigma)
        lattice = fine * discrete_gaussian((fine * sigma) ** 2, fine * (reach + 2))
        smooth = lattice[1:-1:fine]  # at one voxel more on each side than there are taps
        left, middle, right = smooth[:-2], smooth[1:-1], smooth[2:]
        derivatives = [middle, sigma * (left - right) / 2, sigma**2 * (left - 2 * middle + right)]
        scale = np.sqrt(2 * np.pi) * hermite_table(self.order).norms
        return scale[:, None] * np.array(derivatives[: self.order + 1]), -reach
