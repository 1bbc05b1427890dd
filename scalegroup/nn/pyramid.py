"""One free kernel on grids of all scales, and back to the voxels: input scaling."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log

import torch
from torch import Tensor

from scalegroup.engine import resample
from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.kernels import haar_grid
from scalegroup.nn.conv import GroupConv
from scalegroup.nn.grid import PADDING_MODES, choice
from scalegroup.nn.haar import Grid, to_voxels
from scalegroup.nn.module import EquivariantModule, check_types, group_of
from scalegroup.nn.scale_vector import as_vector, rate_of, strongest, turned
from scalegroup.nn.spacing import plain
from scalegroup.representations import Scalar

_ROUNDING = 1e-6  # voxels


class PyramidConv(EquivariantModule):
    """Convolves an image on grids of all scales with one free kernel, and keeps the strongest response at each voxel.

    `R(s,x) = T_s⁻¹(w ⋆ T_s f + b)`, where `T_s` resamples to a grid of spacing s (a kernel as wide as s; an image
    enlarged by 1/s). By the types of its fields,

    - to scalars: `max_s R(s,x)`, which forgets the scale;
    - to vectors: `ReLU(max_s R) (cos, sin)(ω ln s*)`, which tells the scale of the maximum by an angle (`Phase`);
    - from vectors: they are first turned by `-ω ln s` at each scale, which is the same as turning the kernel; scales
      are mixed in this way.

    All grids are centred on the volume, and have an even or odd number of samples as it has, so that the grid of scale
    1 is that of the voxels: with this scale alone it is a plain convolution.

    Args:
        in_type: scalar fields, or vectors of one phase.
        out_type: the same.
        kernel_size: samples of the kernel along each axis, odd. Default 3.
        mask_outside: leave out of the maximum, at all scales but that nearest to 1, what lies outside: responses of
            kernels that are not inside the volume. Default True.
        padding_mode: what the kernels see outside: "zeros" (default), "replicate", "reflect" or "circular", where
            nothing is outside. (Grids are made with "replicate".)
        bias: add a constant to every output field. Default True.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`; voxels are cubes.

    Raises:
        FieldTypeError: for other fields.
        ScaleGroupError: for an even `kernel_size`, and other bad arguments.

    Source: Kanazawa et al. 2014, "Locally scale-invariant convolutional neural networks"; Marcos et al. 2018, "Scale
        equivariance in CNNs with vector fields". Both resample linearly; this layer does so without aliasing.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, base=2 ** (1 / 3), num_scales=3, first=-1)
        >>> vectors = 4 * group.phase(rate=1.0)
        >>> lift, conv = PyramidConv(1 * group.scalar, vectors), PyramidConv(vectors, 2 * group.scalar)
        >>> conv(lift(torch.randn(1, 1, 9, 8))).shape
        torch.Size([1, 2, 9, 8])
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        kernel_size: int = 3,
        *,
        mask_outside: bool = True,
        padding_mode: str = "zeros",
        bias: bool = True,
    ) -> None:
        check_types(self, in_type=in_type, out_type=out_type)
        rates = _rate(in_type), _rate(out_type)
        super().__init__(in_type, out_type)
        self.in_rate, self.out_rate = rates
        self.kernel_size, self.mask_outside = kernel_size, bool(mask_outside)
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        regular = group_of(in_type).window(sampling="haar").regular
        fields = in_type.size * regular, out_type.num_fields * regular
        self.conv = GroupConv(*fields, basis="free", kernel_size=kernel_size, padding_mode=padding_mode, bias=bias)

    @property
    def declared_error(self) -> float:
        """No bound: it depends on what lies at the ends of the window."""
        return inf

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`."""
        scales, stack = self.scales_in_use(), self.responses(x)
        if self.out_rate is None:
            return stack.amax(dim=2)
        return as_vector(*strongest(stack, scales), self.out_rate)

    def responses(self, x: Tensor) -> Tensor:
        """R on the voxels, with -inf where a scale is left out: `(batch, fields, scales, *space)`."""
        x, scales = plain(self.check(x)), self.scales_in_use()
        grids = pyramid_grids(scales, x.shape[2:], self.padding_mode)
        parts = [x if _is_own(grid, x.shape[2:]) else resample(x, *grid, self._outside) for grid in grids]
        if self.in_rate is not None:
            parts = [turned(part, -self.in_rate * log(s)) for part, s in zip(parts, scales, strict=True)]
        distances = [abs(log(s)) for s in scales]
        nearest = distances.index(min(distances))  # to the voxels: this scale takes part everywhere
        masked = self.mask_outside and self.padding_mode != "circular"
        radius = [self.kernel_size // 2 if masked and k != nearest else 0 for k in range(len(scales))]
        results = zip(self.conv(tuple(parts)), grids, radius, strict=True)
        return torch.stack([_back(y, grid, x.shape[2:], r, self._outside) for y, grid, r in results], dim=2)

    @property
    def _outside(self) -> str:
        return "circular" if self.padding_mode == "circular" else "replicate"

    def extra_repr(self) -> str:
        """Types and what differs from the defaults."""
        defaults = {"kernel_size": 3, "mask_outside": True, "padding_mode": "zeros"}
        return ", ".join([super().extra_repr(), *self.unusual(**defaults)])


def pyramid_grids(scales: Sequence[float], space: Sequence[int], padding_mode: str = "replicate") -> list[Grid]:
    """For each scale the grid of that spacing over so many voxels, of sizes that are even or odd as theirs.

    Example:
        >>> [grid.sizes for grid in pyramid_grids([0.5, 1.0, 2.0], (9, 8))]
        [(19, 16), (9, 8), (5, 4)]
    """
    periodic = padding_mode == "circular"
    axes = [[haar_grid(n, scale, odd=n % 2 == 1, periodic=periodic) for n in space] for scale in scales]
    return [Grid(tuple(n for n, _ in grid), tuple(step for _, step in grid)) for grid in axes]


def _is_own(grid: Grid, space: Sequence[int]) -> bool:
    """Whether a grid is that of the voxels, from and to which nothing has to be interpolated."""
    return tuple(space) == grid.sizes and set(grid.ratios) == {1.0}


def _back(y: Tensor, grid: Grid, space: Sequence[int], radius: int, padding_mode: str) -> Tensor:
    """What a scale tells on the voxels, from the samples that are not within `radius` of its border; else -inf."""
    sizes = tuple(n - 2 * radius for n in grid.sizes)
    if min(sizes) < 1:
        return y.new_full((*y.shape[:2], *space), -inf)
    if radius == 0:
        return y if _is_own(grid, space) else to_voxels(y, grid, space, padding_mode)
    for axis, n in enumerate(sizes, start=2):
        y = y.narrow(axis, radius, n)
    placed = to_voxels(y, Grid(sizes, grid.ratios), space, padding_mode)
    outside = torch.zeros(tuple(space), dtype=torch.bool, device=y.device)
    for axis, (n, ratio) in enumerate(zip(space, grid.ratios, strict=True)):
        positions = torch.arange(n, dtype=torch.float64, device=y.device) - (n - 1) / 2
        beyond = positions.abs() > (n - ratio * (2 * radius + 1)) / 2 + _ROUNDING
        outside = outside | beyond.view(-1, *[1] * (len(space) - 1 - axis))
    return placed.masked_fill(outside, -inf)


def _rate(field: FieldType) -> float | None:
    """That of vectors, and None for scalars."""
    if all(isinstance(rep, Scalar) for _, rep in field.blocks):
        return None
    try:
        return rate_of(field)
    except FieldTypeError as error:
        raise FieldTypeError("scalar fields, or vectors of one phase", str(field), "one kind in a layer") from error
