"""From all scales to one: projection of fields on the scales to fields on space alone."""

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
from scalegroup.nn.rotating import as_vectors, soft_length, without_scales
from scalegroup.nn.spacing import Spacing, write
from scalegroup.representations import Regular, Rotational, invariants, permutes

MODES = ("max", "mean", "taper", "logsumexp", "attention")


class ScalePool(EquivariantModule):
    """Projects regular fields to scalar ones, and others to those without scales, over the truncated window.

    Over all scales of the group a projection would be exactly equivariant. A computer holds a few; content that
    enters or leaves the window changes the result, and that is the largest error of a scale-equivariant network
    (`check_equivariance` reports it apart). What reduces it: a wider window at test time (`with_window`), admissible
    kernels in front, training on random runs of scales (`UNet(train_scales=...)`), and the mode:

    - "max": `max_s F(s,x)`; of vectors the longest,
    - "mean": `mean_s F(s,x)`,
    - "taper": the weighted mean with `w(s) ∝ sin²(π (i + 1/2) / num_scales)`: scales fade at both ends of the
      window instead of being cut off,
    - "logsumexp": `log mean_s exp F(s,x)`, between the mean and the maximum; not for vectors,
    - "attention": `Σ_s softmax_s(Σ_c a_c F_c(s,x)) F(s,x)`, one learned vector a for all scales: the features
      themselves say which scale is theirs. Rotations leave the scores as they are: in place of a vector they count
      `sqrt(1 + |F|²)`, of a quotient the mean of the components.

    Args:
        field: the input, regular fields, irreps and quotients on the scales.
        mode: one of the above, or a module from `(batch, fields, scales, *space)` to `(batch, fields, *space)`, such as
            `models.Projection`, for fields of one component. Default "max".
        padding_mode: what lies outside the volume when scales on grids of their own are brought to the voxels.
            Default "replicate".

    Attributes:
        out_type: scalar fields in place of regular ones, the same irreps and quotients with `weight=0`.

    Shape:
        `(batch, field.size, *space)`, or a tuple with a tensor for each scale, to `(batch, out_type.size, *space)`;
        `(points, field.size)` to `(points, out_type.size)`.

    Raises:
        FieldTypeError: for fields without scales, and for vectors where the mode does not take them.

    Source: max in Wimmer et al.; the window's error in `docs/concepts/truncated_window.md`.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> sg.nn.ScalePool(field, mode="attention")(torch.randn(1, 6, 5, 5)).shape
        torch.Size([1, 2, 5, 5])
    """

    pointwise = True
    scorer: torch.nn.Parameter

    def __init__(self, field: FieldType, mode: str | torch.nn.Module = "max", padding_mode: str = "replicate") -> None:
        check_types(self, field=field)
        for _, rep in field.blocks:
            if not isinstance(rep, Regular | Rotational) or rep.weight is not None:
                hint = "scalar fields need no projection; leave them out"
                raise FieldTypeError("regular fields, irreps and quotients on the scales", str(field), hint)
        super().__init__(field, _projected(field))
        self._components = [self.components_of(rep) for _, rep in field.blocks]
        self._permutes = [permutes(rep) for _, rep in field.blocks]
        if mode == "logsumexp" and not all(self._permutes):
            hint = "'mean', 'max' and 'attention' take vectors"
            raise FieldTypeError("regular fields and quotients for mode='logsumexp'", str(field), hint)
        if isinstance(mode, torch.nn.Module) and not all(invariants(rep).shape == (1, 1) for _, rep in field.blocks):
            hint = f"the modes {MODES} keep components together"
            raise FieldTypeError("regular fields for a mode that is a module", str(field), hint)
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
        """`(batch, field.size, *space)` to `(batch, out_type.size, *space)`.

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
            scores = torch.einsum("c,bcs...->bs...", self.scorer.to(fields.dtype), self._invariant(fields))
            return (fields * scores.softmax(dim=1).unsqueeze(1)).sum(dim=2)
        if self.mode == "max" and not all(self._permutes):
            blocks = zip(self._vectors(fields), self._permutes, strict=True)
            return torch.cat([(v.amax(dim=3) if free else longest(v)).flatten(1, 2) for v, free in blocks], dim=1)
        return pool_scales(fields, self.mode)

    def _vectors(self, fields: Tensor) -> list[Tensor]:
        """For each block `(batch, multiplicity, components, scales, *space)`."""
        counts = [m for m, _ in self.in_type.blocks]
        parts = fields.split([m * d for m, d in zip(counts, self._components, strict=True)], dim=1)
        return [as_vectors(part, d) for part, d in zip(parts, self._components, strict=True)]

    def _invariant(self, fields: Tensor) -> Tensor:
        """One number for each field and scale that no rotation changes: `(batch, fields, scales, *space)`."""
        if max(self._components) == 1 and all(self._permutes):
            return fields
        blocks = zip(self._vectors(fields), self._permutes, strict=True)
        return torch.cat([v.mean(dim=2) if free else soft_length(v) for v, free in blocks], dim=1)

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


def longest(v: Tensor) -> Tensor:
    """Of vectors `(batch, multiplicity, components, scales, *space)` those of the scale at which they are longest."""
    scale = v.square().sum(dim=2, keepdim=True).argmax(dim=3, keepdim=True)
    return v.gather(3, scale.expand(*v.shape[:3], 1, *v.shape[4:])).squeeze(3)


def _projected(field: FieldType) -> FieldType:
    """The type on space alone; regular fields become one block of scalars, as they always were."""
    group = group_of(field)
    if all(isinstance(rep, Regular) for _, rep in field.blocks):
        return FieldType(group, ((field.num_fields, group.scalar),))
    return FieldType(group, tuple((m, without_scales(rep)) for m, rep in field.blocks))
