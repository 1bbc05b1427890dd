"""The U-Net for diffusion MRI: equivariant end to end, for any gradients, and what it refuses."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields.action import act
from scalegroup.groups import DiffusionElement, DiffusionGroup
from scalegroup.models import DiffusionUNet
from scalegroup.nn import with_window
from scalegroup.testing import Tissue, gradients


def network(**options: Any) -> DiffusionUNet:
    """Small, with random weights everywhere, those of the attention included."""
    small: dict[str, Any] = {"q_channels": (2, 2), "channels": (3, 4), "strides": (2,), "spatial_dims": 2, "base": 2.0}
    torch.manual_seed(0)
    unet = DiffusionUNet(**{**small, **options}).double().eval()
    if unet.pool.scorer is not None:
        torch.nn.init.normal_(unet.pool.scorer)
    return unet


def group_of(unet: DiffusionUNet) -> DiffusionGroup:
    group = unet.in_type.group
    assert isinstance(group, DiffusionGroup)
    return group


def responses(unet: DiffusionUNet, g: DiffusionElement, sizes: tuple[int, int], still: bool = False) -> tuple[Any, Any]:
    """Of a signal, and of the signal moved by g, sampled on its moved gradients; `still` tells the network the old."""
    dim = g.group.dim
    q, tissue = gradients(6, dim), Tissue.random(dim, spread=1.0)
    moved = torch.as_tensor(g.act_q(q))
    with torch.no_grad():
        before = unet(tissue.sample(sizes[0], q)[:, 0], q)
        after = unet(tissue.act(g).sample(sizes[1], moved)[:, 0], q if still else moved)
    return before, after


def distance(one: Tensor, other: Tensor) -> float:
    """Relative, on the samples that both grids have about their centres."""
    size = min(one.shape[-1], other.shape[-1])
    parts = []
    for x in (one, other):
        start = (x.shape[-1] - size) // 2
        for axis in range(2, x.ndim):
            x = x.narrow(axis, start, size)
        parts.append(x)
    return float((parts[0] - parts[1]).norm() / parts[1].norm())


@pytest.mark.parametrize("acts_on", ["p", "joint"])
@pytest.mark.parametrize("q_pool", ["attention", "origin"])
def test_dilations_end_to_end(acts_on: str, q_pool: str) -> None:
    unet = network(acts_on=acts_on, scale_pool=None, q_pool=q_pool)
    small, large = responses(unet, group_of(unet).element(s=2.0), (65, 129))
    for before, after, same in zip(small[:-1], large[1:], large[:-1], strict=True):
        assert distance(after, before) < 5e-3
        assert distance(same, before) > 0.05


def test_gradients_have_to_move_along() -> None:
    unet = network(acts_on="joint", scale_pool=None, q_pool="mean")
    small, large = responses(unet, group_of(unet).element(s=2.0), (65, 129), still=True)
    assert max(distance(after, before) for before, after in zip(small[:-1], large[1:], strict=True)) > 0.02


def test_another_diffusivity_changes_little_if_dilations_act_on_q() -> None:
    """The mean over a truncated window of scales: the wider the window, the less it changes."""
    g = DiffusionGroup("q", 2, 2.0).element(s=2.0)
    changes = []
    for first, num_scales in ((-1, 3), (-2, 5), (-3, 7)):
        before, after = responses(network(acts_on="q", num_scales=num_scales, first=first), g, (33, 33))
        changes.append(distance(after, before))
    assert changes[0] > changes[1] > changes[2]
    assert changes[2] < 0.1
    before, after = responses(network(acts_on="p", num_scales=7, first=-3), g, (33, 33))
    assert distance(after, before) > 0.5


@pytest.mark.parametrize("acts_on", ["p", "q", "joint"])
def test_rotations_of_the_grid_are_exact(acts_on: str) -> None:
    voxelwise = acts_on != "joint"
    unet = network(
        acts_on=acts_on, spatial_dims=3, rotations="octahedral", num_scales=2, base=2**0.5, voxelwise=voxelwise
    )
    group = group_of(unet)
    for k in group.rotations.generators:
        before, after = responses(unet, group.element(k=k), (9, 9))
        turned = act(unet.out_type.with_group(group.p_group), group.p_group.element(k=k), before)
        assert distance(after, turned) < 1e-12
        assert distance(after, before) > 0.02
        assert distance(responses(unet, group.element(k=k), (9, 9), still=True)[1], turned) > 1e-3


def test_order_number_and_signs_of_the_gradients() -> None:
    unet, x = network(num_scales=2), torch.rand(2, 7, 12, 11, dtype=torch.float64)
    q = gradients(6, 2)
    y = unet(x, q)
    assert y.shape == (2, 1, 12, 11)
    order, signs = torch.tensor([2, 6, 0, 5, 1, 3, 4]), torch.tensor([1, 1, -1, -1, 1, -1, 1])[:, None]
    torch.testing.assert_close(unet(x[:, order], (signs * q)[order]), y, rtol=0, atol=1e-12)
    assert (unet(x[:, order], q) - y).abs().max() > 1e-4
    torch.testing.assert_close(unet(x, torch.stack([q, q])), y)
    assert unet(torch.rand(1, 17, 12, 11, dtype=torch.float64), gradients(16, 2)).shape == (1, 1, 12, 11)


@pytest.mark.parametrize("q_pool", ["attention", "origin"])
@pytest.mark.parametrize("q_channels", [(2,), (2, 2)])
def test_q_vectors_as_a_scan_has_them(q_pool: str, q_channels: tuple[int, ...]) -> None:
    unet = network(num_scales=2, q_pool=q_pool, q_channels=q_channels)
    x, q = torch.rand(2, 5, 9, 8, dtype=torch.float64), gradients(4, 2)
    expected = unet(x, q)
    for same in (q.numpy(), torch.stack([q, q])):
        torch.testing.assert_close(unet(x, same), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(unet(x, q.tolist()), expected, rtol=1e-4, atol=1e-6)  # lists become float32
    for wrong in (None, q[0]):
        with pytest.raises(ScaleGroupError, match=r"q of shape \(5, 2\)"):
            unet(x, wrong)


@pytest.mark.parametrize(
    "options", [{}, {"acts_on": "q", "voxelwise": True}, {"train_scales": 2, "voxelwise": True}, {"q_pool": "origin"}]
)
def test_everything_learns(options: dict[str, Any]) -> None:
    unet = network(norm=None, **options).train()  # a norm takes away what a bias adds
    x, q = torch.rand(1, 5, 9, 8, dtype=torch.float64), gradients(4, 2)
    unet(x, q).square().sum().backward()
    for name, parameter in unet.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_what_is_seen_in_a_voxel_alone_leads_past_the_unet() -> None:
    x, q = torch.rand(1, 5, 9, 8, dtype=torch.float64), gradients(4, 2)
    blurred, fine = network(), network(voxelwise=True)
    with torch.no_grad():
        for parameter in fine.unet.parameters():
            parameter.zero_()
        for layer in fine.first_layers:
            layer.conv.weights[0].zero_()  # type: ignore[union-attr, index]
        y = fine(x, q)
        x[..., 4, 4] += 1.0
        changed = (fine(x, q) - y).abs()[0, 0]
    assert changed[4, 4] > 1e-3
    changed[4, 4] = 0.0
    assert changed.max() < 1e-12
    assert blurred.past is None
    assert network(voxelwise=True, scale_pool=None).past is None


def test_copies_and_windows() -> None:
    unet = network()
    x, q = torch.rand(1, 5, 9, 8, dtype=torch.float64), gradients(4, 2)
    torch.testing.assert_close(pickle.loads(pickle.dumps(unet))(x, q), unet(x, q))
    wide = with_window(unet, num_scales=4)
    assert list(wide.state_dict()) == list(unet.state_dict())
    assert wide(x, q).shape == (1, 1, 9, 8)


def test_the_summary_names_what_was_chosen() -> None:
    unet = network(acts_on="joint", rotations="c4", q_pool="mean")
    text = unet.summary()
    assert "q_pool='mean', q_channels=(2, 2), channels=(3, 4), acts_on='joint', rotations=" in text
    assert text.endswith(f", scales 1 … 4 | {sum(p.numel() for p in unet.parameters()):,} weights)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"acts_on": "r"}, "acts_on out of"),
        ({"q_pool": "max"}, "q_pool out of"),
        ({"q_channels": ()}, "q_channels of one layer at least"),
        ({"q_channels": (0,)}, "channels"),
        ({"out_channels": 0}, "out_channels"),
        ({"channels": (4,)}, "length of channels"),
        ({"q_sigma": -1.0}, "q_sigma: a positive number"),
        ({"act": "none"}, "act out of"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ScaleGroupError, match=message):
        network(**options)


def test_wrong_inputs_are_refused() -> None:
    unet = network(num_scales=2)
    q = gradients(4, 2)
    with pytest.raises(ScaleGroupError, match=r"input of 4 axes \(batch, samples, \*space\)"):
        unet(torch.rand(1, 1, 5, 9, 8, dtype=torch.float64), q)
    with pytest.raises(ScaleGroupError, match=r"q of shape \(6, 2\)"):
        unet(torch.rand(1, 6, 9, 8, dtype=torch.float64), q)
    with pytest.raises(ScaleGroupError, match="q of finite numbers"):
        unet(torch.rand(1, 5, 9, 8, dtype=torch.float64), q * float("nan"))
    with pytest.raises(ScaleGroupError, match=r"dtype torch\.float64"):
        unet(torch.rand(1, 5, 9, 8), q)
    with pytest.raises(ScaleGroupError, match="received list"):
        unet([1.0], q)
