"""The scale of the strongest response as the angle of a vector, and the way back to all scales."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, log, sin

import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.nn.grid import PADDING_MODES, choice, positive
from scalegroup.nn.haar import HaarLift, all_on_voxels
from scalegroup.nn.module import EquivariantModule, Samples, check_types, group_of
from scalegroup.nn.spacing import Spacing, read, spacing_of, write
from scalegroup.representations import Phase, Regular

LEAST = 1e-6  # of a response that has a strongest scale


class ScaleToVector(EquivariantModule):
    """The strongest of the responses of all scales, as a vector whose angle tells its scale.

    `v(x) = ReLU(m) (cos ωκ, sin ωκ)` with `m(x) = max_s F(s,x)` and `κ(x) = ln s*`, the scale of the maximum. If the
    volume is dilated by a, κ grows by ln a and v turns by ω ln a: `Phase(ω)`. With `sharpness` β the scale is a mean,
    `κ = Σ_s w_s ln s` with `w_s ∝ exp(β F(s,x) / m(x))`, which is smooth and lies between the scales of the window; the
    quotient makes it independent of the size of the responses.

    Args:
        field: the input, regular fields.
        rate: ω, angle in radians for a factor e; below `2π / (num_scales ln base)` all scales differ.
        sharpness: β, or None (default) for the scale of the maximum itself, which jumps where two are as strong.
        padding_mode: what lies outside the volume when fields are brought to other voxels. Default "replicate".

    Shape:
        `(batch, multiplicity * num_scales, *space)`, or a tuple with a tensor for each scale, to
        `(batch, 2 * multiplicity, *space)`, component fastest.

    Raises:
        FieldTypeError: for fields that are not regular.
        ScaleGroupError: for a rate that is not finite, and a sharpness that is not positive.

    Source: Marcos et al. 2018, "Scale equivariance in CNNs with vector fields"; the mean after Naderi et al. 2020,
        "Scale equivariant CNNs with scale-steerable filters".

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
        >>> vector = ScaleToVector(1 * group.regular, rate=torch.pi / 2 / 0.6931471805599453)
        >>> vector(torch.tensor([[[3.0, 1.0, -1.0], [2.0, 4.0, -2.0]]])).round(decimals=6).abs()
        tensor([[[3., 0., 0.],
                 [0., 4., 0.]]])
    """

    def __init__(
        self, field: FieldType, rate: float, sharpness: float | None = None, padding_mode: str = "replicate"
    ) -> None:
        check_types(self, field=field)
        for _, rep in field.blocks:
            if not isinstance(rep, Regular):
                raise FieldTypeError("regular fields", str(field), "a scalar has no scale to tell")
        super().__init__(field, field.num_fields * group_of(field).phase(rate))
        self.rate = rate_of(self.out_type)
        self.sharpness = None if sharpness is None else positive(sharpness, "sharpness")
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")

    @property
    def declared_error(self) -> float:
        """No bound: it depends on what lies at the ends of the window."""
        return float("inf")

    def maximum(
        self, x: Samples, output_size: Sequence[int] | None = None, spacing: Spacing | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both parts of the result, m and κ: two tensors `(batch, multiplicity, *space)`."""
        x, scales = self.check(x), self.scales_in_use()
        if isinstance(x, Tensor):
            if spacing is not None or output_size is not None:
                x = write(x, 1.0 if spacing is None else spacing, output_size, self.padding_mode)
            stack = torch.cat(self.split(x, self.in_type), dim=1)  # (batch, fields, scales, *space)
        else:
            stack = torch.stack(all_on_voxels(x, scales, output_size, spacing, self.padding_mode), dim=2)
        return strongest(stack, scales, self.sharpness)

    def forward(self, x: Samples, output_size: Sequence[int] | None = None, spacing: Spacing | None = None) -> Tensor:
        """`(batch, multiplicity * num_scales, *space)` to `(batch, 2 * multiplicity, *space)`.

        `output_size` is the number of voxels to return and `spacing` their size, as in `nn.ScalePool`.
        """
        return as_vector(*self.maximum(x, output_size, spacing), self.rate)

    def extra_repr(self) -> str:
        """Types and what differs from the defaults."""
        return ", ".join([super().extra_repr(), *self.unusual(sharpness=None, padding_mode="replicate")])


