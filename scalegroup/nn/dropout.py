"""Dropout of whole fields."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule


class Dropout(EquivariantModule):
    """Sets whole fields to zero in training: all scales, components and points of a field together.

    With probability `p` a field becomes zero, otherwise it is multiplied by `1 / (1 - p)`. One mask for all scales
    keeps the layer equivariant; a mask for each channel would not.

    Args:
        field: type of the input and the output.
        p: probability of a field to be dropped, in [0, 1). Default 0.5.

    Shape:
        `(batch, field.size, *space)` to the same.

    Raises:
        ScaleGroupError: for `p` out of range.

    Source: Tompson et al. 2015, "Efficient Object Localization Using Convolutional Networks" (spatial dropout).

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 4 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> y = sg.nn.Dropout(field, p=0.5)(torch.ones(1, 12, 5, 5))
        >>> sorted(set(y.flatten().tolist()) | {0.0, 2.0})
        [0.0, 2.0]
    """

    def __init__(self, field: FieldType, p: float = 0.5) -> None:
        super().__init__(field, field)
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p < 1:
            raise ScaleGroupError("p, a probability in [0, 1)", repr(p), "0 drops nothing")
        self.p = float(p)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, field.size, *space)` to the same."""
        x = self.check(x)
        if not self.training or self.p == 0:
            return x
        parts = []
        for part, (count, _) in zip(self.split(x, self.in_type), self.in_type.blocks, strict=True):
            keep = torch.rand(part.shape[0], count, 1, device=x.device) >= self.p
            fields = part.reshape(part.shape[0], count, prod(part.shape[1:]) // count)
            parts.append((fields * (keep.to(x.dtype) / (1 - self.p))).view(part.shape))
        return self.join(parts)

    def extra_repr(self) -> str:
        """The type and the probability."""
        return f"{self.in_type}, p={self.p:g}"
