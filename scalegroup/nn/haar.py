"""Between the voxels and the grids of Haar sampling, one for each scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

from torch import Tensor

from scalegroup.engine import resample
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import haar_grid
from scalegroup.nn.grid import PADDING_MODES, choice, positive
from scalegroup.nn.module import EquivariantModule, check_types, group_of
from scalegroup.representations import Scalar


class Grid(NamedTuple):
    """A grid that is centred on the volume: its size and the distance of its samples in voxels, along each axis."""

    sizes: tuple[int, ...]
    ratios: tuple[float, ...]


def as_unit(unit: float | Sequence[float] | None, dim: int) -> tuple[float, ...]:
    """The spacing of the grid of scale 1 in voxels, along each axis; 1 by default."""
    if unit is None:
        return (1.0,) * dim
    values = tuple(unit) if isinstance(unit, Sequence) else (unit,) * dim
    if len(values) != dim:
        hint = "it is the spacing in mm of the grid of scale 1 over that of the voxels"
        raise ScaleGroupError(f"unit: a number or one for each of {dim} axes", unit, hint)
    return tuple(positive(value, "unit") for value in values)


class HaarLift(EquivariantModule):
    """Lifts a volume to the grids of all scales: `F(s, x) = (f * φ_s)(x)` at points x of spacing s.

    `φ_s(u) = s^-d φ(u/s)` is a windowed sinc, which removes what the grid cannot hold and leaves the rest. Below s = 1
    the grids are finer than the voxels, and the volume is interpolated. All grids are centred on the volume.
    Dilating the volume by the base shifts the field by one scale, array by array: all that follows may be any function
    of the arrays. Sizes are equal modulo twice the `divisor`, so that this holds at all strides behind it too.

    Args:
        field: the input, scalar fields of any group with scales.
        divisor: product of the strides of all layers that follow. Default 1.
        odd: odd sizes, as centred layers need. False: multiples of twice the divisor, for other networks. Default True.
        padding_mode: what lies outside the volume: "replicate" (default), "zeros", "reflect", or "circular", where the
            grids tile the period.

    Shape:
        `(batch, channels, *space)` to a tuple of `(batch, channels, *space_s)`, one for each scale, finest first.

    Raises:
        FieldTypeError: for fields that are not scalar.

    Source: the invariant measure `ds dx / s^(d+1)`; DESIGN.md section 6.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, base=2, num_scales=3, first=-1, sampling="haar")
        >>> lift = sg.nn.HaarLift(1 * group.scalar)
        >>> [tuple(x.shape) for x in lift(torch.randn(1, 1, 15, 12))]
        [(1, 1, 31, 25), (1, 1, 15, 13), (1, 1, 9, 7)]
    """

    def __init__(self, field: FieldType, divisor: int = 1, odd: bool = True, padding_mode: str = "replicate") -> None:
        check_types(self, field=field)
        for _, rep in field.blocks:
            if not isinstance(rep, Scalar):
                raise FieldTypeError("scalar fields", str(field), "use nn.ToHaar for regular ones")
        group = group_of(field).window(sampling="haar")
        super().__init__(field, field.num_fields * group.regular)
        self.divisor = as_integer(divisor, "divisor, an integer >= 1", "it is the product of all strides", minimum=1)
        self.odd = bool(odd)
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales in use now."""
        (_, rep), *_ = self.out_type.blocks
        return tuple(group_of(self.out_type).scales[i] for i in self.scales_of(rep))

    def grids(self, space: Sequence[int], unit: float | Sequence[float] | None = None) -> list[Grid]:
        """The grid of each scale over a volume of so many voxels; `unit` as in `forward`."""
        return haar_grids(self.scales, space, unit, self.divisor, self.odd, self.padding_mode)

    def forward(self, x: Tensor, unit: float | Sequence[float] | None = None) -> tuple[Tensor, ...]:
        """`(batch, channels, *space)` to one `(batch, channels, *space_s)` for each scale.

        `unit` is the spacing of the grid of scale 1 in voxels, a number or one per axis (default 1): where the voxel
        sizes are known, that of the training scans over that of this scan, both in mm.
        """
        x = self.check(x)
        space = tuple(x.shape[2:])
        return tuple(resample(x, sizes, ratios, self.padding_mode) for sizes, ratios in self.grids(space, unit))

    def extra_repr(self) -> str:
        """Types and what differs from the defaults."""
        return ", ".join([super().extra_repr(), *self.unusual(divisor=1, odd=True, padding_mode="replicate")])


def haar_grids(
    scales: Sequence[float],
    space: Sequence[int],
    unit: float | Sequence[float] | None = None,
    divisor: int = 1,
    odd: bool = True,
    padding_mode: str = "replicate",
) -> list[Grid]:
    """For each scale the grid that `HaarLift` uses over a volume of so many voxels."""
    units = as_unit(unit, len(space))
    grids = []
    for scale in scales:
        axes = [
            haar_grid(n, scale * u, divisor, odd=odd, periodic=padding_mode == "circular")
            for n, u in zip(space, units, strict=True)
        ]
        grids.append(Grid(tuple(size for size, _ in axes), tuple(ratio for _, ratio in axes)))
    return grids


def to_voxels(x: Tensor, grid: Grid, space: Sequence[int], padding_mode: str = "replicate") -> Tensor:
    """A field on one of these grids, interpolated on the voxels: `(…, *grid.sizes)` to `(…, *space)`."""
    return resample(x, space, [1 / ratio for ratio in grid.ratios], padding_mode)


def all_on_voxels(
    parts: Sequence[Tensor],
    scales: Sequence[float],
    space: Sequence[int] | None = None,
    unit: float | Sequence[float] | None = None,
    padding_mode: str = "replicate",
) -> list[Tensor]:
    """The fields of all scales on the voxels; by default there are as many as the grid nearest to scale 1 covers."""
    dim = parts[0].ndim - 2
    units = as_unit(unit, dim)
    nearest = min(range(len(scales)), key=lambda i: abs(log(scales[i])))
    if space is None:
        covered = [n * scales[nearest] * u for n, u in zip(parts[nearest].shape[2:], units, strict=True)]
        space = [max(1, round(n)) for n in covered]
    periodic = padding_mode == "circular"
    grids = []
    for part, scale in zip(parts, scales, strict=True):
        sizes = tuple(part.shape[2:])
        tiled = tuple(n / size for n, size in zip(space, sizes, strict=True))
        grids.append(Grid(sizes, tiled if periodic else tuple(scale * u for u in units)))
    return [to_voxels(part, grid, space, padding_mode) for part, grid in zip(parts, grids, strict=True)]
