"""Dilated kernels: their taps move apart with the scale, exactly where they stay on the grid."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, floor, log, pi
from typing import Literal, final, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray
from scalegroup.symbolic.checks import check_dim, is_integer, is_positive

Fill = Literal["lstsq", "none"]

BAND = pi / 2  # radians per voxel: where a fitted impulse is to be a delay
OUT_OF_BAND_WEIGHT = 1e-3  # of the amplitudes; with extra taps the gain outside is at most 1.3 times that inside
DIGITS = 12  # of a scale: √8 / 2 is √2, whose fit the last bits of a float would change by 1e-11
ROUNDING = 1e-9  # places and scales nearer to a whole number than this are that number


@final
@dataclass(frozen=True)
class DilatedBasis(Basis):
    """Sums of unit impulses at whole numbers, which at scale s lie at the multiples of s.

    `h_f(u) = Σ_n a_{fn} δ(u - n)`, so `h_f(x / s) / s = Σ_n a_{fn} δ(x - s n)`: at a whole number s the taps are the
    numbers `a` with s - 1 zeros in between, and on the lattice of every s-th voxel the layer is exactly that of scale
    1, for any input. At other scales the impulse towards s n is the filter `t` of whole voxels that minimises
    `∫ p(w) |Σ_m t_m e^{iwm} - e^{iwsn}|² dw`, `p = 1` for `|w| ≤ π/2` and 1e-6 outside: a fractional delay. Of two
    scales whose ratio is `ratio`, the larger one has the taps of the smaller one with zeros in between, so that a layer
    is exact under that factor whatever its base is.

    The width in voxels that a layer asks for is the scale: leave its `sigma` at 1.

    Args:
        profile: None: an impulse for each voxel, as in an ordinary convolution. Else a basis: its functions of width
            `sigma` at `kernel_size` voxels, each divided by its norm, are the numbers `a`.
        kernel_size: impulses along each axis, odd. Default 3.
        sigma: width of the profile in voxels at scale 1. Default 1.0.
        fill: "lstsq": other scales than whole numbers are fitted; "none": they are an error. Default "lstsq".
        extra: taps on each side of a fitted kernel, beyond the outermost impulse. Default 2.
        ratio: a whole number > 1, see above; None: all other scales are fitted one by one, which is more accurate above
            `|w| = π / (2 ratio)`, but not exact anywhere. Default 2.
        dim: number of axes. Default 3.

    Raises:
        ScaleGroupError: for arguments out of range, a profile of another dim, and from `taps` with fill="none" for
            places between the voxels.

    Source: Worrall and Welling 2019, "Deep Scale-Spaces" (whole numbers); Sosnovik et al. 2021, "DISCO" (profiles and
        other scales, there by gradient descent on random images).

    Example:
        >>> basis = DilatedBasis(kernel_size=3, dim=2)
        >>> values, first = basis.taps(2.0, 0.0)
        >>> values.astype(int).tolist(), first
        ([[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]], -2)
        >>> basis.taps(1.5, 0.0)[0].shape
        (3, 9)
    """

    profile: Basis | None = None
    kernel_size: int = 3
    sigma: float = 1.0
    fill: Fill = "lstsq"
    extra: int = 2
    ratio: int | None = 2
    dim: int = 3

    def __post_init__(self) -> None:
        if not is_integer(self.kernel_size, 1) or self.kernel_size % 2 == 0:
            hint = "an odd kernel has an impulse in its middle, as centred grids need"
            raise ScaleGroupError("kernel_size, an odd integer >= 1", repr(self.kernel_size), hint)
        check_dim(self.dim)
        if self.profile is not None and (not isinstance(self.profile, Basis) or self.profile.dim != self.dim):
            hint = "a profile such as HermiteBasis(2, dim=3) has an order, and the dim of this basis"
            raise ScaleGroupError(f"profile: a Basis of dim {self.dim}, or None", repr(self.profile), hint)
        if not is_positive(self.sigma):
            raise ScaleGroupError("sigma: a positive number", repr(self.sigma), "it is a width in voxels at scale 1")
        if self.fill not in get_args(Fill):
            hint = "'lstsq' fits what lies between the voxels, 'none' refuses it"
            raise ScaleGroupError("fill 'lstsq' or 'none'", repr(self.fill), hint)
        if not is_integer(self.extra, 0):
            raise ScaleGroupError("extra, an integer >= 0", repr(self.extra), "2 taps make a fit accurate to 2e-4")
        if not self._values().any(axis=1).all():
            hint = "odd functions need more than the voxel in the middle"
            raise ScaleGroupError("a profile without functions that vanish on all voxels", repr(self), hint)
        if self.ratio is not None and not is_integer(self.ratio, 2):
            raise ScaleGroupError("ratio, an integer >= 2, or None", repr(self.ratio), "2 suits the scales √2^i")

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The function on each axis, for every product kernel."""
        return self.profile.products if self.profile else tuple(product(range(self.kernel_size), repeat=self.dim))

    @property
    def places(self) -> Array:
        """Where the impulses lie at scale 1, shape `(kernel_size,)`."""
        return np.arange(self.kernel_size, dtype=np.float64) - self.kernel_size // 2

    @property
    def amplitudes(self) -> Array:
        """What they weigh: `a_{fn}`, shape `(F1, kernel_size)`."""
        values = self._values()
        return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))

    def _values(self) -> Array:
        """The profile on the voxels, before it is normalised."""
        return np.eye(self.kernel_size) if self.profile is None else self.profile.functions(self.places / self.sigma)

    def functions(self, u: npt.ArrayLike) -> Array:
        """The impulses as boxes of width 1 and of their weight, because they have no values at points.

        These are the means of the impulses over unit cells: the integral over `u` is that of the impulses, but the
        transfer function of the boxes is `transfer(w) sinc(w / 2π)`. Taps are never sampled from them.
        """
        points = np.asarray(u, dtype=np.float64)
        boxes = np.abs(points - self.places.reshape(-1, *[1] * points.ndim)) < 0.5
        return np.asarray(np.tensordot(self.amplitudes, boxes, axes=1))

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """The transfer functions of the impulses, `Σ_n a_{fn} e^{iwn}`: shape `S` -> `(F1, *S)`."""
        return np.asarray(np.tensordot(self.amplitudes, np.exp(1j * np.multiply.outer(self.places, w)), axes=1))

    def taps(self, sigma: float, phase: float) -> tuple[Array, int]:
        """The taps `(F1, L)` at the scale `sigma`, and the voxel of the first one."""
        zeros = self._dilation(sigma) if phase == 0 else 1
        places = round(sigma / zeros, DIGITS) * self.places + phase
        whole = np.round(places).astype(int)
        if np.abs(places - whole).max() < ROUNDING:
            last = int(np.abs(whole).max())
            delays = np.eye(2 * last + 1)[last + whole]
        elif self.fill == "none":
            hint = "use whole scales (an integer base), and no strides on even sizes; or fill='lstsq'"
            raise ScaleGroupError("scales at which all impulses lie on voxels", f"{sigma:g}, phase {phase:g}", hint)
        else:
            last = ceil(np.abs(places).max()) + self.extra
            delays = _delays(places, last)
        taps = np.zeros((self.num_functions, 2 * zeros * last + 1))
        taps[:, ::zeros] = self.amplitudes @ delays
        return taps, -zeros * last

    def _dilation(self, scale: float) -> int:
        """The largest power of the ratio by which a smaller fitted kernel is dilated; 1 for whole scales."""
        if self.ratio is None or scale < self.ratio or abs(scale - round(scale)) < ROUNDING:
            return 1
        return int(self.ratio ** floor(log(scale, self.ratio) + ROUNDING))


def _delays(places: Array, last: int) -> Array:
    """For each place the filter on the voxels `-last … last` that is nearest to the wave of an impulse there."""
    voxels = np.arange(-last, last + 1, dtype=np.float64)

    def overlap(distance: Array) -> Array:  # ∫ p(w) cos(w distance) dw
        inside = 2 * BAND * np.sinc(BAND * distance / pi)
        return np.asarray(inside + OUT_OF_BAND_WEIGHT**2 * (2 * pi * np.sinc(distance) - inside))

    matrix, sides = overlap(voxels[:, None] - voxels), overlap(voxels[:, None] - places)
    return np.ascontiguousarray(np.linalg.solve(matrix, sides).T)
