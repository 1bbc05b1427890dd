"""Finer grids by interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from scalegroup.engine import AxisOperator, along_axes
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.nn.grid import PADDING_MODES, choice, interpolation_error, keep_interpolation, per_axis
from scalegroup.nn.module import EquivariantModule, Samples, grids
from scalegroup.nn.spacing import Spacing, check_no_spacing, plain, write


class Upsample(EquivariantModule):
    """Puts a field on a finer grid, centred on the same volume, by windowed-sinc interpolation.

    The interpolation reproduces `|w| ≤ 2π/3` to 6e-5, so that it commutes with translations, dilations and rotations
    of what the coarse grid can hold.

    Args:
        field: type of the input and the output.
        factor: fine samples per coarse sample. Default 2.
        padding_mode: "zeros", "replicate", "reflect" or "circular". Default "replicate".

    Shape:
        `(batch, field.size, *space)` to `(batch, field.size, *output_size)`; `output_size` is an argument of
        `forward`, by default `factor * space`, or up to `factor - 1` samples less along each axis.

    Raises:
        ScaleGroupError: for an `output_size` that does not belong to the input's size.

    Source: Kaiser's windowed sinc, see `kernels.interpolation_taps`.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> sg.nn.Upsample(field)(torch.ones(1, 6, 5, 4), output_size=(9, 8)).shape
        torch.Size([1, 6, 9, 8])
    """

    def __init__(self, field: FieldType, factor: int = 2, padding_mode: str = "replicate") -> None:
        super().__init__(field, field)
        self.factor = as_integer(factor, "factor, an integer >= 1", "2 undoes a stride of 2", minimum=1)
        factor = self.factor
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        self._firsts = [keep_interpolation(self, f"up_{missing}", factor, missing) for missing in range(factor)]

    @property
    def declared_error(self) -> float:
        """Error of the interpolation on the band, twice because two grids are compared, for each axis."""
        return interpolation_error(self.in_type.group.dim)

    def forward(self, x: Samples, output_size: Sequence[Any] | None = None, spacing: Spacing | None = None) -> Samples:
        """`(batch, field.size, *space)` to `(batch, field.size, *output_size)`; a list of sizes for several grids.

        `spacing` is that of the output, in units of the layer's own fine grid, from which it is resampled.
        """
        x = plain(self.check(x))
        if isinstance(x, Tensor):
            if spacing is None:
                return self._on_grid(x, output_size)
            return write(self._on_grid(x, None), spacing, output_size, self.padding_mode)
        check_no_spacing(spacing)
        odd = [[self.factor * (n - 1) + 1 for n in grid.shape[2:]] for grid in grids(x)]
        sizes = odd if output_size is None else output_size
        return tuple(self._on_grid(grid, size) for grid, size in zip(x, sizes, strict=True))

    def _on_grid(self, x: Tensor, output_size: Sequence[int] | None) -> Tensor:
        space = tuple(x.shape[2:])
        sizes = (
            tuple(n * self.factor for n in space)
            if output_size is None
            else per_axis(output_size, len(space), "output_size")
        )
        if any(-(-m // self.factor) != n for m, n in zip(sizes, space, strict=True)):
            hint = f"each axis: {self.factor} times the input's, or up to {self.factor - 1} less"
            raise ScaleGroupError(f"an output_size that belongs to {space}", sizes, hint)
        matrices = []
        for n, m in zip(space, sizes, strict=True):
            missing = n * self.factor - m
            taps = getattr(self, f"up_{missing}")
            rows = AxisOperator(taps, self._firsts[missing], 1, n, n, self.padding_mode).matrix()
            matrices.append(rows.transpose(0, 1).reshape(n * self.factor, n)[:m])
        return along_axes(x, matrices)

    def extra_repr(self) -> str:
        """The type, the factor, and what differs from the defaults."""
        return ", ".join([str(self.in_type), f"factor={self.factor}", *self.unusual(padding_mode="replicate")])
