"""Coarser grids, for fields that have no scale to which a blur could be proportional."""

from __future__ import annotations

from torch import Tensor

from scalegroup.engine import resample
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.nn.grid import PADDING_MODES, choice, interpolation_error
from scalegroup.nn.module import EquivariantModule, Samples, each, group_of
from scalegroup.nn.spacing import plain


class Downsample(EquivariantModule):
    """Puts a field on a coarser grid, centred on the same volume, by windowed-sinc resampling.

    What the coarse grid holds, `|w| ≤ 2π/3` radians per sample of it, passes unchanged, and what would alias onto it
    is removed; a blur of fixed width would change it by an amount that depends on its scale. So the layer commutes with
    dilations and rotations of all that the coarse grid holds. It is undone by `Upsample`.

    Args:
        field: type of the input and the output.
        factor: fine samples per coarse sample. Default 2.
        padding_mode: "zeros", "replicate" (default), "reflect", or "circular", where the grid tiles the period.

    Shape:
        `(batch, field.size, *space)` to `(batch, field.size, *ceil(space / factor))`.

    Raises:
        ScaleGroupError: for bad arguments.

    Source: Kaiser's windowed sinc, see `kernels.resampling_matrix`.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2).scalar
        >>> sg.nn.Downsample(field)(torch.ones(1, 2, 9, 8)).shape
        torch.Size([1, 2, 5, 4])
    """

    def __init__(self, field: FieldType, factor: int = 2, padding_mode: str = "replicate") -> None:
        super().__init__(field, field)
        self.factor = as_integer(factor, "factor, an integer >= 1", "2 halves the grid", minimum=1)
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")

    @property
    def declared_error(self) -> float:
        """Error of the resampling for content that the coarse grid holds."""
        return interpolation_error(group_of(self.in_type).dim)

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to `(batch, field.size, *ceil(space / factor))`."""
        return each(self._on_grid, plain(self.check(x)))  # type: ignore[no-any-return]

    def _on_grid(self, x: Tensor) -> Tensor:
        space = x.shape[2:]
        sizes = [-(-n // self.factor) for n in space]
        circular = self.padding_mode == "circular"
        ratios = [n / m if circular else float(self.factor) for n, m in zip(space, sizes, strict=True)]
        return resample(x, sizes, ratios, self.padding_mode)

    def extra_repr(self) -> str:
        """The type, the factor, and what differs from the defaults."""
        return ", ".join([str(self.in_type), f"factor={self.factor}", *self.unusual(padding_mode="replicate")])
