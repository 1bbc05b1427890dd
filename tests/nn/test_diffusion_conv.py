"""Group convolution on positions and q-space: equivariance in p, in q and jointly, and what does not matter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.groups import DiffusionGroup
from scalegroup.nn import (
    BatchNorm,
    DiffusionGroupConv,
    EquivariantModule,
    GroupConv,
    Pointwise,
    ScaleBlurPool,
    Sequential,
    diffusion_contraction,
    diffusion_conv,
    each_q,
)
from scalegroup.testing import Tissue, diffusion_error, gradients

ACTS_ON = ("p", "q", "joint")


def group_of(acts_on: str, dim: int = 2, num_scales: int = 3, **options: Any) -> DiffusionGroup:
    return DiffusionGroup(acts_on, dim=dim, base=2.0, num_scales=num_scales, **options)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Chain(EquivariantModule):
    """A lifting, norm and activation at each sample, and a convolution that mixes neighbouring scales."""

    def __init__(self, group: DiffusionGroup, **options: Any) -> None:
        inner = 2 * group.regular
        super().__init__(1 * group.scalar, inner)
        self.lift = DiffusionGroupConv(1 * group.scalar, inner)
        self.rest = Sequential(BatchNorm(inner), Pointwise(inner))
        self.conv = DiffusionGroupConv(inner, inner, **options)
        self.out_type = self.conv.out_type

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        y: Tensor = self.conv(each_q(self.rest, self.lift(x, q)), q)
        return y


# Dilations


@pytest.mark.parametrize("acts_on", ACTS_ON)
@pytest.mark.parametrize("dim", [1, 2])
def test_dilations(acts_on: str, dim: int) -> None:
    group = group_of(acts_on, dim)
    layer = DiffusionGroupConv(1 * group.scalar, 3 * group.regular)
    error, idle = diffusion_error(layer, group.element(s=2.0))
    assert error < max(3 * layer.declared_error, 1e-12)
    assert layer.declared_error == 0 if acts_on == "q" else 1e-5 < layer.declared_error < 1e-3
    assert idle > 0.1


@pytest.mark.parametrize("acts_on", ACTS_ON)
def test_kernels_that_are_a_point_in_p_are_exact(acts_on: str) -> None:
    group = group_of(acts_on)
    layer = DiffusionGroupConv(1 * group.scalar, 3 * group.regular, sigma=None, order=4)
    assert layer.declared_error == 0
    error, idle = diffusion_error(layer, group.element(s=2.0))
    assert error < 1e-12
    assert idle > 0.1 if acts_on != "p" else idle < 1e-12  # then all scales are alike
    x, q = noise(1, 1, 5, 6, 6), gradients(4, 2)
    y = layer.double()(x, q)
    x[..., 3, 3] += 1.0
    changed = (layer(x, q) - y).abs().amax(dim=(0, 1, 2))
    assert changed[3, 3] > 0.1
    changed[3, 3] = 0.0
    assert changed.max() < 1e-12  # no other position sees it


def test_dilations_in_three_dimensions() -> None:
    group = group_of("joint", 3, num_scales=2)
    layer = DiffusionGroupConv(1 * group.scalar, 1 * group.regular)
    assert diffusion_error(layer, group.element(s=2.0), tissue=Tissue.random(3, spread=1.0), size=15)[0] < 2e-3


@pytest.mark.parametrize("acts_on", ACTS_ON)
def test_dilations_of_two_layers(acts_on: str) -> None:
    group = group_of(acts_on, dim=1, num_scales=4)
    layer = Chain(group, scale_extent=2, scale_padding="valid")
    narrow = group_of(acts_on, dim=1, num_scales=3)
    assert layer.out_type.group == narrow
    error, idle = diffusion_error(layer, narrow.element(s=2.0), size=129)  # kernels stay inside
    assert error < (1e-12 if acts_on == "q" else 2e-3)
    assert idle > 0.1


@pytest.mark.parametrize("acts_on", ["q", "joint"])
def test_it_matters_where_the_samples_move(acts_on: str) -> None:
    group = group_of(acts_on)
    layer = DiffusionGroupConv(1 * group.scalar, 3 * group.regular)
    g, q = group.element(s=2.0), gradients(8, 2)
    for wrong in (q, torch.as_tensor((~g).act_q(q)), torch.as_tensor(g.act_q(g.act_q(q)))):
        assert diffusion_error(layer, g, q=q, moved_q=wrong)[0] > 0.05


@pytest.mark.parametrize("acts_on", ACTS_ON)
@pytest.mark.parametrize("other", ACTS_ON)
def test_it_matters_what_the_group_acts_on(acts_on: str, other: str) -> None:
    group = group_of(acts_on)
    layer = DiffusionGroupConv(1 * group_of(other).scalar, 3 * group_of(other).regular)
    error = diffusion_error(_Labelled(layer, group), group.element(s=2.0))[0]
    assert error < 1e-3 if other == acts_on else error > 0.05


class _Labelled(torch.nn.Module):
    """The kernels of one group under the name of another."""

    def __init__(self, layer: DiffusionGroupConv, group: DiffusionGroup) -> None:
        super().__init__()
        self.layer, self.out_type = layer, layer.out_type.with_group(group)

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        y: Tensor = self.layer(x, q)
        return y


def test_a_dense_set_of_samples_need_not_move() -> None:
    """Another diffusivity on the same samples: the sum over them is close to the integral."""
    group = DiffusionGroup("q", dim=1, base=2.0, num_scales=2)
    layer = DiffusionGroupConv(1 * group.scalar, 2 * group.regular, q_sigma=0.5).double()
    g, tissue, places = group.element(s=2.0), Tissue.random(1), torch.tensor([[0.0], [0.4], [-0.9]])
    errors = []
    for count in (21, 41):
        q = torch.linspace(-8, 8, count, dtype=torch.float64)[:, None]
        with torch.no_grad():
            still = layer(tissue.sample(17, q), q, places)
            moved = layer(tissue.act(g).sample(17, q), q, torch.as_tensor(g.act_q(places)))
        difference = moved[:, 1::2] - still[:, 0::2]
        errors.append(float(difference.norm() / still[:, 0::2].norm()))
    assert errors[1] < 1e-3
    assert errors[0] > 3 * errors[1]


class _Pooled(EquivariantModule):
    """A lifting, and layers of the grid at each sample of q-space: a convolution and a pooling."""

    def __init__(self, group: DiffusionGroup) -> None:
        inner = 2 * group.regular
        super().__init__(1 * group.scalar, inner)
        self.lift = DiffusionGroupConv(1 * group.scalar, inner)
        self.conv, self.pool = GroupConv(inner, inner), ScaleBlurPool(inner, stride=1)

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        return each_q(self.pool, each_q(self.conv, self.lift(x, q)))


@pytest.mark.parametrize("acts_on", ACTS_ON)
def test_layers_of_the_grid_are_as_wide_as_the_group_makes_them(acts_on: str) -> None:
    group = group_of(acts_on, dim=1)
    layer = _Pooled(group)
    error, idle = diffusion_error(layer, group.element(s=2.0), size=129)
    assert error < (1e-12 if acts_on == "q" else 2e-3)
    assert idle > 0.05
    widths = [taps[0].sigma for taps in layer.conv.taps]
    assert widths == ([1.0] * 3 if acts_on == "q" else [1.0, 2.0, 4.0])


# Rotations


@pytest.mark.parametrize("acts_on", ACTS_ON)
def test_rotations_of_the_grid_are_exact(acts_on: str) -> None:
    group = group_of(acts_on, 3, num_scales=2, rotations="octahedral")
    fields = 2 * group.regular + 1 * group.irrep("T1") + 1 * group.irrep("E") + 1 * group.quotient()
    layer = DiffusionGroupConv(1 * group.scalar, fields, order=3)
    for k in group.rotations.generators:
        g, q = group.element(k=k), gradients(5)
        error, idle = diffusion_error(layer, g, q=q, size=7)
        assert error < 1e-12
        assert idle > 0.1
        assert diffusion_error(layer, g, q=q, moved_q=q, size=7)[0] > 0.1  # gradients have to turn along


def test_rotations_between_turning_fields() -> None:
    group = group_of("joint", 2, num_scales=2, rotations="c4")
    field = 1 * group.regular + 1 * group.quotient()
    chain = _Two(1 * group.scalar, field, field)
    error, idle = diffusion_error(chain, group.element(k=group.rotations.generators[0]), size=11)
    assert error < 1e-12
    assert idle > 0.1
    error, idle = diffusion_error(chain, group.element(k=group.rotations.generators[0], s=2.0), size=81)
    assert error < 5e-3
    assert idle > 0.1


class _Two(EquivariantModule):
    def __init__(self, first: FieldType, inner: FieldType, last: FieldType) -> None:
        super().__init__(first, last)
        self.a = DiffusionGroupConv(first, inner, sigma=1.4)
        self.b = DiffusionGroupConv(inner, last, sigma=1.4)

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        y: Tensor = self.b((0.1 * self.a(x, q)).tanh(), q)  # smooth, where it is not saturated
        return y


# Samples of q-space


@pytest.fixture(params=ACTS_ON)
def case(request: pytest.FixtureRequest) -> tuple[DiffusionGroupConv, Tensor, Tensor]:
    group = group_of(request.param)
    layer = DiffusionGroupConv(2 * group.scalar, 3 * group.regular).double()
    q = gradients(6, 2)
    return layer, noise(1, 2, 7, 9, 8), q


def test_the_order_of_the_gradients_is_irrelevant(case: tuple[DiffusionGroupConv, Tensor, Tensor]) -> None:
    layer, x, q = case
    order = torch.tensor([3, 0, 6, 5, 1, 2, 4])
    y = layer(x, q)
    torch.testing.assert_close(layer(x[:, :, order], q[order]), y[:, :, order], rtol=0, atol=1e-12)
    assert (layer(x[:, :, order], q) - y[:, :, order]).abs().max() > 0.01
    gathered = layer(x, q, torch.zeros(1, 2))
    torch.testing.assert_close(layer(x[:, :, order], q[order], torch.zeros(1, 2)), gathered, rtol=0, atol=1e-12)


def test_the_signs_of_the_gradients_are_irrelevant(case: tuple[DiffusionGroupConv, Tensor, Tensor]) -> None:
    layer, x, q = case
    flipped = q * torch.tensor([1, -1, 1, -1, -1, 1, 1])[:, None]
    torch.testing.assert_close(layer(x, flipped), layer(x, q), rtol=0, atol=1e-12)
    directed = DiffusionGroupConv(layer.in_type, layer.out_type, antipodal=False).double()
    assert (directed(x, flipped) - directed(x, q)).abs().max() > 0.01


def test_one_set_for_the_batch_or_one_for_each(case: tuple[DiffusionGroupConv, Tensor, Tensor]) -> None:
    layer, x, q = case
    other = gradients(6, 2, seed=1)
    both = layer(torch.cat([x, x]), torch.stack([q, other]))
    torch.testing.assert_close(both[:1], layer(x, q), rtol=0, atol=1e-12)
    torch.testing.assert_close(both[1:], layer(x, other), rtol=0, atol=1e-12)
    assert (both[0] - both[1]).abs().max() > 0.01


def test_more_gradients_converge() -> None:
    """The responses of the same weights to ever denser sets of gradients on one shell."""
    group = DiffusionGroup("p", dim=2, num_scales=2)
    layer = DiffusionGroupConv(1 * group.scalar, 2 * group.regular).double()
    tissue, places = Tissue.random(2), torch.tensor([[0.0, 0.0], [0.6, 0.8]])
    results = []
    for count in (5, 8, 12, 64):
        angles = torch.linspace(0, torch.pi, count + 1, dtype=torch.float64)[:-1] + 0.1
        q = torch.stack([angles.cos(), angles.sin()], dim=1)
        with torch.no_grad():
            results.append(layer(tissue.sample(13, q), q, places))
    errors = [float((y - results[-1]).norm() / results[-1].norm()) for y in results[:-1]]
    assert errors[0] > errors[1] > errors[2]
    assert errors[0] < 0.2
    assert errors[2] < 5e-3


def test_copies_of_a_lonely_sample_count_as_one() -> None:
    group = group_of("p", 1)
    layer = DiffusionGroupConv(1 * group.scalar, 2 * group.regular).double()
    q, x = torch.tensor([[0.0], [9.0], [20.0]], dtype=torch.float64), noise(1, 1, 3, 11)
    twice = torch.tensor([0, 1, 1, 2])
    torch.testing.assert_close(layer(x[:, :, twice], q[twice]), layer(x, q)[:, :, twice], rtol=0, atol=1e-12)


def test_derivatives_along_q_see_no_constant_on_any_samples() -> None:
    group = group_of("p")
    layer = DiffusionGroupConv(1 * group.scalar, 1 * group.regular, order=4, bias=False).double()
    x, q = torch.ones(1, 1, 6, 5, 5, dtype=torch.float64), gradients(5, 2)
    with torch.no_grad():
        layer.weights[0][..., [n for n, degrees in enumerate(layer.basis.products) if not any(degrees[2:])]] = 0.0
    assert layer(x, q).abs().max() < 1e-12
    assert layer(x * torch.arange(6.0)[:, None, None], q).abs().max() > 0.01


# The same in other orders of work


@pytest.mark.parametrize("kind", ["lift", "group", "project", "origin"])
def test_both_orders_of_work_and_slabs_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    group = group_of("joint")
    scalar, regular = 2 * group.scalar, 3 * group.regular
    types = {"lift": (scalar, regular), "group": (regular, regular), "project": (regular, scalar)}
    options: dict[str, Any] = {"scale_extent": 2, "stride": 2} if kind == "group" else {}
    layer = DiffusionGroupConv(*types.get(kind, (regular, regular)), **options).double()
    q, x = gradients(6, 2), noise(2, layer.in_type.size, 7, 9, 8)
    out_q = torch.zeros(1, 2) if kind == "origin" else None
    y = layer(x, q, out_q)
    assert y.shape[:3] == (2, layer.out_type.size, 1 if kind == "origin" else 7)
    monkeypatch.setattr(diffusion_contraction, "SLAB_BYTES", 1)
    for order in (diffusion_contraction.q_first, diffusion_contraction.p_first):
        with monkeypatch.context() as patch:
            patch.setattr(diffusion_conv, "contract_samples", order)
            torch.testing.assert_close(layer(x, q, out_q), y, rtol=0, atol=1e-12)


def test_at_the_origin_it_is_a_convolution_of_positions() -> None:
    """One sample at q = 0 that is read there: the kernels of positions alone, times `ψ_0` of q-space in the mean."""
    group = group_of("p")
    layer = DiffusionGroupConv(1 * group.scalar, 2 * group.regular, order=0, bias=False).double()
    plain = GroupConv(1 * group.p_group.scalar, 2 * group.p_group.regular, order=0, bias=False).double()
    with torch.no_grad():
        mean = (4 * torch.pi) ** 0.25  # ∫ h_0
        plain.weights[0].copy_(layer.weights[0] * mean**2)
    x = noise(1, 1, 1, 9, 8)
    torch.testing.assert_close(layer(x, torch.zeros(1, 2))[:, :, 0], plain(x[:, :, 0]))
