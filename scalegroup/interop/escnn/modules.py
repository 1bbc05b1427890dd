"""Our layers among escnn's modules, and escnn's among our layers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import scalegroup.nn as ours
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactElement, CompactGroup
from scalegroup.interop.escnn.fields import channel_order, escnn_field_type
from scalegroup.interop.escnn.library import group, gspaces
from scalegroup.interop.escnn.library import nn as escnn
from scalegroup.interop.escnn.spaces import escnn_group
from scalegroup.nn.module import group_of


class SharedTypes(torch.nn.Module):
    """A module with parts from escnn; its copies share their groups and types, which escnn does not let be copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        kept = escnn.FieldType | gspaces.GSpace | group.Group | group.GroupElement | group.Representation
        for part in self.modules():
            for value in vars(part).values():
                inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
                memo.update({id(item): item for item in (value, *inside) if isinstance(item, kept)})
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(deepcopy(self.__dict__, memo))
        return twin


class Channels(torch.nn.Module):
    """Puts channels into another order: ``y[:, i] = x[:, order[i]]``."""

    order: Tensor

    def __init__(self, order: NDArray[np.int64]) -> None:
        super().__init__()
        self._ordered = bool((order == np.arange(len(order))).all())
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, *space)`` in and out."""
        return x if self._ordered else x.index_select(1, self.order)


@final
class _AsEscnn(SharedTypes, escnn.EquivariantModule):  # type: ignore[misc]
    """What `as_escnn` returns."""

    def __init__(self, layer: ours.EquivariantModule, in_type: Any, out_type: Any) -> None:
        super().__init__()
        self.in_type, self.out_type = in_type, out_type
        self.before = Channels(np.argsort(channel_order(layer.in_type)))
        self.layer = layer
        self.after = Channels(channel_order(layer.out_type))

    def forward(self, input: Any) -> Any:  # escnn's name
        """A `GeometricTensor` of `in_type` to one of `out_type`."""
        if getattr(input, "type", None) != self.in_type:
            received = getattr(input, "type", type(input).__name__)
            raise FieldTypeError(f"a GeometricTensor of {self.in_type}", received, "wrap it with in_type(tensor)")
        return escnn.GeometricTensor(self._run(input.tensor), self.out_type)

    def _run(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.after(self.layer(self.before(x))))

    def evaluate_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the output for an input of this shape, found by running a copy of the layer on zeros."""
        probe = deepcopy(self).eval()  # it leaves running statistics alone
        like = next(self.parameters(), torch.empty(0))
        with torch.no_grad():
            output = probe._run(torch.zeros(1, *input_shape[1:], dtype=like.dtype, device=like.device))
        return (input_shape[0], *output.shape[1:])

    def check_equivariance(self, atol: float = 2e-6, rtol: float = 1e-5) -> list[tuple[Any, float]]:
        """Test the layer with escnn's own action on fields of white noise, where that action is exact.

        It is for the rotations and reflections that map the grid to itself and, for layers that act on each point
        alone, for all of escnn's `testing_elements` (on the components only). For other rotations see
        `scalegroup.testing.rotation_error`.

        Args:
            atol: absolute tolerance; the default is that of escnn's `SequentialModule`.
            rtol: relative tolerance.

        Returns:
            Pairs of an element and the mean of the absolute error.

        Raises:
            AssertionError: if an error is larger.
        """
        on_components = self.layer.pointwise
        like = next(self.parameters(), torch.empty(0))
        shape = (3, self.in_type.size, *[9] * self.in_type.gspace.dimensionality)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(like)
        x = escnn.GeometricTensor(noise, self.in_type)
        errors = []
        for k in self.in_type.testing_elements if on_components else self._grid_symmetries():
            move = _move_components if on_components else _move
            with torch.no_grad():
                one, two = move(self(x), k).tensor, self(move(x, k)).tensor
            difference = (one - two).abs()
            if not torch.allclose(one, two, atol=atol, rtol=rtol):
                raise AssertionError(f"not equivariant under {k}: errors up to {difference.max():.2g}")
            errors.append((k, float(difference.mean())))
        return errors

    def _grid_symmetries(self) -> list[Any]:
        rotations = group_of(self.layer.in_type).rotations
        if rotations.is_trivial:
            return list(self.in_type.fibergroup.elements)
        known = escnn_group(rotations)
        grid = CompactGroup.named("full_octahedral" if known.dim == 3 else "d4")
        values = [tuple(map(tuple, k.matrix.tolist())) for k in grid.elements]
        return [known.to_escnn(CompactElement(known, value)) for value in values if known.contains(value)]

    def export(self) -> torch.nn.Module:
        """The same on plain tensors, in eval mode, with escnn's order of channels."""
        return torch.nn.Sequential(self.before, self.layer, self.after).eval()


def _move(x: Any, k: Any) -> Any:
    return x.transform(k)


def _move_components(x: Any, k: Any) -> Any:
    return x.transform_fibers(k)


