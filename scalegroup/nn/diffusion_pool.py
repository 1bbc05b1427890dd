"""From positions and q-space to positions alone."""

from __future__ import annotations

import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.nn.diffusion_conv import check_samples, diffusion_group
from scalegroup.nn.diffusion_space import as_q, quadrature
from scalegroup.nn.grid import choice, positive
from scalegroup.nn.module import EquivariantModule, check_types, group_of
from scalegroup.nn.rotating import without_scales
from scalegroup.representations import invariants, on_scales

MODES = ("mean", "attention")


class DiffusionPool(EquivariantModule):
    """The mean of a field over the samples of q-space: a field on positions, for which all other layers are.

    `y(s,p) = Σ_j w_j(s,p) F(s,p,q_j)` with weights of sum 1. In mode "mean" they are those of a quadrature: of samples
    that crowd at the kernel's width each counts less (`nn.diffusion_space.quadrature`). In mode "attention" they are
    these times `exp(a · F(s,p,q_j))`, with one learned number a for each quantity that rotations leave alone; it starts
    at zero, as the mean. The number of samples and their order do not matter.

    Where the group dilates positions ("p" and "joint") the fields keep their scales, and belong to `group.p_group`.
    Where it dilates q-space alone ("q") there are no such scales on positions: the mean over them is taken as well.

    Args:
        field: type of the input, of a `DiffusionGroup`.
        mode: "mean" (default) or "attention".
        q_sigma: width at scale 1 at which samples crowd, in the unit of `q`. Default 0.5. Fields without scales have no
            width where q-space is dilated: there all samples count alike.
        antipodal: samples lie at their antipodes too, as for `nn.DiffusionGroupConv`. Default True.

    Shape:
        `pool(x, q)`: x `(batch, field.size, samples, *space)`, q `(samples, dim)` or `(batch, samples, dim)`, to
        `(batch, out_type.size, *space)`.

    Raises:
        FieldTypeError: for a field of another group; with "q" for one that dilations multiply by a power of the scale;
            for attention if rotations leave nothing alone, or some blocks are on the scales and some are not.
        ScaleGroupError: for other bad arguments.

    Source: attention as in Bahdanau et al. 2015; the measure of q-space is that of the group.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.DiffusionGroup("p", num_scales=3)
        >>> pool = sg.nn.DiffusionPool(2 * group.regular)
        >>> pool(torch.randn(1, 6, 16, 7, 6, 5), torch.randn(16, 3)).shape, pool.out_type.group == group.p_group
        (torch.Size([1, 6, 7, 6, 5]), True)
    """

    scorer: torch.nn.Parameter | None

    def __init__(self, field: FieldType, mode: str = "mean", q_sigma: float = 0.5, antipodal: bool = True) -> None:
        check_types(self, field=field)
        diffusion_group(field)
        super().__init__(field, field)
        self.mode = choice(mode, MODES, "mode")
        self.q_sigma = positive(q_sigma, "q_sigma")
        self.antipodal = bool(antipodal)
        self._invariants = [invariants(rep).T.tolist() for _, rep in field.blocks]
        scores = sum(m * len(columns) for (m, _), columns in zip(field.blocks, self._invariants, strict=True))
        if mode == "attention" and (not scores or len({on_scales(rep) for _, rep in field.blocks}) > 1):
            hint = "add group.regular to the fields, or take the mean"
            raise FieldTypeError("fields all with scales or all without, some of which do not turn", str(field), hint)
        self.register_parameter("scorer", torch.nn.Parameter(torch.zeros(scores)) if mode == "attention" else None)
        self.build()

    def build(self) -> None:
        """Make the type of the output, which has a group without q-space."""
        group = diffusion_group(self.in_type)
        if group.p_power:
            self.out_type = self.in_type.with_group(group.p_group)
            return
        for _, rep in self.in_type.blocks:
            if rep.weight not in (None, 0.0):
                hint = "what its power of the scale stands for is not known on positions"
                raise FieldTypeError("fields without a power of the scale", str(self.in_type), hint)
        bare = tuple((m, without_scales(rep) if on_scales(rep) else rep) for m, rep in self.in_type.blocks)
        self.out_type = FieldType(group, bare).with_group(group.p_group)

    @property
    def declared_error(self) -> float:
        """Zero on q-sets that move along; a mean over the scales of a truncated window has no bound."""
        return 0.0 if diffusion_group(self.in_type).p_power or self.in_type.size == self.out_type.size else float("inf")

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        """`(batch, field.size, samples, *space)` to `(batch, out_type.size, *space)`."""
        x = check_samples(self, x)
        vectors = as_q(q, "q", group_of(self.in_type).dim, x, x.shape[2])
        parts = self.split(x, self.in_type)  # (batch, fields, scales, samples, *space)
        scores = self._scores(parts)
        projects = not diffusion_group(self.in_type).p_power
        results = []
        for part, (_, rep) in zip(parts, self.in_type.blocks, strict=True):
            weight = self._weight(vectors, on_scales(rep)).to(part.dtype)  # (1 or batch, scales, samples)
            weight = weight.reshape(weight.shape[0], 1, *weight.shape[1:], *[1] * (part.ndim - 4))
            if scores is not None:
                weight = (scores + weight.log()).softmax(dim=3)
            y = (part * weight).sum(dim=3)
            results.append(y.mean(dim=2, keepdim=True) if projects and on_scales(rep) else y)
        return self.join(results)

    def _weight(self, q: Tensor, with_scales: bool) -> Tensor:
        """Weights of the samples, of sum 1, at each scale: `(1 or batch, scales, samples)`."""
        power = diffusion_group(self.in_type).q_power
        if power and not with_scales:
            return torch.full_like(q[..., 0], 1 / q.shape[-2]).unsqueeze(1)
        scales = self.scales_in_use() if with_scales else [1.0]
        raw = [quadrature(q, self.q_sigma * scale**power, self.antipodal) for scale in scales]
        weights = torch.stack(raw, dim=1)
        return weights / weights.sum(dim=2, keepdim=True)

    def _scores(self, parts: list[Tensor]) -> Tensor | None:
        """The learned part of the logarithm of the weights: `(batch, 1, scales, samples, *space)`."""
        if self.scorer is None:
            return None
        known = []
        for part, columns in zip(parts, self._invariants, strict=True):
            if columns:
                fields = part.unflatten(1, (-1, len(columns[0])))
                known.append(torch.einsum("bmc...,nc->bmn...", fields, part.new_tensor(columns)).flatten(1, 2))
        return torch.einsum("c,bc...->b...", self.scorer.to(parts[0].dtype), torch.cat(known, dim=1)).unsqueeze(1)

    def _window(self) -> tuple[float, ...]:
        return group_of(self.in_type).scales

    def extra_repr(self) -> str:
        """Types, mode, width, and what differs from the defaults."""
        parts = [super().extra_repr(), f"mode={self.mode!r}", f"q_sigma={self.q_sigma:g}"]
        return ", ".join([*parts, *self.unusual(antipodal=True)])
