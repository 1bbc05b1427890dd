"""The two networks, their sizes, and the measure."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.errors import ScaleGroupError
from scalegroup.methods.networks import LayerUNet
from scalegroup.training import (
    DataConfig,
    ModelConfig,
    TrainerConfig,
    build_model,
    hard_dice,
    match_parameters,
    parameter_count,
)
from scalegroup.training.module import Segmentation

TINY = {"channels": (2, 4), "strides": (2,)}


@pytest.mark.parametrize("name", ["scale", "plain", "channels"])
@pytest.mark.parametrize("size", [(8, 8, 8), (7, 9, 10)])
def test_logits_have_the_size_of_the_image(name: str, size: tuple[int, ...]) -> None:
    module = Segmentation(ModelConfig(name, **TINY), TrainerConfig(), ("a", "b"), in_channels=2).eval()
    image = torch.randn(1, 2, *size)
    with torch.no_grad():
        assert module(image).shape == (1, 3, *size)
        assert module.predict(image).shape == (1, *size)


def test_padding_keeps_the_inside() -> None:
    # MONAI's network needs even sizes; what padding adds must not move the rest.
    module = Segmentation(ModelConfig("plain", **TINY), TrainerConfig(), ("a",), in_channels=1).eval()
    image = torch.randn(1, 1, 8, 8, 7)
    padded = torch.nn.functional.pad(image, (0, 1, 0, 0, 0, 0), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(module(image), module.network(padded)[..., :7])


def test_options_reach_the_network() -> None:
    few = build_model(ModelConfig("scale", **TINY, options={"order": 1}), 1, 2)
    many = build_model(ModelConfig("scale", **TINY, options={"order": 3}), 1, 2)
    assert parameter_count(few) < parameter_count(many)


def test_a_published_method_takes_the_place_of_the_network() -> None:
    config = ModelConfig(method="lindeberg2021", **TINY, options={"base": 1.5, "num_scales": 2})
    module = Segmentation(config, TrainerConfig(), ("a",), in_channels=2).eval()
    assert isinstance(module.network, LayerUNet)
    assert module.network.first[0].out_type.group.scales == (1.0, 1.5)
    with torch.no_grad():
        assert module(torch.randn(1, 2, 7, 8, 9)).shape == (1, 2, 7, 8, 9)


def test_a_method_that_is_unknown_or_is_told_too_much_is_refused() -> None:
    with pytest.raises(ScaleGroupError, match="perhaps 'lindeberg2021' is meant"):
        build_model(ModelConfig(method="lindberg2021"), 1, 2)
    with pytest.raises(ScaleGroupError, match=r"options out of \['base', 'num_scales'\], received \['order'\]"):
        build_model(ModelConfig(method="lindeberg2021", options={"order": 3}), 1, 2)
    with pytest.raises(ScaleGroupError, match="kernels in mm, received the model 'lindeberg2021'"):
        ModelConfig(method="lindeberg2021", use_spacing=True)


def test_channels_is_monais_unet_on_all_grids() -> None:
    config = ModelConfig("channels", **TINY, options={"num_scales": 4, "projection": "logsumexp"})
    plain, ours = build_model(replace(config, name="plain", options={}), 1, 2), build_model(config, 1, 2)
    assert config.norm == "instance"
    assert parameter_count(ours) == parameter_count(plain)
    assert len(ours.lift.scales) == 4
    assert type(ours.backbone) is type(plain)
    assert any(isinstance(part, torch.nn.InstanceNorm3d) for part in ours.modules())


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ModelConfig("channels", options={"projection": None}), "one logit per class"),
        (ModelConfig("channels", options={"backbone": None}), "options out of .*train_scales"),
        (ModelConfig("channels", options={"first": "x"}), "first"),
        (ModelConfig("scale", options={"scale_pool": None}), "one logit per class"),
        (ModelConfig("scale", options={"elephants": 1}), "elephants"),
        (ModelConfig("plain", norm="foo"), "settings of the plain network"),
    ],
)
def test_what_no_network_can_be(config: ModelConfig, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        build_model(config, 1, 2)


def test_unknown_model() -> None:
    with pytest.raises(ScaleGroupError, match=r"a model of \['channels', 'plain', 'scale'\], received other"):
        build_model(ModelConfig("other"), 1, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", [8_000, 15_000, 60_000])
def test_plain_network_of_the_same_size(target: int) -> None:
    plain = match_parameters(ModelConfig("plain"), target, in_channels=4, out_channels=4)
    assert abs(parameter_count(build_model(plain, 4, 4)) / target - 1) < 0.2


def test_hard_dice() -> None:
    truth = torch.tensor([[0, 1, 1], [2, 2, 0]])
    assert hard_dice(truth, truth, 3) == [1.0, 1.0]
    assert hard_dice(torch.zeros_like(truth), truth, 3) == [0.0, 0.0]
    assert math.isnan(hard_dice(truth, truth, 4)[2])
    assert hard_dice(torch.full_like(truth, 3), truth, 4)[2] == 0.0


@pytest.mark.parametrize("name", ["max_epochs", "batch_size", "learning_rate", "validate_every", "threads"])
def test_trainer_config_refuses(name: str) -> None:
    with pytest.raises(ScaleGroupError, match=f"{name} > 0, received 0"):
        TrainerConfig(**{name: 0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_minutes": 0},
        {"seed": -1},
        {"weight_decay": -1},
        {"patch": (0, 4, 4)},
        {"mirror": (3,)},
        {"zoom": (2, 1)},
        {"zoom": (0, 1)},
        {"coarsen": 1.5},
    ],
)
def test_trainer_config_refuses_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ScaleGroupError, match=next(iter(wrong))):
        TrainerConfig(**wrong)


@pytest.mark.parametrize("wrong", [{"train": 0}, {"validation": 0}, {"test": 0}, {"seed": -1}])
def test_data_config_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(ScaleGroupError, match=rf"data\.{next(iter(wrong))} >= "):
        DataConfig("brats", Path("."), **wrong)
