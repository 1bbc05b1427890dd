"""What the tests of a layer are run on: fields and layers of small groups, noise, and how results are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import torch

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.nn.module import Samples
from scalegroup.testing.contract import require
from scalegroup.testing.errors import EquivarianceErrors, equivariance_error
from scalegroup.testing.experiment import Protocol
from scalegroup.testing.layer_kind import LayerKind
from scalegroup.testing.places import product_of_strides
from scalegroup.testing.samples import noise
from scalegroup.testing.twins import Smeared, Tilted


class LayerCases(LayerKind):
    """The layers that the tests of `LayerContract` are run on; its docstring explains the attributes."""

    sampling: ClassVar[str] = "uniform"
    dtypes: ClassVar[tuple[torch.dtype, ...]] = (torch.float32, torch.float64)
    protocol: ClassVar[Protocol] = "lattice"
    size: ClassVar[int | None] = None
    tolerance: ClassVar[float | None] = None
    rounding: ClassVar[float] = 1e-6
    inside: ClassVar[bool] = False
    translates: ClassVar[bool] = True
    compile_backend: ClassVar[str] = "aot_eager"

    def _group(self, dim: int, window: int = 0) -> ScaleTranslationGroup:
        base, count = self.windows[window]
        return ScaleTranslationGroup(dim, base, count, self.rotations, sampling=self.sampling)

    @property
    def _spaces(self) -> tuple[int, ...]:
        """The dimensions of space that the rotations act on."""
        if self.rotations is None:
            return self.dims
        groups = {dim: CompactGroup.named(self.rotations, dim) for dim in self.dims}
        if not all(isinstance(group, SignedPermutations) for group in groups.values()):
            hint = "testing.rotation_error with protocol='blobs' measures other rotations"
            raise ScaleGroupError("rotations of a LayerContract that map the grid to itself", self.rotations, hint)
        found = tuple(dim for dim, group in groups.items() if group.dim == dim)
        if not found:
            raise ScaleGroupError(f"rotations of a space of {self.dims} dimensions", self.rotations, "change dims")
        return found

    def _layers(self) -> Iterator[torch.nn.Module]:
        for dim in self._spaces:
            for window in range(len(self.windows)):
                yield self._made(self.make_field(self._group(dim, window)))

    def _layer(self, dim: int) -> torch.nn.Module:
        return self._made(self.make_field(self._group(dim)))

    def _types(self, layer: torch.nn.Module) -> tuple[FieldType, FieldType]:
        field = self.make_field(self._group(self._spaces[0]))  # for modules that do not name their types
        return in_type_of(layer, field), out_type_of(layer, field)

    def _case(self, dim: int | None = None) -> tuple[torch.nn.Module, Samples]:
        """A layer and an input."""
        layer = self._layer(dim or self._spaces[0])
        return layer, self._noise(layer, dim or self._spaces[0])

    def _noise(self, layer: torch.nn.Module, dim: int, size: int = 9) -> Samples:
        field = in_type_of(layer, self.make_field(self._group(dim)))
        return noise(field, size, product_of_strides(layer), torch.Generator().manual_seed(1))

    def _made(self, field: FieldType) -> torch.nn.Module:
        """The layer in float64 and eval mode, with parameters and running statistics unlike the initial ones."""
        with self._making(field) as layer:
            layer(noise(in_type_of(layer, field), 9, product_of_strides(layer), torch.default_generator))
        return layer

    def _measure(self, layer: torch.nn.Module) -> EquivarianceErrors:
        in_type, out_type = self._types(layer)
        return equivariance_error(
            layer, protocol=self.protocol, size=self.size, inside=self.inside, in_type=in_type, out_type=out_type
        )

    def _bound(self, layer: torch.nn.Module) -> float:
        declared = float(getattr(layer, "declared_error", math.inf)) if self.tolerance is None else self.tolerance
        law = "the layer declares a finite error, or the contract sets `tolerance`"
        hint = "write a property `declared_error` (0 if exact), or `tolerance = ...` in your contract"
        require(math.isfinite(declared), law, f"declared_error = {declared}", hint, layer)
        return declared + self.rounding


def in_type_of(layer: torch.nn.Module, field: FieldType) -> FieldType:
    """The input type that a layer names, or else this one."""
    return _type(layer, "in_type", field)


def out_type_of(layer: torch.nn.Module, field: FieldType) -> FieldType:
    """The output type that a layer names, or else this one."""
    return _type(layer, "out_type", field)


def _type(layer: torch.nn.Module, name: str, field: FieldType) -> FieldType:
    found = getattr(layer.layer if isinstance(layer, Smeared | Tilted) else layer, name, field)
    return found if isinstance(found, FieldType) else field
