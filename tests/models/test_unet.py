"""The U-Net takes MONAI's arguments, any size and any window, and lives as a module of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.models import Projection, UNet
from scalegroup.testing import Blobs, centred

SMALL: dict[str, Any] = {"spatial_dims": 2, "channels": (2, 3), "strides": (2,), "num_scales": 3}


def image(*size: int, channels: int = 1) -> Tensor:
    return torch.randn(2, channels, *(size or (12, 12)), generator=torch.Generator().manual_seed(0))


def layers(net: torch.nn.Module | None, kind: type) -> list[Any]:
    return [module for module in (net.modules() if net is not None else ()) if isinstance(module, kind)]


# MONAI's arguments


CALLS: list[dict[str, Any]] = [
    {},
    {"num_res_units": 2},
    {"num_res_units": 1, "norm": "batch", "act": "relu"},
    {"act": "PRELU", "norm": "INSTANCE"},
    {"act": ("leakyrelu", {"negative_slope": 0.2}), "norm": ("instance", {"affine": True})},
    {"act": ("prelu", {"init": 0.2}), "norm": ("group", {"num_groups": 1})},
    {"act": torch.nn.ReLU, "dropout": 0.25, "bias": False},
    {"act": "gelu", "adn_ordering": "ADN", "dropout": 0.1},
    {"act": "elu", "adn_ordering": "NA"},
    {"act": "mish", "adn_ordering": "A"},
]


@pytest.mark.parametrize("options", CALLS)
def test_a_call_of_monais_unet_is_one_of_ours(options: dict[str, Any]) -> None:
    monai = pytest.importorskip("monai.networks.nets")
    positional = (2, 1, 3, (4, 8, 16), (2, 2))
    if options.get("act") is torch.nn.ReLU:  # MONAI takes classes, too, as callables with options
        theirs = monai.UNet(*positional, **{**options, "act": "relu"})
    else:
        theirs = monai.UNet(*positional, **options)
    ours = UNet(*positional, **options, num_scales=2)
    x = image(16, 16)
    assert ours(x).shape == theirs(x).shape
    bias = options.get("bias", True)
    assert all((layer.bias is not None) == bias for layer in layers(ours, nn.GroupConv))


def test_names_tuples_and_classes_mean_the_same() -> None:
    for act in ("leakyrelu", "LeakyReLU", torch.nn.LeakyReLU, ("leakyrelu", {}), (torch.nn.LeakyReLU, {})):
        found = {type(layer.activation) for layer in layers(UNet(**SMALL, act=act), nn.Pointwise)}
        assert found == {torch.nn.LeakyReLU}
    for norm in ("instance", ("INSTANCE", {}), torch.nn.InstanceNorm2d, nn.InstanceNorm, (nn.InstanceNorm, {})):
        assert layers(UNet(**SMALL, norm=norm), nn.InstanceNorm)
    for norm, kind in ((torch.nn.BatchNorm3d, nn.BatchNorm), (("group", {"num_groups": 1}), nn.GroupNorm)):
        assert layers(UNet(**SMALL, norm=norm), kind)
    kinds = (torch.nn.Dropout, torch.nn.Dropout3d, nn.Dropout, "Dropout")
    for dropout in (0.3, *((kind, {"p": 0.3}) for kind in kinds), ("dropout", {"p": 0.3, "inplace": True})):
        assert {layer.p for layer in layers(UNet(**SMALL, dropout=dropout), nn.Dropout)} == {0.3}


def test_what_monai_scripts_write_besides() -> None:
    for tracking in (True, False):
        norms = layers(UNet(**SMALL, norm=("batch", {"track_running_stats": tracking})), nn.BatchNorm)
        assert {norm.track_running_stats for norm in norms} == {tracking}
    for norm in ("instance_nvfuser", ("instance", {"track_running_stats": False})):
        assert layers(UNet(**SMALL, norm=norm), nn.InstanceNorm)
    for act, kind in (("hardswish", torch.nn.Hardswish), ("memswish", torch.nn.SiLU)):
        assert {type(layer.activation) for layer in layers(UNet(**SMALL, act=act), nn.Pointwise)} == {kind}
    assert {layer.p for layer in layers(UNet(**SMALL, dropout=torch.nn.Dropout), nn.Dropout)} == {0.5}
    for none in (None, "", 0, ("dropout", {"p": 0.0})):
        assert not layers(UNet(**SMALL, dropout=none), nn.Dropout)


def test_a_module_as_activation_is_copied_for_each_use() -> None:
    own = torch.nn.PReLU(init=0.3)
    found = [layer.activation for layer in layers(UNet(**SMALL, num_res_units=1, act=own), nn.Pointwise)]
    assert len({id(act) for act in [own, *found]}) == 1 + len(found) > 2
    assert all(torch.equal(act.weight, own.weight) for act in found)


def test_numbers_of_numpy_are_numbers() -> None:
    two = np.int64(2)
    options = {**SMALL, "channels": np.array([2, 3]), "strides": [two], "num_res_units": two, "train_scales": two}
    net = UNet(**options, in_channels=two, out_channels=two, admissible=np.True_)
    assert net.summary().startswith("UNet(2*scalar -> 2*scalar, channels=(2, 3), strides=(2,), ")
    assert UNet(**{**SMALL, "strides": np.array([[1, 2]])}).strides == ((1, 2),)


def test_options_reach_the_layers() -> None:
    net = UNet(**SMALL, act=("leakyrelu", {"negative_slope": 0.3}), norm=("batch", {"eps": 0.5, "momentum": 0.3}))
    assert {layer.activation.negative_slope for layer in layers(net, nn.Pointwise)} == {0.3}
    assert {(layer.eps, layer.momentum) for layer in layers(net, nn.BatchNorm)} == {(0.5, 0.3)}


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_activation_and_no_norm(nothing: str | None) -> None:
    net = UNet(**SMALL, act=nothing, norm=nothing)
    assert not layers(net, nn.Pointwise) + layers(net, nn.BatchNorm)


@pytest.mark.parametrize("order", ["NDA", "AND", "dan", "NA", "A", "", "NAAN"])
def test_adn_ordering_is_the_order_of_the_layers(order: str) -> None:
    letters = {nn.Pointwise: "A", nn.Dropout: "D", nn.BatchNorm: "N"}
    net = UNet(**SMALL, norm="batch", dropout=0.1, adn_ordering=order)
    found = "".join(letters[type(layer)] for layer in net.levels.down if type(layer) in letters)
    assert found == "".join(dict.fromkeys(order.upper()))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"channels": (4,), "strides": ()}, "the length of channels to be no less than 2, received (4,)"),
        ({"channels": (4, 8, 16), "strides": (2,)}, "the length of strides to equal 2, received (2,)"),
    ],
)
def test_what_monai_refuses_we_refuse(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as ours:  # noqa: PT011 - the text is compared below
        UNet(2, 1, 2, **options)
    assert text in str(ours.value)
    monai = pytest.importorskip("monai.networks.nets")
    with pytest.raises(ValueError, match="the length of"):
        monai.UNet(2, 1, 2, **options)


def test_surplus_strides_are_reported() -> None:
    with pytest.warns(UserWarning, match="3 strides for 2 levels: the last 2 will not be used") as caught:
        net = UNet(2, 1, 2, (2, 3), (2, 3, 4), num_scales=2)
    assert caught[0].filename == __file__
    assert net.strides == (2,)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"kernel_size": 3, "sampling": "uniform"},
            r"order, sigma and support, received kernel_size=3; replace kernel_size by order and sigma",
        ),
        ({"up_kernel_size": (3, 3)}, r"received up_kernel_size=\(3, 3\); replace up_kernel_size by order and sigma"),
        ({"kernel_size": 3, "up_kernel_size": 3}, r"received up_kernel_size=3; leave it out"),
        ({"kernel_size": 3, "order": 3}, "free kernels without order, sigma and support, received order=3"),
        ({"act": "softmax"}, "act out of elu, gelu, .* received 'softmax'"),
        ({"act": ("relu", {}, 1)}, "act: a name, a class, or a pair of it and a dict of options"),
        ({"act": ()}, "act: a name, a class, or a pair"),
        ({"act": 3}, "act: a name, a class, or a pair of it and options, received 3"),
        (
            {"norm": "layer"},
            "norm out of batch, group, instance, instance_nvfuser, received 'layer'; other norms are not equivariant",
        ),
        ({"norm": torch.nn.LayerNorm}, "norm out of batch, group, instance"),
        ({"norm": ("batch", 3)}, "norm: a name, a class, or a pair of it and a dict of options"),
        ({"norm": ("group", {"num_groups": 5})}, "num_groups that divides . fields, received 5"),
        ({"norm": 3}, "norm: a name, a class, or a pair of it and options, received 3"),
        ({"norm": torch.nn.BatchNorm2d(2)}, "norm: a name, a class, or a pair"),
        ({"norm": ("batch", {"foo": 1})}, r"norm: options of BatchNorm out of \(eps, .*\), received 'foo'"),
        ({"norm": ("instance", {"track_running_stats": True})}, "track_running_stats=False of InstanceNorm"),
        ({"norm": "syncbatch"}, "received 'syncbatch'; statistics over processes are not implemented; use 'batch'"),
        ({"norm": torch.nn.SyncBatchNorm}, "statistics over processes are not implemented"),
        ({"act": ("relu", {"foo": True})}, r"act: options of ReLU out of \(inplace\), received 'foo'"),
        ({"act": (torch.nn.ELU(), {"alpha": 2.0})}, "act: a module without options"),
        ({"act": torch.relu}, "act: a name or a class, received relu"),
        ({"act": lambda: 3}, "act: something that makes modules"),
        (
            {"act": ("prelu", {"num_parameters": 4})},
            r"a function of each number alone, received PReLU\(num_parameters=4",
        ),
        ({"act": torch.nn.Softmax}, "a function of each number alone, received Softmax"),
        ({"act": torch.nn.GLU()}, "a function of each number alone, received GLU"),
        ({"dropout": ("dropout", {"foo": 0.1})}, r"dropout: options of Dropout out of \(p\), received 'foo'"),
        ({"dropout": (0.3, {"p": 0.1})}, "dropout: a probability without options"),
        ({"dropout": torch.nn.AlphaDropout}, "dropout: a probability or 'dropout'"),
        ({"dropout": "alpha"}, "dropout: a probability or 'dropout', received 'alpha'"),
        ({"dropout": 1.0}, r"p, a probability in \[0, 1\), received 1.0"),
        ({"adn_ordering": "NXA"}, "adn_ordering of the letters A, D and N, received 'NXA'"),
        ({"adn_ordering": None}, "adn_ordering of the letters A, D and N, received None"),
        ({"in_channels": True}, "in_channels, an integer >= 1, received True"),
        ({"out_channels": 2.0}, "out_channels, an integer >= 1, received 2.0"),
        ({"channels": None}, "channels, a sequence of integers, received None"),
        ({"channels": (2, 0)}, "channels, an integer >= 1, received 0"),
        ({"strides": 2}, "strides, a sequence of numbers or of tuples with one per axis, received 2"),
        ({"strides": (True,)}, "strides, a sequence .* received True"),
        ({"num_res_units": True}, "num_res_units, an integer >= 0, received True"),
        ({"num_res_units": -1}, "num_res_units, an integer >= 0, received -1"),
        ({"scale_padding": "valid"}, "scale_padding out of .* received 'valid'; skip connections need one window"),
        ({"scale_pool": "median"}, "scale_pool out of .* received 'median'"),
        ({"admissible": "decoder"}, r"admissible out of \(False, 'lifting', 'encoder'\), received 'decoder'"),
        ({"admissible": 2}, "admissible out of .* received 2"),
        ({"train_scales": True}, "train_scales, an integer >= 1, received True"),
        ({"train_scales": 0}, "train_scales, an integer >= 1, received 0"),
        ({"run_weights": "dear"}, "run_weights out of"),
        ({"kernel_size": 2}, "kernel_size, an odd integer >= 1, received 2"),
        ({"sampling": "voxels"}, "sampling out of .*, received 'voxels'"),
        ({"sampling": "uniform", "basis": "free"}, "free-form kernels where each scale has its own grid"),
        ({"strides": (0,)}, "stride: a positive integer .* received 0"),
        ({"spatial_dims": 4}, "dim 1, 2 or 3, received 4"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(sg.ScaleGroupError, match=text):
        UNet(**{**SMALL, **options})


# Sizes


@pytest.mark.parametrize(
    ("dim", "strides", "size"),
    [
        (1, (2, 2), (13,)),
        (1, (3, 2), (1,)),
        (2, (2, 2), (7, 10)),
        (2, ((1, 2), (3, 1)), (5, 11)),
        (2, (1, 2), (6, 9)),
        (3, (2, (2, 2, 1)), (5, 6, 3)),
    ],
)
@pytest.mark.parametrize("num_res_units", [0, 2])
def test_any_size_comes_back(dim: int, strides: Any, size: tuple[int, ...], num_res_units: int) -> None:
    net = UNet(dim, 2, 3, (2, 2, 2), strides, num_res_units=num_res_units, num_scales=2, order=1).eval()
    assert net(image(*size, channels=2)).shape == (2, 3, *size)


@pytest.mark.parametrize("mode", [None, "max", "mean", "taper", "logsumexp", "attention", "volume_confidence"])
def test_scale_pool_projects_or_not(mode: str | None) -> None:
    net = UNet(**SMALL, out_channels=5, scale_pool=mode, sampling="uniform")
    assert net(image()).shape == (2, 15 if mode is None else 5, 12, 12)
    haar = UNet(**SMALL, out_channels=5, scale_pool=mode, train_scales=None)
    y = haar(image())
    if mode is None:
        assert [tuple(grid.shape) for grid in y] == [(2, 5, *grid.sizes) for grid in haar.lift.grids((12, 12))]
    else:
        assert y.shape == (2, 5, 12, 12)
    assert str(net.out_type) == str(haar.out_type)
    assert str(net.out_type) == ("5*regular" if mode is None else "5*scalar")


def test_without_a_pool_it_returns_what_the_pool_projects() -> None:
    net, bare = (UNet(**SMALL, scale_pool=mode, sampling="uniform").eval() for mode in ("mean", None))
    bare.load_state_dict(net.state_dict())
    torch.testing.assert_close(bare(image()).unflatten(1, (2, 3)).mean(2), net(image()))
    net, bare = (UNet(**SMALL, scale_pool=mode).eval() for mode in ("mean", None))
    bare.load_state_dict(net.state_dict())
    pool = nn.ScalePool(bare.out_type, "mean")
    torch.testing.assert_close(pool(bare(image()), output_size=(12, 12)), net(image()))


def test_by_default_scales_count_by_their_confidence() -> None:
    net, mean, bare = (UNet(**SMALL, **options) for options in ({}, {"scale_pool": "mean"}, {"scale_pool": None}))
    for other in (mean, bare):
        other.load_state_dict(net.state_dict())
    pool = nn.ScalePool(bare.out_type, Projection("volume_confidence").eval())
    sure = net.eval()(image())
    torch.testing.assert_close(sure, pool(bare.eval()(image()), output_size=(12, 12)))
    assert not torch.allclose(sure, mean.eval()(image()), atol=1e-3)
    x = image()
    torch.manual_seed(1)
    taught = net.train()(x)
    torch.manual_seed(1)
    torch.testing.assert_close(taught, mean.train()(x))  # so that no scale is left without a teacher


# Kernels


def test_options_of_the_kernels_reach_every_convolution() -> None:
    options = {"order": 1, "sigma": 1.5, "support": 3.0, "scale_extent": 2, "padding_mode": "replicate"}
    net = UNet(**SMALL, **options, scale_padding="replicate", base=2.0, method="dense", num_res_units=1)
    convolutions = layers(net, nn.GroupConv) + layers(net, nn.GroupConvTranspose)
    assert len(convolutions) >= 5
    for conv in convolutions:
        assert {name: getattr(conv, name) for name in options if name != "order"} | {
            "order": conv.basis.order
        } == options
        assert (conv.method, conv.scale_padding) == ("dense", "replicate")
    assert net.in_type.group.base == 2.0


@pytest.mark.parametrize("num_res_units", [0, 1])
def test_admissible_kernels_where_they_are_asked_for(num_res_units: int) -> None:
    def flags(value: Any) -> list[bool]:
        net = UNet(2, 1, 2, (2, 2, 2), (2, 2), num_scales=2, admissible=value, num_res_units=num_res_units)
        down = layers(net.levels.down, nn.GroupConv)
        deep = layers(net.levels.inner.down, nn.GroupConv) + layers(net.levels.inner.inner, nn.GroupConv)
        up = layers(net.levels, nn.GroupConvTranspose) + layers(net.levels.refine, nn.GroupConv)
        kinds = [{conv.admissible for conv in part} for part in (down, deep, up)]
        assert all(len(kind) == 1 for kind in kinds)
        return [kind.pop() for kind in kinds]

    assert flags(False) == [False, False, False]
    assert flags("lifting") == [True, False, False]
    assert flags(0) == flags(None) == flags(np.False_) == flags(False)
    assert flags("encoder") == flags(True) == flags(1) == flags(np.True_) == [True, True, False]


def test_oversampled_activations() -> None:
    net = UNet(**SMALL, oversample=2)
    assert {layer.oversample for layer in layers(net, nn.Pointwise)} == {2}


# Windows


def test_weights_fit_every_window() -> None:
    net = UNet(**SMALL, scale_extent=2).eval()
    for count in (1, 2, 5):
        other = UNet(**{**SMALL, "num_scales": count}, scale_extent=2).eval()
        other.load_state_dict(net.state_dict())
        torch.testing.assert_close(other(image()), sg.with_window(net, num_scales=count)(image()))


def test_a_wider_window_keeps_the_values_of_each_scale() -> None:
    net = UNet(**SMALL, scale_pool=None, sampling="uniform").eval()
    wide = sg.with_window(net, num_scales=5, first=-1)
    old, new = (unet(image()).unflatten(1, (2, -1)) for unet in (net, wide))
    torch.testing.assert_close(new[:, :, 1:4], old, rtol=1e-4, atol=1e-5)
    net = UNet(**SMALL, scale_pool=None).eval()
    torch.testing.assert_close(sg.with_window(net, num_scales=5, first=-1)(image())[1:4], net(image()))


def test_both_samplings_have_the_same_weights() -> None:
    options = {**SMALL, "order": 2, "num_res_units": 1}
    haar, uniform = (UNet(**options, sampling=sampling) for sampling in ("haar", "uniform"))
    assert {k: v.shape for k, v in haar.state_dict().items() if "shortcut" not in k} == {
        k: v.shape for k, v in uniform.state_dict().items() if "shortcut" not in k
    }


def test_a_known_spacing_puts_the_grids_where_they_were() -> None:
    """Two scans of one scene, one with voxels twice as large, end on grids of the same points."""
    net = UNet(2, 1, 2, (2, 3), (2,), num_scales=3, scale_pool=None, norm="batch").eval()
    scene = Blobs.random(net.in_type, 8.0, (3.0, 4.0))
    fine, coarse = scene.sample([centred(65)] * 2), scene.sample([centred(33, 2.0)] * 2)
    y, z = net(fine.float()), net(coarse.float(), spacing=2.0)
    for parts in zip(y, z, strict=True):
        common = min(part.shape[2] for part in parts) // 2  # the centre and what is around it, far from the border
        a, b = (part[:, :, *[slice((n - common) // 2, (n + common) // 2) for n in part.shape[2:]]] for part in parts)
        assert float(((a - b).norm() / a.norm()).detach()) < 1e-3


def test_training_meets_runs_of_scales() -> None:
    net = UNet(**SMALL, train_scales=2, norm=None, scale_pool="mean")
    seen = []
    hook = layers(net, nn.ScalePool)[0].register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))
    torch.manual_seed(0)
    outputs = [net(image()).detach() for _ in range(12)]
    assert set(seen) == {2}
    kinds = [y for n, y in enumerate(outputs) if not any(torch.equal(y, z) for z in outputs[:n])]
    assert len(kinds) == 2  # the window of 3 has two runs of 2
    runs = []
    for start in (0, 1):
        with nn.run_of_scales(net.eval(), start, 2):
            runs.append(net(image()).detach())
    assert all(any(torch.equal(y, run) for run in runs) for y in kinds)
    seen.clear()
    whole = net.eval()(image())
    assert seen == [3]
    assert torch.equal(net(image()), whole)
    hook.remove()


def test_runs_of_training_are_drawn_by_torchs_generator() -> None:
    net = UNet(**SMALL, train_scales=1, norm=None)

    def draws() -> list[Tensor]:
        torch.manual_seed(7)
        return [net(image()).detach() for _ in range(4)]

    assert all(torch.equal(y, z) for y, z in zip(draws(), draws(), strict=True))


@pytest.mark.parametrize(
    "options", [{}, {"train_scales": 1}, {"num_res_units": 1, "scale_extent": 2, "train_scales": 2}]
)
def test_gradients_reach_all_parameters(options: dict[str, Any]) -> None:
    net = UNet(**SMALL, **options, scale_pool="attention")
    for _ in range(3):
        net(image()).square().mean().backward()
    for name, parameter in net.named_parameters():
        if name == "projection.scorer" and options.get("train_scales") == 1:
            continue  # the softmax over one scale is one
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().max() > 0), name


# Life of a module


def test_summary_counts_the_weights() -> None:
    net = UNet(**SMALL, out_channels=4)
    count = sum(p.numel() for p in net.parameters())
    assert net.summary().startswith("UNet(1*scalar -> 4*scalar, channels=(2, 3), strides=(2,), ")
    assert net.summary().endswith(f"| {count:,} weights)")
    assert net.summary()[len("UNet(") : -1] in repr(net)
