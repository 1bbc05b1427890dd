"""Between the voxels and the grids of Haar sampling, one for each scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from scalegroup.engine import resample, smooth
from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import declared_error, haar_grid, sample_taps
from scalegroup.nn.grid import PADDING_MODES, choice, interpolation_error, per_axis, positive
from scalegroup.nn.module import EquivariantModule, check_types, group_of
from scalegroup.nn.rotating import with_scales
from scalegroup.nn.spacing import Spacing, as_spacing, plain, spacing_of
from scalegroup.representations import Rotational, Scalar, on_scales
from scalegroup.symbolic import HermiteBasis


class Grid(NamedTuple):
    """A grid that is centred on the volume: its size and the distance of its samples in voxels, along each axis."""

    sizes: tuple[int, ...]
    ratios: tuple[float, ...]


class HaarLift(EquivariantModule):
    """Lifts a volume to the grids of all scales: `F(s, x) = (f * φ_s)(x)` at points x of spacing s.

    `φ_s(u) = s^-d φ(u/s)` is a windowed sinc, which removes what the grid cannot hold and leaves the rest. Below s = 1
    the grids are finer than the voxels, and the volume is interpolated. All grids are centred on the volume.
    Dilating the volume by the base shifts the field by one scale, array by array: all that follows may be any function
    of the arrays. Sizes are equal modulo twice the `divisor`, so that this holds at all strides behind it too.

    Args:
        field: the input, scalar fields of any group with scales; or irreps and quotients with weight 0.
        divisor: product of the strides of all layers that follow. Default 1.
        odd: odd sizes, as centred layers need. False: multiples of twice the divisor, for other networks. Default True.
        padding_mode: what lies outside the volume: "replicate" (default), "zeros", "reflect", or "circular", where the
            grids tile the period.

    Attributes:
        out_type: regular fields in place of scalars, the same irreps and quotients on the scales.

    Shape:
        `(batch, channels, *space)` to a tuple of `(batch, channels, *space_s)`, one for each scale, finest first.

    Raises:
        FieldTypeError: for fields on the scales, or with another power of the scale.

    Source: the invariant measure `ds dx / s^(d+1)`; `docs/concepts/haar_grids.md`.

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
            if not isinstance(rep, Scalar | Rotational) or rep.weight != 0.0:
                raise FieldTypeError("scalar fields", str(field), "use nn.ToHaar for regular ones")
        super().__init__(field, _lifted(field))
        self.divisor = as_integer(divisor, "divisor, an integer >= 1", "it is the product of all strides", minimum=1)
        self.odd = bool(odd)
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")

    @property
    def scales(self) -> list[float]:
        """The scales in use now."""
        return self.scales_in_use()

    @property
    def declared_error(self) -> float:
        """Error of the resampling for content that the finest of the grids and the voxels hold."""
        return interpolation_error(group_of(self.in_type).dim)

    def grids(
        self,
        space: Sequence[int],
        spacing: Spacing | None = None,
        scales: Sequence[float] | None = None,
    ) -> list[Grid]:
        """The grid of each scale over a volume of so many voxels; `spacing` as in `forward`, `scales` those in use."""
        scales = self.scales if scales is None else scales
        return haar_grids(scales, space, spacing, self.divisor, self.odd, self.padding_mode)

    def forward(self, x: Tensor, spacing: Spacing | None = None) -> tuple[Tensor, ...]:
        """`(batch, channels, *space)` to one `(batch, channels, *space_s)` for each scale.

        `spacing` is the voxel size of the volume, a number or one per axis, in units of the grid of scale 1: in mm, if
        that has a sample in every mm. Default: that of a MONAI `MetaTensor`, or 1.
        """
        x = self.check(x)
        spacing, space = spacing_of(x, spacing, x.ndim - 2), tuple(x.shape[2:])
        x = plain(x)
        return tuple(resample(x, sizes, ratios, self.padding_mode) for sizes, ratios in self.grids(space, spacing))

    def extra_repr(self) -> str:
        """Types and what differs from the defaults."""
        return ", ".join([super().extra_repr(), *self.unusual(divisor=1, odd=True, padding_mode="replicate")])


