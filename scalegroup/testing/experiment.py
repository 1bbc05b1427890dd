"""Which pair of inputs a module is shown, on which grids, and where its outputs are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.groups.checks import as_finite, as_integer
from scalegroup.nn.module import on_grids
from scalegroup.testing.inputs import ALL_SCALES, AnalyticField, Array, Blobs, Waves, centred
from scalegroup.testing.places import Axes, output_places

Protocol = Literal["blobs", "lattice", "torus"]
DEFAULT_SIZE = {
    "blobs": {1: 128, 2: 64, 3: 48},
    "lattice": {1: 49, 2: 33, 3: 25},
    "torus": {1: 72, 2: 72, 3: 36},  # 80 and 40 points under 1/0.9: both fit strides of 2 and 4
}

LARGEST_SIZE = 256  # voxels per axis: no larger torus is proposed
INTERIOR = "interior, a number > 0 and <= 1"
WMAX = "wmax, a number > 0 and <= π"


@dataclass(frozen=True)
class Experiment:
    """A factor a, and the grids of the two inputs f and `L_a f`; see `equivariance_error` for the protocols.

    Attributes:
        protocol: "blobs", "lattice" or "torus".
        factor: a, at least 1.
        steps: how many channels it moves content up the window; `None` if it is no power of the base.
        small: voxels per axis for f.
        large: voxels per axis for `L_a f`.
        interior: share of the larger volume, per axis, that is compared (the torus has no border).
    """

    protocol: Protocol
    factor: float
    steps: int | None
    small: int
    large: int
    interior: float

    @classmethod
    def plan(
        cls, group: ScaleTranslationGroup, scale: float | None, protocol: Protocol, size: int | None, interior: float
    ) -> Self:
        """Choose what is not given, and check what is."""
        if protocol not in get_args(Protocol):
            raise ScaleGroupError(f"a protocol of {get_args(Protocol)}", repr(protocol), "'blobs' suits every module")
        share = as_finite(interior, INTERIOR, "it is the share of each axis that is compared", positive=True)
        if share > 1:
            raise ScaleGroupError(INTERIOR, share, "1 compares the whole volume with its border")
        hint = "it is the number of voxels per axis; leave it out for one that suits the protocol"
        given = None if size is None else as_integer(size, "size, an integer >= 3", hint, minimum=3)
        small = DEFAULT_SIZE[protocol][group.dim] if given is None else given
        sizes = range(small, 2 * small) if given is None and protocol == "torus" else range(small, small + 1)
        factor = _factor(group, scale, protocol, sizes)
        small = next((n for n in sizes if is_integer(n * factor)), small)
        large = {"blobs": float(small), "lattice": factor * (small - 1) + 1, "torus": factor * small}[protocol]
        if not is_integer(large):
            raise ScaleGroupError(
                f"a size that the factor {factor:g} turns into whole voxels for protocol={protocol!r}",
                small if given is not None else f"none from {sizes[0]} to {sizes[-1]}",
                _cure(factor, small),
            )
        steps = math.log(factor) / math.log(group.base)
        return cls(protocol, factor, round(steps) if is_integer(steps) else None, small, round(large), share)

    @property
    def on_torus(self) -> bool:
        """Whether there is no border."""
        return self.protocol == "torus"

    def inputs(
        self,
        field_type: FieldType,
        seed: int,
        batch: int,
        wmax: float,
        width: tuple[float, float],
        inside: bool,
    ) -> AnalyticField:
        """A random field that both grids can hold; with `inside` one that the factor keeps inside the window."""
        seed = as_integer(seed, "seed, an integer >= 0", "the same seed gives the same inputs", minimum=0)
        batch = as_integer(batch, "batch, an integer >= 1", "it is the number of inputs", minimum=1)
        top = as_finite(wmax, WMAX, "it is the highest frequency, in radians per voxel", positive=True)
        if top > math.pi:
            raise ScaleGroupError(WMAX, top, "a grid holds no frequencies above π radians per voxel")
        widths = _widths(width)
        scales = group_of(field_type).scales
        extent = (scales[0], scales[-1] / self.factor) if inside else ALL_SCALES
        if self.on_torus:
            return Waves.random(field_type, self.small, top, batch, seed, extent)
        reach = (self.large - 1) / 2 / self.factor  # what both grids see, in voxels of f
        return Blobs.random(field_type, 0.3 * reach, widths, batch=batch, seed=seed, extent=extent)

    def period(self, size: int) -> float | None:
        """The side of the torus with this many voxels."""
        return float(size) if self.on_torus else None

    def output_places(
        self,
        inputs: tuple[list[Axes], list[Axes]],
        in_type: FieldType,
        shapes: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
        out_type: FieldType,
        spacing: float | None,
    ) -> tuple[list[Axes], list[Axes]]:
        """Positions of the output points, for both inputs, in voxels of the input: one grid, or one for each scale."""
        sizes = (self.small, self.large)
        if self.on_torus:
            if not on_grids(in_type) and not on_grids(out_type):
                self._check_strides(shapes[0][0], shapes[1][0])
            f, g = (
                [[centred(n, size / n) for n in shape] for shape in s] for size, s in zip(sizes, shapes, strict=True)
            )
        elif spacing is not None:
            scales = group_of(out_type).scales if on_grids(out_type) else (1.0,)
            f, g = (
                [[centred(n, spacing * scale) for n in shape] for shape, scale in zip(s, scales, strict=True)]
                for s in shapes
            )
        else:
            f, g = (
                output_places(size, place, in_type, s, out_type)
                for size, place, s in zip(sizes, inputs, shapes, strict=True)
            )
        return f, g

    def _check_strides(self, f_shape: tuple[int, ...], g_shape: tuple[int, ...]) -> None:
        pairs = [(self.small, n) for n in f_shape] + [(self.large, n) for n in g_shape]
        fits = [max(n, m) % min(n, m) == 0 for n, m in pairs]
        same = [n * self.large == m * self.small for n, m in zip(f_shape, g_shape, strict=True)]
        if not all(fits + same):
            hint = "give such a size, or use protocol='blobs'"
            raise ScaleGroupError("sizes that the module's strides divide", (self.small, self.large), hint)

    def compared(self, grid: Array) -> Array:
        """Those positions on f's output grid where the outputs are compared."""
        if self.on_torus:
            return grid
        inside: npt.NDArray[np.bool_] = np.abs(grid) * self.factor <= self.interior * (self.large - 1) / 2 + 1e-9
        return grid[inside]


