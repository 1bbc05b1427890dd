"""Networks on point clouds, end to end: scales, sizes, places, order, rotations; and what must break them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.models import PointClassifier, PointUNet

BASE = 2**0.5
Net = PointClassifier | PointUNet


def clouds(dtype: torch.dtype = torch.float64, sizes: tuple[int, ...] = (40, 30)) -> tuple[Tensor, Tensor]:
    """Two clouds on bent surfaces, in no order."""
    pos = torch.randn(sum(sizes), 3, dtype=torch.float64)
    pos = 2 * pos / pos.norm(dim=1, keepdim=True) * (1 + 0.3 * pos[:, :1].tanh())
    batch = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return pos.to(dtype), batch


def classifier(**options: Any) -> PointClassifier:
    """A small one."""
    options = {"num_classes": 4, "channels": (4, 6), "strides": (3, 2), "base": BASE, "num_scales": 3, **options}
    return PointClassifier(**options)


def unet(**options: Any) -> PointUNet:
    """A small one whose first level has fewer points than the input."""
    options = {"num_classes": 4, "channels": (4, 4, 6), "strides": (2, 2, 2), "base": BASE, "num_scales": 3, **options}
    return PointUNet(**options)


MAKERS = pytest.mark.parametrize("make", [classifier, unet])


def calibrated(net: Net, dtype: torch.dtype = torch.float64) -> Net:
    """With running statistics of such clouds, in eval mode."""
    net = net.to(dtype)
    for _ in range(4):
        net(*clouds(dtype))
    return net.eval()


def difference(other: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the spread of the scores."""
    return float(((other - expected).abs().max() / expected.std()).detach())


@MAKERS
def test_a_larger_cloud_is_the_same_one_scale_further(make: Callable[..., Net]) -> None:
    net = calibrated(make(scale_extent=2))
    pos, batch = clouds()
    expected = net(pos, batch)
    moved = sg.with_window(net, first=1)
    assert difference(moved(BASE * pos, batch), expected) < 1e-10
    assert difference(net(BASE * pos, batch), expected) > 1e-2  # the window has not moved
    assert difference(moved(1.1 * BASE * pos, batch), expected) > 1e-2


def test_features_move_along_the_scales() -> None:
    net = calibrated(classifier())
    pos, batch = clouds()
    (at_one, _), (larger, _) = net.features(pos, batch), net.features(BASE * pos, batch)  # type: ignore[union-attr]
    at_one, larger = (f.unflatten(1, (6, 3)) for f in (at_one, larger))
    torch.testing.assert_close(larger[:, :, 1:], at_one[:, :, :-1], atol=1e-12, rtol=1e-12)
    assert (larger - at_one).abs().max() > 1e-2


@MAKERS
@pytest.mark.parametrize("factor", [0.37, 5.1])
def test_relative_scales_do_not_see_the_size(make: Callable[..., Net], factor: float) -> None:
    net = calibrated(make(relative=True, sigma=3.0))
    pos, batch = clouds()
    factors = torch.tensor([factor, 1.0]).double()[batch, None]  # each cloud has its own
    expected = net(pos, batch)
    assert difference(net(factors * pos, batch), expected) < 1e-10
    single = net.float()
    assert difference(single((factors * pos).float(), batch).double(), expected) < 1e-5
    absolute = calibrated(make(sigma=0.7))
    assert difference(absolute(factors * pos, batch), absolute(pos, batch)) > 1e-2


@MAKERS
def test_order_and_place_do_not_matter(make: Callable[..., Net]) -> None:
    net = calibrated(make())
    pos, batch = clouds()
    expected = net(pos, batch)
    order = torch.randperm(len(pos))
    shuffled = net(pos[order], batch[order])
    wanted = expected if isinstance(net, PointClassifier) else expected[order]
    assert difference(shuffled, wanted) < 1e-10
    shifts = torch.randn(2, 3).double()[batch]
    assert difference(net(pos + shifts, batch), expected) < 1e-10
    assert difference(net(pos + torch.randn_like(pos), batch), expected) > 1e-2


@MAKERS
def test_clouds_of_a_batch_do_not_see_each_other(make: Callable[..., Net]) -> None:
    net = calibrated(make())
    pos, batch = clouds()
    together = net(pos, batch)
    alone = net(pos[batch == 1])
    wanted = together[1:] if isinstance(net, PointClassifier) else together[batch == 1]
    assert difference(alone, wanted) < 1e-10


@MAKERS
def test_flips_and_quarter_turns_change_nothing(make: Callable[..., Net]) -> None:
    net = calibrated(make(rotations="full_octahedral"))
    pos, batch = clouds()
    expected = net(pos, batch)
    turn = torch.tensor([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]).double()
    assert difference(net(pos @ turn, batch), expected) < 1e-10
    assert difference(net(pos * torch.tensor([-1.0, 1, 1]).double(), batch), expected) < 1e-10
    plain = calibrated(make())
    assert difference(plain(pos @ turn, batch), plain(pos, batch)) > 1e-2


