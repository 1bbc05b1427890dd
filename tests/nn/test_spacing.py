"""Kernels in millimetres: the same weights on the same object, seen through voxels of other sizes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.models import Classifier, UNet
from scalegroup.testing import Blobs, centred

EXTENT = 40.0  # mm along each axis
GROUP = sg.ScaleTranslationGroup(dim=3, num_scales=2)
SPACINGS = [(1.0, 1.0, 2.5), (1.25, 1.25, 1.25)]


def scan(spacing: Sequence[float], width: tuple[float, float] = (2.5, 3.5), dim: int = 3) -> Tensor:
    """One scene of Gaussian blobs, each of a width in mm, through voxels of a size in mm: float64 `(1, 1, *space)`."""
    scene = Blobs.random(1 * sg.ScaleTranslationGroup(dim, num_scales=2).scalar, EXTENT / 6, width)
    return scene.sample([centred(round(EXTENT / size), size) for size in spacing])


def inner(x: Tensor, margin: int) -> Tensor:
    """What lies so many samples from the border."""
    return x[(..., *[slice(margin, -margin)] * (x.ndim - 2))].detach()


def error(y: Tensor, wanted: Tensor, margin: int = 6) -> float:
    """Relative difference away from the border."""
    return float((inner(y, margin) - inner(wanted, margin)).norm() / inner(wanted, margin).norm())


def lifting() -> nn.GroupConv:
    torch.manual_seed(0)
    return nn.GroupConv(1 * GROUP.scalar, 2 * GROUP.regular, order=2, sigma=1.5, padding_mode="replicate").double()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_lifting_reads_scans_of_any_spacing(spacing: tuple[float, ...]) -> None:
    """Issue 5: at most 2e-2 for sigma of 1.5 mm and order 2; measured 1e-3 and less."""
    conv = lifting()
    wanted, y = conv(scan((1.0,) * 3)), conv(scan(spacing), spacing=spacing)
    assert y.shape == wanted.shape == (1, 4, 40, 40, 40)
    assert error(y, wanted) < 2e-3


def test_without_the_spacing_the_answer_is_another_one() -> None:
    conv = lifting()
    wanted, y = conv(scan((1.0,) * 3)), conv(scan((1.25,) * 3))
    assert error(y, wanted[..., 4:36, 4:36, 4:36]) > 0.2


def test_strided_layers_keep_their_own_grids() -> None:
    torch.manual_seed(0)
    conv = nn.GroupConv(1 * GROUP.scalar, 2 * GROUP.regular, stride=2, padding_mode="replicate").double()
    wanted, y = conv(scan((1.0,) * 3)), conv(scan(SPACINGS[0]), spacing=SPACINGS[0])
    assert y.shape == wanted.shape == (1, 4, 20, 20, 20)
    assert error(y, wanted, 4) < 5e-3


@pytest.mark.parametrize("spacing", [(1.0, 2.0), 0.5])
@pytest.mark.parametrize("stride", [1, 2])
def test_writing_is_the_adjoint_of_reading(spacing: float | tuple[float, ...], stride: int) -> None:
    """`<conv(x), y> = <x, transposed(y)>` with the voxels' volume as measure, for content away from the border."""
    group = sg.ScaleTranslationGroup(dim=2, num_scales=1)
    conv = nn.GroupConv(1 * group.scalar, 1 * group.regular, stride=stride, bias=False).double()
    back = nn.GroupConvTranspose(1 * group.regular, 1 * group.scalar, stride=stride, bias=False).double()
    back.load_state_dict(conv.state_dict())
    sizes = (spacing, spacing) if isinstance(spacing, float) else spacing
    x = scan(sizes, (2.0, 2.5), dim=2)
    x = (
        x
        * torch.hann_window(x.shape[2], dtype=x.dtype)[:, None] ** 4
        * torch.hann_window(x.shape[3], dtype=x.dtype) ** 4
    )
    y = conv(x, spacing=spacing)
    y = (y**2) / (y**2).max()
    left = (conv(x, spacing=spacing) * y).sum()
    right = (x * back(y, output_size=x.shape[2:], spacing=spacing)).sum() * sizes[0] * sizes[1]
    torch.testing.assert_close(left, right, rtol=2e-3, atol=0)