class ToHaar(EquivariantModule):
    """From a field with all scales on the grid of the voxels to one with a grid for each scale.

    `y(s, x) = ∫ F(s, x + u) g_s(u) du` with a Gaussian of unit mass and width `sigma * s`, the Hermite function of
    order 0, at the points x of spacing s. `ToUniform` is its adjoint.

    Args:
        field: the input, fields on the scales (regular, irreps, quotients) with `sampling="uniform"`.
        sigma: width of the Gaussian at scale 1 in voxels: in samples of each scale's grid. Default 1.
        divisor: product of the strides of all layers that follow, see `HaarLift`. Default 1.
        padding_mode: what lies outside the volume: "zeros" (default), "replicate", "reflect" or "circular".

    Shape:
        `(batch, field.size, *space)` to a tuple of `(batch, field.size / num_scales, *space_s)`, finest first.

    Raises:
        FieldTypeError: for fields without scales, or sampled otherwise.

    Source: the invariant measure of the group; `docs/concepts/haar_grids.md`.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, base=2, num_scales=2).regular
        >>> [tuple(x.shape) for x in sg.nn.ToHaar(field)(torch.randn(1, 4, 9, 8))]
        [(1, 2, 9, 9), (1, 2, 5, 5)]
    """

    def __init__(self, field: FieldType, sigma: float = 1.0, divisor: int = 1, padding_mode: str = "zeros") -> None:
        _check_sampling(self, field, "uniform")
        super().__init__(field, field.with_group(group_of(field).window(sampling="haar")))
        self.sigma = positive(sigma, "sigma")
        self.divisor = as_integer(divisor, "divisor, an integer >= 1", "it is the product of all strides", minimum=1)
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")

    @property
    def declared_error(self) -> float:
        """Truncation and aliasing of the Gaussians on the band `|w| ≤ π/2`, for the two worst scales."""
        basis = HermiteBasis(0, group_of(self.in_type).dim)
        scales = group_of(self.in_type).scales
        return declared_error([[sample_taps(basis, self.sigma * s)] * basis.dim for s in scales], basis.products)

    def forward(self, x: Tensor, spacing: Spacing | None = None) -> tuple[Tensor, ...]:
        """`(batch, field.size, *space)` to one `(batch, field.size / num_scales, *space_s)` for each scale.

        `spacing` is that of the samples of x, as in `HaarLift`; scales count in units of the grid of scale 1.
        """
        fields = torch.cat(self.split(self.check(x), self.in_type), dim=1)  # (batch, fields, scales, *space)
        scales = self.scales_in_use()
        places = haar_grids(scales, x.shape[2:], spacing, self.divisor, padding_mode=self.padding_mode)
        parts = zip(fields.unbind(2), places, strict=True)
        return tuple(smooth(part, *grid, self.sigma, self.padding_mode) for part, grid in parts)

    def extra_repr(self) -> str:
        """Types and what differs from the defaults."""
        return ", ".join([super().extra_repr(), *self.unusual(sigma=1.0, divisor=1, padding_mode="zeros")])