@MAKERS
def test_any_rotation_changes_nothing(make: Callable[..., Net]) -> None:
    pytest.importorskip("escnn", reason="so3 and its irreps come from escnn")
    so3 = import_module("scalegroup.interop.escnn").compact_group("so3", 3)
    net = calibrated(make(rotations=so3, relative=True, sigma=3.0))
    pos, batch = clouds()
    q, r = torch.linalg.qr(torch.randn(3, 3).double())
    turn = q * r.diagonal().sign()
    turn[:, 0] *= torch.linalg.det(turn)
    expected = net(pos, batch)
    assert difference(net(3.3 * pos @ turn.T + 1, batch), expected) < 1e-10
    sheared = turn + torch.eye(3).roll(1, 0)
    assert difference(net(pos @ sheared.T, batch), expected) > 1e-2


@MAKERS
@pytest.mark.parametrize("rotations", [None, "octahedral"])
def test_gradients_reach_all_weights(make: Callable[..., Net], rotations: str | None) -> None:
    net = make(rotations=rotations, scale_extent=2)
    pos, batch = clouds(torch.float32)
    loss = torch.nn.functional.cross_entropy(net(pos, batch)[:2], torch.tensor([0, 3]))
    loss.backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if "conv.bias" not in name:  # the batch norm subtracts it again
            assert parameter.grad.abs().max() > 1e-9, name


@MAKERS
def test_weights_fit_every_window(make: Callable[..., Net]) -> None:
    net, wide = make(), make(num_scales=6, first=-2)
    wide.load_state_dict(net.state_dict())
    pos, batch = clouds(torch.float32)
    torch.testing.assert_close(sg.with_window(net.eval(), 6, -2)(pos, batch), wide.eval()(pos, batch))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        torch.testing.assert_close(twin(pos, batch), net(pos, batch))


@MAKERS
def test_batches_as_pytorch_geometric_has_them(make: Callable[..., Net]) -> None:
    net = make().eval()
    pos, batch = clouds(torch.float32)
    expected = net(pos, batch)
    assert torch.equal(net(SimpleNamespace(pos=pos, batch=batch)), expected)
    assert torch.equal(net(SimpleNamespace(pos=pos, batch=batch, x=torch.ones(len(pos), 1))), expected)
    assert torch.equal(net(nn.Points(pos, batch)), expected)
    assert not torch.allclose(net(SimpleNamespace(pos=pos, batch=batch, x=2 * torch.ones(len(pos), 1))), expected)


@MAKERS
def test_features_of_points_are_used(make: Callable[..., Net]) -> None:
    net = make(in_channels=2).eval()
    pos, batch = clouds(torch.float32)
    x = torch.randn(len(pos), 2, requires_grad=True)
    net(pos, batch, x).sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=0) > 0).all()
    with pytest.raises(ScaleGroupError, match=r"features x of the shape \(points, 2\), received None"):
        net(pos, batch)


@MAKERS
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"channels": (4,)}, "channels and strides of equal length"),
        ({"strides": 4}, "strides, a sequence of integers, received 4"),
        ({"strides": (0, 1)}, "strides, an integer >= 1, received 0"),
        ({"norm": "instance"}, "layers that act on each point alone, received InstanceNorm"),
        ({"growth": 0}, "growth, a number > 0"),
        ({"num_classes": 0}, "num_classes, an integer >= 1"),
        ({"relative": "yes"}, "relative, True or False"),
    ],
)
def test_bad_arguments_are_named(make: Callable[..., Net], options: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        make(**options)


def test_what_only_one_of_them_refuses() -> None:
    with pytest.raises(ScaleGroupError, match=r"cloud_pool, some of .*, received 'max'"):
        classifier(cloud_pool="max")
    with pytest.raises(ScaleGroupError, match="two levels or more"):
        unet(channels=(4,), strides=(1,))
    with pytest.raises(ScaleGroupError, match=r"scale_padding out of .*'valid'"):
        unet(scale_padding="valid")
    assert classifier(scale_padding="valid", scale_extent=2, num_scales=5)(*clouds(torch.float32)).shape == (2, 4)


@MAKERS
def test_a_single_point_and_copies_of_it(make: Callable[..., Net]) -> None:
    net = make(relative=True).eval()
    for pos in (torch.zeros(1, 3), torch.ones(5, 3)):
        assert net(pos).isfinite().all()
    with pytest.raises(ScaleGroupError, match="finite positions, received NaN"):
        net(torch.full((3, 3), torch.nan))


@MAKERS
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_features_that_were_not_given_are_of_the_weights_dtype(make: Callable[..., Net], dtype: torch.dtype) -> None:
    net = make().eval().requires_grad_(False)
    pos, batch = clouds(torch.float32)
    expected = net(pos, batch)
    y = net.to(dtype)(pos, batch)
    assert y.dtype == dtype
    assert float((y - expected).abs().max()) < (1e-4 if dtype == torch.float64 else 0.1) * float(expected.abs().max())
