"""ScaleChannels around networks of MONAI: trained, exported, equivariant."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.models import ScaleChannels
from scalegroup.testing import Blobs, check_equivariance
from scalegroup.testing.inputs import centred

pytest.importorskip("monai")
from monai.networks.nets import BasicUNet, DenseNet, SegResNet, SwinUNETR, UNet


def unet(**options: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"spatial_dims": 3, "norm": "batch", "num_res_units": 1, "act": "relu", **options}
    return UNet(in_channels=1, out_channels=2, channels=(4, 8), strides=(2,), **options)


def segresnet() -> torch.nn.Module:
    return SegResNet(3, init_filters=4, out_channels=2, blocks_down=(1, 1), blocks_up=(1,), norm="BATCH")


def swin(**options: Any) -> torch.nn.Module:
    pytest.importorskip("einops")
    options = {"feature_size": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 3, 4), "window_size": 4, **options}
    return SwinUNETR(1, 2, spatial_dims=2, **options)


NETWORKS = {"unet": (unet, 3, 2), "segresnet": (segresnet, 3, 2), "swin": (swin, 2, 32)}


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest) -> tuple[ScaleChannels, Tensor]:
    """A network, and two volumes of an odd size."""
    make, dim, divisor = NETWORKS[request.param]
    options = {"divisor": 32} if request.param == "swin" else {}  # its strides cannot be read off
    net = ScaleChannels(
        make(), spatial_dims=dim, first=-1, num_scales=3, train_scales=2, projection="attention", **options
    )
    assert (net.in_channels, net.lift.divisor) == (1, divisor)
    return net, torch.randn(2, 1, *(9, 10, 12)[:dim])


def test_three_steps_of_training(case: tuple[ScaleChannels, Tensor]) -> None:
    net, x = case
    target = (x[:, 0] > 0).long()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)

    def loss(train_scales: int | None) -> Tensor:
        net.train_scales = train_scales
        return torch.nn.functional.cross_entropy(net(x), target)

    before = float(loss(None).detach())
    for _ in range(3):
        optimiser.zero_grad()
        loss(2).backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
        optimiser.step()
    assert float(loss(None).detach()) < before


def test_exported_saved_and_loaded_is_the_same_function(case: tuple[ScaleChannels, Tensor]) -> None:
    net, x = case
    net = nn.with_window(net, num_scales=2).eval()
    file = io.BytesIO()
    torch.export.save(torch.export.export(net, (x,)), file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    torch.testing.assert_close(loaded(x), net(x))


def test_dilation_by_the_base_moves_the_arrays_by_one_scale() -> None:
    backbone = unet(spatial_dims=2, norm="instance", num_res_units=0)
    net = ScaleChannels(backbone, spatial_dims=2, base=2, first=-1, num_scales=3, projection=None).double().eval()
    field = Blobs.random(1 * ScaleTranslationGroup(dim=2, base=2, num_scales=1).scalar, radius=5.0, width=(2.5, 3.0))
    f, g = field.sample([centred(40)] * 2), field.act(2.0).sample([centred(80)] * 2)
    with torch.no_grad():
        for y, z, wrong in zip(net(f), net(g)[1:], net(g), strict=False):
            assert float((y - z).norm()) < 5e-4 * float(y.norm())
            assert float((y - wrong[:, :, : y.shape[2], : y.shape[3]]).norm()) > 5e-2 * float(y.norm())


def test_the_report_reads_like_that_of_a_network_of_ours() -> None:
    net = ScaleChannels(unet(spatial_dims=2), spatial_dims=2, num_scales=3, first=0).eval()
    report = check_equivariance(net, size=64)
    assert report.module == "ScaleChannels"
    assert 0 < report.projected < report.trivial
    assert report.before is not None
    assert report.projected > 3 * report.per_scale
    assert report.limits[-1] == "window"
    assert net.projection is not None


def test_an_image_gets_scores() -> None:
    backbone = DenseNet(2, 1, 3, init_features=4, growth_rate=2, block_config=(1, 1))
    net = ScaleChannels(backbone, spatial_dims=2, divisor=8, num_scales=3, first=0, projection="volume_confidence")
    assert net(torch.randn(2, 1, 20, 20)).shape == (2, 3)
    assert "window" in net.summary(20)


def test_batch_norms_that_cannot_be_reached_are_refused_with_a_way_out() -> None:
    with pytest.raises(ScaleGroupError, match=r"received SwinUNETR, of which torch.fx says.*; use instance or group"):
        ScaleChannels(swin(norm_name="batch").eval(), spatial_dims=2, divisor=32)


def test_a_trace_that_goes_astray_is_noticed_by_the_constructor() -> None:
    backbone = BasicUNet(2, 1, 2, (4, 4, 4, 4, 4, 4), norm="batch").eval()
    with pytest.raises(
        ScaleGroupError, match=r"received BasicUNet, of which the trace by torch\.fx does something else"
    ):
        ScaleChannels(backbone, spatial_dims=2, divisor=16)
    ScaleChannels(BasicUNet(2, 1, 2, (4, 4, 4, 4, 4, 4)), spatial_dims=2, divisor=16)
