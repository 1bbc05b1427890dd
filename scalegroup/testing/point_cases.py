"""What the tests of a layer on point clouds are run on, and how results are compared."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing.contract import Contract, require
from scalegroup.testing.experiment import group_of
from scalegroup.testing.point_errors import Cloud, PointErrors, call, point_error


class PointCases(Contract):
    """The layers that the tests of `PointLayerContract` are run on; its docstring explains the attributes."""

    maker: ClassVar[str] = "make_layer"
    dims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    windows: ClassVar[tuple[tuple[float, int], ...]] = ((2.0, 3), (2**0.5, 4))
    rotations: ClassVar[str | None] = None
    rounding: ClassVar[float] = 1e-12
    rounding32: ClassVar[float] = 1e-5
    any_factor: ClassVar[bool] = False
    per_point: ClassVar[bool] = True

    @abstractmethod
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        """The layer to test, for an input of this type; about 30 points with a spacing of 0.3 are the input."""

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        """The type of the input: two regular fields, or with rotations a regular field and the last irrep."""
        field: FieldType = 2 * group.regular
        return field if self.rotations is None else 1 * group.regular + 1 * group.irrep(group.rotations.irreps[-1])

    def run_layer(self, layer: torch.nn.Module, x: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        """The features that the layer returns; override it for layers with other arguments."""
        return call(layer, x, pos, batch)

    @classmethod
    def of(cls, make_layer: Callable[[FieldType], torch.nn.Module], **attributes: Any) -> Self:
        """The contract of a kind of layer, without writing a class.

        Args:
            make_layer: what makes the layer for an input of a field type, such as its class.
            **attributes: other values of the class attributes, such as `dims=(3,)`.

        Example:
            >>> import scalegroup as sg
            >>> from scalegroup.testing import PointLayerContract
            >>> conv = lambda field: sg.nn.PointGroupConv(field, field, order=1, sigma=0.5)
            >>> PointLayerContract.of(conv, dims=(2,)).test_scales()
        """
        return cls._made_by(make_layer, attributes)

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
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            layer = self.make_layer(field).double()
            for parameter in layer.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            self.run_layer(layer.train(), *Cloud.random(self._types(layer)[0]))
        return layer.eval()

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