class VectorToScale(EquivariantModule):
    """Vectors that tell a scale by their angle, as seen from every scale: turned back by the angle of that scale.

    `F(s, x) = R(-ω ln s) v(x)`, two regular fields for each vector. Where a vector belongs to the scale s it points
    along the first axis, at other scales by how many steps they are apart; a convolution of these two fields is the one
    of Marcos et al., whose filters are rotated by the angle of the scale, and mixes scales in this way. Exact:
    dilation by a turns v by ω ln a, and moves F from s to a s.

    Args:
        field: the input, fields of one phase representation.
        padding_mode: what lies outside the volume when it is brought to other grids. Default "replicate".

    Shape:
        `(batch, 2 * multiplicity, *space)` to `(batch, 2 * multiplicity * num_scales, *space)`, or to a tuple with
        `(batch, 2 * multiplicity, *space_s)` for each scale.

    Raises:
        FieldTypeError: for other fields.

    Source: Marcos et al. 2018.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, base=2.0, num_scales=3)
        >>> VectorToScale(4 * group.phase(1.0))(torch.randn(1, 8, 5, 5)).shape
        torch.Size([1, 24, 5, 5])
    """

    def __init__(self, field: FieldType, padding_mode: str = "replicate") -> None:
        check_types(self, field=field)
        rate = rate_of(field)
        super().__init__(field, field.size * group_of(field).regular)
        self.rate = rate
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        haar = group_of(field).sampling == "haar"
        self.lift = HaarLift(field.size * group_of(field).scalar, padding_mode=padding_mode) if haar else None

    @property
    def declared_error(self) -> float:
        """None on the grid of the voxels; else that of the lifting."""
        return 0.0 if self.lift is None else self.lift.declared_error

    def forward(self, x: Tensor, spacing: Spacing | None = None) -> Samples:
        """`(batch, 2 * multiplicity, *space)` to fields of all scales; `spacing` as in `nn.HaarLift`."""
        x = self.check(x)
        angles = [-self.rate * log(s) for s in self.scales_in_use()]
        if self.lift is None:
            x = read(x, spacing_of(x, spacing, x.ndim - 2), self.padding_mode)
            return torch.stack([turned(x, angle) for angle in angles], dim=2).flatten(1, 2)
        return tuple(turned(part, angle) for part, angle in zip(self.lift(x, spacing), angles, strict=True))

    def extra_repr(self) -> str:
        """Types and what differs from the defaults."""
        return ", ".join([super().extra_repr(), *self.unusual(padding_mode="replicate")])


def rate_of(field: FieldType) -> float:
    """The rate of fields of one phase representation.

    Raises:
        FieldTypeError: for other fields.
    """
    rates = {rep.rate if isinstance(rep, Phase) else None for _, rep in field.blocks}
    rate = rates.pop()
    if rates or rate is None:
        raise FieldTypeError("fields of one phase", str(field), "write for example 8 * group.phase(rate=1.0)")
    return rate


def turned(x: Tensor, angle: float) -> Tensor:
    """Every vector turned by an angle: `(batch, 2 * vectors, *space)` to the same, component fastest.

    Example:
        >>> turned(torch.tensor([[[1.0], [0.0]]]), torch.pi / 6).round(decimals=4)[0, :, 0]
        tensor([0.8660, 0.5000])
    """
    u, v = x.unflatten(1, (-1, 2)).unbind(2)
    return torch.stack([cos(angle) * u - sin(angle) * v, sin(angle) * u + cos(angle) * v], dim=2).flatten(1, 2)


def strongest(fields: Tensor, scales: Sequence[float], sharpness: float | None = None) -> tuple[Tensor, Tensor]:
    """Maximum over the scales and the logarithm of its scale: `(batch, fields, scales, *space)` to two without it."""
    logarithms = fields.new_tensor([log(s) for s in scales])
    largest, index = fields.max(dim=2)
    if sharpness is None:
        return largest, logarithms[index]
    shares = (sharpness * fields / largest.clamp(min=LEAST).unsqueeze(2)).softmax(dim=2)
    return largest, torch.einsum("s,bcs...->bc...", logarithms, shares)


def as_vector(length: Tensor, scale: Tensor, rate: float) -> Tensor:
    """`ReLU(length) (cos, sin)(rate * scale)`: two tensors `(batch, fields, …)` to `(batch, 2 * fields, …)`."""
    direction = torch.stack([torch.cos(rate * scale), torch.sin(rate * scale)], dim=2)
    return (length.relu().unsqueeze(2) * direction).flatten(1, 2)