@pytest.mark.parametrize("make", [nn.ScaleBlurPool, nn.ScaleMaxPool])
def test_pooling_reads(make: type[nn.ScaleBlurPool]) -> None:
    pool = make(1 * GROUP.scalar)
    wanted, y = pool(scan((1.0,) * 3)), pool(scan(SPACINGS[0]), spacing=SPACINGS[0])
    assert y.shape == wanted.shape
    assert error(y, wanted, 4) < 2e-2


def test_upsampling_and_projection_write() -> None:
    up = nn.Upsample(1 * GROUP.scalar)
    fine, coarse = scan((1.0,) * 3), scan((2.0,) * 3)
    assert error(up(coarse, output_size=(40, 40, 16), spacing=SPACINGS[0]), scan(SPACINGS[0])) < 2e-2
    field = 1 * sg.ScaleTranslationGroup(dim=3, num_scales=1).regular
    pooled = nn.ScalePool(field)(fine, output_size=(40, 40, 16), spacing=SPACINGS[0])
    assert error(pooled, scan(SPACINGS[0])) < 2e-2
    assert nn.ScalePool(field)(fine, spacing=2.0).shape == (1, 1, 20, 20, 20)
    vectors = nn.ScaleToVector(field, 0.5)(fine, output_size=(40, 40, 16), spacing=SPACINGS[0])
    assert error(vectors[:, :1], scan(SPACINGS[0])) < 2e-2  # the angle of scale 1 is zero


def test_vectors_are_read() -> None:
    layer = nn.VectorToScale(1 * sg.ScaleTranslationGroup(dim=3, num_scales=1).phase(0.5))
    coarse = scan(SPACINGS[0]).expand(1, 2, 40, 40, 16)
    assert error(layer(coarse, spacing=SPACINGS[0])[:, :1], scan((1.0,) * 3)) < 2e-2


def test_between_the_samplings_voxels_may_have_any_size() -> None:
    field = 1 * sg.ScaleTranslationGroup(dim=3, num_scales=2).regular
    there = nn.ToHaar(field, padding_mode="replicate")
    back = nn.ToUniform(there.out_type, padding_mode="replicate")
    fine, coarse = (scan(spacing).expand(-1, 2, -1, -1, -1) for spacing in ((1.0,) * 3, SPACINGS[0]))
    wanted, told, untold = there(fine), there(coarse, spacing=SPACINGS[0]), there(coarse)
    for y, z in zip(wanted, told, strict=True):
        assert y.shape == z.shape
        assert error(z, y, 4) < 1e-2
    assert untold[0].shape != wanted[0].shape
    y = back(wanted, output_size=coarse.shape[2:], spacing=SPACINGS[0])
    there_and_back = nn.spacing.write(
        back(wanted, output_size=fine.shape[2:]), SPACINGS[0], coarse.shape[2:], "replicate"
    )
    assert error(y, there_and_back, 4) < 1e-2


