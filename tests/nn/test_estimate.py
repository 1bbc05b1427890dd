"""`estimate` says of a choice what the layers made from it turn out to have."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import scalegroup as sg
from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.nn.estimate import Estimate, estimate
from scalegroup.nn.module import Samples
from scalegroup.testing import equivariance_error

SMALL: dict[str, Any] = {"channels": 4, "shape": (16, 16, 16), "num_scales": 3}
CHOICES: list[dict[str, Any]] = [
    {},
    {"order": 3, "sigma": 1.4},
    {"scale_extent": 2, "base": 2.0, "num_scales": 2},
    {"sampling": "haar", "first": -1},
    {"shape": (40, 24), "support": 4.0},
]


def built(choice: dict[str, Any]) -> tuple[nn.Sequential, Samples]:
    """Convolution, batch norm and SiLU as they are chosen, and an input."""
    choice = {"sampling": "uniform", "first": 0, "scale_extent": 1, "order": 2, "sigma": 1.0, **choice}
    window = {name: choice[name] for name in ("base", "num_scales", "first", "sampling") if name in choice}
    group = sg.ScaleTranslationGroup(len(choice["shape"]), **window)
    field = choice["channels"] * group.regular
    kernels = {name: choice[name] for name in ("sigma", "support", "scale_extent") if name in choice}
    conv = nn.GroupConv(field, field, choice["order"], **kernels)
    x: Samples = torch.randn(1, field.size, *choice["shape"])
    if choice["sampling"] == "haar":
        x = nn.HaarLift(choice["channels"] * group.scalar)(torch.randn(1, choice["channels"], *choice["shape"]))
    return nn.Sequential(conv, nn.BatchNorm(field), nn.Pointwise(field, torch.nn.SiLU())), x


def kept(block: torch.nn.Module, x: Samples) -> int:
    """The bytes that a real forward pass keeps for its backward pass, without the weights."""
    storages: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    weights = {weight.untyped_storage().data_ptr() for weight in block.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        block(nn.each(lambda part: part.requires_grad_(), x))
    return sum(storage.nbytes() for place, storage in storages.items() if place not in weights)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_figures_are_those_of_the_layers(choice: dict[str, Any]) -> None:
    found = estimate(**{**SMALL, **choice})
    block, x = built({**SMALL, **choice})
    conv = block[0]
    assert isinstance(conv, nn.GroupConv)
    shapes = tuple(x.shape) if isinstance(x, torch.Tensor) else [tuple(part.shape) for part in x]
    plan = conv.plan(shapes)
    assert found.multiply_adds == next(c.cost.multiply_adds for c in plan.candidates if c.method == plan.method)
    assert found.weights == sum(weight.numel() for weight in conv.parameters())
    assert found.memory == pytest.approx(kept(block, x), rel=0.02)
    kernels = [conv.kernels(s if len(conv.taps) > 1 else 0) for s in range(len(found.scales))]
    assert found.half_widths == tuple((kernel.shape[-1] - 1) // 2 for kernel in kernels)


def test_plain_memory_is_that_of_plain_layers() -> None:
    plain = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3, padding=1), torch.nn.BatchNorm3d(4), torch.nn.SiLU())
    assert estimate(**SMALL).plain_memory == pytest.approx(kept(plain, torch.randn(1, 4, 16, 16, 16)), rel=0.02)


@pytest.mark.parametrize("choice", [{}, {"sigma": 1.5}, {"order": 4}, {"support": 3.0}, {"support": 2.0}], ids=str)
def test_the_declared_error_is_above_the_measured_one_but_not_far(choice: dict[str, Any]) -> None:
    group = sg.ScaleTranslationGroup(2, base=2.0, num_scales=3)
    lift = nn.GroupConv(1 * group.scalar, 4 * group.regular, **choice)
    declared = estimate(shape=(64, 64), base=2.0, num_scales=3, channels=4, **choice).declared_error
    measured = equivariance_error(lift, protocol="torus").per_scale
    assert measured <= declared
    # The twin: a figure so large that it says nothing would be above it as well.
    assert declared < 40 * measured


def test_the_grids_of_the_scales_err_by_the_lifting_alone() -> None:
    lift = nn.HaarLift(1 * sg.ScaleTranslationGroup(3, num_scales=3, sampling="haar").scalar)
    assert estimate(**SMALL, sampling="haar").declared_error == lift.declared_error
    assert estimate(**SMALL, sampling="haar", sigma=0.5).declared_error == lift.declared_error


def test_what_costs_more_is_said_to_cost_more() -> None:
    base = estimate(num_scales=4)
    assert estimate(num_scales=6).memory / base.memory == pytest.approx(6 / 4, rel=0.02)
    assert estimate(num_scales=6, sampling="haar").memory < base.memory / 2
    assert estimate(order=4).time > 2 * base.time
    assert estimate(dtype=torch.bfloat16).memory == pytest.approx(base.memory / 2, rel=0.02)
    # The twin: wide kernels hardly cost more, which dense ones do.
    assert base.time < estimate(sigma=2.0).time < 2 * base.time
    assert estimate(dtype=torch.float64).multiply_adds == base.multiply_adds


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"sigma": 0.7}, r"sigma is 0.7 voxels at the finest scale.* take sigma >= 1, or sampling='haar'"),
    ({"first": -2}, r"sigma is 0.5 voxels at the finest scale.* take sigma >= 2, or"),
    ({"support": 2.5}, "support 2.5 cuts the kernels off .* take 4 or more"),
    ({"support": 4.0, "order": 3}, "support 4 cuts the kernels off .* take 4.5 or more"),
    ({"shape": (48, 48, 16)}, "the widest kernel spans 27 voxels, more than the volume"),
    ({"shape": (24, 24, 24), "sampling": "haar"}, "the widest kernel spans 29 voxels, more than the volume"),
    ({"scale_extent": 3}, "with scale_extent 3 the coarsest 2 of the scales read beyond the window"),
    ({"size_range": 4}, "sizes that differ by a factor of 4 need num_scales >= 5 with this base"),
    ({"size_range": 0.25, "base": 2.0, "num_scales": 2}, "need num_scales >= 3 with this base"),
]


@pytest.mark.parametrize(("choice", "text"), BROKEN, ids=[str(choice) for choice, _ in BROKEN])
def test_advice_where_a_rule_is_broken(choice: dict[str, Any], text: str) -> None:
    found = estimate(**choice)
    assert len(found.advice) == 1
    assert " ".join(str(found).split()).endswith(f" Advice: {found.advice[0]}.")
    assert re.search(text, found.advice[0])


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"support": 4.0},
        {"size_range": 2.8},
        {"size_range": 4, "num_scales": 5},
        {"sampling": "haar", "sigma": 0.5, "first": -2},
    ],
    ids=str,
)
def test_no_advice_where_none_is_broken(choice: dict[str, Any]) -> None:
    assert estimate(**choice).advice == ()


def test_the_advised_number_of_scales_is_enough() -> None:
    found = estimate(size_range=4, num_scales=5)
    assert isinstance(found, Estimate)
    assert found.range == pytest.approx(4)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"dtype": torch.int64}, "expected a floating-point dtype, received torch.int64"),
    ({"shape": ()}, "expected a shape of 1 to 3 numbers of voxels"),
    ({"shape": (8, 0, 8)}, "of integers >= 1"),
    ({"size_range": -1.0}, "size_range"),
    ({"sigma": 0.0}, "sigma"),
    ({"num_scales": 0}, "num_scales"),
    ({"sampling": "dense"}, "sampling"),
]


@pytest.mark.parametrize(("choice", "text"), WRONG, ids=[str(choice) for choice, _ in WRONG])
def test_choices_that_no_layer_takes(choice: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        estimate(**choice)