class ToUniform(EquivariantModule):
    """From a field with a grid for each scale to one with all scales on the voxels: the adjoint of `ToHaar`.

    `x(s, p) = Σ_q s^d g_s(q - p) y(s, q)` over the points q of the grid of scale s, so that
    `Σ_s s^d <ToHaar(F), y>_s = Σ_s <F, ToUniform(y)>_s` (for periodic grids with their own distance in place of s).

    Args:
        field: the input, fields on the scales (regular, irreps, quotients) with `sampling="haar"`.
        sigma, padding_mode: as in `ToHaar`.

    Shape:
        A tuple of `(batch, field.size / num_scales, *space_s)` to `(batch, field.size, *output_size)`; `output_size` is
        an argument of `forward`, by default the voxels that the grid nearest to scale 1 covers.

    Raises:
        FieldTypeError: for fields without scales, or sampled otherwise.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, base=2, num_scales=2).regular
        >>> there = sg.nn.ToHaar(field)
        >>> back = sg.nn.ToUniform(there.out_type)
        >>> back(there(torch.randn(1, 4, 9, 8)), output_size=(9, 8)).shape
        torch.Size([1, 4, 9, 8])
    """

    def __init__(self, field: FieldType, sigma: float = 1.0, padding_mode: str = "zeros") -> None:
        _check_sampling(self, field, "haar")
        super().__init__(field, field.with_group(group_of(field).window(sampling="uniform")))
        self.sigma = positive(sigma, "sigma")
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")

    @property
    def declared_error(self) -> float:
        """As `ToHaar` declares it."""
        return ToHaar(self.out_type, self.sigma).declared_error

    def forward(
        self, x: tuple[Tensor, ...], output_size: Sequence[int] | None = None, spacing: Spacing | None = None
    ) -> Tensor:
        """A tensor of each scale to `(batch, field.size, *output_size)`, whose spacing this is."""
        parts, scales = self.check(x), self.scales_in_use()
        space, places = grids_over(parts, scales, output_size, spacing, self.padding_mode)
        placed = [
            smooth(part, space, grid.ratios, self.sigma, self.padding_mode, adjoint=True)
            for part, grid in zip(parts, places, strict=True)
        ]
        return torch.stack(placed, dim=2).flatten(1, 2)  # fields slower, scales faster: whatever the blocks

    def extra_repr(self) -> str:
        """Types and what differs from the defaults."""
        return ", ".join([super().extra_repr(), *self.unusual(sigma=1.0, padding_mode="zeros")])


def _check_sampling(layer: EquivariantModule, field: FieldType, sampling: str) -> None:
    check_types(layer, field=field)
    if group_of(field).sampling != sampling or not all(on_scales(rep) for _, rep in field.blocks):
        hint = "nn.HaarLift takes volumes, nn.ToHaar uniform fields, nn.ToUniform those on grids of their own"
        raise FieldTypeError(f"fields on the scales with sampling={sampling!r}", f"{field} of {field.group!r}", hint)


def _lifted(field: FieldType) -> FieldType:
    """The type on grids of their own; scalars become one block of regular fields, as they always were."""
    group = group_of(field).window(sampling="haar")
    if all(isinstance(rep, Scalar) for _, rep in field.blocks):
        return FieldType(group, ((field.num_fields, group.regular),))
    return FieldType(group, tuple((m, with_scales(rep.with_group(group))) for m, rep in field.blocks))


def haar_grids(
    scales: Sequence[float],
    space: Sequence[int],
    spacing: Spacing | None = None,
    divisor: int = 1,
    odd: bool = True,
    padding_mode: str = "replicate",
) -> list[Grid]:
    """For each scale the grid that `HaarLift` uses over a volume of so many voxels."""
    units = [1 / size for size in as_spacing(spacing, len(space))]  # spacing of the grid of scale 1, in voxels
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
    spacing: Spacing | None = None,
    padding_mode: str = "replicate",
) -> list[Tensor]:
    """The fields of all scales on the voxels; by default there are as many as the grid nearest to scale 1 covers."""
    space, places = grids_over(parts, scales, space, spacing, padding_mode)
    return [to_voxels(part, grid, space, padding_mode) for part, grid in zip(parts, places, strict=True)]


def grids_over(
    parts: Sequence[Tensor],
    scales: Sequence[float],
    space: Sequence[int] | None,
    spacing: Spacing | None,
    padding_mode: str,
) -> tuple[tuple[int, ...], list[Grid]]:
    """The voxels under the fields of all scales, and the grid of each; by default those of the scale nearest to 1."""
    units = [1 / size for size in as_spacing(spacing, parts[0].ndim - 2)]
    if space is None:
        nearest = min(range(len(scales)), key=lambda i: abs(log(scales[i])))
        covered = [n * scales[nearest] * u for n, u in zip(parts[nearest].shape[2:], units, strict=True)]
        space = [max(1, round(n)) for n in covered]
    space = per_axis(space, len(units), "output_size")
    grids = []
    for part, scale in zip(parts, scales, strict=True):
        sizes = tuple(part.shape[2:])
        tiled = tuple(n / size for n, size in zip(space, sizes, strict=True))
        grids.append(Grid(sizes, tiled if padding_mode == "circular" else tuple(scale * u for u in units)))
    return space, grids
