"""Dropout of whole fields."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, Samples, each, grids


class Dropout(EquivariantModule):
    """Sets whole fields to zero in training: all scales, components and points of a field together.

    With probability `p` a field becomes zero, otherwise it is multiplied by `1 / (1 - p)`. One mask for all scales
    and components keeps the layer equivariant; a mask for each channel would not. Of a point cloud each point has masks
    of its own.

    Args:
        field: type of the input and the output.
        p: probability of a field to be dropped, in [0, 1). Default 0.5.

    Shape:
        `(batch, field.size, *space)` to the same; or `(points, field.size)`.

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

    pointwise = True

    def __init__(self, field: FieldType, p: float = 0.5) -> None:
        super().__init__(field, field)
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p < 1:
            raise ScaleGroupError("p, a probability in [0, 1)", repr(p), "0 drops nothing")
        self.p = float(p)

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to the same."""
        x = self.check(x)
        if not self.training or self.p == 0:
            return x
        like = grids(x)[0]
        keep = torch.rand(like.shape[0], self.in_type.num_fields, 1, device=like.device) >= self.p
        factor = keep.to(like.dtype) / (1 - self.p)  # the same for all scales of a field
        counts = [count for count, _ in self.in_type.blocks]

        def drop(grid: Tensor) -> Tensor:
            parts = []
            for part, chosen in zip(self.split(grid, self.in_type), factor.split(counts, dim=1), strict=True):
                fields = part.reshape(part.shape[0], chosen.shape[1], prod(part.shape[1:]) // chosen.shape[1])
                parts.append((fields * chosen).view(part.shape))
            return self.join(parts)

        return each(drop, x)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """The type and the probability."""
        return f"{self.in_type}, p={self.p:g}"
