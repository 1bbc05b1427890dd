"""Activations of vectors by gates, scalars that the layer before learns to make."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, Samples, each, group_of
from scalegroup.nn.pointwise import as_activation, name_of
from scalegroup.nn.rotating import as_vectors, check_weightless
from scalegroup.representations import on_scales, permutes


class Gate(EquivariantModule):
    """Multiplies each vector by the sigmoid of a scalar of its own: `y_c(s,x) = σ(g_c(s,x)) v_c(s,x)`.

    The gates g are further channels of the input, behind the fields: the layer before makes `gate.in_type`. Vectors on
    the scales have gates on the scales. Fields whose components rotations only permute (scalars, regular fields,
    quotients) need no gate; the activation acts on each of their numbers.

    Args:
        field: type of the output: any fields without a weight.
        activation: a module or function of a tensor that acts on each number. Default `torch.nn.SiLU()`.

    Attributes:
        in_type: the fields, then `group.regular` once for each vector on the scales, then `group.scalar` once for each
            vector without scales.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, field.size, *space)`; or `(points, …)`.

    Raises:
        FieldTypeError: for fields that dilations multiply by a power of the scale.
        ScaleGroupError: for an activation that does not act on each number alike.

    Source: Weiler et al. 2018, "3D Steerable CNNs"; `Gate` of e3nn.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="octahedral")
        >>> gate = sg.nn.Gate(2 * group.regular + 3 * group.irrep("T1"))
        >>> print(gate.in_type)
        2*regular + 3*irrep('T1') + 3*regular
        >>> gate(torch.randn(1, 28, 5, 5, 5)).shape
        torch.Size([1, 22, 5, 5, 5])
    """

    pointwise = True

    def __init__(self, field: FieldType, activation: Callable[[Tensor], Tensor] | None = None) -> None:
        check_weightless(self, field, "a gate alone would not make the others dilate; leave them out of this layer")
        self._gated = [not permutes(rep) for _, rep in field.blocks]
        self._with_scales = [on_scales(rep) for _, rep in field.blocks]
        in_type = field
        for with_scales, gate in ((True, group_of(field).regular), (False, group_of(field).scalar)):
            blocks = zip(field.blocks, self._gated, self._with_scales, strict=True)
            count = sum(m for (m, _), gated, own in blocks if gated and own == with_scales)
            in_type = in_type + count * gate if count else in_type
        super().__init__(in_type, field)
        self._gates = [on_scales(rep) for _, rep in in_type.blocks[len(field) :]]
        self.activation = as_activation(activation)

    @property
    def declared_error(self) -> float:
        """Zero: it acts on each point by itself."""
        return 0.0

    def forward(self, x: Samples) -> Samples:
        """`(batch, in_type.size, *space)` to `(batch, field.size, *space)`."""
        return each(self._on_grid, self.check(x))  # type: ignore[no-any-return]

    def _on_grid(self, x: Tensor) -> Tensor:
        parts = self.split(x, self.in_type)
        count = len(self._gated)
        gates = dict(zip(self._gates, parts[count:], strict=True))
        results = []
        for part, (m, rep), gated, on in zip(
            parts[:count], self.out_type.blocks, self._gated, self._with_scales, strict=True
        ):
            if not gated:
                results.append(self.activation(part))
                continue
            own, gates[on] = gates[on][:, :m], gates[on][:, m:]
            results.append((as_vectors(part, self.components_of(rep)) * own.sigmoid().unsqueeze(2)).reshape(part.shape))
        return self.join(results)

    def extra_repr(self) -> str:
        """The types, and a function that is no module."""
        return ", ".join([super().extra_repr(), *name_of(self.activation)])
