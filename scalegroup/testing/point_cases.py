"""What the tests of a layer on point clouds are run on, and how results are compared."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing.contract import require
from scalegroup.testing.experiment import group_of
from scalegroup.testing.layer_kind import LayerKind
from scalegroup.testing.point_errors import Cloud, PointErrors, call, point_error


class PointCases(LayerKind):
    """The layers that the tests of `PointLayerContract` are run on; its docstring explains the attributes."""

    rounding: ClassVar[float] = 1e-12
    rounding32: ClassVar[float] = 1e-5
    any_factor: ClassVar[bool] = False
    per_point: ClassVar[bool] = True

    @abstractmethod
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        """The layer to test, for an input of this type; about 30 points with a spacing of 0.3 are the input."""

    def run_layer(self, layer: torch.nn.Module, x: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        """The features that the layer returns; override it for layers with other arguments."""
        return call(layer, x, pos, batch)

    def _layers(self) -> Iterator[torch.nn.Module]:
        for dim in self.dims:
            for base, count in self.windows:
                yield self._made(self.make_field(ScaleTranslationGroup(dim, base, count, self.rotations)))

    def _layer(self) -> torch.nn.Module:
        base, count = self.windows[0]
        return self._made(self.make_field(ScaleTranslationGroup(self.dims[-1], base, count, self.rotations)))

    @staticmethod
    def _types(layer: Any) -> tuple[FieldType, FieldType]:
        return layer.in_type, layer.out_type

    def _group_of(self, layer: torch.nn.Module) -> ScaleTranslationGroup:
        return group_of(self._types(layer)[0])

    def _case(self) -> tuple[torch.nn.Module, Cloud]:
        layer = self._layer()
        return layer, Cloud.random(self._types(layer)[0])

    def _made(self, field: FieldType) -> torch.nn.Module:
        """The layer in float64 and eval mode, with parameters and running statistics unlike the initial ones."""
        with self._making(field) as layer:
            self.run_layer(layer, *Cloud.random(self._types(layer)[0]))
        return layer

    def _run(self, layer: torch.nn.Module, cloud: Cloud) -> Tensor:
        with torch.no_grad():
            return self.run_layer(layer, *cloud)

    @staticmethod
    def _own(y: Tensor, count: int, number: int) -> Tensor:
        """The rows of a cloud where the output lies elsewhere: cloud by cloud."""
        return y[:count] if number == 0 else y[-count:]

    def _check(self, layer: torch.nn.Module, bound: float, name: str, **element: Any) -> PointErrors:
        """Check that the layer commutes with an element of the group."""
        errors = self._errors(layer, torch.float32 if bound == self.rounding32 else torch.float64, **element)
        law = f"the layer commutes with {name}, with an error within {bound:.0e}"
        hint = "use lengths relative to the scale of each channel, and mix components as their representation says"
        require(errors.error <= bound, law, f"an error of {errors.error:.1e}", hint, layer)
        return errors

    def _errors(self, layer: torch.nn.Module, dtype: torch.dtype = torch.float64, **element: Any) -> PointErrors:
        return point_error(layer, run=self.run_layer, dtype=dtype, relative=self.any_factor, **element)
