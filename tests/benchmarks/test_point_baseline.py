"""The plain network for point clouds: its neighbours, its invariances, and those it has not."""

from __future__ import annotations

import pytest
import torch

from scalegroup.benchmarks.point_baseline import DGCNN, EdgeConv, nearest
from scalegroup.errors import ScaleGroupError


def clouds() -> tuple[torch.Tensor, torch.Tensor]:
    """Two clouds of different sizes."""
    return torch.randn(50, 3), torch.tensor([0] * 20 + [1] * 30)


def test_neighbours_are_the_nearest_of_the_same_cloud() -> None:
    pos, batch = clouds()
    found = nearest(pos, batch, 5)
    distances = torch.cdist(pos, pos).masked_fill(batch[:, None] != batch[None], float("inf"))
    torch.testing.assert_close(distances.gather(1, found), distances.sort(dim=1).values[:, :5])
    with pytest.raises(ScaleGroupError, match="one cloud after the other"):
        nearest(pos, batch.flip(0), 5)


def test_edge_convolution_is_its_definition() -> None:
    pos, batch = clouds()
    conv = EdgeConv(3, 4, 5).eval()
    near = nearest(pos, batch, 5)
    centre = pos.unsqueeze(1).expand(-1, 5, -1)
    edges = conv.linear(torch.cat([centre, pos[near] - centre], dim=2))
    expected = torch.nn.functional.leaky_relu(conv.norm(edges.flatten(0, 1)), 0.2).unflatten(0, (50, 5)).amax(dim=1)
    torch.testing.assert_close(conv(pos, batch), expected)


def test_clouds_of_a_batch_do_not_see_each_other_and_order_does_not_matter() -> None:
    pos, batch = clouds()
    net = DGCNN(num_classes=4, channels=(8, 8), embedding=8, hidden=8, neighbours=6).eval()
    together = net(pos, batch)
    torch.testing.assert_close(net(pos[20:]), together[1:])
    order = torch.cat([torch.randperm(20), 20 + torch.randperm(30)])
    torch.testing.assert_close(net(pos[order], batch), together)
    assert (net(2 * pos, batch) - together).abs().max() > 1e-3  # it does see the size
    together.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_few_points_are_named_more_than_once() -> None:
    net = DGCNN(channels=(4,), embedding=4, hidden=4).eval()
    assert net(torch.randn(3, 3), torch.tensor([0, 0, 1])).isfinite().all()
