"""What layers do with inputs and arguments at the edge of what they accept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import scalegroup as sg
from scalegroup import nn
from scalegroup.errors import ScaleGroupError

GROUP = sg.ScaleTranslationGroup(dim=2, num_scales=3)
FIELD = 2 * GROUP.regular
LAYERS: list[Callable[[], nn.EquivariantModule]] = [
    lambda: nn.GroupConv(FIELD, FIELD, stride=2),
    lambda: nn.GroupConvTranspose(FIELD, FIELD, stride=2),
    lambda: nn.Linear(FIELD, FIELD),
    lambda: nn.BatchNorm(FIELD),
    lambda: nn.InstanceNorm(FIELD),
    lambda: nn.GroupNorm(FIELD),
    lambda: nn.Pointwise(FIELD, torch.nn.SiLU(), oversample=2),
    lambda: nn.Dropout(FIELD),
    lambda: nn.ScaleBlurPool(FIELD),
    lambda: nn.ScaleMaxPool(FIELD),
    lambda: nn.ScalePool(FIELD),
    lambda: nn.Upsample(FIELD),
]


@pytest.mark.parametrize("make", LAYERS)
def test_an_empty_batch_stays_empty(make: Callable[[], nn.EquivariantModule]) -> None:
    layer = make().eval()
    empty, one = layer(torch.zeros(0, FIELD.size, 8, 7)), layer(torch.zeros(1, FIELD.size, 8, 7))
    assert empty.shape == (0, *one.shape[1:])


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(
    ("x", "text"),
    [
        (None, "a torch.Tensor as .* input, received NoneType"),
        (np.zeros((1, 6, 8, 8)), "a torch.Tensor as .* input, received ndarray"),
        (torch.zeros(1, 6, 0, 8), r"samples along every axis, received \(1, 6, 0, 8\)"),
    ],
)
def test_what_is_no_field_is_named(make: Callable[[], nn.EquivariantModule], x: object, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        make()(x)


def test_a_layer_used_twice_runs_twice() -> None:
    conv = nn.GroupConv(FIELD, FIELD)
    net = nn.Sequential(conv, conv)
    x = torch.randn(1, FIELD.size, 9, 9)
    torch.testing.assert_close(net(x), conv(conv(x)))
    assert net.declared_error == 2 * conv.declared_error
    assert isinstance(net[:1], nn.Sequential)
    assert net[1] is conv


def test_frozen_networks_stay_in_eval_mode() -> None:
    net = nn.Sequential(nn.GroupConv(FIELD, FIELD), nn.BatchNorm(FIELD), nn.Dropout(FIELD))
    frozen, x = nn.freeze(net), torch.randn(2, FIELD.size, 9, 9)
    before = frozen(x)
    parent = torch.nn.Sequential(frozen).train()
    torch.testing.assert_close(parent(x), before, rtol=0, atol=0)
    assert not torch.equal(net.train()(x), before)  # the twin: what is not frozen does change


@pytest.mark.parametrize("activation", [torch.nn.PReLU(6), torch.nn.Softmax(1), torch.nn.SiLU, "silu"])
def test_activations_act_on_every_number_alike(activation: object) -> None:
    with pytest.raises(ScaleGroupError, match="an activation"):
        nn.Pointwise(FIELD, activation)


def test_kernels_have_a_largest_width() -> None:
    with pytest.raises(ScaleGroupError, match="half-width of at most 10000 samples"):
        nn.GroupConv(FIELD, FIELD, support=1e9)


def test_numpy_integers_and_one_size_for_all_axes() -> None:
    up = nn.GroupConvTranspose(FIELD, FIELD, stride=np.int64(2), scale_extent=np.int64(2))
    x = torch.zeros(1, FIELD.size, 5, 5)
    assert up(x, output_size=9).shape[2:] == (9, 9)
    assert nn.Upsample(FIELD, factor=np.int64(2))(x, output_size=9).shape[2:] == (9, 9)


def test_a_window_can_move_alone() -> None:
    moved = sg.with_window(nn.GroupConv(FIELD, FIELD), first=-1)
    assert moved.in_type.group.scales == pytest.approx([2**-0.5, 1, 2**0.5])


@pytest.mark.parametrize("arguments", [{"num_scales": "a"}, {"num_scales": 0}, {"num_scales": 2, "first": 0.5}])
def test_a_window_is_made_of_integers(arguments: dict[str, object]) -> None:
    with pytest.raises(ScaleGroupError, match="an integer"):
        sg.with_window(nn.GroupConv(FIELD, FIELD), **arguments)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Upsample(FIELD, padding_mode="zeros"), "Upsample(2*regular, factor=2, padding_mode='zeros')"),
        (nn.BatchNorm(FIELD, eps=1e-3), "BatchNorm(2*regular, eps=0.001)"),
        (nn.Pointwise(FIELD, torch.tanh), "Pointwise(2*regular, tanh)"),
        (nn.ScaleBlurPool(FIELD, support=4.0), "ScaleBlurPool(2*regular, stride=(2, 2), sigma=1, support=4.0)"),
        (
            nn.GroupConvTranspose(FIELD, FIELD, stride=2, bias=False),
            "GroupConvTranspose(2*regular -> 2*regular, order=2, sigma=1, stride=(2, 2), bias=False)",
        ),
    ],
)
def test_repr_shows_what_differs(layer: nn.EquivariantModule, text: str) -> None:
    assert repr(layer) == text
