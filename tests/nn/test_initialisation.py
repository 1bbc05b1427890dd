"""New weights keep the variance of noise and the size of constants through depth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.groups import ScaleTranslationGroup

BAND = (0.25, 4.5)  # measured in single steps: white 0.8 to 4.4, constant 0.32 to 1.5
DEPTH = 5
FIELDS = 6
SEEDS = 4


def powers(dim: int, order: int, x: Tensor, plain: bool = False) -> list[float]:
    """Mean square at the finest scale after each of `DEPTH` layers, averaged over seeds, for a square of 1 before."""
    group = ScaleTranslationGroup(dim, num_scales=1)
    found = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        y, row = x, []
        for depth in range(DEPTH):
            in_type = FIELDS * (group.regular if depth else group.scalar)
            # On the torus, so that the border does not count.
            conv = nn.GroupConv(in_type, FIELDS * group.regular, order, support=3.0, padding_mode="circular")
            with torch.no_grad():
                if plain:
                    conv.weight.normal_()
                y = conv(y)
            row.append(float(y.square().mean()))
        found.append(row)
    return torch.tensor(found).mean(0).tolist()


def white(dim: int) -> Tensor:
    return torch.randn(1, FIELDS, *[{2: 40, 3: 14}[dim]] * dim, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("dim", [2, 3])
def test_noise_keeps_its_variance(dim: int, order: int) -> None:
    assert all(BAND[0] < power < BAND[1] for power in powers(dim, order, white(dim)))


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("dim", [2, 3])
def test_constants_keep_their_size(dim: int, order: int) -> None:
    assert all(BAND[0] < power < BAND[1] for power in powers(dim, order, torch.ones(1, FIELDS, *[5] * dim)))


@pytest.mark.parametrize("order", [1, 4])
@pytest.mark.parametrize("dim", [2, 3])
def test_standard_normal_weights_do_not(dim: int, order: int) -> None:
    for x in (white(dim), torch.ones(1, FIELDS, *[5] * dim)):
        assert not BAND[0] < powers(dim, order, x, plain=True)[-1] < BAND[1]


@pytest.mark.parametrize("admissible", [True, False])
@pytest.mark.parametrize("kinds", [("scalar", "regular"), ("regular", "regular")])
def test_extent_and_multiplicity_do_not_add_up(kinds: tuple[str, str], admissible: bool) -> None:
    """The variance of a coefficient times the number of terms that are summed is one number."""
    group = ScaleTranslationGroup(2, num_scales=4)
    gains = []
    for fields, extent in ((400, 1), (100, 4), (100, 2)):
        torch.manual_seed(0)
        in_type, out_type = fields * getattr(group, kinds[0]), 50 * getattr(group, kinds[1])
        conv = nn.GroupConv(in_type, out_type, scale_extent=extent, admissible=admissible)
        terms = fields * (extent if kinds[0] == "regular" else 1)
        gains.append(float(conv.coefficients().detach().square().mean()) * terms)
    assert max(gains) < 1.1 * min(gains)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_going_back_to_the_fine_grid_keeps_constants(stride: int) -> None:
    group = ScaleTranslationGroup(2, num_scales=1)
    squares = []
    for seed in range(8):
        torch.manual_seed(seed)
        field = FIELDS * group.regular
        up = nn.GroupConvTranspose(field, field, stride=stride, padding_mode="circular")
        squares.append(float(up(torch.ones(1, FIELDS, 4, 4)).detach().square().mean()))
    assert BAND[0] < sum(squares) / len(squares) < BAND[1]


def test_biases_start_at_zero_and_linear_layers_keep_the_variance() -> None:
    group = ScaleTranslationGroup(2, num_scales=2)
    torch.manual_seed(0)
    linear = nn.Linear(200 * group.regular, 200 * group.regular)
    y = linear(torch.randn(1, 400, 5, 5)).detach()
    assert 0.8 < float(y.var()) < 1.25
    conv = nn.GroupConv(1 * group.scalar, 2 * group.regular)
    for layer in (linear, conv):
        assert layer.bias is not None
        assert not layer.bias.any()


def test_reset_parameters_draws_again() -> None:
    conv = nn.GroupConv(
        ScaleTranslationGroup(2, num_scales=2).regular * 1, 1 * ScaleTranslationGroup(2, num_scales=2).regular
    )
    before = conv.weight.detach().clone()
    conv.reset_parameters()
    assert not torch.equal(conv.weight, before)
