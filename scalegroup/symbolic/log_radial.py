"""Log-radial harmonics: kernels whose scaling is a phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import floor, log, pi, prod, sqrt
from typing import Literal, final, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array
from scalegroup.symbolic.checks import check_dim, is_integer, is_positive
from scalegroup.symbolic.harmonics import harmonics
from scalegroup.symbolic.joint import EDGE, JointBasis

Law = Literal["l1", "l2"]

BUMP_NODES = 4096  # of the integrals over the circle; the bumps are smooth but for corners of height e^-8


@final
@dataclass(frozen=True)
class LogRadialBasis(JointBasis):
    """Log-radial harmonics: a wave in the logarithm of the radius, times a function of the direction.

    `S(u) = r^-d A(θ) e^{iκ log r}` for `r = |u| ≤ support`; its real and its imaginary part are two functions. Scaling
    is a phase: `s^-d S(u / s) = e^{-iκ log s} S(u)` where both are inside, so that the coefficients `c = a - ib` of a
    kernel `Re Σ c S` at one scale give those at every other, `c e^{-iκ log s}`. The directions `A(θ)`:

    - 1-D: even and odd,
    - 2-D: bumps `exp(-|θ - φ|² / 2w²)` at `angles` angles φ over half a turn, modulo half a turn: even under u -> -u,
      with a width w of half their distance,
    - 3-D: real spherical harmonics up to degree `lmax`.

    In the middle the wave turns infinitely fast; below the radius `inner` it stands still (r counts as `inner`), and at
    zero the direction is averaged. The middle belongs to the kernel and grows with it. Fast waves, narrow bumps and
    hard edges alias on a grid, even averaged over the voxels: this is the least accurate of the bases.

    Functions are ordered by κ, then direction, then real before imaginary part. Each pair has a mean square of 1 over
    the ring `inner ≤ r ≤ support`: real and imaginary parts get one factor, unlike the published code, which takes
    one each and loses the phase law. The published phase of -π/4 only turns the coefficients.

    Args:
        dim: 1, 2 or 3. Default 3.
        orders: turns of the wave over the ring: `κ = 2π order / log(support / inner)`. Default (0.5, 1, 2).
        angles: number of bumps, 2-D only. Default 8.
        lmax: largest degree of the harmonics, 3-D only. Default 2.
        support: outer radius, in widths. Default 5.0.
        inner: inner radius, in widths. Default 1.0: with `GroupConv(sigma=1)` the middle voxel counts as a neighbour
            does, as published.
        normalise: "l1", which is equivariant: kernels of width sigma are `S(u / sigma) / sigma^d`. Or "l2", as
            published: `r^(-d/2)` in place of `r^-d`, and `sigma^(-d/2)`, which multiplies responses by s^(d/2).
        subsamples: points along each axis of a voxel over which the functions are averaged. 1, as published, takes the
            middle of the voxel alone; then the kernels of different scales differ by 40 to 110 %, with 4 by 10 to 25 %.
            Default 4.

    Raises:
        ScaleGroupError: for arguments out of range.

    Source: Ghosh & Gupta, "Scale Steerable Filters for Locally Scale-Invariant Convolutional Neural Networks", 2019.

    Example:
        >>> basis = LogRadialBasis(dim=2, orders=(1,))
        >>> len(basis), basis.sample((1.0, 1.0), (0, 0)).shape
        (16, (16, 11, 11))
    """

    dim: int = 3
    orders: tuple[float, ...] = (0.5, 1.0, 2.0)
    angles: int = 8
    lmax: int = 2
    support: float = 5.0
    inner: float = 1.0
    normalise: Law = "l1"
    subsamples: int = 4

    def __post_init__(self) -> None:
        check_dim(self.dim)
        if not isinstance(self.orders, (tuple, list)) or not self.orders or not all(map(is_positive, self.orders)):
            raise ScaleGroupError("orders, a tuple of numbers > 0", repr(self.orders), "they count turns of a wave")
        for name, least in (("angles", 1), ("lmax", 0), ("subsamples", 1)):
            value = getattr(self, name)
            if not is_integer(value, least):
                hint = "bumps in 2-D are counted by angles, degrees in 3-D by lmax, points in a voxel by subsamples"
                raise ScaleGroupError(f"{name}, an integer >= {least}", repr(value), hint)
        if not (is_positive(self.inner) and is_positive(self.support) and self.inner < self.support):
            hint = "the wave needs a ring between them"
            raise ScaleGroupError("radii 0 < inner < support", repr((self.inner, self.support)), hint)
        if self.normalise not in get_args(Law):
            hint = "'l1' is equivariant, 'l2' as published"
            raise ScaleGroupError("normalise 'l1' or 'l2'", repr(self.normalise), hint)
        object.__setattr__(self, "orders", tuple(map(float, self.orders)))

    @property
    def frequencies(self) -> tuple[float, ...]:
        """κ of every pair of functions, real and imaginary part: the phase of a scale s is `-κ log s`."""
        directions = len(self._directions(np.zeros(self.dim)))
        unit = 2 * pi / log(self.support / self.inner)
        return tuple(unit * order for order in self.orders for _ in range(directions))

    def functions(self, u: npt.ArrayLike) -> Array:
        """The functions at points `(dim, *S)`, in widths -> `(F, *S)`."""
        points = np.asarray(u, dtype=np.float64)
        distances = np.sqrt((points**2).sum(axis=0))
        power = self.dim if self.normalise == "l1" else self.dim / 2
        r = np.maximum(distances, self.inner)
        log_r = np.log(r)
        envelope = np.where(distances <= self.support * EDGE, r**-power, 0.0) / self._norm(power)
        directions = envelope * self._directions(points / np.where(distances > 0, distances, 1.0))
        kappas = self.frequencies[:: len(directions)]
        waves = [wave(kappa * log_r) * directions for kappa in kappas for wave in (np.cos, np.sin)]
        stacked = np.stack(waves).reshape(len(kappas), 2, *directions.shape)
        return np.ascontiguousarray(stacked.swapaxes(1, 2)).reshape(-1, *distances.shape)

    def reach(self, width: float) -> int:
        """The half-width of the sampled kernels in voxels: of the last voxel of which a point lies inside."""
        return floor(self.support * width * EDGE + (1 - 1 / self.subsamples) / 2)

    def sample(self, widths: Sequence[float], phases: Sequence[float]) -> Array:
        """The functions on the grid, as in `JointBasis`: their means over the voxels, by the law of `normalise`."""
        return _sampled(self, tuple(widths), tuple(phases))

    def __len__(self) -> int:
        return 2 * len(self.frequencies)

    def _directions(self, units: Array) -> Array:
        """`A(θ)` of unit norm over the sphere, at unit vectors, and their mean at zero: `(dim, *S)` -> `(D, *S)`."""
        if self.dim != 2:
            degrees = range(2 if self.dim == 1 else self.lmax + 1)
            return np.concatenate([harmonics(self.dim, degree, units) for degree in degrees])
        centres = (np.pi * np.arange(self.angles) / self.angles).reshape(-1, *[1] * (units.ndim - 1))
        norm, mean = _bump_constants(self.angles)
        bumps = _bump(np.arctan2(units[1], units[0]) - centres, self.angles)
        return np.where((units != 0).any(axis=0), bumps, mean) / norm

    def _norm(self, power: float) -> float:
        """`∫ r^(-2 power) r^(d-1) dr` over the ring is its square."""
        exponent = self.dim - 2 * power
        if exponent == 0:
            return sqrt(log(self.support / self.inner))
        return sqrt((self.support**exponent - self.inner**exponent) / exponent)


@lru_cache(maxsize=64)
def _sampled(basis: LogRadialBasis, widths: tuple[float, ...], phases: tuple[float, ...]) -> Array:
    count = basis.subsamples
    places = []
    for width, phase in zip(widths, phases, strict=True):
        reach = basis.reach(width)
        places.append(np.arange(-reach, reach + 1 + (phase > 0)) - phase)
    total: Array | float = 0.0
    for shift in product((np.arange(count) + 0.5) / count - 0.5, repeat=basis.dim):  # one by one, to save memory
        axes = [(axis + offset) / width for axis, offset, width in zip(places, shift, widths, strict=True)]
        total = total + basis.functions(np.stack(np.meshgrid(*axes, indexing="ij")))
    mean = np.asarray(total / (count**basis.dim * prod(widths) ** (1.0 if basis.normalise == "l1" else 0.5)))
    mean.flags.writeable = False
    return mean


def _bump(angle: Array, count: int) -> Array:
    """One bump at distances from its centre, of which half turns do not count."""
    distance = np.abs((angle + pi / 2) % pi - pi / 2)
    return np.asarray(np.exp(-0.5 * (distance / (pi / (2 * count))) ** 2))


@lru_cache(maxsize=8)
def _bump_constants(count: int) -> tuple[float, float]:
    """The L2 norm of a bump over the circle, and its mean."""
    values = _bump(2 * pi * np.arange(BUMP_NODES) / BUMP_NODES, count)
    return sqrt(2 * pi * (values**2).mean()), float(values.mean())
