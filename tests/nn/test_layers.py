"""What the contract of layers cannot see: norms, dropout, pooling, grids, projections, types and error texts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import centred

GROUP = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3)
REGULAR, SCALAR = 2 * GROUP.regular, 2 * GROUP.scalar
BOTH = 2 * GROUP.scalar + 2 * GROUP.regular  # 8 channels, 4 fields


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


# Norms


def as_torch_sees_it(x: Tensor) -> Tensor:
    """The scales of each field of 2 regular ones as one more axis of space."""
    return x.unflatten(1, (2, 3))


def test_batch_norm_is_torchs_with_the_scales_as_an_axis_of_space() -> None:
    ours, theirs = nn.BatchNorm(REGULAR, momentum=0.3).double(), torch.nn.BatchNorm3d(2, momentum=0.3).double()
    for norm in (ours, theirs):
        torch.nn.init.constant_(norm.weight, 1.5)
        torch.nn.init.constant_(norm.bias, -0.5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = 3 + 2 * noise(4, 6, 7, 5)
    torch.testing.assert_close(as_torch_sees_it(ours(x)), theirs(as_torch_sees_it(x)))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(as_torch_sees_it(ours(x)), theirs(as_torch_sees_it(x)))


def test_batch_norm_without_running_statistics_is_torchs_too() -> None:
    ours = nn.BatchNorm(REGULAR, track_running_stats=False).double()
    theirs = torch.nn.BatchNorm3d(2, track_running_stats=False).double()
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight", "bias"]
    x = 3 + 2 * noise(4, 6, 7, 5)
    trained = ours(x)
    torch.testing.assert_close(as_torch_sees_it(trained), theirs(as_torch_sees_it(x)))
    torch.testing.assert_close(ours.eval()(x), trained)
    assert bool((nn.BatchNorm(REGULAR).double().eval()(x) - trained).abs().max() > 0.1)  # those of no batch yet
    assert ours.declared_error == math.inf
    assert repr(ours) == "BatchNorm(2*regular, track_running_stats=False)"


def test_statistics_of_each_scale_would_be_others() -> None:
    x = noise(4, 6, 7, 5) * torch.arange(1.0, 7).view(1, 6, 1, 1)
    shared, apart = nn.BatchNorm(REGULAR).double()(x), torch.nn.BatchNorm2d(6).double()(x)
    assert bool((shared - apart).abs().max() > 0.1)


def test_norms_of_single_samples_are_torchs_with_the_scales_as_further_samples() -> None:
    x = 3 + noise(4, 6, 7, 5) * torch.arange(1.0, 7).view(1, 6, 1, 1)

    def as_samples(x: Tensor) -> Tensor:  # (batch, fields * scales, …) to (batch * scales, fields, …)
        return x.unflatten(1, (2, 3)).transpose(1, 2).flatten(0, 1)

    instance = nn.InstanceNorm(REGULAR, eps=0.1).double()(x)
    torch.testing.assert_close(as_samples(instance), F.instance_norm(as_samples(x), eps=0.1))
    for groups in (1, 2):
        group = nn.GroupNorm(REGULAR, groups, eps=0.1).double()(x)
        torch.testing.assert_close(as_samples(group), F.group_norm(as_samples(x), groups, eps=0.1))
    together = F.instance_norm(as_torch_sees_it(x), eps=0.1)
    assert bool((as_torch_sees_it(instance) - together).abs().max() > 0.1)  # a strong scale would push the others down


def test_norms_of_mixed_types_have_one_weight_for_each_field() -> None:
    for norm in (nn.BatchNorm(BOTH), nn.InstanceNorm(BOTH, affine=True)):
        assert norm.weight.shape == (4,)
        with torch.no_grad():
            norm.weight.copy_(torch.arange(1.0, 5))
        y = norm.double()(noise(3, 8, 9, 9)).detach()
        deviations = [y[:, 0].std(), y[:, 1].std(), y[:, 2:5].std(), y[:, 5:].std()]
        torch.testing.assert_close(torch.stack(deviations), torch.arange(1.0, 5).double(), rtol=0.02, atol=0)


def test_batch_norm_of_one_value_is_refused() -> None:
    norm = nn.BatchNorm(1 * GROUP.scalar)
    with pytest.raises(ValueError, match="more than 1 value"):
        norm(torch.ones(1, 1, 1, 1))
    assert torch.isfinite(norm.eval()(torch.ones(1, 1, 1, 1))).all()


# Dropout


def test_dropout_drops_whole_fields_at_all_scales() -> None:
    torch.manual_seed(0)
    y = nn.Dropout(BOTH, p=0.5)(torch.ones(200, 8, 3, 3))
    fields = [y[:, :1], y[:, 1:2], y[:, 2:5], y[:, 5:]]
    kept = torch.stack([(field == 2).flatten(1).all(1) for field in fields], dim=1)
    gone = torch.stack([(field == 0).flatten(1).all(1) for field in fields], dim=1)
    assert bool((kept ^ gone).all())
    assert 0.4 < float(kept.float().mean()) < 0.6
    assert len(torch.unique(kept, dim=0)) == 16  # fields fall independently of each other


def test_torchs_dropout_of_channels_would_not() -> None:
    torch.manual_seed(0)
    y = torch.nn.Dropout2d(0.5)(torch.ones(200, 8, 3, 3))[:, 2:5].flatten(2).amax(2)
    assert not bool((y == y[:, :1]).all())


def test_dropout_keeps_the_mean_and_does_nothing_in_eval_mode() -> None:
    torch.manual_seed(0)
    drop = nn.Dropout(2 * GROUP.scalar, p=0.2)
    x = torch.ones(4000, 2, 1, 1)
    assert float(drop(x).mean()) == pytest.approx(1, abs=0.02)
    assert drop.eval()(x) is x
    assert nn.Dropout(2 * GROUP.scalar, p=0)(x) is x


# Activations and pointwise mixing


def test_pointwise_applies_any_function() -> None:
    x = noise(1, 6, 5, 5)
    assert torch.equal(nn.Pointwise(REGULAR, torch.nn.Tanh())(x), x.tanh())
    assert torch.equal(nn.Pointwise(REGULAR, torch.sin)(x), x.sin())
    assert torch.equal(nn.Pointwise(REGULAR)(x), F.silu(x))


@pytest.mark.parametrize("oversample", [2, 3])
def test_the_finer_grid_is_that_of_the_volume(oversample: int) -> None:
    """The identity on a finer grid is the identity, for what the grid can hold."""
    group = ScaleTranslationGroup(1, num_scales=1)
    x = torch.from_numpy(centred(64)).mul(1.2).cos()[None, None]
    same = nn.Pointwise(1 * group.regular, torch.nn.Identity(), oversample)(x)
    assert bool((same - x)[..., 18:-18].abs().max() < 1e-4)
    assert bool((same - x.roll(1, 2))[..., 18:-18].abs().max() > 0.5)


def test_oversampling_removes_what_the_grid_cannot_hold() -> None:
    """cos² holds twice the frequency, here beyond Nyquist: sampled, it comes back as another one."""
    group = ScaleTranslationGroup(1, num_scales=1)
    x = torch.from_numpy(centred(96)).mul(1.9).cos()[None, None]
    middle = slice(30, -30)
    plain, fine = (nn.Pointwise(1 * group.regular, torch.square, n)(x)[..., middle] for n in (1, 2))
    assert float(plain.std()) > 0.3
    assert float(fine.std()) < 0.05
    assert float(fine.mean()) == pytest.approx(0.5, abs=1e-2)


def test_linear_is_one_matrix_for_all_scales() -> None:
    linear = nn.Linear(2 * GROUP.regular, 3 * GROUP.regular).double()
    x = noise(2, 6, 4, 5)
    wanted = torch.einsum("oc,bcsxy->bosxy", linear.weight, x.unflatten(1, (2, 3)))
    torch.testing.assert_close(linear(x).unflatten(1, (3, 3)), wanted)
    with torch.no_grad():
        linear.bias.copy_(torch.arange(3.0))
    torch.testing.assert_close(linear(x).unflatten(1, (3, 3)), wanted + torch.arange(3.0).view(1, 3, 1, 1, 1))


def test_linear_maps_like_to_like() -> None:
    linear = nn.Linear(1 * GROUP.scalar + 1 * GROUP.regular + 1 * GROUP.scalar, 2 * GROUP.scalar + 1 * GROUP.regular)
    assert [tuple(w.shape) for w in linear.weights] == [(2, 2), (1, 1)]
    x = torch.zeros(1, 5, 2, 2)
    x[:, 1:4] = 1  # the regular field alone
    y = linear(x)
    assert not y[:, :2].any()
    assert y[:, 2:].any()


# Grids


@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_upsampling_to_any_size_of_a_grid(size: int, factor: int, data: st.DataObject) -> None:
    group = ScaleTranslationGroup(1, num_scales=1)
    up = nn.Upsample(1 * group.regular, factor)
    x = torch.ones(1, 1, size)
    fine = data.draw(st.integers(factor * (size - 1) + 1, factor * size))
    torch.testing.assert_close(up(x, output_size=(fine,)), torch.ones(1, 1, fine), rtol=0, atol=1e-3)
    with pytest.raises(ScaleGroupError, match=rf"an output_size that belongs to \({size},\), received"):
        up(x, output_size=(factor * size + 1,))


@pytest.mark.parametrize(("factor", "fine"), [(2, 40), (2, 39), (3, 60), (3, 59), (3, 58)])
def test_fine_grids_are_centred_on_the_coarse_one(factor: int, fine: int) -> None:
    group = ScaleTranslationGroup(1, num_scales=1)
    coarse = torch.from_numpy(centred(20, spacing=float(factor)))[None, None]
    y = nn.Upsample(1 * group.regular, factor)(coarse, output_size=(fine,))[0, 0]
    middle = slice(fine // 2 - 3, fine // 2 + 3)  # the sinc of a ramp is a ramp far from the border only
    torch.testing.assert_close(y[middle], torch.from_numpy(centred(fine))[middle], rtol=0, atol=0.02)


def test_pooling_blurs_each_scale_by_its_own_width() -> None:
    pool = nn.ScaleBlurPool(1 * GROUP.regular, stride=1, support=6.0).double()
    x = torch.zeros(1, 3, 81, 81, dtype=torch.float64)
    x[:, :, 40, 40] = 1
    y = pool(x)[0]
    torch.testing.assert_close(y.sum((1, 2)), torch.ones(3, dtype=torch.float64), rtol=1e-4, atol=0)
    squares = torch.from_numpy(centred(81) ** 2)
    widths = [math.sqrt(float((plane.sum(0) * squares).sum())) for plane in y]
    assert widths == pytest.approx([1, 2, 4], rel=1e-3)


def test_max_pooling_takes_the_maximum_over_cubes_of_each_scale() -> None:
    pool = nn.ScaleMaxPool(1 * GROUP.regular, radius=1.0, stride=1, sigma=0.2)  # a blur that is nearly none
    x = torch.zeros(1, 3, 21, 21)
    x[:, :, 10, 10] = 1
    areas = pool(x)[0].clamp(0, 1).sum((1, 2)).sqrt()
    torch.testing.assert_close(areas, torch.tensor([3.0, 5.0, 9.0]), rtol=0.05, atol=0)


def test_samples_outside_never_win_the_maximum() -> None:
    pool = nn.ScaleMaxPool(1 * GROUP.regular)
    torch.testing.assert_close(pool(-torch.ones(1, 3, 9, 9)), -torch.ones(1, 3, 5, 5), rtol=0, atol=1e-3)


def test_pooling_of_fields_without_scales_declares_no_bound() -> None:
    assert nn.ScaleBlurPool(REGULAR).declared_error < 1e-3
    assert nn.ScaleBlurPool(BOTH).declared_error == math.inf
    alone, together = nn.ScaleBlurPool(SCALAR).double(), nn.ScaleBlurPool(BOTH).double()
    x = noise(1, 8, 9, 9)
    torch.testing.assert_close(together(x)[:, :2], alone(x[:, :2]))


# Projections


def test_projections_are_what_they_say() -> None:
    x = noise(2, 6, 4, 4)
    fields = x.unflatten(1, (2, 3))
    taper = torch.tensor([0.25, 1.0, 0.25], dtype=torch.float64) / 1.5  # sin² of 30, 90 and 150 degrees
    wanted = {
        "max": fields.amax(2),
        "mean": fields.mean(2),
        "taper": (fields * taper.view(1, 1, 3, 1, 1)).sum(2),
        "logsumexp": fields.exp().mean(2).log(),
    }
    for mode, value in wanted.items():
        torch.testing.assert_close(nn.ScalePool(REGULAR, mode)(x), value, msg=mode)


def test_attention_is_the_mean_until_it_looks() -> None:
    pool = nn.ScalePool(REGULAR, "attention").double()
    x = noise(2, 6, 4, 4)
    with torch.no_grad():
        pool.scorer.zero_()
    torch.testing.assert_close(pool(x), x.unflatten(1, (2, 3)).mean(2))
    with torch.no_grad():
        pool.scorer.copy_(torch.tensor([1e6, 0.0]))  # the first field says which scale it is
    fields = x.unflatten(1, (2, 3))
    chosen = fields[:, :1].argmax(2, keepdim=True).expand(-1, 2, -1, -1, -1)
    torch.testing.assert_close(pool(x), fields.gather(2, chosen).squeeze(2))


# Sequential


def test_sequential_is_a_sequence() -> None:
    lift, norm = nn.GroupConv(SCALAR, REGULAR), nn.BatchNorm(REGULAR)
    net = nn.Sequential(lift, norm)
    assert len(net) == 2
    assert net[0] is lift
    assert net[-1] is norm
    assert net.declared_error == lift.declared_error
    assert (net.in_type, net.out_type) == (SCALAR, REGULAR)
    assert repr(net).startswith("Sequential(\n  (0): GroupConv(2*scalar -> 2*regular")


def test_declared_errors_add_up() -> None:
    layers = [nn.GroupConv(REGULAR, REGULAR), nn.Upsample(REGULAR), nn.Pointwise(REGULAR)]
    assert nn.Sequential(*layers).declared_error == pytest.approx(sum(layer.declared_error for layer in layers))
    assert nn.Sequential(*layers, nn.ScalePool(REGULAR)).declared_error == math.inf


# Errors


CHARACTER = 1 * GROUP.character(1.0)
ONE_SCALE = ScaleTranslationGroup(2, 2.0, 1)
NOT_A_TYPE = "a FieldType as .* received 'regular'"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: nn.Linear("regular", REGULAR), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.BatchNorm("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.InstanceNorm("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.GroupNorm("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.Pointwise("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.Dropout("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.ScaleBlurPool("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.ScaleMaxPool("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.ScalePool("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.Upsample("regular"), FieldTypeError, NOT_A_TYPE),
        (lambda: nn.BatchNorm(CHARACTER), FieldTypeError, r"without a weight, received 1\*character\(1.0\)"),
        (lambda: nn.Pointwise(CHARACTER), FieldTypeError, "scalar and regular fields, .*an activation would break"),
        (lambda: nn.ScalePool(BOTH), FieldTypeError, r"on the scales, received 2\*scalar \+ 2\*regular"),
        (lambda: nn.GroupNorm(BOTH), FieldTypeError, "fields of one representation"),
        (lambda: nn.GroupNorm(REGULAR, 3), ScaleGroupError, "num_groups that divides 2 fields, received 3"),
        (lambda: nn.GroupNorm(REGULAR, 0), ScaleGroupError, "num_groups .* received 0"),
        (lambda: nn.BatchNorm(REGULAR, eps=0), ScaleGroupError, "eps, a positive number, received 0"),
        (lambda: nn.InstanceNorm(REGULAR, eps=True), ScaleGroupError, "eps, a positive number, received True"),
        (lambda: nn.BatchNorm(REGULAR, momentum=0), ScaleGroupError, r"momentum in \(0, 1\], received 0"),
        (lambda: nn.BatchNorm(REGULAR, momentum=1.5), ScaleGroupError, r"momentum in \(0, 1\], received 1.5"),
        (lambda: nn.Dropout(REGULAR, p=1.0), ScaleGroupError, r"a probability in \[0, 1\), received 1.0"),
        (lambda: nn.Dropout(REGULAR, p=-0.1), ScaleGroupError, r"a probability in \[0, 1\), received -0.1"),
        (lambda: nn.Pointwise(REGULAR, oversample=0), ScaleGroupError, "oversample, an integer >= 1, received 0"),
        (lambda: nn.Pointwise(REGULAR, padding_mode="edge"), ScaleGroupError, "padding_mode out of .* received 'edge'"),
        (lambda: nn.Upsample(REGULAR, 0), ScaleGroupError, "factor, an integer >= 1, received 0"),
        (lambda: nn.Upsample(REGULAR, padding_mode="edge"), ScaleGroupError, "padding_mode out of"),
        (lambda: nn.ScaleBlurPool(REGULAR, stride=-1), ScaleGroupError, "stride: a positive integer"),
        (lambda: nn.ScaleBlurPool(REGULAR, sigma=math.inf), ScaleGroupError, "sigma: a positive number, received inf"),
        (
            lambda: nn.ScaleMaxPool(REGULAR, radius=0),
            ScaleGroupError,
            "radius, a positive number of samples, received 0",
        ),
        (lambda: nn.ScalePool(REGULAR, "median"), ScaleGroupError, "mode out of .*attention.* received 'median'"),
        (lambda: nn.Sequential(), FieldTypeError, "at least one layer, received none"),
        (lambda: nn.Sequential(torch.nn.ReLU()), FieldTypeError, "an EquivariantModule as layer 0, received ReLU"),
        (lambda: nn.Sequential(nn.BatchNorm(REGULAR), torch.nn.ReLU()), FieldTypeError, "layer 1, received ReLU"),
        (
            lambda: nn.Sequential(nn.ScalePool(REGULAR), nn.BatchNorm(REGULAR)),
            FieldTypeError,
            r"2\*scalar as in_type of layer 1 \(BatchNorm\), received 2\*regular",
        ),
        (
            lambda: nn.Sequential(nn.BatchNorm(REGULAR), nn.BatchNorm(REGULAR.with_group(GROUP.window(2)))),
            FieldTypeError,
            r"num_scales=3\)'?\) as in_type of layer 1 .* num_scales=2\)",
        ),
        (
            lambda: nn.EquivariantModule(REGULAR, SCALAR.with_group(ScaleTranslationGroup(3))),
            FieldTypeError,
            "with the group",
        ),
    ],
)
def test_wrong_arguments(make: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        make()


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (torch.zeros(1, 5, 4, 4), "BatchNorm input of 6 channels, received 5 in (1, 5, 4, 4)"),
        (torch.zeros(1, 6, 4), "BatchNorm input of 4 axes (batch, channels, *space), received (1, 6, 4)"),
        (torch.zeros(1, 6, 4, 4, dtype=torch.int32), "BatchNorm input of a floating-point dtype, received torch.int32"),
        (torch.zeros(1, 6, 4, 4).double(), "BatchNorm input of dtype torch.float32, received torch.float64"),
    ],
)
def test_wrong_inputs(x: Tensor, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=re.escape(text)):
        nn.BatchNorm(REGULAR)(x)
