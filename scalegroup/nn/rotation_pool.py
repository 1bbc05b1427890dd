"""From fields that turn with the volume to numbers that do not."""

from __future__ import annotations

from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.nn.grid import choice
from scalegroup.nn.module import EquivariantModule, Samples, each, group_of
from scalegroup.nn.rotating import as_vectors, check_weightless, soft_length
from scalegroup.representations import invariants, on_scales, permutes

MODES = ("norm", "max", "mean")


class RotationPool(EquivariantModule):
    """Makes one number of each field that rotations leave as it is; the scales stay.

    Of a vector it is the length, smoothed where the vector is zero: `sqrt(1 + |v|²) - 1`. Of a quotient, functions on a
    finite set of directions, it is that too, or the maximum or the mean over the directions. Scalars, regular fields
    and trivial irreps pass as they are.

    Args:
        field: the input, any fields without a weight.
        mode: what is made of quotients: "norm" (default), "max" or "mean". Of other vectors it is always the norm.

    Attributes:
        out_type: for each block as many regular fields, or scalar ones where it has no scales.

    Shape:
        `(batch, field.size, *space)` to `(batch, out_type.size, *space)`; or `(points, …)`.

    Raises:
        FieldTypeError: for fields that dilations multiply by a power of the scale.

    Source: group pooling in Cohen and Welling 2016; norms in Weiler et al. 2018, "3D Steerable CNNs".

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="octahedral")
        >>> pool = sg.nn.RotationPool(2 * group.regular + 3 * group.irrep("T1"))
        >>> print(pool.out_type, tuple(pool(torch.randn(1, 22, 5, 5, 5)).shape))
        2*regular + 3*regular (1, 10, 5, 5, 5)
    """

    pointwise = True

    def __init__(self, field: FieldType, mode: str = "norm") -> None:
        check_weightless(self, field, "what it makes of the others would not be the same at all scales")
        self.mode = choice(mode, MODES, "mode")
        group = group_of(field)
        blocks = tuple((m, group.regular if on_scales(rep) else group.scalar) for m, rep in field.blocks)
        super().__init__(field, FieldType(group, blocks))
        self._ways = [
            "keep" if invariants(rep).shape == (1, 1) else mode if permutes(rep) else "norm" for _, rep in field.blocks
        ]

    @property
    def declared_error(self) -> float:
        """Zero: it acts on each point by itself."""
        return 0.0

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to `(batch, out_type.size, *space)`."""
        return each(self._on_grid, self.check(x))  # type: ignore[no-any-return]

    def _on_grid(self, x: Tensor) -> Tensor:
        results = []
        for part, (_, rep), way in zip(self.split(x, self.in_type), self.in_type.blocks, self._ways, strict=True):
            v = as_vectors(part, self.components_of(rep))
            if way == "norm":
                results.append(v.square().sum(dim=2) / (1 + soft_length(v)))  # n - 1, precise where it is small
            elif way == "keep":
                results.append(part)
            else:
                results.append(v.amax(dim=2) if way == "max" else v.mean(dim=2))
        return self.join(results)

    def extra_repr(self) -> str:
        """The types and what differs from the defaults."""
        return ", ".join([super().extra_repr(), *self.unusual(mode="norm")])