@pytest.mark.parametrize("sampling", ["haar", "uniform"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_networks_answer_on_the_voxels_of_the_scan(sampling: str, spacing: tuple[float, ...]) -> None:
    """Measured 1e-3 to 8e-3: with the grids' sizes what lies beyond the border changes."""
    torch.manual_seed(0)
    net = UNet(3, 1, 2, (2, 4), (2,), sampling=sampling, order=2, num_scales=2, first=0, scale_pool="mean").double()
    net.eval()
    with torch.no_grad():
        fine, y = net(scan((1.0,) * 3)), net(scan(spacing), spacing=spacing)
        untold = net(scan(spacing))
    assert y.shape == (1, 2, *scan(spacing).shape[2:])
    wanted = nn.spacing.write(fine, spacing, y.shape[2:], "replicate")
    margin = 5
    assert error(y, wanted, margin) < 2e-2
    assert error(untold, wanted, margin) > 0.1


def test_a_network_has_a_spacing_of_its_own() -> None:
    """Twice the spacing of all: nothing changes but the unit."""
    torch.manual_seed(0)
    one = UNet(2, 1, 2, (2, 4), (2,), num_scales=2).eval()
    torch.manual_seed(0)
    two = UNet(2, 1, 2, (2, 4), (2,), num_scales=2, spacing=2.0).eval()
    x = torch.randn(1, 1, 15, 16)
    assert torch.equal(one(x, spacing=(1.5, 1.0)), two(x, spacing=(3.0, 2.0)))
    assert torch.equal(two(x), two(x, spacing=2.0))
    assert not torch.equal(two(x), two(x, spacing=1.0))


def test_scores_do_not_depend_on_the_resolution() -> None:
    torch.manual_seed(0)
    net = Classifier(3, 1, 3, (2, 4), (1, 2), sampling="haar", num_scales=2).double().eval()
    with torch.no_grad():
        wanted = net(scan((1.0,) * 3))
        told = (net(scan((1.25,) * 3), spacing=1.25) - wanted).norm() / wanted.norm()
        untold = (net(scan((1.25,) * 3)) - wanted).norm() / wanted.norm()
    assert told < 1e-4  # measured 2e-5
    assert untold > 0.05


def test_the_spacing_of_a_metatensor_is_read() -> None:
    data = pytest.importorskip("monai.data")
    torch.manual_seed(0)
    net = UNet(3, 1, 2, (2, 4), (2,), num_scales=2).eval()
    x = torch.randn(1, 1, 12, 12, 8)
    affine = torch.diag(torch.tensor([1.0, -1.0, 2.0, 1.0], dtype=torch.float64))
    y = net(data.MetaTensor(x, affine=affine))
    assert isinstance(y, data.MetaTensor)
    assert torch.equal(y.affine, affine)
    assert torch.equal(y.as_tensor(), net(x, spacing=(1, 1, 2)))
    assert not torch.equal(y.as_tensor(), net(x))
    conv = lifting().float()
    assert torch.equal(conv(data.MetaTensor(x, affine=affine)), conv(x, spacing=(1, 1, 2)))
    parts = [data.MetaTensor(x[0], affine=a * affine) for a in (1.0, 2.0)]
    with pytest.raises(
        ScaleGroupError, match=r"a batch of volumes with one voxel size, received \[\(1\.0, 1\.0, 2\.0\)"
    ):
        net(data.list_data_collate(parts))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Downsample(1 * GROUP.scalar),
        nn.FourierDownsample(1 * GROUP.scalar),
        nn.ScaleBlurPool(1 * GROUP.scalar),
        nn.Upsample(1 * GROUP.scalar),
        nn.VectorMaxPool(1 * GROUP.phase(0.5)),
    ],
)
def test_other_grids_do_not_keep_the_voxel_size_of_the_scan(layer: nn.EquivariantModule) -> None:
    data = pytest.importorskip("monai.data")
    x = torch.randn(1, layer.in_type.size, 4, 4, 4)
    y = layer(data.MetaTensor(x, affine=torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0]))))
    assert type(y) is Tensor
    assert torch.equal(y, layer(x))


def test_a_batch_of_metatensors_stays_one() -> None:
    data = pytest.importorskip("monai.data")
    net = UNet(2, 1, 2, (2, 4), (2,), num_scales=2).eval()
    affine = torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    batch = data.list_data_collate([data.MetaTensor(torch.randn(1, 12, 12), affine=affine) for _ in range(2)])
    y = net(batch)
    assert [size[:2].tolist() for size in y.pixdim] == [[2.0, 1.0]] * 2
    parts = data.decollate_batch(y)
    assert [part.shape for part in parts] == [(2, 12, 12)] * 2
    assert torch.equal(parts[1].affine, affine)


def test_voxel_sizes_of_a_micrometre_and_of_rotated_scans_are_read() -> None:
    data = pytest.importorskip("monai.data")
    net = UNet(2, 1, 2, (2, 4), (2,), num_scales=2, spacing=5e-7).eval()
    x = torch.randn(1, 1, 12, 12)
    affine = torch.diag(torch.tensor([5e-7, 1e-6, 1.0], dtype=torch.float64))
    assert torch.equal(net(data.MetaTensor(x, affine=affine)).as_tensor(), net(x, spacing=(5e-7, 1e-6)))
    turned = torch.eye(4, dtype=torch.float64)
    turned[0, :2], turned[1, :2] = torch.tensor([0.8, -0.6]), torch.tensor([0.6, 0.8])
    assert nn.spacing.spacing_of(data.MetaTensor(x, affine=turned.float()), None, 2) == (1.0, 1.0)


