"""Any network on the grids of all scales: equivariance, windows, training on runs, errors."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.models import ScaleChannels, SharedBatchNorm
from scalegroup.models.shared_norm import GridsTogether
from scalegroup.testing import Blobs, equivariance_error
from scalegroup.testing.inputs import centred

SCALAR = 1 * ScaleTranslationGroup(dim=2, base=2, num_scales=1).scalar


class Small(torch.nn.Module):
    """A U-Net of two levels with ReLU, a strided convolution, and zero padding; counts from the corner."""

    def __init__(self, norm: type[torch.nn.Module] = torch.nn.InstanceNorm2d, classes: int = 3) -> None:
        super().__init__()
        self.top = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), norm(4), torch.nn.ReLU())
        self.down = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3, stride=2, padding=1), norm(8), torch.nn.ReLU())
        self.up = torch.nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.last = torch.nn.Conv2d(8, classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.top(x)
        y: Tensor = self.last(torch.cat([skip, self.up(self.down(skip))], dim=1))
        return y


class Scores(torch.nn.Module):
    """Image to label: the maximum over space of two strided layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(1, 6, 3, stride=2, padding=1), torch.nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.conv(x).relu().flatten(2).amax(dim=2))
        return y


def network(backbone: torch.nn.Module | None = None, **options: Any) -> ScaleChannels:
    """In float64 and eval mode, with weights and running statistics unlike the initial ones."""
    torch.manual_seed(0)
    options = {
        "spatial_dims": 2,
        "base": 2.0,
        "first": -1,
        "num_scales": 4,
        "train_scales": None,
        "divisor": 2,
        **options,
    }
    net = ScaleChannels(Small() if backbone is None else backbone, **options).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    net(image(16, 16))
    return net.eval()


def image(*size: int, batch: int = 2, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, *(size or (12, 15)), generator=generator).double()


def blobs(small: int, large: int) -> tuple[Tensor, Tensor]:
    """Smooth blobs on a canvas, and the same twice as large on another one."""
    f = Blobs.random(SCALAR, radius=5.0, width=(2.5, 3.0))
    return f.sample([centred(small)] * 2), f.act(2.0).sample([centred(large)] * 2)


