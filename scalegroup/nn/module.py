"""The base class of all layers: types on the module, plain tensors in `forward`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.engine import autocasts, tell_compiler
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.representations import Representation, invariants, on_scales

Samples = Tensor | tuple[Tensor, ...]
"""A sampled field: `(batch, channels, *space)`, or one such tensor for each scale if the group is sampled by Haar's
measure."""


def each(function: Callable[..., Tensor], *fields: Any) -> Any:
    """`function` of one or several fields of the same kind, grid by grid.

    For fields on one grid it is `function(*fields)`; for tuples, one tensor for each scale, a tuple of the results.
    So the same layer works for both: write `each(torch.add, x, y)` for `x + y`, which would join two tuples.

    Args:
        function: of as many tensors as there are fields.
        fields: tensors, or tuples of them with one tensor for each scale.

    Example:
        >>> import torch
        >>> each(torch.relu, torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
        >>> each(torch.add, (torch.ones(1), torch.zeros(2)), (torch.ones(1), torch.ones(2)))
        (tensor([2.]), tensor([1., 1.]))
    """
    if isinstance(fields[0], Tensor):
        return function(*fields)
    return tuple(function(*parts) for parts in zip(*fields, strict=True))


def grids(x: Samples) -> list[Tensor]:
    """The tensors of a field, one for each grid."""
    return [x] if isinstance(x, Tensor) else list(x)


def has_scales(field: FieldType) -> bool:
    """Whether some block of the type has a copy on every scale of the window."""
    return any(on_scales(rep) for _, rep in field.blocks)


def on_grids(field: FieldType) -> bool:
    """Whether a field of this type is a tuple of tensors, one for each scale on a grid of its own."""
    return group_of(field).sampling == "haar" and any(on_scales(rep) for _, rep in field.blocks)


def group_of(field: FieldType) -> ScaleTranslationGroup:
    """The group of a field type, which in this package has a window of scales."""
    return cast(ScaleTranslationGroup, field.group)


def check_types(layer: torch.nn.Module, **fields: object) -> None:
    """Raise unless all arguments of this layer are field types of a scale-translation group."""
    for name, field in fields.items():
        if not isinstance(field, FieldType):
            hint = "write for example 16 * group.regular"
            raise FieldTypeError(f"a FieldType as {name} of {type(layer).__name__}", repr(field), hint)
        if not isinstance(field.group, ScaleTranslationGroup):
            hint = "grids need translations and scales"
            raise FieldTypeError("fields of a ScaleTranslationGroup", repr(field.group), hint)
        if on_grids(field) and not all(on_scales(rep) for _, rep in field.blocks):
            hint = "they live on different grids; use layers of their own for the two parts, or sampling='uniform'"
            raise FieldTypeError(f"fields with scales only, or without, as {name} sampled as 'haar'", str(field), hint)


class EquivariantModule(torch.nn.Module):
    """A module `f` with `f(ρ_in(g) x) = ρ_out(g) f(x)` for the group of its types.

    Subclasses call `super().__init__(in_type, out_type)` and define `forward` on plain tensors of shape
    `(batch, type.size, *space)`; for groups with `sampling="haar"`, on tuples with a tensor for each scale, see
    `nn.each`. Weights must not depend on the window of scales; what does depend on it is
    made in `build`, which is called again when the window changes (`with_window`).

    Args:
        in_type: type of the input field.
        out_type: type of the output field, of the same group up to its window.

    Attributes:
        declared_error: the relative equivariance error that the layer declares for content on its band: 0 if it is
            exact, inf if it declares none. Of sampled kernels it is no strict bound, see `kernels.declared_error`.

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

    bias: torch.nn.Parameter | None
    frozen = False
    pointwise = False  # whether the layer acts on each point alone, and so takes `(points, size)` as well

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A new layer, also where one is unpickled: from here on it may be compiled."""
        tell_compiler()
        return super().__new__(cls)

    def __init__(self, in_type: FieldType, out_type: FieldType) -> None:
        super().__init__()
        check_types(self, in_type=in_type, out_type=out_type)
        if group_of(in_type).window(1, 0, "uniform") != group_of(out_type).window(1, 0, "uniform"):
            hint = "use types of one group; only the window of scales and their sampling may differ"
            raise FieldTypeError(f"out_type with the group {in_type.group!r}", repr(out_type.group), hint)
        self.in_type = in_type
        self.out_type = out_type
        self._run = (0, 0)
        self._constants: dict[str, NDArray[np.float64]] = {}

    @property
    def declared_error(self) -> float:
        """Bound on the relative equivariance error of this module; by default the sum over its layers."""
        return sum(layer.declared_error for layer in _nearest(self))

    def build(self) -> None:
        """Make what depends on the window of scales; called by `with_window` after the types have changed."""

    def freeze(self) -> None:
        """Stay in eval mode from now on; see `nn.freeze`."""
        self.frozen = True
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """As in torch; a frozen module stays in eval mode."""
        return super().train(mode and not self.frozen)

    # Runs of scales: a network in training may see a few neighbouring scales of its window only.

    def set_run(self, start: int, dropped: int) -> None:
        """Use all but `dropped` scales, from index `start`; see `run_of_scales`."""
        self._run = (start, dropped)

    def scales_of(self, representation: Representation) -> range:
        """Indices of the scales that a field of this representation holds now (all of them by default)."""
        start, dropped = self._run
        if representation.num_scales == 1:
            return range(1)
        return range(start, start + representation.num_scales - dropped)

    def scales_in_use(self) -> list[float]:
        """The scales of the window that the layer works on now."""
        start, dropped = self._run
        window = self._window()
        return list(window[start : start + len(window) - dropped])

    def _window(self) -> tuple[float, ...]:
        return group_of(self.out_type).scales

    def scales_on_grid(self, representation: Representation) -> int:
        """How many scales of a field of this representation one tensor holds now."""
        haar = group_of(self.in_type).sampling == "haar"
        return 1 if haar and on_scales(representation) else len(self.scales_of(representation))

    def size_of(self, field: FieldType) -> int:
        """Channels that a tensor of this type has now."""
        return sum(m * self.components_of(r) * self.scales_on_grid(r) for m, r in field.blocks)

    @staticmethod
    def components_of(representation: Representation) -> int:
        """Components per scale: 1, or the dimension of an irrep of the compact part."""
        return representation.size // representation.num_scales

    def split(self, x: Tensor, field: FieldType) -> list[Tensor]:
        """One tensor `(batch, multiplicity * components, scales, *space)` per block of the type.

        Of a field with a grid for each scale, `x` is the tensor of one of them, and there is one scale.
        """
        sizes = [m * self.components_of(r) * self.scales_on_grid(r) for m, r in field.blocks]
        parts = x.split(sizes, dim=1) if len(sizes) > 1 else [x]  # the gradient of a split is a copy
        return [
            part.reshape(part.shape[0], m * self.components_of(r), self.scales_on_grid(r), *part.shape[2:])
            for part, (m, r) in zip(parts, field.blocks, strict=True)
        ]

    @staticmethod
    def join(parts: list[Tensor]) -> Tensor:
        """The inverse of `split`."""
        flat = [part.flatten(1, 2) for part in parts]
        return flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)

    def check(self, x: Any) -> Any:
        """Return `x`, or raise if it is not a field of `in_type`."""
        name = type(self).__name__
        if not on_grids(self.in_type):
            return self._checked_grid(x)
        count = max(len(self.scales_of(rep)) for _, rep in self.in_type.blocks)
        if not isinstance(x, tuple | list) or len(x) != count:
            hint = "nn.HaarLift makes it from a volume, nn.ToHaar from a field with all scales on one grid"
            received = type(x).__name__ if not isinstance(x, tuple | list) else f"{len(x)}"
            raise ScaleGroupError(f"{name} input as a tuple of {count} tensors, one for each scale", received, hint)
        checked = tuple(self._checked_grid(grid) for grid in x)
        kinds = [(grid.shape[0], grid.dtype, grid.device) for grid in checked]
        if any(kind != kinds[0] for kind in kinds):
            hint = "the scales of a field belong to the same volumes"
            raise ScaleGroupError(f"{name} input with one batch size, dtype and device on all grids", kinds, hint)
        return checked

    def _checked_grid(self, x: Any) -> Tensor:
        name, dim = type(self).__name__, group_of(self.in_type).dim
        if not isinstance(x, Tensor):
            raise ScaleGroupError(
                f"a torch.Tensor as {name} input", type(x).__name__, "convert it with torch.as_tensor"
            )
        if x.ndim != dim + 2 and not (self.pointwise and x.ndim == 2):
            hint = f"the group has dim={dim}; add or remove axes"
            raise ScaleGroupError(f"{name} input of {dim + 2} axes (batch, channels, *space)", tuple(x.shape), hint)
        size = self.size_of(self.in_type)
        if x.shape[1] != size:
            hint = f"in_type is {self.in_type}; channels are multiplicity times components times scales"
            raise ScaleGroupError(f"{name} input of {size} channels", f"{x.shape[1]} in {tuple(x.shape)}", hint)
        if 0 in x.shape[2:]:
            raise ScaleGroupError(f"{name} input with samples along every axis", tuple(x.shape), "check how it was cut")
        if not x.is_floating_point():
            raise ScaleGroupError(f"{name} input of a floating-point dtype", x.dtype, "convert it with x.float()")
        parameter = next(self.parameters(), None)
        if parameter is not None and parameter.dtype != x.dtype and not autocasts(x.device):
            hint = f"convert the input with x.to({parameter.dtype}) or the module with .to({x.dtype})"
            raise ScaleGroupError(f"{name} input of dtype {parameter.dtype}", x.dtype, hint)
        return x

    # Weights: one for each pair of blocks a layer connects, one constant for each field that may have one.

    def add_weights(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """New parameters: `weight` if there is one, else `weight_0`, `weight_1`, …"""
        names = ["weight"] if len(shapes) == 1 else [f"weight_{n}" for n in range(len(shapes))]
        for name, shape in zip(names, shapes, strict=True):
            self.register_parameter(name, torch.nn.Parameter(torch.empty(shape)))
        self._weight_names = names

    @property
    def weights(self) -> list[torch.nn.Parameter]:
        """All weights, in the order of `add_weights`."""
        return [getattr(self, name) for name in self._weight_names]  # plain tensors inside functional_call

    def add_bias(self, enabled: bool) -> None:
        """A parameter `bias`, a number for each constant that the output fields may have (`invariants`), or none."""
        columns = [invariants(rep) for _, rep in self.out_type.blocks]
        self._biased = [
            (j, count * fixed.shape[1], fixed.tolist())
            for j, ((count, _), fixed) in enumerate(zip(self.out_type.blocks, columns, strict=True))
            if fixed.shape[1]
        ]
        size = sum(count for _, count, _ in self._biased)
        self.register_parameter("bias", torch.nn.Parameter(torch.zeros(size)) if enabled and size else None)

    def apply_bias(self, parts: list[Tensor]) -> list[Tensor]:
        """Add the bias to blocks as `split` gives them."""
        if self.bias is None:
            return parts
        values = self.bias.split([count for _, count, _ in self._biased])
        parts = list(parts)
        for (j, _, columns), value in zip(self._biased, values, strict=True):
            if len(columns) > 1:  # along the components of a field that no rotation changes
                value = (value.unflatten(0, (-1, len(columns[0]))) @ value.new_tensor(columns).t()).flatten()
            parts[j] = parts[j] + value.to(parts[j].dtype).view(-1, *[1] * (parts[j].ndim - 2))
        return parts

    # Constants follow the device, never the dtype: float64 tables stay exact, state dicts hold weights only.

    def register_constant(self, name: str, value: NDArray[np.float64]) -> None:
        """A float64 buffer that is not saved and that `.to(dtype)` leaves alone."""
        self._constants[name] = value
        self.register_buffer(name, torch.tensor(value), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> EquivariantModule:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, value in self._constants.items():
            setattr(self, name, torch.tensor(value, device=getattr(self, name).device))
        return self

    def unusual(self, **defaults: object) -> list[str]:
        """`name=value` for each of these attributes that differs from its default, for `repr`."""
        return [f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value]

    def extra_repr(self) -> str:
        return f"{self.in_type} -> {self.out_type}"


def _nearest(module: torch.nn.Module) -> list[EquivariantModule]:
    """The equivariant modules below, also in lists and plain modules, but not those inside other equivariant ones."""
    found = []
    for child in module._modules.values():  # not children(), which names a layer used twice once
        if child is not None:
            found += [child] if isinstance(child, EquivariantModule) else _nearest(child)
    return found