def test_rounding_errors_make_no_grid_larger() -> None:
    assert nn.spacing.own_grid((200,), (0.7 / 0.699999988,), "zeros")[0] == [200]
    assert nn.spacing.own_grid((200,), (1.001,), "zeros")[0] == [201]


def test_one_graph_holds_layers_with_a_spacing() -> None:
    lift = nn.HaarLift(1 * sg.ScaleTranslationGroup(dim=1, num_scales=1).scalar)

    def on_own_grid(x: Tensor) -> Tensor:
        """As networks do; so far from its own spacing that it warns, but not in a graph."""
        return lift(x, spacing=nn.spacing.spacing_in((1.0,), x, (5.0,)))[0]

    x = torch.randn(1, 1, 9)
    with pytest.warns(UserWarning, match="voxels of"):
        wanted = on_own_grid(x)
    torch.testing.assert_close(torch.compile(on_own_grid, fullgraph=True, backend="eager")(x), wanted)


def test_sequences_tell_the_layers_that_read_and_write() -> None:
    data = pytest.importorskip("monai.data")
    torch.manual_seed(0)
    group = sg.ScaleTranslationGroup(dim=2, num_scales=2, sampling="haar")
    lift, field = nn.HaarLift(1 * group.scalar), 1 * group.regular
    conv, pool = nn.GroupConv(field, field), nn.ScalePool(field)
    x, place = torch.randn(1, 1, 12, 20), {"output_size": (12, 20), "spacing": (2.0, 1.0)}
    wanted = pool(conv(lift(x, spacing=(2.0, 1.0))), **place)
    flat, head, tail = nn.Sequential(lift, conv, pool), nn.Sequential(lift, conv), nn.Sequential(conv, pool)
    for layers in (flat, nn.Sequential(lift, tail), nn.Sequential(flat), nn.Sequential(head, pool)):
        assert torch.equal(layers(x, **place), wanted)
        scan = data.MetaTensor(x, affine=torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0])))
        assert torch.equal(layers(scan, output_size=(12, 20)), wanted)
    assert torch.equal(tail(lift(x, spacing=(2.0, 1.0)), **place), wanted)
    with pytest.raises(ScaleGroupError, match="no spacing for a field with a grid for each scale"):
        tail(lift(x), spacing=2.0)
    uniform = 1 * sg.ScaleTranslationGroup(dim=2, num_scales=2).regular
    with pytest.raises(ScaleGroupError, match=r"for output_size, received \(6, 10\); leave it out"):
        nn.Sequential(nn.ScaleBlurPool(uniform), nn.ScalePool(uniform))(torch.randn(1, 2, 12, 20), output_size=(6, 10))


def test_spacings_that_make_no_sense_are_refused() -> None:
    net = UNet(2, 1, 2, (2, 4), (2,), num_scales=2)
    x = torch.randn(1, 1, 8, 8)
    for spacing in (0.0, -1.0, float("nan"), (1.0, 0.0)):
        with pytest.raises(ScaleGroupError, match="spacing: a positive number"):
            net(x, spacing=spacing)
    with pytest.raises(ScaleGroupError, match="spacing: a number or one for each of 2 axes"):
        net(x, spacing=(1.0, 1.0, 1.0))
    with pytest.warns(
        UserWarning, match=r"voxels of \(0\.1, 0\.1\) mm on a network whose own grid has \(1\.0, 1\.0\) mm"
    ):
        net(x, spacing=0.1)
    deaf = nn.Sequential(nn.Pointwise(1 * sg.ScaleTranslationGroup(dim=2).scalar, torch.nn.SiLU()))
    with pytest.raises(ScaleGroupError, match=r"a first layer that reads at a spacing.* received Pointwise"):
        deaf(x, spacing=2.0)
    haar = 1 * sg.ScaleTranslationGroup(dim=2, num_scales=2, sampling="haar").regular
    grids = nn.HaarLift(1 * sg.ScaleTranslationGroup(dim=2, num_scales=2).scalar)(x)
    for layer in (nn.ScaleBlurPool(haar), nn.Upsample(haar), nn.GroupConv(haar, haar)):
        with pytest.raises(ScaleGroupError, match="no spacing for a field with a grid for each scale, received"):
            layer(grids, spacing=2.0)