def inside(y: Tensor, size: int) -> Tensor:
    start = [(n - size) // 2 for n in y.shape[2:]]
    return y[:, :, start[0] : start[0] + size, start[1] : start[1] + size]


def distance(a: Tensor, b: Tensor) -> float:
    return float(torch.linalg.vector_norm(a - b).detach() / torch.linalg.vector_norm(a).detach())


# equivariance


@pytest.mark.parametrize("norm", [torch.nn.InstanceNorm2d, torch.nn.BatchNorm2d])
def test_dilation_by_the_base_moves_the_arrays_by_one_scale(norm: type[torch.nn.Module]) -> None:
    torch.manual_seed(1)  # seed 0 has a channel that is nearly constant: an instance norm makes its errors large
    net = network(Small(norm), projection=None)
    f, g = blobs(40, 80)
    with torch.no_grad():
        before, after = net(f), net(g)
    for k in range(3):
        assert before[k].shape == after[k + 1].shape
        assert distance(before[k], after[k + 1]) < 5e-4
        assert distance(before[k], inside(after[k], before[k].shape[2])) > 0.05  # negative twin: nothing moved


@pytest.mark.parametrize(("divisor", "aligned"), [(2, True), (1, False)])
def test_grids_of_other_sizes_meet_the_same_points_if_the_divisor_is_right(divisor: int, aligned: bool) -> None:
    net = network(Small(torch.nn.BatchNorm2d), projection=None, divisor=divisor)
    f, g = blobs(44, 84)  # canvases whose ratio is not that of the dilation
    with torch.no_grad():
        before, after = net(f), net(g)
    sizes = [(a.shape[2], b.shape[2]) for a, b in zip(before, after[1:], strict=False)]
    assert any(a != b for a, b in sizes)
    errors = [distance(inside(a, 16), inside(b, 16)) for a, b in zip(before[:2], after[1:3], strict=True)]
    assert all((a - b) % (2 * divisor) == 0 for a, b in sizes)
    if aligned:
        assert max(errors) < 5e-4
    else:
        assert max(errors) > 5e-3


def test_scores_of_an_image_move_too() -> None:
    net = network(Scores(), projection=None)
    f, g = blobs(40, 80)
    before, after = net(f), net(g)
    assert before[0].shape == (1, 4)
    assert max(distance(a, b) for a, b in zip(before, after[1:], strict=False)) < 5e-4
    assert network(Scores())(f).shape == (1, 4)


def test_the_measure_takes_it_and_names_the_window() -> None:
    net = network(projection="mean", num_scales=3)
    error = equivariance_error(net, scale=2.0, protocol="lattice", size=17)
    assert 1e-4 < error.projected < 1.0  # what enters and leaves the window
    assert error.floor < 1e-6


# windows


def test_another_window_has_the_same_weights_and_arrays() -> None:
    net = network(projection=None, num_scales=2)
    wide = nn.with_window(net, num_scales=4, first=-1)
    assert list(wide.state_dict()) == list(net.state_dict())
    assert tuple(wide.lift.scales) == (0.25, 0.5, 1.0, 2.0)
    for y, z in zip(net(image()), wide(image())[1:3], strict=True):
        assert torch.equal(y, z)
    with nn.run_of_scales(wide, 1, 2):
        assert torch.equal(wide(image())[0], net(image())[0])


def test_grids_are_finest_first_and_the_projection_lies_on_the_voxels() -> None:
    net = network(projection=None)
    sizes = [tuple(y.shape) for y in net(image())]
    assert sizes == [(2, 3, *grid.sizes) for grid in net.grids((12, 15))]
    assert sizes == [(2, 3, 24, 32), (2, 3, 12, 16), (2, 3, 8, 8), (2, 3, 4, 4)]
    assert network()(image()).shape == (2, 3, 12, 15)


def test_the_spacing_is_that_of_scale_1() -> None:
    net = network(projection=None, num_scales=2)
    moved = nn.with_window(net, first=1)
    for y, z in zip(net(image(), spacing=0.5), moved(image()), strict=True):
        assert torch.equal(y, z)
    assert net(image(), spacing=(1.0, 0.5))[1].shape == (2, 3, 12, 8)


def test_one_grid_after_another_is_the_mean_of_all() -> None:
    net, parts = network(projection="mean"), network(projection=None)
    x = image()
    voxels = [nn.haar.to_voxels(y, grid, x.shape[2:]) for y, grid in zip(parts(x), parts.grids((12, 15)), strict=True)]
    torch.testing.assert_close(net(x), torch.stack(voxels).mean(dim=0))


def test_lifting_is_that_of_the_layer() -> None:
    net = network(torch.nn.Conv2d(1, 1, 1), divisor=3, projection=None)
    with torch.no_grad():
        net.backbone.weight.fill_(1.0), net.backbone.bias.zero_()
    for y, z in zip(net(image()), net.lift(image()), strict=True):
        torch.testing.assert_close(y, z)


# training


def test_training_sees_runs_and_eval_mode_all_scales() -> None:
    net = network(projection=None, train_scales=2).train()
    starts = Counter(float(len(net(image())) * 1000 + net(image())[0].shape[2]) for _ in range(30))
    assert len(starts) == 3
    assert all(start // 1000 == 2 for start in starts)
    assert len(net.eval()(image())) == 4
    net = network(projection=None, train_scales=None).train()
    assert len(net(image())) == 4


def test_the_grids_of_the_last_run_are_known() -> None:
    net = network(projection=None, train_scales=2).train()
    for _ in range(5):
        outputs = net(image())
        assert [tuple(y.shape[2:]) for y in outputs] == [grid.sizes for grid in net.last_grids or ()]
        assert set(net.last_grids or ()) < set(net.grids((12, 15)))


def drawn(net: ScaleChannels, count: int = 400) -> list[float]:
    runs = Counter(net._start(net.lift, 3) for _ in range(count))
    return [runs[start] / count for start in range(3)]


def test_runs_are_drawn_as_often_as_asked() -> None:
    for weights, wanted in {
        "uniform": (1 / 3, 1 / 3, 1 / 3),
        "cheap": (1 / 7, 2 / 7, 4 / 7),  # base 2 in the plane: a run costs 4 times the next, and 2 is the root
        (1, 0, 3): (0.25, 0.0, 0.75),
    }.items():
        net = network(train_scales=2, run_weights=weights)
        assert net.run_chances(net.lift.in_type.group, 3) == pytest.approx(wanted)
        assert drawn(net) == pytest.approx(wanted, abs=0.08)
    wide = nn.with_window(net, 6)
    with pytest.raises(ScaleGroupError, match="run_weights for 5 runs"):
        wide.train()(image())
    assert "no step: expected run_weights for 5 runs" in wide.float().summary(8)


def test_batch_norms_share_their_statistics() -> None:
    net = network(Small(torch.nn.BatchNorm2d), train_scales=None, projection=None, num_scales=2).train()
    assert isinstance(net.backbone.top[1], SharedBatchNorm)
    twin = copy.deepcopy(net.backbone)
    lifted = net.lift(image())
    wanted = GridsTogether()(twin, lifted)
    for y, z in zip(net(image()), wanted, strict=True):
        assert torch.equal(y, z)
    samples = torch.cat([net.backbone.top[0](x).flatten(2) for x in lifted], dim=2)
    norm = net.backbone.top[1]
    steps = int(norm.num_batches_tracked)
    before = norm.running_mean.clone()
    net(image())
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * samples.mean(dim=(0, 2)))
    assert norm.num_batches_tracked == steps + 1


def test_frozen_batch_norms_need_no_sharing() -> None:
    net = network(Small(torch.nn.BatchNorm2d), train_scales=None, projection=None)
    wanted = net(image())
    net.train()
    for part in (net.backbone.top[1], net.backbone.down[1]):
        part.eval()
    for y, z in zip(net(image()), wanted, strict=True):
        assert torch.equal(y, z)


# copies and precision


def test_copies_are_the_same_function() -> None:
    net = network(Small(torch.nn.BatchNorm2d), projection="attention", select="confidence")
    net(image())
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(image()), net(image()))
        assert list(twin.state_dict()) == list(net.state_dict())
        assert twin.train()(image()).shape == (2, 3, 12, 15)
    names = ["projection.weight", *(f"backbone.{name}" for name in Small(torch.nn.BatchNorm2d).state_dict())]
    assert set(net.state_dict()) == set(names)


