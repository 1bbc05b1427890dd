"""Layers on vectors whose angle tells a scale: what acts on their lengths alone leaves the angles as they are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scalegroup.engine.autocast import at_least_float32
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.nn.grid import positive
from scalegroup.nn.module import EquivariantModule, check_types, group_of
from scalegroup.nn.scale_vector import rate_of
from scalegroup.nn.spacing import plain


class VectorMagnitude(EquivariantModule):
    """The lengths of vectors whose angle tells a scale: `|v(x)|`, scalar fields.

    Args:
        field: the input, fields of one phase.

    Shape:
        `(batch, 2 * multiplicity, *space)` to `(batch, multiplicity, *space)`.

    Raises:
        FieldTypeError: for other fields.

    Source: Marcos et al. 2018.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 1 * sg.ScaleTranslationGroup(dim=1).phase(1.0)
        >>> VectorMagnitude(field)(torch.tensor([[[3.0], [4.0]]]))
        tensor([[[5.]]])
    """

    def __init__(self, field: FieldType) -> None:
        _check(self, field)
        super().__init__(field, field.num_fields * group_of(field).scalar)

    @property
    def declared_error(self) -> float:
        """None."""
        return 0.0

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, 2 * multiplicity, *space)` to `(batch, multiplicity, *space)`."""
        return magnitudes(self.check(x))


class VectorBatchNorm(EquivariantModule):
    """Divides vectors by the root mean square of their lengths over batch and space, one number for each field.

    `v / sqrt(mean |v|² + eps)`; in eval mode with running statistics. Nothing is subtracted, so that angles stay.
    (The published code takes the sum of the squares where the formula has their mean.)

    Args:
        field: type of the input and the output: fields of one phase.
        eps: added to the mean square. Default 1e-5.
        momentum: weight of a new batch in the running statistics. Default 0.5, as published.

    Shape:
        `(batch, field.size, *space)` to the same.

    Raises:
        FieldTypeError: for other fields.
        ScaleGroupError: for `eps` that is not positive, and `momentum` outside (0, 1].

    Source: Marcos et al. 2018.

    Example:
        >>> import torch, scalegroup as sg
        >>> norm = VectorBatchNorm(2 * sg.ScaleTranslationGroup(dim=2).phase(1.0))
        >>> bool((norm(9 * torch.randn(4, 4, 8, 8)).square().mean() - 0.5).abs() < 1e-3)
        True
    """

    running_square: Tensor

    def __init__(self, field: FieldType, eps: float = 1e-5, momentum: float = 0.5) -> None:
        _check(self, field)
        super().__init__(field, field)
        self.eps, self.momentum = positive(eps, "eps"), positive(momentum, "momentum")
        if self.momentum > 1:
            raise ScaleGroupError("momentum in (0, 1]", momentum, "it is the weight of a new batch")
        self.register_buffer("running_square", torch.ones(field.num_fields))

    @property
    def declared_error(self) -> float:
        """None, in eval mode."""
        return 0.0

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, field.size, *space)` to the same."""
        x = self.check(x)
        square = self.running_square
        if self.training:
            values = x.to(at_least_float32(x.dtype)).unflatten(1, (-1, 2)).transpose(1, 2).flatten(3)
            square = values.square().sum(dim=1).mean(dim=(0, 2))
            self.running_square.lerp_(square.detach().to(self.running_square.dtype), self.momentum)
        factors = (square + self.eps).rsqrt().repeat_interleave(2).to(x.dtype)
        return x * factors.view(-1, *[1] * (x.ndim - 2))

    def extra_repr(self) -> str:
        """The type and what differs from the defaults."""
        return ", ".join([str(self.in_type), *self.unusual(eps=1e-5, momentum=0.5)])


class VectorMaxPool(EquivariantModule):
    """The longest vector of each window of a fixed number of voxels.

    A window that does not grow with the scale is not equivariant: `declared_error` is infinite.

    Args:
        field: type of the input and the output: fields of one phase.
        stride: voxels along each side of the window, and between windows. Default 2.

    Shape:
        `(batch, field.size, *space)` to `(batch, field.size, *ceil(space / stride))`; the last window may be smaller.

    Raises:
        FieldTypeError: for other fields.
        ScaleGroupError: for a stride below 1.

    Source: Marcos et al. 2018.

    Example:
        >>> import torch, scalegroup as sg
        >>> pool = VectorMaxPool(1 * sg.ScaleTranslationGroup(dim=1).phase(1.0))
        >>> pool(torch.tensor([[[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]]]))
        tensor([[[1., 2.],
                 [5., 1.]]])
    """

    def __init__(self, field: FieldType, stride: int = 2) -> None:
        _check(self, field)
        super().__init__(field, field)
        self.stride = as_integer(stride, "stride, an integer >= 1", "2 halves the grid", minimum=1)

    @property
    def declared_error(self) -> float:
        """No bound: the window does not know the scale."""
        return float("inf")

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, field.size, *space)` to `(batch, field.size, *ceil(space / stride))`."""
        x = plain(self.check(x))
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
        _, index = pool(magnitudes(x), self.stride, self.stride, ceil_mode=True, return_indices=True)
        places = index.flatten(2).repeat_interleave(2, dim=1)  # both components of a vector from one voxel
        return x.flatten(2).gather(2, places).reshape(*x.shape[:2], *index.shape[2:])

    def extra_repr(self) -> str:
        """The type and what differs from the defaults."""
        return ", ".join([str(self.in_type), *self.unusual(stride=2)])


def magnitudes(x: Tensor) -> Tensor:
    """Lengths of vectors: `(batch, 2 * vectors, *space)` to `(batch, vectors, *space)`; the gradient of 0 is 0."""
    u, v = x.unflatten(1, (-1, 2)).unbind(2)
    squares = u * u + v * v  # ten times as fast as torch's norm of an axis of two
    some = squares > 0
    return torch.where(some, squares, 1).sqrt() * some  # type: ignore[no-any-return]


def _check(layer: EquivariantModule, field: FieldType) -> None:
    check_types(layer, field=field)
    rate_of(field)