def _widths(width: object) -> tuple[float, float]:
    """The range of the blobs' widths, checked."""
    expected, hint = "width, two positive numbers in ascending order", "(2, 3) voxels is the default"
    if not isinstance(width, tuple | list) or len(width) != 2:
        raise ScaleGroupError(expected, repr(width), hint)
    low, high = (as_finite(value, expected, hint, positive=True) for value in width)
    if low > high:
        raise ScaleGroupError(expected, (low, high), hint)
    return low, high


def _cure(factor: float, size: int) -> str:
    """What suits the torus instead: the nearest size, or, if there is none, another factor."""
    suitable = [n for n in range(3, LARGEST_SIZE + 1) if is_integer(n * factor)]
    if suitable:
        return f"{min(suitable, key=lambda n: abs(n - size))} voxels suit this factor, and protocol='blobs' suits all"
    return (
        "no size suits this factor: give a rational one, such as scale=2 (of a group with base=2**0.5 or 2, any size) "
        "or scale=1/0.9 (of a group with base=1/0.9, size=54), or use protocol='blobs'"
    )


def group_of(field: FieldType) -> ScaleTranslationGroup:
    """The group of a field type, which must have scales."""
    if not isinstance(field.group, ScaleTranslationGroup):
        raise ScaleGroupError("types of a ScaleTranslationGroup", field.group, "only it has factors to scale by")
    return field.group


def is_integer(value: float) -> bool:
    """Whether a number is a whole one up to rounding."""
    return abs(value - round(value)) < 1e-6


def _factor(group: ScaleTranslationGroup, scale: float | None, protocol: Protocol, sizes: Sequence[int]) -> float:
    """The factor, at least 1: the one given, or the smallest power of the base that suits the protocol."""
    if scale is None:
        powers = [group.base**m for m in range(1, 13)]
        fits = {"blobs": powers, "lattice": [p for p in powers if is_integer(p)]}
        fits["torus"] = [p for p in powers if any(is_integer(p * n) for n in sizes)]
        scale = next(iter(fits[protocol]), group.base)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf or scale == 1:
        raise ScaleGroupError("a finite scale > 0 other than 1", repr(scale), "group.base is one step of the window")
    factor = max(float(scale), 1 / scale)
    if protocol == "lattice" and not is_integer(factor):
        hint = "use a base of which a power is an integer, such as 2 or sqrt(2), or protocol='blobs'"
        raise ScaleGroupError("an integer factor for protocol='lattice'", f"{factor:g}", hint)
    return float(round(factor)) if is_integer(factor) else factor
