"""The plain network for point clouds that ours is compared with: DGCNN."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.errors import ScaleGroupError


class EdgeConv(torch.nn.Module):
    """`y_i = max_j act(norm(W (x_i, x_j - x_i)))` over the nearest neighbours j of i in the space of the features.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        neighbours: how many, the point itself among them; all points of a cloud that has fewer.

    Shape:
        x `(points, in_channels)` and batch `(points,)`, ascending, to `(points, out_channels)`.

    Source: Wang et al., "Dynamic Graph CNN for Learning on Point Clouds", 2019, section 3.1.

    Example:
        >>> import torch
        >>> EdgeConv(3, 8, 4)(torch.randn(10, 3), torch.zeros(10, dtype=torch.long)).shape
        torch.Size([10, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.linear = torch.nn.Linear(2 * in_channels, out_channels, bias=False)
        self.norm = torch.nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor, batch: Tensor) -> Tensor:
        """`(points, in_channels)` to `(points, out_channels)`."""
        near = nearest(x.detach(), batch, self.neighbours)  # (points, neighbours)
        centre, difference = self.linear.weight.chunk(2, dim=1)
        # W (x_i, x_j - x_i) = (C - D) x_i + D x_j: the products are those of points, not of edges.
        edges = (x @ (centre - difference).T).unsqueeze(1) + (x @ difference.T)[near]
        y = self.norm(edges.flatten(0, 1)).unflatten(0, near.shape)
        return F.leaky_relu(y, 0.2).amax(dim=1)


class DGCNN(torch.nn.Module):
    """A plain classifier of point clouds on graphs of nearest neighbours, made anew in each layer.

    Edge convolutions one after the other, all of whose outputs are joined, the maximum and the mean over the points of
    each cloud, and two linear layers. It sees coordinates only, and knows nothing of scales and rotations.

    Args:
        dim: number of axes. Default 3.
        num_classes: number of scores. Default 2.
        channels: of each edge convolution. Default (32, 32, 64).
        embedding: channels of each point before the pooling. Default 64.
        hidden: channels of the layer before the scores. Default 64.
        neighbours: of each point, itself among them. Default 16.
        dropout: in front of the last layer. Default 0.

    Shape:
        pos `(points, dim)` and batch `(points,)`, ascending (None: one cloud), to `(clouds, num_classes)`.

    Source: Wang et al. 2019, figure 3, with fewer channels.

    Example:
        >>> import torch
        >>> net = DGCNN(num_classes=15)
        >>> net(torch.randn(50, 3), torch.arange(2).repeat_interleave(25)).shape
        torch.Size([2, 15])
    """

    def __init__(
        self,
        dim: int = 3,
        num_classes: int = 2,
        channels: Sequence[int] = (32, 32, 64),
        embedding: int = 64,
        hidden: int = 64,
        neighbours: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.convs = torch.nn.ModuleList(EdgeConv(c, o, neighbours) for c, o in pairwise((dim, *channels)))
        act = torch.nn.LeakyReLU(0.2)
        joined = torch.nn.Linear(sum(channels), embedding, bias=False)
        self.embedding = torch.nn.Sequential(joined, torch.nn.BatchNorm1d(embedding), act)
        first = torch.nn.Linear(2 * embedding, hidden)
        last = torch.nn.Linear(hidden, num_classes)
        self.head = torch.nn.Sequential(first, act, torch.nn.Dropout(dropout), last)

    def forward(self, pos: Tensor, batch: Tensor | None = None) -> Tensor:
        """`(points, dim)` to `(clouds, num_classes)`."""
        batch = torch.zeros(len(pos), dtype=torch.long, device=pos.device) if batch is None else batch
        x, features = pos, []
        for conv in self.convs:
            x = conv(x, batch)
            features.append(x)
        y = self.embedding(torch.cat(features, dim=1))
        clouds = int(batch.max()) + 1
        where = batch.unsqueeze(1).expand_as(y)
        pooled = [y.new_zeros(clouds, y.shape[1]).scatter_reduce(0, where, y, m, include_self=False) for m in POOLS]
        return self.head(torch.cat(pooled, dim=1))  # type: ignore[no-any-return]


POOLS = ("amax", "mean")


def nearest(x: Tensor, batch: Tensor, count: int) -> Tensor:
    """Indices of the nearest points of the same cloud for each point, `(points, count)`, itself the first.

    A cloud with fewer points names some of them more than once.

    Raises:
        ScaleGroupError: if the clouds are not one after the other.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [5.0], [1.0], [0.0]])
        >>> nearest(x, torch.tensor([0, 0, 0, 1]), 2).tolist()
        [[0, 2], [1, 2], [2, 0], [3, 3]]
    """
    if len(batch) > 1 and bool((batch.diff() < 0).any()):
        raise ScaleGroupError("points one cloud after the other", "a batch vector that is not ascending", "sort it")
    rows, start = [], 0
    for size in torch.bincount(batch).tolist():
        cloud = x[start : start + size]
        found = torch.cdist(cloud, cloud).topk(min(count, size), dim=1, largest=False).indices
        wanted = torch.arange(count, device=x.device) % max(1, found.shape[1])
        rows.append(start + (found[:, wanted] if size else found.new_zeros(0, count)))
        start += size
    return torch.cat(rows)
