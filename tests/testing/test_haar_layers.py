"""The contract of layers on fields with a grid for each scale: it passes good ones and catches broken ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.nn.module import Samples, grids, group_of
from scalegroup.testing import LayerContract


class Scaled(nn.EquivariantModule):
    """A good layer to start from: one weight for each field."""

    def __init__(self, field: FieldType) -> None:
        super().__init__(field, field)
        self.weight = torch.nn.Parameter(torch.ones(field.num_fields))

    @property
    def declared_error(self) -> float:
        return 0.0

    def forward(self, x: Samples) -> Samples:
        return nn.each(self.on_grid, self.check(x))  # type: ignore[no-any-return]

    def on_grid(self, x: Tensor) -> Tensor:
        return x * self.weight.to(x.dtype).view(-1, *[1] * (x.ndim - 2))


class PlainBlur(Scaled):
    """On the voxels it would break the law; here it keeps it."""

    def on_grid(self, x: Tensor) -> Tensor:
        y = super().on_grid(x)
        return (y.roll(-1, -1) + y + y.roll(1, -1)) / 3


class GainPerScale(Scaled):
    def forward(self, x: Samples) -> Samples:
        return tuple(part * (1 + 0.1 * k) for k, part in enumerate(grids(super().forward(x))))


class BiasPerScale(Scaled):
    def __init__(self, field: FieldType) -> None:
        super().__init__(field)
        self.bias = torch.nn.Parameter(torch.ones(group_of(field).num_scales))

    def forward(self, x: Samples) -> Samples:
        parts = grids(super().forward(x))
        return tuple(part + bias.to(part.dtype) for part, bias in zip(parts, self.bias, strict=True))


class BlurInVoxels(Scaled):
    """A blur of the same width in voxels on the two finest grids, and so of another in samples."""

    def forward(self, x: Samples) -> Samples:
        first, second, *others = grids(super().forward(x))
        blurred = (first.roll(-2, -1) + first + first.roll(2, -1)) / 3
        return blurred, (second.roll(-1, -1) + second + second.roll(1, -1)) / 3, *others


class OneDtype(Scaled):
    """Computes all grids but the last in the right dtype."""

    def forward(self, x: Samples) -> Samples:
        *most, last = grids(super().forward(x))
        return *most, last.float()


class NoCheck(Scaled):
    def check(self, x: Samples) -> Samples:
        return x

    def on_grid(self, x: Tensor) -> Tensor:
        return x * self.weight.mean()


class Ramp(Scaled):
    def on_grid(self, x: Tensor) -> Tensor:
        return super().on_grid(x) * torch.linspace(0, 1, x.shape[-1], dtype=x.dtype)


BROKEN: list[tuple[type[Scaled], str, str]] = [
    (GainPerScale, "test_equivariance", r"with an error within its bound of 1.0e-06\nreceived: an error of"),
    (BiasPerScale, "test_equivariance", "with an error within its bound"),
    (BiasPerScale, "test_weights_fit_every_window", "weights fit one scale more"),
    (BlurInVoxels, "test_equivariance", "with an error within its bound"),
    (Ramp, "test_translations", "commutes with translations"),
    (OneDtype, "test_dtypes", r"input of torch.float64 gives output of torch.float64\nreceived: torch.float32"),
    (NoCheck, "test_bad_inputs_are_refused", r"ScaleGroupError for a channel too many\nreceived: no error"),
]


def contract(layer: type[torch.nn.Module]) -> LayerContract:
    return LayerContract.of(layer, sampling="haar", dims=(1,))


@pytest.mark.parametrize(("layer", "name", "text"), BROKEN)
def test_broken_layers_are_caught(layer: type[Scaled], name: str, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        getattr(contract(layer), name)()


@pytest.mark.parametrize("layer", [Scaled, PlainBlur])
def test_good_layers_pass(layer: type[Scaled]) -> None:
    contract(layer).run()


def test_layers_that_know_one_tensor_only_are_caught() -> None:
    class OneTensor(Scaled):
        def forward(self, x: Samples) -> Samples:
            return self.on_grid(self.check(x))

    with pytest.raises((AssertionError, AttributeError, TypeError)):
        contract(OneTensor).test_equivariance()


def test_a_bound_that_is_too_large_is_caught() -> None:
    class LooseBound(Scaled):
        declared_error = 2.0  # type: ignore[assignment]

    with pytest.raises(AssertionError, match="doing nothing to the output is an error"):
        contract(LooseBound).test_the_measurement_can_fail()
