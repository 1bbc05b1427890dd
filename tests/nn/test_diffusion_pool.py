"""From q-space to positions: the mean by quadrature and attention, on the fields of any group."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.groups import DiffusionGroup
from scalegroup.nn import DiffusionGroupConv, DiffusionPool, EquivariantModule, GroupConv, Sequential, each_q
from scalegroup.testing import diffusion_error, gradients

ACTS_ON = ("p", "q", "joint")


class Pooled(EquivariantModule):
    """A lifting, then a pool with scores that are not all alike."""

    def __init__(self, field: FieldType, mode: str) -> None:
        signal = 1 * field.group.representation("scalar")
        super().__init__(signal, signal)
        self.lift, self.pool = DiffusionGroupConv(signal, field), DiffusionPool(field, mode)
        if self.pool.scorer is not None:
            torch.nn.init.normal_(self.pool.scorer)
        self.out_type = self.pool.out_type.with_group(field.group)  # to measure: what dilations do to positions

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        y: Tensor = self.pool(self.lift(x, q).tanh(), q)
        return y


@pytest.mark.parametrize("mode", ["mean", "attention"])
@pytest.mark.parametrize("acts_on", ["p", "joint"])
def test_dilations(acts_on: str, mode: str) -> None:
    group = DiffusionGroup(acts_on, dim=2, base=2.0, num_scales=3)
    layer = Pooled(2 * group.regular, mode)
    error, idle = diffusion_error(layer, group.element(s=2.0), size=49)
    assert error < 1e-3
    assert idle > 0.1
    assert layer.pool.declared_error == 0


@pytest.mark.parametrize("mode", ["mean", "attention"])
def test_a_group_of_q_space_leaves_no_scales(mode: str) -> None:
    group = DiffusionGroup("q", dim=2, num_scales=3)
    pool = DiffusionPool(2 * group.regular, mode)
    assert pool.out_type == 2 * group.p_group.scalar
    assert pool.declared_error == float("inf")
    assert pool(torch.randn(1, 6, 5, 8, 8), gradients(4, 2)).shape == (1, 2, 8, 8)


@pytest.mark.parametrize("mode", ["mean", "attention"])
def test_rotations_are_exact(mode: str) -> None:
    group = DiffusionGroup("joint", dim=3, num_scales=2, rotations="octahedral")
    layer = Pooled(1 * group.regular + 1 * group.quotient(), mode)
    for k in group.rotations.generators:
        error, idle = diffusion_error(layer, group.element(k=k), q=gradients(4), size=5)
        assert error < 1e-12
        assert idle > 0.05


def test_attention_starts_as_the_mean_and_learns() -> None:
    group = DiffusionGroup("p", dim=2, num_scales=2)
    field = 2 * group.regular
    mean, attention = DiffusionPool(field).double(), DiffusionPool(field, "attention").double()
    x, q = torch.randn(1, 4, 5, 6, 6, dtype=torch.float64), gradients(4, 2)
    torch.testing.assert_close(attention(x, q), mean(x, q))
    torch.nn.init.ones_(attention.scorer)  # type: ignore[arg-type]
    scores = x.unflatten(1, (2, 2)).sum(dim=1, keepdim=True)
    weights = (scores + mean._weight(q[None], True)[..., None, None].unsqueeze(1).log()).softmax(dim=3)
    torch.testing.assert_close(attention(x, q), (x.unflatten(1, (2, 2)) * weights).sum(dim=3).flatten(1, 2))


@pytest.mark.parametrize("mode", ["mean", "attention"])
@pytest.mark.parametrize("acts_on", ACTS_ON)
def test_order_and_signs_of_the_gradients_are_irrelevant(acts_on: str, mode: str) -> None:
    group = DiffusionGroup(acts_on, dim=2, num_scales=2)
    pool = DiffusionPool(2 * group.regular, mode).double()
    if pool.scorer is not None:
        torch.nn.init.normal_(pool.scorer)
    x, q = torch.randn(2, 4, 5, 6, 6, dtype=torch.float64), gradients(4, 2)
    order, signs = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([1.0, -1.0, -1.0, 1.0, 1.0])[:, None]
    torch.testing.assert_close(pool(x[:, :, order], (signs * q)[order]), pool(x, q), rtol=0, atol=1e-12)
    assert (pool(x[:, :, order], q) - pool(x, q)).abs().max() > 1e-3


def test_crowds_count_less() -> None:
    group = DiffusionGroup("p", dim=2, num_scales=2)
    q = torch.tensor([[0.0, 0.0], [9.0, 0.0], [9.0, 0.0]], dtype=torch.float64)
    x = torch.tensor([4.0, 1.0, 1.0], dtype=torch.float64).view(1, 1, 3, 1, 1)
    assert float(DiffusionPool(1 * group.scalar, antipodal=False).double()(x, q)) == pytest.approx(2.5)
    mirrored = DiffusionPool(1 * group.scalar).double()(x, q)  # at 0 once, at 9 and at -9
    assert float(mirrored) == pytest.approx(2.0)


def test_what_follows_is_a_network_on_positions() -> None:
    group = DiffusionGroup("joint", dim=2, num_scales=3)
    field = 2 * group.regular
    pool = DiffusionPool(field)
    conv = GroupConv(pool.out_type, pool.out_type)
    x, q = torch.randn(1, 6, 5, 9, 9), gradients(4, 2)
    assert Sequential(conv)(pool(x, q)).shape == (1, 6, 9, 9)
    by_sample = each_q(GroupConv(2 * group.p_group.regular, 1 * group.p_group.regular, stride=2), x)
    assert by_sample.shape == (1, 3, 5, 5, 5)
