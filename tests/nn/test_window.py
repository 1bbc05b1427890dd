"""Weights fit every window of scales: wider and shifted ones, runs of scales, frozen copies."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of

GROUP = ScaleTranslationGroup(dim=2, base=2**0.5, num_scales=4)


def network(scale_extent: int = 1, scale_padding: str = "zeros") -> nn.Sequential:
    """Lifting, norm, activation, two strided layers and one that goes back, in float64 and eval mode."""
    torch.manual_seed(0)
    hidden = 2 * GROUP.regular
    mix = nn.GroupConv(hidden, hidden, scale_extent=scale_extent, scale_padding=scale_padding)
    hidden_after = mix.out_type
    net = nn.Sequential(
        nn.GroupConv(1 * GROUP.scalar, hidden),
        nn.BatchNorm(hidden),
        nn.Pointwise(hidden, oversample=2),
        mix,
        nn.ScaleBlurPool(hidden_after),
        nn.GroupConvTranspose(hidden_after, hidden_after, stride=2),
        nn.Linear(hidden_after, 3 * hidden_after),
    ).double()
    net(torch.randn(2, 1, 12, 12, dtype=torch.float64))
    return net.eval()


def image(*size: int) -> Tensor:
    return torch.randn(2, 1, *(size or (12, 12)), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_scale(net: torch.nn.Module, x: Tensor, count: int) -> Tensor:
    return net(x).detach().unflatten(1, (-1, count))


# with_window


@pytest.mark.parametrize(("count", "first"), [(6, 0), (6, -1), (3, 1), (4, -2), (1, 2)])
def test_another_window_has_the_same_values_on_the_scales_that_both_have(count: int, first: int) -> None:
    net = network()
    other = nn.with_window(net, num_scales=count, first=first)
    group = group_of(other.in_type)
    assert (group.num_scales, group.first) == (count, first)
    old, new = by_scale(net, image(), 4), by_scale(other, image(), count)
    shared = range(max(0, first), min(4, first + count))
    assert len(shared) > 0
    for step in shared:
        torch.testing.assert_close(new[:, :, step - first], old[:, :, step], rtol=0, atol=1e-12)


def test_a_scale_off_by_one_is_another() -> None:
    net = network()
    old, new = by_scale(net, image(), 4), by_scale(nn.with_window(net, num_scales=4, first=1), image(), 4)
    assert bool((old - new).abs().max() > 1e-2)


def test_state_dicts_fit_every_window() -> None:
    net = network(scale_extent=2)
    wide = nn.with_window(net, num_scales=6, first=-1)
    assert list(wide.state_dict()) == list(net.state_dict())
    for name, value in net.state_dict().items():
        assert torch.equal(wide.state_dict()[name], value)
    fresh = nn.with_window(network(scale_extent=2), num_scales=6, first=-1)
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh(image()), wide(image()))


def test_constants_of_another_window_are_on_the_device_of_the_old_ones() -> None:
    """Of layers without weights too; the meta device stands for an accelerator."""
    group = ScaleTranslationGroup(dim=2, num_scales=2)
    lift = nn.ScaleSpaceLift(1 * group.scalar)
    conv = nn.GroupConv(lift.out_type, lift.out_type)
    net = nn.Sequential(lift, conv, nn.ScaleBlurPool(conv.out_type)).to("meta")
    assert {buffer.device.type for buffer in nn.with_window(net, 3).buffers()} == {"meta"}


def test_the_old_network_stays_as_it_was() -> None:
    net = network()
    before = net(image())
    wide = nn.with_window(net, num_scales=6)
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.zero_()
    assert torch.equal(net(image()), before)


def test_windows_and_back() -> None:
    net = network(scale_extent=3)
    there_and_back = nn.with_window(nn.with_window(net, num_scales=7, first=-2), num_scales=4, first=2)
    assert there_and_back.in_type == net.in_type
    assert torch.equal(there_and_back(image()), net(image()))


def test_layers_that_narrow_the_window_move_with_it() -> None:
    net = network(scale_extent=2, scale_padding="valid")
    assert group_of(net.out_type).num_scales == 3
    wide = nn.with_window(net, num_scales=6)
    assert group_of(wide.out_type).num_scales == 5
    torch.testing.assert_close(by_scale(wide, image(), 5)[:, :, :3], by_scale(net, image(), 3))
    with pytest.raises(ScaleGroupError, match="num_scales that leaves every layer a scale, received 1; use at least 2"):
        nn.with_window(net, num_scales=1)


def test_only_equivariant_networks_have_a_window() -> None:
    with pytest.raises(ScaleGroupError, match="a network with equivariant layers, received ReLU"):
        nn.with_window(torch.nn.ReLU(), num_scales=3)
    with (
        pytest.raises(ScaleGroupError, match="a network with equivariant layers, received ReLU"),
        nn.run_of_scales(torch.nn.ReLU(), 0, 1),
    ):
        pass


# run_of_scales


@pytest.mark.parametrize(("start", "count"), [(0, 4), (0, 2), (1, 3), (3, 1)])
@pytest.mark.parametrize("scale_extent", [1, 2])
def test_a_run_is_the_network_on_that_window(start: int, count: int, scale_extent: int) -> None:
    net = network(scale_extent)
    wanted = nn.with_window(net, num_scales=count, first=start)(image())
    with nn.run_of_scales(net, start, count):
        found = net(image())
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("mode", ["max", "mean", "taper", "logsumexp", "attention"])
def test_projections_of_a_run(mode: str) -> None:
    hidden = 2 * GROUP.regular
    net = nn.Sequential(nn.GroupConv(1 * GROUP.scalar, hidden), nn.ScalePool(hidden, mode)).double()
    wanted = nn.with_window(net, num_scales=3, first=1)(image())
    with nn.run_of_scales(net, 1, 3):
        torch.testing.assert_close(net(image()), wanted)
    assert bool((net(image()) - wanted).abs().max() > 1e-2)


def test_a_run_of_a_narrowing_network() -> None:
    net = network(scale_extent=2, scale_padding="valid")
    wanted = nn.with_window(net, num_scales=3, first=1)(image())
    with nn.run_of_scales(net, 1, 3):
        torch.testing.assert_close(net(image()), wanted)
    with pytest.raises(ScaleGroupError, match="that leaves every layer a scale"), nn.run_of_scales(net, 0, 1):
        pass


def test_the_window_comes_back_even_after_an_error() -> None:
    net = network()
    whole = net(image())
    with pytest.raises(ZeroDivisionError), nn.run_of_scales(net, 1, 2):
        raise ZeroDivisionError
    assert torch.equal(net(image()), whole)


def test_runs_inside_runs() -> None:
    net = network()
    with nn.run_of_scales(net, 0, 3):
        outer = net(image())
        with nn.run_of_scales(net, 1, 2):
            assert net(image()).shape[1] == 12
        assert torch.equal(net(image()), outer)


@pytest.mark.parametrize(("start", "count"), [(2, 3), (-1, 2), (0, 0), (0, 5)])
def test_runs_lie_inside_the_window(start: int, count: int) -> None:
    net = network()
    text = rf"a run of scales inside the window, received \({start}, {count}\); the window has 4 scales"
    with pytest.raises(ScaleGroupError, match=text), nn.run_of_scales(net, start, count):
        pass


def test_fields_without_scales_do_not_depend_on_window_or_run() -> None:
    for layer in (nn.ScaleBlurPool, nn.ScaleMaxPool):
        pool = layer(1 * GROUP.scalar).double()
        wanted = pool(image())
        for first in (-1, 1):
            assert torch.equal(nn.with_window(pool, 4, first)(image()), wanted)
        with nn.run_of_scales(pool, 2, 1):
            assert torch.equal(pool(image()), wanted)


# freeze


def test_frozen_networks_have_the_same_values_on_any_size() -> None:
    net = network(scale_extent=2)
    frozen = nn.freeze(net)
    for size in ((12, 12), (11, 14), (5, 5)):
        torch.testing.assert_close(frozen(image(*size)), net(image(*size)))


def test_frozen_networks_do_not_train() -> None:
    net = network().train()
    frozen = nn.freeze(net)
    assert not frozen.training
    assert not any(p.requires_grad for p in frozen.parameters())
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert not frozen(image()).requires_grad


def test_frozen_networks_use_torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    frozen = nn.freeze(net)

    def engine(*_: object) -> None:
        raise RuntimeError("the engine was called")

    monkeypatch.setattr("scalegroup.nn.convolution.contract", engine)
    frozen(image())
    with pytest.raises(RuntimeError, match="the engine was called"):
        net(image())


def test_loading_a_state_dict_renews_the_kernels() -> None:
    net = network()
    frozen = nn.freeze(net)
    assert list(frozen.state_dict()) == list(net.state_dict())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(-0.7)
    assert bool((frozen(image()) - net(image())).abs().max() > 1e-2)
    frozen.load_state_dict(net.state_dict())
    torch.testing.assert_close(frozen(image()), net(image()))


def test_a_frozen_network_takes_another_window() -> None:
    net = network(scale_extent=2)
    frozen = nn.with_window(nn.freeze(net), num_scales=3, first=1)
    wanted = nn.with_window(net, num_scales=3, first=1)(image())
    torch.testing.assert_close(frozen(image()), wanted)


@pytest.mark.parametrize("scale_extent", [1, 2])
def test_a_run_of_a_frozen_network(scale_extent: int) -> None:
    hidden = 2 * GROUP.regular
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.GroupConv(1 * GROUP.scalar, hidden),
        nn.GroupConv(hidden, hidden, scale_extent=scale_extent),
        nn.GroupConv(hidden, 1 * GROUP.scalar + 1 * GROUP.character(1.0)),
    ).double()
    frozen = nn.freeze(net)
    with nn.run_of_scales(net, 1, 2), nn.run_of_scales(frozen, 1, 2):
        torch.testing.assert_close(frozen(image()), net(image()))


def test_a_network_frozen_within_a_run_knows_all_scales() -> None:
    net = network()
    with nn.run_of_scales(net, 1, 2):
        frozen = nn.freeze(net)
        torch.testing.assert_close(frozen(image()), net(image()))
    with nn.run_of_scales(frozen, 0, 4):
        torch.testing.assert_close(frozen(image()), net(image()))


# Dtypes


@pytest.mark.parametrize("convert", ["float", "double", "to", "half"])
def test_constants_stay_in_float64(convert: str) -> None:
    net = network(scale_extent=2)
    tables = {name: value.clone() for name, value in net.named_buffers() if "running" not in name}
    twin = copy.deepcopy(net)
    twin = twin.to(torch.float32) if convert == "to" else getattr(twin, convert)()
    for name, table in tables.items():
        found = twin.get_buffer(name)
        assert found.dtype == table.dtype
        assert torch.equal(found, table)
    assert len(tables) > 10
    back = twin.double()
    with torch.no_grad():
        for mine, original in zip(back.parameters(), net.parameters(), strict=True):
            mine.copy_(original)
        for name, value in net.named_buffers():
            back.get_buffer(name).copy_(value)
    torch.testing.assert_close(back(image()), net(image()), rtol=0, atol=1e-12)  # no table went through float32
