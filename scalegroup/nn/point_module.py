"""What layers on point clouds share: `layer(x, pos, batch)`, checked."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from scalegroup.engine import Points, autocasts
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, group_of

_UNTRACED: set[type] = set()


class PointModule(EquivariantModule):
    """Base of layers on point clouds: features `(points, in_type.size)` at positions `(points, dim)`.

    They take `layer(x, pos, batch)`, with `batch` as in PyTorch Geometric; or `layer(x, points)` with an `nn.Points`,
    in which the layers of a network share what they find out about the positions; or `layer(data)` with any object
    that has `x`, `pos` and perhaps `batch`.

    `torch.compile` calls them between its graphs, because how many neighbours there are depends on the numbers in the
    positions; `fullgraph=True` and `torch.export` are therefore not possible.

    Args:
        in_type: type of the input field, of a group with `sampling="uniform"`.
        out_type: type of the output field.

    Raises:
        FieldTypeError: for a group whose scales have grids of their own.

    Example:
        >>> import torch, scalegroup as sg
        >>> class Centred(sg.nn.PointModule):
        ...     def forward(self, x, pos=None, batch=None):
        ...         x, points = self.read(x, pos, batch)
        ...         return x - x.mean(dim=0)
        >>> field = 2 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular
        >>> Centred(field, field)(torch.randn(5, 8), torch.randn(5, 3)).shape
        torch.Size([5, 8])
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A new layer, also where one is unpickled: from here on the compiler leaves it out of its graphs."""
        layer = super().__new__(cls, *args, **kwargs)
        for kind in cls.__mro__:  # not where the class is made: to tell the compiler is to load it
            if issubclass(kind, PointModule) and "forward" in vars(kind) and kind not in _UNTRACED:
                kind.forward = torch.compiler.disable(kind.forward)
                _UNTRACED.add(kind)
        return layer

    def __init__(self, in_type: FieldType, out_type: FieldType) -> None:
        super().__init__(in_type, out_type)
        if group_of(in_type).sampling != "uniform":
            hint = "points have no grids; leave sampling out of the group"
            raise FieldTypeError("a group with sampling='uniform'", group_of(in_type), hint)

    def read(self, x: Any, pos: Any = None, batch: Any = None) -> tuple[Tensor, Points]:
        """The features and the positions of what `forward` was given, or an error that says what is wrong."""
        if pos is None and not isinstance(x, Tensor) and hasattr(x, "pos"):
            x, pos, batch = getattr(x, "x", None), x.pos, getattr(x, "batch", None) if batch is None else batch
        points = as_points(pos, batch)
        name, size = type(self).__name__, self.size_of(self.in_type)
        expected = f"{name} input, a tensor (points, {size})"
        if not isinstance(x, Tensor):
            hint = "where points have no features, torch.ones(len(pos), 1) says that they are there"
            raise ScaleGroupError(expected, type(x).__name__, hint)
        if x.ndim != 2 or x.shape[1] != size:
            hint = f"in_type is {self.in_type}; one row for each point, the clouds of a batch one behind the other"
            raise ScaleGroupError(expected, tuple(x.shape), hint)
        if len(x) != len(points):
            hint = "each row of x belongs to the position in the same row"
            raise ScaleGroupError(f"{len(points)} rows of {name} input, one for each position", len(x), hint)
        if points.dim != group_of(self.in_type).dim:
            hint = "the group says how many coordinates there are"
            raise ScaleGroupError(f"positions of dim {group_of(self.in_type).dim}", points.dim, hint)
        if not x.is_floating_point():
            raise ScaleGroupError(f"{name} input of a floating-point dtype", x.dtype, "convert it with x.float()")
        if x.device != points.pos.device:
            raise ScaleGroupError(f"{name} input on {points.pos.device}, like the positions", x.device, "move one")
        parameter = next(self.parameters(), None)
        if parameter is None or autocasts(x.device):
            return x, points
        if parameter.dtype != x.dtype:
            hint = f"convert the input with x.to({parameter.dtype}) or the module with .to({x.dtype})"
            raise ScaleGroupError(f"{name} input of dtype {parameter.dtype}", x.dtype, hint)
        return x, points


def as_points(pos: Any, batch: Any = None) -> Points:
    """Positions and the clouds that they belong to, as `nn.Points`."""
    if not isinstance(pos, Points):
        return Points(pos, batch)
    if batch is not None:
        hint = "Points(pos, batch) holds both"
        raise ScaleGroupError("no batch vector beside an nn.Points", "one", hint)
    return pos
