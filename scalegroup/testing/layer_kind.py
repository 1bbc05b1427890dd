"""What contracts of layers on grids and on points share: a kind of layer, and the fields that it is made for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import torch

from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing.contract import Contract


class LayerKind(Contract):
    """A kind of layer; the docstrings of `LayerContract` and `PointLayerContract` explain the attributes."""

    maker: ClassVar[str] = "make_layer"
    dims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    windows: ClassVar[tuple[tuple[float, int], ...]] = ((2.0, 3), (2**0.5, 4))
    rotations: ClassVar[str | None] = None

    @abstractmethod
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        """The layer to test, for an input of this type."""

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        """The type of the input: two regular fields, or with rotations a regular field and the last irrep."""
        field: FieldType = 2 * group.regular
        return field if self.rotations is None else 1 * group.regular + 1 * group.irrep(group.rotations.irreps[-1])

    @classmethod
    def of(cls, make_layer: Callable[[FieldType], torch.nn.Module], **attributes: Any) -> Self:
        """The contract of a kind of layer, without writing a class.

        Args:
            make_layer: what makes the layer for an input of a field type, such as its class.
            **attributes: other values of the class attributes, such as `dims=(2,)`.

        Example:
            >>> import scalegroup as sg
            >>> from scalegroup.testing import LayerContract, PointLayerContract
            >>> LayerContract.of(sg.nn.ScaleBlurPool, dims=(1,)).test_equivariance()
            >>> conv = lambda field: sg.nn.PointGroupConv(field, field, order=1, sigma=0.5)
            >>> PointLayerContract.of(conv, dims=(2,)).test_scales()
        """
        return cls._made_by(make_layer, attributes)

    @contextmanager
    def _making(self, field: FieldType) -> Iterator[torch.nn.Module]:
        """A layer in float64, its parameters unlike the initial ones: in training inside, in eval mode afterwards."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            layer = self.make_layer(field).double()
            for parameter in layer.parameters():  # initial zeros and ones hide what a layer does with them
                parameter.add_(0.1 * torch.randn_like(parameter))
            yield layer.train()
        layer.eval()