@pytest.mark.parametrize("training", [False, True])
def test_mixed_precision_is_that_of_the_backbone_alone(training: bool) -> None:
    net = network(Small(torch.nn.BatchNorm2d), train_scales=None).float().train(training)
    x = image().float()
    exact = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outside = net(x)
    net.amp = torch.bfloat16
    own = net(x)
    assert outside.dtype == own.dtype == torch.float32
    assert torch.equal(outside, own)
    assert 0 < distance(exact, own) < 0.05
    own.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_half_precision_is_lifted_in_float32() -> None:
    net = network().to(torch.bfloat16)
    y = net(image().bfloat16())
    assert y.dtype == torch.bfloat16
    assert distance(net.double()(image()), y.double()) < 0.1


def test_compiled_is_the_same_function() -> None:
    net = network(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2)), num_scales=2)
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image()), net(image()))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own, of what passes from Python to the next graph
def test_training_with_batch_norms_compiles_around_them() -> None:
    backbone = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    net = network(backbone, num_scales=2, train_scales=None).train()
    twin = copy.deepcopy(net)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(net, backend="eager")(image()), twin(image()))
    assert torch.equal(net.backbone[1].running_var, twin.backbone[1].running_var)
    torch.compile(net, backend="eager")(image()).square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_norms_that_were_converted_afterwards_are_noticed() -> None:
    net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network(Small(torch.nn.BatchNorm2d)))
    assert net(image()).shape == (2, 3, 12, 15)  # statistics are not needed
    with pytest.raises(ScaleGroupError, match=r"batch norms that the grids share, received SyncBatchNorm; .*Lightning"):
        net.train()(image())


def test_an_error_of_the_backbone_names_the_grid() -> None:
    with pytest.raises(RuntimeError) as caught:
        network(torch.nn.Conv2d(1, 1, 35))
    assert "on grids of (32, 32) samples, multiples of twice the divisor, which is 2" in caught.value.__notes__[0]


def test_exporting_leaves_no_tensors_behind() -> None:
    net = network(num_scales=2, select="confidence", shifts=(0, 1))
    net.last_shift = None
    torch.export.export(net, (image(),))
    assert net.last_shift is None


def test_summary_counts_what_a_grid_costs() -> None:
    net = network(torch.nn.Conv2d(1, 4, 3, padding=1), divisor=1, num_scales=3, train_scales=2, run_weights="cheap")
    lines = [line.split() for line in net.float().summary((10, 12)).splitlines()]
    assert [line[:3] for line in lines[1:4]] == [["0.5", "20×24", "480"], ["1", "10×12", "120"], ["2", "6×6", "36"]]
    assert lines[1][3:] == ["17.3", "k", "7.68", "kB", "4.00"]  # 480 * 9 * 4 multiply-adds, 480 * 4 * 4 bytes
    assert lines[4] == ["window", "22.9", "k", "10.2", "kB", "5.30"]
    assert lines[5][-1] == f"{(5.0 + 2 * 1.3) / 3:.2f}"
    with pytest.raises(ScaleGroupError, match="a known number of in_channels"):
        network(torch.nn.ReLU()).summary(8)
    deciding = Returning(lambda x: x if x.sum() > 0 else -x)
    with pytest.raises(ScaleGroupError, match=r"takes the shape \(1, 1, 8, 8\), received Returning, of which torch"):
        network(deciding, in_channels=1).summary(8)