def as_escnn(layer: ours.EquivariantModule, in_type: Any = None, out_type: Any = None) -> Any:
    """Our layer, or a whole network, as an `escnn.nn.EquivariantModule`, which takes and returns `GeometricTensor`.

    Each scale of a field is a field of its own in escnn's type, see `escnn_field_type`. `check_equivariance`,
    `SequentialModule` and `export` work; the layer is not copied and shares its parameters with what you gave.

    Args:
        layer: an `EquivariantModule` on grids, in the plane or space, whose rotations escnn has.
        in_type: escnn's type of the input, if you have one and want this very object. By default it is made.
        out_type: the same for the output.

    Returns:
        An `escnn.nn.EquivariantModule` with `in_type`, `out_type`, `evaluate_output_shape` and `export`.

    Raises:
        FieldTypeError: if a given type does not transform as the layer's does, or each scale has a grid of its own.

    Example:
        >>> import torch, scalegroup as sg
        >>> from escnn.nn import GeometricTensor
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="so3")
        >>> conv = sg.nn.GroupConv(1 * group.scalar, 2 * group.irrep(1))
        >>> module = as_escnn(conv)
        >>> module(GeometricTensor(torch.randn(1, 1, 7, 7, 7), module.in_type)).type
        [SO(3)_on_R3[so3]: {irrep_1 (x4)}(12)]
    """
    if not isinstance(layer, ours.EquivariantModule):
        raise FieldTypeError("an EquivariantModule of this library", type(layer).__name__, "it needs field types")
    return _AsEscnn(layer, _escnn_type(layer.in_type, in_type), _escnn_type(layer.out_type, out_type))


def _escnn_type(field: FieldType, given: Any) -> Any:
    if getattr(field.group, "sampling", "uniform") == "haar":
        raise FieldTypeError("all scales on one grid", repr(field.group), "escnn has one tensor; use 'uniform'")
    made = escnn_field_type(field)
    if given is None:
        return made
    if not isinstance(given, escnn.FieldType) or given.gspace != made.gspace or given.size != made.size:
        raise FieldTypeError(f"a type of escnn like {made}", repr(given), "leave it out to have it made")
    for k in _samples(given.fibergroup):
        if not np.allclose(given.representation(k), made.representation(k), rtol=0, atol=1e-6):
            hint = "components must be in the same basis, and scales neighbours; leave it out to have it made"
            raise FieldTypeError(f"a type of escnn that transforms like {made}", repr(given), hint)
    return given


def _samples(fiber: Any) -> list[Any]:
    """Elements that tell two representations apart: generators where escnn has them, else two at random."""
    return [fiber.sample(), fiber.sample()] if fiber.order() < 0 else list(fiber.generators)


@final
class _FromEscnn(SharedTypes, ours.EquivariantModule):
    """What `from_escnn` returns."""

    def __init__(self, module: Any, in_type: FieldType, out_type: FieldType) -> None:
        super().__init__(in_type, out_type)
        self.before = Channels(channel_order(in_type))
        self.module = module
        self.after = Channels(np.argsort(channel_order(out_type)))

    @property
    def declared_error(self) -> float:
        """Infinite: nothing is known about it."""
        return float("inf")

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_type.size, *space)`` to ``(batch, out_type.size, *space)``."""
        tensor = escnn.GeometricTensor(self.before(self.check(x)), self.module.in_type)
        return cast(Tensor, self.after(self.module(tensor).tensor))


def from_escnn(module: Any, in_type: FieldType, out_type: FieldType) -> ours.EquivariantModule:
    """A module of escnn as one of our layers: an activation that we lack, such as `FourierELU`.

    escnn knows nothing of scales: to it they are fields like any others. So the module must treat all fields alike,
    and must not have parameters, of which each scale would get its own.

    Args:
        module: an `escnn.nn.EquivariantModule` without parameters that acts on each field alike.
        in_type: type of the input; escnn's is ``escnn_field_type(in_type)``.
        out_type: type of the output.

    Returns:
        An `EquivariantModule`, of infinite `declared_error`; measure it with `check_equivariance`.

    Raises:
        FieldTypeError: if the types are not those of the module.
        ScaleGroupError: if the module has parameters.

    Example:
        >>> import escnn.nn, scalegroup as sg
        >>> from scalegroup.interop.escnn import EscnnGroup, escnn_field_type
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="octahedral")
        >>> field = 4 * group.quotient()
        >>> relu = from_escnn(escnn.nn.ReLU(escnn_field_type(field)), field, field)
    """
    if not isinstance(module, escnn.EquivariantModule):
        raise FieldTypeError("an escnn.nn.EquivariantModule", type(module).__name__, "it needs field types")
    if any(True for _ in module.parameters()):
        hint = "each scale would have its own; take our layer of the same kind"
        raise ScaleGroupError("a module without parameters", type(module).__name__, hint)
    for name, field, theirs in (("in_type", in_type, module.in_type), ("out_type", out_type, module.out_type)):
        _escnn_type(field, theirs)
        if len(theirs) != len(escnn_field_type(field)):
            raise FieldTypeError(f"{name} with the fields of {theirs}", str(field), "see escnn_field_type")
    return _FromEscnn(module, in_type, out_type)
