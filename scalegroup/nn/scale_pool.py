"""From all scales to one: projection of regular fields to scalar ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sin

import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.nn.grid import PADDING_MODES, choice
from scalegroup.nn.haar import all_on_voxels
from scalegroup.nn.module import EquivariantModule, Samples, check_types, group_of
from scalegroup.nn.spacing import Spacing, write
from scalegroup.representations import Regular

MODES = ("max", "mean", "taper", "logsumexp", "attention")


class ScalePool(EquivariantModule):
    """Projects regular fields to scalar ones, over the scales of the truncated window.

    Over all scales of the group a projection would be exactly equivariant. A computer holds a few; content that
    enters or leaves the window changes the result, and that is the largest error of a scale-equivariant network
    (`check_equivariance` reports it apart). What reduces it: a wider window at test time (`with_window`), admissible
    kernels in front, training on random runs of scales (`UNet(train_scales=...)`), and the mode:

    - "max": `max_s F(s,x)`,
    - "mean": `mean_s F(s,x)`,
    - "taper": the weighted mean with `w(s) ∝ sin²(π (i + 1/2) / num_scales)`: scales fade at both ends of the
      window instead of being cut off,
    - "logsumexp": `log mean_s exp F(s,x)`, between the mean and the maximum,
    - "attention": `Σ_s softmax_s(Σ_c a_c F_c(s,x)) F(s,x)`, one learned vector a for all scales: the features
      themselves say which scale is theirs.

    Args:
        field: the input, regular fields.
        mode: one of the above, or a module from `(batch, fields, scales, *space)` to `(batch, fields, *space)`, such as
            `models.Projection`. Default "max".
        padding_mode: what lies outside the volume when scales on grids of their own are brought to the voxels.
            Default "replicate".

    Shape:
        `(batch, multiplicity * num_scales, *space)`, or a tuple with a tensor for each scale, to
        `(batch, multiplicity, *space)`.

    Raises:
        FieldTypeError: for fields that are not regular.

    Source: max in Wimmer et al.; the window's error in DESIGN.md section 5.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> sg.nn.ScalePool(field, mode="attention")(torch.randn(1, 6, 5, 5)).shape
        torch.Size([1, 2, 5, 5])
    """

    scorer: torch.nn.Parameter

    def __init__(self, field: FieldType, mode: str | torch.nn.Module = "max", padding_mode: str = "replicate") -> None:
        check_types(self, field=field)
        for _, rep in field.blocks:
            if not isinstance(rep, Regular):
                hint = "scalar fields need no projection; leave them out"
                raise FieldTypeError("regular fields", str(field), hint)
        super().__init__(field, field.num_fields * group_of(field).scalar)
        self.pool = mode if isinstance(mode, torch.nn.Module) else None
        self.mode = type(mode).__name__ if isinstance(mode, torch.nn.Module) else choice(mode, MODES, "mode")
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        scorer = torch.nn.Parameter(torch.empty(field.num_fields)) if mode == "attention" else None
        self.register_parameter("scorer", scorer)
        if scorer is not None:
            torch.nn.init.normal_(scorer, std=field.num_fields**-0.5)

    @property
    def declared_error(self) -> float:
        """No bound: it depends on what lies at the ends of the window."""
        return float("inf")

    def forward(
        self,
        x: Samples,
        output_size: Sequence[int] | None = None,
        spacing: Spacing | None = None,
    ) -> Tensor:
        """`(batch, multiplicity * num_scales, *space)` to `(batch, multiplicity, *space)`.

        `output_size` is the number of voxels to return and `spacing` their size, in units of the grid of scale 1 (of
        the only grid, for fields on one). By default there are as many as that grid covers, with its spacing.
        """
        x = self.check(x)
        if isinstance(x, Tensor):
            parts = self.split(x, self.in_type)
            fields = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)  # (batch, fields, scales, *space)
        else:
            fields = torch.stack(all_on_voxels(x, self.scales_in_use(), output_size, spacing, self.padding_mode), dim=2)
        y = self._pooled(fields)
        if isinstance(x, Tensor) and (spacing is not None or output_size is not None):
            y = write(y, 1.0 if spacing is None else spacing, output_size, self.padding_mode)
        return y

    def _pooled(self, fields: Tensor) -> Tensor:
        if self.pool is not None:
            return self.pool(fields)  # type: ignore[no-any-return]
        if self.mode == "attention":
            scores = torch.einsum("c,bcs...->bs...", self.scorer.to(fields.dtype), fields)
            return (fields * scores.softmax(dim=1).unsqueeze(1)).sum(dim=2)
        return pool_scales(fields, self.mode)

    def extra_repr(self) -> str:
        """Types and mode; a module shows itself."""
        return super().extra_repr() + (f", mode={self.mode!r}" if self.pool is None else "")


def pool_scales(fields: Tensor, mode: str) -> Tensor:
    """`(batch, fields, scales, *space)` to `(batch, fields, *space)` by a mode that has nothing to learn."""
    scales = fields.shape[2]
    if mode == "max":
        return fields.amax(dim=2)
    if mode == "logsumexp":
        return fields.logsumexp(dim=2) - torch.log(fields.new_tensor(float(scales)))
    if mode == "mean":
        return fields.mean(dim=2)
    taper = fields.new_tensor([sin(pi * (i + 0.5) / scales) ** 2 for i in range(scales)])
    return torch.einsum("s,bcs...->bc...", taper / taper.sum(), fields)
