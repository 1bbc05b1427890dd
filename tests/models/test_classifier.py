"""The classifier takes the U-Net's options, checks its arguments and its input, and says what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import scalegroup as sg
from scalegroup import nn
from scalegroup.models import Classifier

SMALL: dict[str, Any] = {"spatial_dims": 2, "num_classes": 3, "channels": (2, 3), "strides": (1, 2), "num_scales": 3}


def test_summary_counts_the_weights() -> None:
    net = Classifier(**SMALL)
    count = sum(p.numel() for p in net.parameters())
    assert net.summary().startswith("Classifier(1*scalar -> 3 scores, channels=(2, 3), strides=(1, 2), scales 1 … 2 ")
    assert net.summary().endswith(f"| {count:,} weights)")
    assert net.summary()[len("Classifier(") : -1] in repr(net)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_classes": 0}, "num_classes, an integer >= 1, received 0"),
        ({"num_classes": True}, "num_classes, an integer >= 1, received True"),
        ({"in_channels": 1.0}, "in_channels, an integer >= 1, received 1.0"),
        ({"channels": None}, "channels, a sequence of integers, received None"),
        ({"channels": (), "strides": ()}, "channels and strides of equal length, 1 or more"),
        ({"channels": (2, -1)}, "channels, an integer >= 1, received -1"),
        ({"strides": (1,)}, r"channels and strides of equal length, 1 or more, received \(\(2, 3\), \(1,\)\)"),
        ({"strides": 2}, "strides, a sequence"),
        ({"admissible": "lifting"}, "admissible, True or False, received 'lifting'"),
        ({"train_scales": 0}, "train_scales, an integer >= 1, received 0"),
        ({"adn_ordering": "X"}, "adn_ordering of the letters A, D and N"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(sg.ScaleGroupError, match=text):
        Classifier(**{**SMALL, **options})


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 1, 8)])
def test_wrong_input(shape: tuple[int, ...]) -> None:
    with pytest.raises(sg.ScaleGroupError, match="input of"):
        Classifier(**SMALL)(torch.zeros(shape))


def test_options_reach_the_layers() -> None:
    net = Classifier(**{**SMALL, "num_classes": np.int64(3)}, adn_ordering="AN", oversample=2, admissible=np.True_)
    kinds = [type(layer) for layer in net.features.modules() if isinstance(layer, nn.Pointwise | nn.BatchNorm)]
    assert kinds == [nn.Pointwise, nn.BatchNorm] * 2
    assert {layer.oversample for layer in net.modules() if isinstance(layer, nn.Pointwise)} == {2}
    assert {layer.admissible for layer in net.modules() if isinstance(layer, nn.GroupConv)} == {True}


def test_training_meets_runs_of_scales() -> None:
    net = Classifier(**SMALL, train_scales=2, norm=None, scale_pool="mean")
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    found = [net(x).detach() for _ in range(12)]
    runs = []
    for start in (0, 1):
        with nn.run_of_scales(net.eval(), start, 2):
            runs.append(net(x).detach())
    assert all(any(torch.equal(y, run) for run in runs) for y in found)
    assert all(any(torch.equal(y, run) for y in found) for run in runs)
    assert not any(torch.equal(net(x), run) for run in runs)
