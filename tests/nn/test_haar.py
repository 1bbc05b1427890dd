"""Layers on fields with a grid for each scale: adjoints, free kernels, windows, lifting and projection."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.haar import haar_grids
from scalegroup.nn.module import Samples, grids, group_of
from scalegroup.testing import Blobs, centred

GROUP = ScaleTranslationGroup(dim=2, base=2**0.5, num_scales=4, sampling="haar")
FIELD = 2 * GROUP.regular
CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
STRIDED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def noise(field: FieldType, size: int = 13, divisor: int = 4, seed: int = 1) -> tuple[Tensor, ...]:
    """White noise on the grids over a volume of so many voxels."""
    group, generator = group_of(field), torch.Generator().manual_seed(seed)
    places = haar_grids(group.scales, (size,) * group.dim, divisor=divisor)
    return tuple(
        torch.randn(2, field.num_fields, *grid.sizes, generator=generator, dtype=torch.float64) for grid in places
    )


def dot(x: Samples, y: Samples, scales: tuple[float, ...], dim: int) -> float:
    """The inner product by the measure of volume: a sample of scale s stands for s^dim voxels."""
    return float(sum(s**dim * (a * b).detach().sum() for s, a, b in zip(scales, grids(x), grids(y), strict=True)))


def close(x: Samples, y: Samples, **tolerance: float) -> None:
    assert len(grids(x)) == len(grids(y))
    for a, b in zip(grids(x), grids(y), strict=True):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 1e-9, "atol": 1e-11}))


# To and from the grids


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("padding_mode", ["zeros", "replicate", "circular"])
@pytest.mark.parametrize("first", [0, -1])
def test_to_uniform_is_the_adjoint_of_to_haar(dim: int, padding_mode: str, first: int) -> None:
    """`Σ_s s^d <ToHaar F, y>_s = Σ_s <F, ToUniform y>_s`."""
    group = ScaleTranslationGroup(dim, 2**0.5, 3, first=first)
    there = nn.ToHaar(2 * group.regular, padding_mode=padding_mode)
    back = nn.ToUniform(there.out_type, padding_mode=padding_mode)
    x = torch.randn(1, 6, *(11, 8, 6)[:dim], dtype=torch.float64)
    z = there(x)
    y = tuple(torch.randn_like(part) for part in z)
    weights = group.scales
    if padding_mode == "circular":  # grids that tile the period have a distance of their own
        weights = tuple(float(x[0, 0].numel() / part[0, 0].numel()) ** (1 / dim) for part in z)
    found = float((x * back(y, output_size=x.shape[2:])).sum())
    assert found == pytest.approx(dot(z, y, weights, dim), rel=1e-9, abs=1e-9)
    assert found != pytest.approx(dot(z, y, (1.0,) * 3, dim), rel=1e-3)


@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_there_and_back_keeps_what_is_smooth(sigma: float) -> None:
    field = 1 * ScaleTranslationGroup(1, 2**0.5, 3).regular
    there = nn.ToHaar(field, sigma)
    x = torch.cos(0.1 * torch.arange(81.0, dtype=torch.float64) + torch.tensor([[0.0], [1.0], [2.0]]))[None]
    y = nn.ToUniform(there.out_type, sigma)(there(x), output_size=(81,))
    damping = torch.exp(-(0.1**2) * (sigma * torch.tensor(field.group.scales, dtype=torch.float64)) ** 2)
    torch.testing.assert_close(y[0, :, 25:-25], (damping[:, None] * x[0])[:, 25:-25], rtol=0, atol=1e-4)


def test_one_sample_in_a_grid_is_a_gaussian_on_the_voxels() -> None:
    haar = ScaleTranslationGroup(1, 2.0, 2, sampling="haar").regular
    y = torch.zeros(1, 1, 21, dtype=torch.float64), torch.zeros(1, 1, 11, dtype=torch.float64)
    y[1][0, 0, 5] = 1.0
    found = nn.ToUniform(1 * haar)(y, output_size=(21,))[0, 1]
    wanted = torch.exp(-0.5 * (torch.arange(-10.0, 11.0, dtype=torch.float64) / 2) ** 2)
    torch.testing.assert_close(found, 2 * wanted / wanted.sum(), rtol=0, atol=1e-4)


def test_lifting_in_millimetres_meets_the_same_arrays() -> None:
    """A scan of half the voxel size, lifted with spacing=1/2, gives what the coarser one gives."""
    lift = nn.HaarLift(1 * GROUP.scalar, divisor=2).double()
    points = torch.arange(-30.0, 31.0, dtype=torch.float64)
    coarse, fine = points, torch.arange(-61.0, 61.5, dtype=torch.float64) / 2
    f = [torch.exp(-0.02 * (p[:, None] ** 2 + (p[None] - 3) ** 2))[None, None] for p in (coarse, fine)]
    one, two = lift(f[0]), lift(f[1], spacing=0.5)
    for a, b in zip(one, two, strict=True):
        n = (b.shape[2] - a.shape[2]) // 2
        inside = b[..., n:-n, n:-n] if n else b
        torch.testing.assert_close(a[..., 6:-6, 6:-6], inside[..., 6:-6, 6:-6], rtol=0, atol=1e-4)
    assert lift(f[1])[0].shape != one[0].shape


def test_a_window_moved_by_a_step_is_the_same_grids() -> None:
    lift = nn.HaarLift(1 * GROUP.scalar, divisor=4).double()
    x = torch.randn(1, 1, 20, 17, dtype=torch.float64)
    moved = nn.with_window(lift, first=-1)
    close(moved(x)[1:], lift(x)[:-1])


# Adjoints


@pytest.mark.parametrize("options", [{}, {"basis": "free"}, {"basis": "free", "kernel_size": 5}, {"order": 1}])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("scale_extent", [1, 2])
@pytest.mark.parametrize("scale_padding", ["zeros", "replicate"])
def test_the_transpose_is_the_adjoint(options: Any, stride: int, scale_extent: int, scale_padding: str) -> None:
    """By the measure: each sample of scale s stands for s^d voxels."""
    options = {**options, "stride": stride, "scale_extent": scale_extent, "scale_padding": scale_padding, "bias": False}
    down = nn.GroupConv(FIELD, 3 * GROUP.regular, **options).double()
    up = nn.GroupConvTranspose(3 * GROUP.regular, FIELD, **options).double()
    with torch.no_grad():
        up.weight.copy_(down.weight.transpose(0, 1))  # type: ignore[operator]
    x = noise(FIELD, size=29)
    z = down(x)
    y = tuple(torch.randn_like(part) for part in z)
    back = up(y, output_size=[part.shape[2:] for part in x])

    def difference(scales: tuple[float, ...]) -> float:
        size = (dot(z, z, scales, 2) * dot(y, y, scales, 2)) ** 0.5
        return abs(dot(z, y, scales, 2) - dot(x, back, scales, 2)) / size

    # Between grids, resampling is the adjoint of resampling up to the normalisation of its rows.
    assert difference(GROUP.scales) < (1e-12 if scale_extent == 1 else 1e-6)
    if scale_extent > 1:  # the negative twin: without the measure
        assert difference((1.0,) * 4) > 1e-4


# Free kernels


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_free_kernels_are_those_of_torch(dim: int, kernel_size: int, stride: int) -> None:
    group = ScaleTranslationGroup(dim, num_scales=2, sampling="haar")
    field = 2 * group.regular
    conv = nn.GroupConv(field, 3 * group.regular, basis="free", kernel_size=kernel_size, stride=stride).double()
    torch.nn.init.normal_(conv.bias)  # type: ignore[arg-type]
    x = noise(field, size=9, divisor=2)
    kernel = conv.weight.squeeze(2).unflatten(2, (kernel_size,) * dim)  # type: ignore[operator]
    wanted = tuple(
        CONVOLUTIONS[dim - 1](part, kernel, conv.bias, stride=stride, padding=kernel_size // 2) for part in x
    )
    close(conv(x), wanted)


@pytest.mark.parametrize("n", [8, 9, 11, 12])
def test_so_they_are_on_grids_that_no_lifting_makes(n: int) -> None:
    """Of even sizes, where a stride has no sample in the middle."""
    field = 1 * ScaleTranslationGroup(1, num_scales=1, sampling="haar").regular
    conv = nn.GroupConv(field, field, basis="free", stride=2, bias=False).double()
    x = torch.randn(1, 1, n, dtype=torch.float64)
    close(conv((x,)), (F.conv1d(x, conv.weight.squeeze(2), stride=2, padding=1),))  # type: ignore[operator]


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_free_transposed_kernels_are_those_of_torch(dim: int) -> None:
    group = ScaleTranslationGroup(dim, num_scales=2, sampling="haar")
    field = 2 * group.regular
    up = nn.GroupConvTranspose(field, 3 * group.regular, basis="free", stride=2, bias=False).double()
    x = noise(field, size=5, divisor=1)
    kernel = up.weight.squeeze(2).unflatten(2, (3,) * dim).transpose(0, 1)  # type: ignore[operator]
    wanted = tuple(STRIDED[dim - 1](part, kernel, stride=2, padding=1) for part in x)
    close(up(x), wanted)


def test_the_weights_of_free_kernels_keep_the_variance() -> None:
    torch.manual_seed(0)
    conv = nn.GroupConv(16 * GROUP.regular, 16 * GROUP.regular, basis="free")
    x = tuple(torch.randn(1, 16, 33, 33) for _ in GROUP.scales)
    for part in nn.each(Tensor.detach, conv(x)):
        assert 0.7 < float(part[..., 2:-2, 2:-2].std()) < 1.4


@pytest.mark.parametrize("layer", [nn.GroupConv, nn.GroupConvTranspose])
@pytest.mark.parametrize("scale_extent", [1, 2])
def test_engine_methods_agree(layer: Any, scale_extent: int) -> None:
    dense = layer(FIELD, FIELD, stride=2, scale_extent=scale_extent, method="dense").double()
    separable = layer(FIELD, FIELD, stride=2, scale_extent=scale_extent, method="separable").double()
    separable.load_state_dict(dense.state_dict())
    x = noise(FIELD)
    close(dense(x), separable(x))


def test_interscale_kernels_read_the_coarser_grid() -> None:
    """The second term alone: the next scale, brought to the grid of this one and convolved there."""
    group = ScaleTranslationGroup(1, 2.0, 2, sampling="haar")
    field = 1 * group.regular
    conv = nn.GroupConv(field, field, basis="free", scale_extent=2, bias=False).double()
    with torch.no_grad():
        conv.weight[:, :, 0] = 0  # type: ignore[index]
        conv.weight[:, :, 1] = torch.tensor([0.0, 1.0, 0.0])  # type: ignore[index]
    fine, coarse = (
        torch.cos(0.3 * s * (torch.arange(n, dtype=torch.float64) - (n - 1) / 2))[None, None]
        for s, n in ((1, 61), (2, 31))
    )
    y = conv((torch.zeros_like(fine), coarse))
    torch.testing.assert_close(y[0][..., 20:-20], fine[..., 20:-20], rtol=0, atol=1e-4)
    assert not y[1].any()  # beyond the window there are zeros


# Norms and dropout


def test_batch_norm_shares_its_statistics() -> None:
    x = tuple(3 + (k + 1) * part for k, part in enumerate(noise(FIELD)))
    together = torch.cat([part.flatten(2) for part in x], dim=2)
    norm = nn.BatchNorm(FIELD, momentum=1.0).double().train()
    wanted = F.batch_norm(together, None, None, training=True)
    found = norm(x)
    torch.testing.assert_close(torch.cat([part.flatten(2) for part in found], dim=2), wanted)
    torch.testing.assert_close(norm.running_mean, together.mean((0, 2)))


def test_instance_norm_takes_each_grid_by_itself() -> None:
    x = tuple(3 + (k + 1) * part for k, part in enumerate(noise(FIELD)))
    for found, part in zip(nn.InstanceNorm(FIELD).double()(x), x, strict=True):
        torch.testing.assert_close(found, F.instance_norm(part))


def test_dropout_drops_a_field_on_all_grids() -> None:
    field = 40 * GROUP.regular
    y = nn.Dropout(field, 0.5).train()(tuple(torch.ones(2, 40, n, n) for n in (9, 7, 5, 3)))
    kept = [part[:, :, 0, 0] > 0 for part in y]
    assert 10 < int(kept[0].sum()) < 70
    for part, mask in zip(y, kept, strict=True):
        assert torch.equal(mask, kept[0])
        assert torch.equal(part, 2 * mask[:, :, None, None].expand(part.shape).float())


# Windows


def network(scale_extent: int = 1, scale_padding: str = "zeros", basis: str | None = "free") -> nn.Sequential:
    """Lifting, norm, activation, two strided layers and one that goes back, in float64 and eval mode."""
    torch.manual_seed(0)
    mix = nn.GroupConv(FIELD, FIELD, scale_extent=scale_extent, scale_padding=scale_padding, basis=basis)
    after = mix.out_type
    net = nn.Sequential(
        nn.GroupConv(1 * GROUP.scalar, FIELD, divisor=4, basis=basis),
        nn.BatchNorm(FIELD),
        nn.Pointwise(FIELD, torch.nn.ReLU()),
        mix,
        nn.ScaleMaxPool(after),
        nn.GroupConv(after, after, stride=2, basis=basis),
        nn.GroupConvTranspose(after, after, stride=2, basis=basis),
        nn.Upsample(after),
        nn.Linear(after, 3 * after),
    ).double()
    net(image())
    return net.eval()


def image() -> Tensor:
    return torch.randn(2, 1, 14, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("count", "first"), [(6, 0), (6, -1), (3, 1), (4, -2), (1, 2)])
def test_another_window_has_the_same_values_on_the_scales_that_both_have(count: int, first: int) -> None:
    net = network()
    other = nn.with_window(net, num_scales=count, first=first)
    old, new = net(image()), other(image())
    assert len(new) == count
    shared = range(max(0, first), min(4, first + count))
    assert len(shared) > 0
    for step in shared:
        torch.testing.assert_close(new[step - first], old[step], rtol=0, atol=1e-12)


def test_layers_that_narrow_the_window_move_with_it() -> None:
    net = network(scale_extent=2, scale_padding="valid")
    assert len(net(image())) == 3
    wide = nn.with_window(net, num_scales=6)
    close(wide(image())[:3], net(image()))


@pytest.mark.parametrize(("start", "count"), [(0, 4), (0, 2), (1, 3), (3, 1)])
@pytest.mark.parametrize("scale_extent", [1, 2])
@pytest.mark.parametrize("basis", ["free", None])
def test_a_run_is_the_network_on_that_window(start: int, count: int, scale_extent: int, basis: str | None) -> None:
    net = network(scale_extent, basis=basis)
    wanted = nn.with_window(net, num_scales=count, first=start)(image())
    with nn.run_of_scales(net, start, count):
        close(net(image()), wanted)
    assert len(net(image())) == 4


@pytest.mark.parametrize("projection", ["max", "mean", "taper", "logsumexp", "attention", "conv"])
def test_projections_of_a_run(projection: str) -> None:
    torch.manual_seed(0)
    last = nn.GroupConv(FIELD, 1 * GROUP.scalar) if projection == "conv" else nn.ScalePool(FIELD, projection)
    net = nn.Sequential(nn.GroupConv(1 * GROUP.scalar, FIELD, basis="free"), last).double()
    wanted = nn.with_window(net, num_scales=3, first=1)(image(), output_size=(14, 13))
    with nn.run_of_scales(net, 1, 3):
        close(net(image(), output_size=(14, 13)), wanted)
    assert bool((net(image(), output_size=(14, 13)) - wanted).abs().max() > 1e-2)


def test_to_uniform_and_to_haar_on_a_run() -> None:
    uniform = 2 * GROUP.window(sampling="uniform").regular
    net = nn.Sequential(nn.ToHaar(uniform), nn.ToUniform(FIELD)).double()
    x = torch.randn(1, 8, 9, 9, dtype=torch.float64)
    part = x.unflatten(1, (2, 4))[:, :, 1:3].flatten(1, 2)
    wanted = net(x, output_size=(9, 9)).unflatten(1, (2, 4))[:, :, 1:3].flatten(1, 2)
    with nn.run_of_scales(net, 1, 2):
        close(net(part, output_size=(9, 9)), wanted)


@pytest.mark.parametrize("basis", ["free", None])
def test_frozen_networks(basis: str | None) -> None:
    net = network(scale_extent=2, basis=basis)
    frozen = nn.freeze(net)
    close(frozen(image()), net(image()))
    other = torch.randn(1, 1, 20, 21, dtype=torch.float64)
    close(frozen(other), net(other))
    with nn.run_of_scales(net, 1, 2), nn.run_of_scales(frozen, 1, 2):
        close(frozen(image()), net(image()))


def test_the_default_voxels_are_those_under_the_grid_of_scale_one() -> None:
    pool = nn.ScalePool(FIELD)
    assert pool(noise(FIELD, 14)).shape == (2, 2, 17, 17)
    assert pool(noise(FIELD, 14), output_size=(14, 13)).shape == (2, 2, 14, 13)
    finer = 2 * GROUP.window(first=-4).regular
    assert nn.ScalePool(finer)(noise(finer, 14)).shape == (2, 2, 18, 18)  # 25 samples of 0.707 voxels


def test_each_is_for_both_kinds() -> None:
    x, y = noise(FIELD), noise(FIELD, seed=2)
    close(nn.each(torch.add, x, y), tuple(a + b for a, b in zip(x, y, strict=True)))
    torch.testing.assert_close(nn.each(torch.add, x[0], y[0]), x[0] + y[0])
    with pytest.raises(ValueError, match="zip"):
        nn.each(torch.add, x, y[:2])


@pytest.mark.parametrize("stride", [(2, 3), (3, 1)])
def test_a_lifting_with_strides_of_its_own_is_aligned(stride: tuple[int, int]) -> None:
    """A volume and its dilation by the base 2 give the same arrays, one scale apart."""
    group = ScaleTranslationGroup(dim=2, base=2, num_scales=3, sampling="haar")
    conv = nn.GroupConv(1 * group.scalar, 1 * group.regular, basis="free", stride=stride, bias=False).double()
    fine, coarse = Blobs.random(1 * group.scalar, 6.0, (3.0, 4.0)), [centred(70)] * 2
    y, z = conv(fine.sample(coarse)), conv(fine.act(2.0).sample(coarse))
    for k in range(2):
        common = [min(n, m) // 2 for n, m in zip(y[k].shape[2:], z[k + 1].shape[2:], strict=True)]
        a, b = (
            part[:, :, *[slice((n - c) // 2, (n + c) // 2) for n, c in zip(part.shape[2:], common, strict=True)]]
            for part in (y[k], z[k + 1])
        )
        assert float(((a - b).norm() / a.norm()).detach()) < 1e-3  # .18 and .4 where only the larger stride counts


def test_resampling_is_exact_under_autocast() -> None:
    lift, x = nn.HaarLift(1 * GROUP.scalar), torch.randn(1, 1, 13, 13)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = lift(x)
    close(y, lift(x))
    half = lift(x.bfloat16())
    assert all(part.dtype == torch.bfloat16 for part in half)


def test_a_transposed_projection_takes_the_voxels() -> None:
    conv = nn.GroupConvTranspose(FIELD, 1 * GROUP.scalar).double()
    assert conv(noise(FIELD), output_size=(12, 13)).shape == (2, 1, 12, 13)


@pytest.mark.parametrize("group", [GROUP, GROUP.window(sampling="uniform")])
def test_compiled_for_volumes_of_several_sizes(group: ScaleTranslationGroup) -> None:
    image, hidden = 1 * group.scalar, 2 * group.regular
    net = nn.Sequential(nn.GroupConv(image, hidden, padding_mode="replicate"), nn.ScalePool(hidden))
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager")
    for size in ((9, 9), (11, 12), (14, 10)):
        x = torch.randn(1, 1, *size)
        torch.testing.assert_close(compiled(x), net(x))
