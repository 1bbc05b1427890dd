"""Farthest-point sampling: a coarser set of points that covers a cloud evenly."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from scalegroup.engine.point_checks import checked_batch, checked_pos, owners
from scalegroup.engine.point_search import members
from scalegroup.errors import ScaleGroupError


def farthest_points(
    pos: Tensor, batch: Tensor | None = None, ratio: float | None = None, count: int | None = None
) -> Tensor:
    """Indices of points far from each other: each is the one farthest from those chosen before it.

    The first is the one farthest from the centroid of its cloud. Nothing is random: moved, turned, rescaled or
    reordered clouds give the same points in the same order (unless several are equally far, where the first in the
    order of the cloud is taken). The time grows with the product of the numbers of points and of chosen points.

    Args:
        pos: `(points, dim)`.
        batch: the cloud of each point. Default None: one cloud.
        ratio: share of each cloud's points, rounded up, in (0, 1].
        count: number of points of each cloud, or all of a smaller one. Give one of the two.

    Returns:
        Indices `(chosen,)`, cloud by cloud, in the order of choice.

    Raises:
        ScaleGroupError: for both or neither of `ratio` and `count`, or one out of range.

    Source: Eldar et al. 1997, "The Farthest Point Strategy for Progressive Image Sampling".

    Example:
        >>> farthest_points(torch.tensor([[0.0], [1.0], [2.0], [7.0]]), count=3).tolist()
        [3, 0, 2]
    """
    pos = checked_pos(pos)
    batch = checked_batch(batch, pos)
    check_amount(ratio, count)
    clouds = list(members(owners(pos, batch)).values())
    if not clouds:
        return torch.zeros(0, dtype=torch.int64, device=pos.device)
    sizes = [len(cloud) for cloud in clouds]
    wanted = [ceil(ratio * n - 1e-9) if ratio is not None else min(int(count or 0), n) for n in sizes]
    index = torch.nn.utils.rnn.pad_sequence(clouds, batch_first=True)  # (clouds, n)
    real = torch.arange(index.shape[1], device=pos.device) < torch.tensor(sizes, device=pos.device)[:, None]
    places = pos[index]
    centroid = (places * real[..., None]).sum(1, keepdim=True) / real.sum(1)[:, None, None]
    gaps = (places - centroid).square().sum(2).masked_fill(~real, -1)
    rows = torch.arange(len(clouds), device=pos.device)
    chosen = [gaps.argmax(1)]
    gaps = torch.where(real, torch.inf, -1.0).to(pos.dtype)
    for _ in range(max(wanted) - 1):
        last = chosen[-1]
        gaps = torch.minimum(gaps, (places - places[rows, last][:, None]).square().sum(2))
        gaps[rows, last] = -1  # never twice, copies of a point included
        chosen.append(gaps.argmax(1))
    order = index.gather(1, torch.stack(chosen, dim=1))
    return torch.cat([row[:n] for row, n in zip(order, wanted, strict=True)])


def check_amount(ratio: float | None, count: int | None) -> None:
    """Raise unless one of the two is given, and in range."""
    hint = "ratio=0.25 keeps every fourth point"
    if (ratio is None) == (count is None):
        raise ScaleGroupError("either a ratio or a count of points", f"ratio={ratio}, count={count}", hint)
    if ratio is not None and not (isinstance(ratio, float | int) and 0 < ratio <= 1):
        raise ScaleGroupError("ratio, a number in (0, 1]", repr(ratio), hint)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ScaleGroupError("count, an integer >= 1", repr(count), hint)
