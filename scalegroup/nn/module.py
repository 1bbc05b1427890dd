"""The base class of all layers: types on the module, plain tensors in `forward`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.representations import Representation


class EquivariantModule(torch.nn.Module):
    """A module `f` with `f(ρ_in(g) x) = ρ_out(g) f(x)` for the group of its types.

    Subclasses call `super().__init__(in_type, out_type)` and define `forward` on plain tensors of shape
    `(batch, type.size, *space)`. Weights must not depend on the window of scales; what does depend on it is
    made in `build`, which is called again when the window changes (`with_window`).

    Args:
        in_type: type of the input field.
        out_type: type of the output field, of the same group up to its window.

    Attributes:
        declared_error: bound on the relative equivariance error on the layer's band (0 = exact, inf = no bound).

    Example:
        >>> import torch, scalegroup as sg
        >>> from scalegroup import nn
        >>> class Residual(nn.EquivariantModule):
        ...     def __init__(self, field):
        ...         super().__init__(in_type=field, out_type=field)
        ...         self.linear, self.act = nn.Linear(field, field), nn.Pointwise(field, torch.nn.SiLU())
        ...     def forward(self, x):
        ...         return x + self.linear(self.act(x))
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> Residual(field)(torch.randn(1, 6, 8, 8)).shape
        torch.Size([1, 6, 8, 8])
    """

    def __init__(self, in_type: FieldType, out_type: FieldType) -> None:
        super().__init__()
        for name, field in (("in_type", in_type), ("out_type", out_type)):
            if not isinstance(field, FieldType):
                hint = "write for example 16 * group.regular"
                raise FieldTypeError(f"a FieldType as {name} of {type(self).__name__}", repr(field), hint)
        if in_type.group.window(num_scales=1, first=0) != out_type.group.window(num_scales=1, first=0):
            hint = "use types of one group; only the window of scales may differ"
            raise FieldTypeError(f"out_type with the group {in_type.group}", str(out_type.group), hint)
        self.in_type = in_type
        self.out_type = out_type
        self._run = (0, 0)
        self._constants: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}

    @property
    def declared_error(self) -> float:
        """Bound on the relative equivariance error of this module; by default the sum over its layers."""
        layers = [child for child in self.children() if isinstance(child, EquivariantModule)]
        return float(sum(layer.declared_error for layer in layers))

    def build(self) -> None:
        """Make what depends on the window of scales; called by `with_window` after the types have changed."""

    # Runs of scales: a network in training may see a few neighbouring scales of its window only.

    def scales_of(self, representation: Representation) -> range:
        """Indices of the scales that a field of this representation holds now (all of them by default)."""
        start, dropped = self._run
        if representation.num_scales == 1:
            return range(1)
        return range(start, start + representation.num_scales - dropped)

    def size_of(self, field: FieldType) -> int:
        """Channels that a tensor of this type has now."""
        return sum(m * self.components_of(r) * len(self.scales_of(r)) for m, r in field.blocks)

    @staticmethod
    def components_of(representation: Representation) -> int:
        """Components per scale: 1, or the dimension of an irrep of the compact part."""
        return representation.size // representation.num_scales

    def split(self, x: Tensor, field: FieldType) -> list[Tensor]:
        """One tensor `(batch, multiplicity * components, scales, *space)` per block of the type."""
        sizes = [m * self.components_of(r) * len(self.scales_of(r)) for m, r in field.blocks]
        parts = x.split(sizes, dim=1)
        return [
            part.reshape(part.shape[0], -1, len(self.scales_of(r)), *part.shape[2:])
            for part, (_, r) in zip(parts, field.blocks, strict=True)
        ]

    @staticmethod
    def join(parts: list[Tensor]) -> Tensor:
        """The inverse of `split`."""
        flat = [part.flatten(1, 2) for part in parts]
        return flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)

    def check(self, x: Tensor) -> Tensor:
        """Return `x`, or raise if it is not a field of `in_type`."""
        name, dim = type(self).__name__, self.in_type.group.dim
        if x.ndim != dim + 2:
            hint = f"the group has dim={dim}; add or remove axes"
            raise ScaleGroupError(f"{name} input of {dim + 2} axes (batch, channels, *space)", tuple(x.shape), hint)
        size = self.size_of(self.in_type)
        if x.shape[1] != size:
            hint = f"in_type is {self.in_type}; channels are multiplicity times scales"
            raise ScaleGroupError(f"{name} input of {size} channels", f"{x.shape[1]} in {tuple(x.shape)}", hint)
        if not x.is_floating_point():
            raise ScaleGroupError(f"{name} input of a floating-point dtype", x.dtype, "convert it with x.float()")
        parameter = next(self.parameters(), None)
        autocast = torch.is_autocast_enabled(x.device.type)
        if parameter is not None and parameter.dtype != x.dtype and not autocast:
            hint = f"convert the input with x.to({parameter.dtype}) or the module with .to({x.dtype})"
            raise ScaleGroupError(f"{name} input of dtype {parameter.dtype}", x.dtype, hint)
        return x

    # Constants follow the device, never the dtype: float64 tables stay exact, state dicts hold weights only.

    def register_constant(self, name: str, value: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """A float64 buffer that is not saved and that `.to(dtype)` leaves alone."""
        self._constants[name] = value
        self.register_buffer(name, torch.tensor(value), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> EquivariantModule:
        super()._apply(fn, recurse)
        for name, value in self._constants.items():
            setattr(self, name, torch.tensor(value, device=getattr(self, name).device))
        return self

    def extra_repr(self) -> str:
        return f"{self.in_type} -> {self.out_type}"
