"""The layer contract passes layers that keep it, and catches every kind of broken one by the right test."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import BrokenLaw, LayerContract

NAMES = list(LayerContract.checks())


class Residual(nn.EquivariantModule):
    """x + conv(silu(x)), as a user would write it."""

    def __init__(self, field: FieldType) -> None:
        super().__init__(in_type=field, out_type=field)
        self.conv, self.act = nn.GroupConv(field, field), nn.Pointwise(field, torch.nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.act(x))


class TestResidual(LayerContract):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return Residual(field)


class TestLinear(LayerContract):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.Linear(field, field)


class TestLifting(LayerContract):
    dims = (1, 2)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar  # type: ignore[no-any-return]

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.GroupConv(field, 2 * field.group.regular, stride=2)  # type: ignore[attr-defined]


class TestProjection(LayerContract):
    inside = True
    tolerance = 0.0
    rounding = 1e-9

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.ScalePool(field, mode="max")


class TestInstanceNorm(LayerContract):
    protocol = "torus"
    size = 16
    inside = True
    tolerance = 1e-4

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.InstanceNorm(field, affine=True)


# Broken layers


class Scaled(nn.EquivariantModule):
    """A good layer to start from: one weight for each field."""

    def __init__(self, field: FieldType) -> None:
        super().__init__(field, field)
        self.weight = torch.nn.Parameter(torch.ones(field.num_fields))

    @property
    def declared_error(self) -> float:
        return 0.0

    def forward(self, x: Tensor) -> Tensor:
        fields = self.check(x).unflatten(1, (self.weight.shape[0], -1))
        return (fields * self.weight.to(x.dtype).view(-1, *[1] * (fields.ndim - 2))).flatten(1, 2)


class FixedBlur(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return (y.roll(-1, -1) + y + y.roll(1, -1)) / 3


class BiasPerScale(Scaled):
    def __init__(self, field: FieldType) -> None:
        super().__init__(field)
        self.bias = torch.nn.Parameter(torch.ones(field.group.num_scales))  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias.to(x.dtype).repeat(self.weight.shape[0])
        return super().forward(x) + bias.view(-1, *[1] * (x.ndim - 2))


class FirstScaleOnly(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x).unflatten(1, (self.weight.shape[0], -1))
        return y[:, :, :1].expand_as(y).flatten(1, 2)


class Ramp(Scaled):
    """It grows with the volume: only translations tell."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.linspace(0, 1, x.shape[-1], dtype=x.dtype)


