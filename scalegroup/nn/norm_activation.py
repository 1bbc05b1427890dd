"""Activations of vectors, which change their lengths and keep their directions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, Samples, each
from scalegroup.nn.pointwise import as_activation, name_of
from scalegroup.nn.rotating import as_vectors, check_weightless, soft_length
from scalegroup.representations import permutes


class NormActivation(EquivariantModule):
    """An activation of the lengths of vectors: `y = φ(n + b) / n · v` with `n = sqrt(1 + |v|²)`.

    n is smooth where v is zero, so y is too; where v is long, n is its length. Each field has its own b. Fields whose
    components rotations only permute (scalars, regular fields, quotients) are activated number by number, `y = φ(x)`.

    Args:
        field: type of the input and the output: any fields without a weight.
        activation: a module or function φ of a tensor that acts on each number. Default `torch.nn.SiLU()`.

    Shape:
        `(batch, field.size, *space)` to the same; or `(points, field.size)`.

    Raises:
        FieldTypeError: for fields that dilations multiply by a power of the scale.
        ScaleGroupError: for an activation that does not act on each number alike.

    Source: norm nonlinearities in Worrall et al. 2017, "Harmonic Networks", and Weiler et al. 2018, "3D Steerable
        CNNs"; there n is the length itself, which has a kink at zero.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="octahedral")
        >>> act = sg.nn.NormActivation(2 * group.regular + 3 * group.irrep("T1"))
        >>> act(torch.randn(1, 22, 5, 5, 5)).shape, act.bias.shape
        (torch.Size([1, 22, 5, 5, 5]), torch.Size([3]))
    """

    pointwise = True

    def __init__(self, field: FieldType, activation: Callable[[Tensor], Tensor] | None = None) -> None:
        check_weightless(self, field, "a function of the length would break the others; leave them out of this layer")
        super().__init__(field, field)
        self.activation = as_activation(activation)
        self._components = [None if permutes(rep) else self.components_of(rep) for _, rep in field.blocks]
        turning = sum(m for (m, _), d in zip(field.blocks, self._components, strict=True) if d is not None)
        self.register_parameter("bias", torch.nn.Parameter(torch.zeros(turning)) if turning else None)

    @property
    def declared_error(self) -> float:
        """Zero: it acts on each point by itself."""
        return 0.0

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to the same."""
        return each(self._on_grid, self.check(x))  # type: ignore[no-any-return]

    def _on_grid(self, x: Tensor) -> Tensor:
        results, start = [], 0
        for part, d in zip(self.split(x, self.in_type), self._components, strict=True):
            if d is None or self.bias is None:
                results.append(self.activation(part))
                continue
            v = as_vectors(part, d)
            bias = self.bias[start : start + v.shape[1]].to(part.dtype).view(-1, *[1] * (part.ndim - 2))
            start += v.shape[1]
            n = soft_length(v)
            results.append((v * (self.activation(n + bias) / n).unsqueeze(2)).reshape(part.shape))
        return self.join(results)

    def extra_repr(self) -> str:
        """The type, and a function that is no module."""
        return ", ".join([str(self.in_type), *name_of(self.activation)])