# arguments


def test_what_is_read_off_the_backbone() -> None:
    net = ScaleChannels(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Conv3d(1, 1, 1), torch.nn.AdaptiveMaxPool3d(1)))
    assert (net.in_channels, net.lift.divisor) == (1, 1)  # nothing but a global pooling changes a size
    assert str(net.in_type) == "1*scalar"
    plain = torch.nn.Sequential(torch.nn.Conv2d(2, 1, 1))
    plain.strides = ((2, 1), 2)
    net = ScaleChannels(plain, spatial_dims=2)
    assert (net.in_channels, net.lift.divisor) == (2, 4)
    assert ScaleChannels(torch.nn.ReLU()).in_type is None
    assert "scales 0.5 … 2.83, train_scales=3" in repr(net)


class Halving(torch.nn.Module):
    """Strides that no module tells."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Conv2d(1, 2, 1), torch.nn.Conv2d(2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.last(torch.nn.functional.max_pool2d(self.first(x), 2))
        return torch.nn.functional.interpolate(y, size=x.shape[2:])


def test_a_network_of_unknown_strides_is_costly_and_says_so() -> None:
    with pytest.warns(UserWarning, match=r"strides of Halving are unknown.*multiples of 64 .* ScaleChannels\(divisor"):
        net = ScaleChannels(Halving(), spatial_dims=2)
    assert net.lift.divisor == 32


class Returning(torch.nn.Module):
    """Returns what it is told."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Any:
        return self.value(x)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (lambda x: (x, x), "returns one tensor, received tuple; switch deep supervision off"),
        (lambda x: x[:, None], "an output of 4 axes from the backbone, .* deep supervision adds; switch it off"),
        (lambda x: x[..., ::2], r"an output of size \(\d+, \d+\) from the backbone"),
        (lambda x: x.flatten(0, 1)[:1, None], "an output of batch size 2"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(value: Any, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        ScaleChannels(Returning(value), spatial_dims=2, divisor=2)(image())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"backbone": torch.nn.ReLU}, "a torch.nn.Module as backbone"),
        ({"backbone": nn.Pointwise(SCALAR)}, "a backbone without scales, received one with Pointwise"),
        ({"backbone": torch.nn.SyncBatchNorm(1)}, "received SyncBatchNorm"),
        ({"projection": "median"}, "projection out of"),
        ({"select": "best"}, "select out of"),
        ({"select": "confidence", "projection": None}, "a projection for select='confidence'"),
        ({"shifts": (1, 2)}, "shifts, integers with 0 among them"),
        ({"shifts": "0"}, "shifts, integers with 0 among them"),
        ({"spacing": (1.0, 1.0, 1.0)}, "spacing: a number or one for each of 2 axes"),
        ({"run_weights": "coarse"}, "run_weights out of"),
        ({"run_weights": (0, 0)}, "run_weights out of"),
        ({"run_weights": (1, -1)}, "run_weights out of"),
        ({"run_weights": (1, 2), "train_scales": 2}, "run_weights for 3 runs"),
        ({"projection": torch.nn.ReLU}, "projection out of .* received <class .*; give a module itself"),
        ({"projection": torch.nn.Identity()}, r"a projection that returns .* received \(2, 3, 4, 16, 16\)"),
        ({"amp": "bf16"}, "amp: torch.float16, torch.bfloat16 or None, received 'bf16'"),
        ({"amp": torch.float32}, "amp: torch.float16, torch.bfloat16 or None, received torch.float32"),
        ({"train_scales": 0}, "train_scales, an integer >= 1"),
        ({"divisor": 0}, "divisor, an integer >= 1"),
        ({"padding_mode": "same"}, "padding_mode out of"),
        ({"in_channels": 0}, "in_channels, an integer >= 1"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        network(**options)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (None, "a torch.Tensor, received NoneType"),
        (torch.zeros(1, 12, 12), "a volume of 4 axes"),
        (torch.zeros(1, 1, 0, 12), "a volume of 4 axes"),
        (torch.zeros(1, 2, 12, 12), "a volume of 1 channels"),
        (torch.zeros(1, 1, 12, 12, dtype=torch.int32), "a volume of a floating-point dtype"),
    ],
)
def test_bad_inputs_are_refused(x: Any, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        network()(x)
