"""Riesz networks: exact where nothing aliases, without a scale axis, in every dimension."""

from __future__ import annotations

import math

import pytest
import torch

import scalegroup as sg
from scalegroup.methods.barisin2024 import METHOD, RieszLayers
from scalegroup.methods.networks import block
from scalegroup.methods.plain import PlainLayers
from scalegroup.testing import equivariance_error

DIMS = pytest.mark.parametrize("dim", [1, 2, 3])


def measured(
    module: torch.nn.Module, dim: int, factor: float = 4 / 3, wmax: float = math.pi / 4
) -> tuple[float, float]:
    """The error on the torus, and that of doing nothing to the output."""
    result = equivariance_error(module.eval(), factor, "torus", wmax=wmax, dim=dim, channels=1)
    return result.error, result.trivial


def seen(module: torch.nn.Module, dim: int) -> torch.nn.Module:
    """The module after a look at noise, from which its norms have their statistics."""
    module.train()(torch.randn(2, 1, *[12] * dim))
    return module


@DIMS
@pytest.mark.parametrize("factor", [4 / 3, 2.0])
def test_linear_layers_are_exact(dim: int, factor: float) -> None:
    """White up to the Nyquist frequency: neither frequencies nor scales are left out."""
    torch.manual_seed(0)
    layers = RieszLayers(dim)
    net = seen(torch.nn.Sequential(layers.lift(1, 3), layers.norm(3), layers.conv(3, 2)), dim)
    error, idle = measured(net, dim, factor, wmax=0.99 * math.pi)
    assert error < 1e-13
    assert idle > 0.1


@DIMS
def test_a_block_is_as_good_as_its_activation(dim: int) -> None:
    torch.manual_seed(0)
    error, idle = measured(seen(block(RieszLayers(dim), 1, 4, lifts=True), dim), dim)
    plain, _ = measured(seen(block(PlainLayers(dim), 1, 4, lifts=True), dim), dim)
    assert error < 5e-3  # measured 2e-5, 1e-3, 6e-4: what SiLU makes above the frequencies of the grid
    assert min(plain, idle) > 0.05


@DIMS
def test_the_grid_is_halved_without_a_blur(dim: int) -> None:
    torch.manual_seed(0)
    layers = RieszLayers(dim)
    error, _ = measured(torch.nn.Sequential(layers.lift(1, 3), layers.down(3), layers.conv(3, 2)), dim)
    blurred = torch.nn.Sequential(layers.lift(1, 3), sg.nn.ScaleBlurPool(layers.field(3)), layers.conv(3, 2))
    assert error < 1e-3
    assert measured(blurred, dim)[0] > 0.05


def test_entry() -> None:
    assert sg.methods.get("barisin2024") is METHOD
    assert METHOD.beyond
