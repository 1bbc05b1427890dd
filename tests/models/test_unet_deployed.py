"""The U-Net copied, pickled, compiled, exported, and under autocast."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.models import UNet

SMALL: dict[str, Any] = {"spatial_dims": 2, "channels": (2, 3), "strides": (2,), "num_scales": 3}


def image(*size: int, channels: int = 1) -> Tensor:
    return torch.randn(2, channels, *(size or (12, 12)), generator=torch.Generator().manual_seed(0))


def test_copies_are_the_same_function() -> None:
    net = UNet(**SMALL, num_res_units=1, scale_pool="attention", oversample=2)
    net(image())
    net.eval()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), nn.freeze(net)):
        torch.testing.assert_close(twin(image()), net(image()), rtol=1e-4, atol=1e-5)
        assert list(twin.state_dict()) == list(net.state_dict())


def test_compiled_is_the_same_function() -> None:
    net = UNet(**SMALL, train_scales=2).eval()
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image()), net(image()), rtol=1e-4, atol=1e-5)


def test_compiled_in_training_the_runs_take_turns() -> None:
    net = UNet(**SMALL, train_scales=2, norm=None, scale_pool="mean")
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    for start in (0, 1, 0):
        y = compiled(image())
        with nn.run_of_scales(net.eval(), start, 2):
            torch.testing.assert_close(y, net(image()), rtol=1e-4, atol=1e-5)
        net.train()
    y.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())
    twin = pickle.loads(pickle.dumps(copy.deepcopy(net)))
    assert twin._turn == net._turn == 1


def test_exported_saved_and_loaded_is_the_same_function() -> None:
    net = UNet(**SMALL, num_res_units=1).eval()
    file = io.BytesIO()
    torch.export.save(torch.export.export(net, (image(),)), file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    torch.testing.assert_close(loaded(image()), net(image()), rtol=1e-4, atol=1e-5)


def test_autocast_runs() -> None:
    net = UNet(**SMALL).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(image())
    assert y.dtype == torch.bfloat16
    exact = net(image())
    assert bool((y.float() - exact).norm() < 0.05 * exact.norm())