class OneAxis(Scaled):
    """It knows which axis is the last."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y + 0.5 * (y.roll(-1, dims=-1) - y.roll(1, dims=-1))


class Noise(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.randn_like(x)


class IgnoredParameter(Scaled):
    def __init__(self, field: FieldType) -> None:
        super().__init__(field)
        self.bias = torch.nn.Parameter(torch.zeros(1))


class SinglePrecision(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float().to(x.dtype)


class AlwaysFloat(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class HalfGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient / 2


class WrongGradient(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = HalfGradient.apply(super().forward(x))  # type: ignore[no-untyped-call]
        return result


class EvalBuffer(Scaled):
    def train(self, mode: bool = True) -> EvalBuffer:
        if not mode:
            self.register_buffer("filter", torch.ones(1))
        elif hasattr(self, "filter"):
            del self.filter
        super().train(mode)
        return self


class Closure(Scaled):
    def __init__(self, field: FieldType) -> None:
        super().__init__(field)
        self.function = lambda x: x


class Branch(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if float(y.sum()) > -1e9 else -y


class NoCheck(Scaled):
    def check(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.mean()


class Silent(Scaled):
    def extra_repr(self) -> str:
        return ""


class NoBound(Scaled):
    declared_error = float("inf")  # type: ignore[assignment]


class LooseBound(Scaled):
    declared_error = 2.0  # type: ignore[assignment]


BROKEN: list[tuple[type[Scaled], str, str]] = [
    (FixedBlur, "test_equivariance", r"bound of 1.0e-06\nreceived: an error of (.|\n)*for: FixedBlur"),
    (BiasPerScale, "test_equivariance", "hint: the same function must act on every scale"),
    (BiasPerScale, "test_weights_fit_every_window", "weights fit one scale more"),
    (FirstScaleOnly, "test_equivariance", "with an error within its bound"),
    (Ramp, "test_translations", "commutes with translations"),
    (OneAxis, "test_rotations", r"commutes with the rotation (.|\n)*for: OneAxis"),
    (Noise, "test_deepcopy_and_pickle", "deepcopy gives the same function"),
    (IgnoredParameter, "test_every_parameter_gets_a_gradient", "the parameter 'bias' gets a gradient"),
    (SinglePrecision, "test_dtypes", "float64 is computed in float64"),
    (AlwaysFloat, "test_dtypes", r"input of torch.float64 gives output of torch.float64\nreceived: torch.float32"),
    (WrongGradient, "test_gradients", r"gradients equal to finite differences(.|\n)*for: WrongGradient"),
    (EvalBuffer, "test_frozen", "train, eval and frozen have one state dict"),
    (Closure, "test_deepcopy_and_pickle", "pickle"),
    (Branch, "test_compile", "one graph\nreceived: "),
    (Branch, "test_export", "exported, saved and loaded\nreceived: "),
    (NoCheck, "test_bad_inputs_are_refused", r"ScaleGroupError for a channel too many\nreceived: no error"),
    (Silent, "test_repr_says_the_types", r"repr contains the type 2\*regular"),
    (NoBound, "test_equivariance", "declares a finite error, or the contract sets `tolerance`"),
    (LooseBound, "test_the_measurement_can_fail", "doing nothing to the output is an error"),
]


def contract(layer: type[torch.nn.Module], turns: str | None = None) -> LayerContract:
    return LayerContract.of(layer, dims=(1,), rotations=turns)


@pytest.mark.parametrize(("layer", "name", "text"), BROKEN)
def test_broken_layers_are_caught(layer: type[Scaled], name: str, text: str) -> None:
    with pytest.raises(BrokenLaw, match=text):
        getattr(contract(layer, "reflection" if name == "test_rotations" else None), name)()


def test_the_layer_that_they_break_is_good() -> None:
    contract(Scaled).run()
    contract(Scaled, "reflection").run()


def test_every_test_of_the_contract_can_fail() -> None:
    assert {name for _, name, _ in BROKEN} | {"test_autocast"} == set(NAMES)


def test_autocast_catches_mixed_precisions() -> None:
    class Mixed(Scaled):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            wide = torch.ones(y.shape[-1], y.shape[-1], dtype=torch.bfloat16).requires_grad_()
            return torch.bmm(y.flatten(1, -2) * 1e4, wide.expand(y.shape[0], -1, -1).to(y.dtype)).reshape(y.shape) % 1

    with pytest.raises(AssertionError, match="autocast to bfloat16 is accurate"):
        contract(Mixed).test_autocast()


def test_a_window_without_room_is_no_success() -> None:
    class Narrow(LayerContract):
        dims = (1,)
        windows = ((2.0, 2),)

        def make_layer(self, field: FieldType) -> torch.nn.Module:
            return nn.GroupConv(field, field, scale_extent=2)

    with pytest.raises(AssertionError, match=r"an error of nan .* beyond the window: scales 1"):
        Narrow().test_equivariance()


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ("octahedral", r"rotations of a space of \(1,\) dimensions, received octahedral"),
        ("cube", "the name of a compact group"),
        ("so3", "that map the grid to itself, received so3; .*'blobs'"),
    ],
)
def test_rotations_that_the_contract_cannot_measure(turns: str, text: str) -> None:
    if turns == "so3":
        pytest.importorskip("escnn")
    with pytest.raises(ScaleGroupError, match=text):
        contract(Scaled, turns).test_rotations()
