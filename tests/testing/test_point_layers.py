"""Each test of the contract of point layers rejects a layer that is broken in one way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.testing import PointLayerContract, assert_rejected


class Scaled(nn.PointModule):
    """A good layer to start from: one weight."""

    def __init__(self, field: FieldType) -> None:
        super().__init__(field, field)
        self.weight = torch.nn.Parameter(torch.ones(1))

    @property
    def declared_error(self) -> float:
        return 0.0

    def forward(self, x: Any, pos: Any = None, batch: Any = None) -> Tensor:
        x, points = self.read(x, pos, batch)
        return self.spoil(x * self.weight.to(x.dtype), points.pos)

    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        """What is wrong with the layer: here nothing."""
        return y


class FixedLength(Scaled):
    """A length in no unit of the cloud."""

    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y * torch.exp(-(pos - pos.mean(dim=0)).norm(dim=1, keepdim=True))


class Zeros(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return 0 * y


class Placed(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y * pos[:, :1]


class OneAxis(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y * (1 + 0.5 * (pos - pos.mean(dim=0))[:, :1].sign())


class Ordered(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y * torch.linspace(0, 1, len(y), dtype=y.dtype)[:, None]


class OneCloud(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y - y.mean(dim=0)


class AlwaysFloat(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y.float()


class SinglePrecision(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y.float().to(y.dtype)


class Cancelled(Scaled):
    """Autocast rounds what cancels."""

    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else y.dtype
        return (y + 1000).to(dtype).to(y.dtype) - 1000


class HalfGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient / 2


class WrongGradient(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        result: Tensor = HalfGradient.apply(y)  # type: ignore[no-untyped-call]
        return result


class IgnoredParameter(Scaled):
    def __init__(self, field: FieldType) -> None:
        super().__init__(field)
        self.bias = torch.nn.Parameter(torch.zeros(1))


class Noise(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y + torch.randn_like(y)


class Closure(Scaled):
    def __init__(self, field: FieldType) -> None:
        super().__init__(field)
        self.function = lambda x: x


class EvalBuffer(Scaled):
    def train(self, mode: bool = True) -> EvalBuffer:
        if not mode:
            self.register_buffer("filter", torch.ones(1))
        elif hasattr(self, "filter"):
            del self.filter
        super().train(mode)
        return self


class Silent(Scaled):
    def extra_repr(self) -> str:
        return ""


class WeightPerScale(Scaled):
    def __init__(self, field: FieldType) -> None:
        super().__init__(field)
        self.weight = torch.nn.Parameter(torch.ones(field.size))


class OverTheWindow(Scaled):
    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y - y.mean(dim=1, keepdim=True)


class Spread(Scaled):
    """A single point has no spread to divide by."""

    def spoil(self, y: Tensor, pos: Tensor) -> Tensor:
        return y / (pos - pos.mean(dim=0)).norm()


class NoCheck(Scaled):
    def forward(self, x: Any, pos: Any = None, batch: Any = None) -> Tensor:
        result: Tensor = x * self.weight
        return result


BROKEN: list[tuple[type[Scaled], str, str]] = [
    (FixedLength, "test_scales", "commutes with dilations, with an error within 1e-12"),
    (FixedLength, "test_scales_in_float32", "in float32, with an error within 1e-05"),
    (Zeros, "test_the_measurement_can_fail", "a gain that grows with the scale is an error"),
    (FixedLength, "test_any_factor", "any factor leaves the output as it is"),
    (Placed, "test_translations", "a translation leaves the features as they are"),
    (OneAxis, "test_rotations", r"commutes with the rotation (.|\n)*for: OneAxis"),
    (Ordered, "test_permutations", "the order of the points is irrelevant"),
    (OneCloud, "test_clouds_do_not_see_each_other", "a cloud alone gives what it gives in a batch"),
    (AlwaysFloat, "test_dtypes", "float64 is computed in float64"),
    (SinglePrecision, "test_dtypes", "float64 is computed in float64"),
    (Cancelled, "test_autocast", "autocast to bfloat16 is accurate"),
    (WrongGradient, "test_gradients", "gradients equal to finite differences"),
    (IgnoredParameter, "test_every_parameter_gets_a_gradient", "the parameter 'bias' gets a gradient"),
    (Noise, "test_deepcopy_and_pickle", "deepcopy gives the same function"),
    (Closure, "test_deepcopy_and_pickle", "pickle works"),
    (EvalBuffer, "test_frozen", "train, eval and frozen have one state dict"),
    (Silent, "test_repr_says_the_types", r"repr contains the type 2\*regular"),
    (WeightPerScale, "test_weights_fit_every_window", "weights fit one scale more"),
    (OverTheWindow, "test_weights_fit_every_window", "a wider window changes nothing"),
    (Spread, "test_no_points_and_one", "a single point gives finite numbers"),
    (NoCheck, "test_bad_inputs_are_refused", r"ScaleGroupError for a channel too many\nreceived: no error"),
]


def contract(layer: type[torch.nn.Module], name: str) -> PointLayerContract:
    turns = "c4" if name == "test_rotations" else None
    return PointLayerContract.of(layer, dims=(2,), rotations=turns, any_factor=name == "test_any_factor")


@pytest.mark.parametrize(("layer", "name", "text"), BROKEN)
def test_broken_layers_are_caught(layer: type[Scaled], name: str, text: str) -> None:
    assert_rejected(contract(layer, name), name, text)


@pytest.mark.parametrize("name", PointLayerContract.checks())
def test_the_good_layer_passes_each_test_and_each_has_a_twin(name: str) -> None:
    getattr(contract(Scaled, name), name)()
    assert name in {test for _, test, _ in BROKEN}
