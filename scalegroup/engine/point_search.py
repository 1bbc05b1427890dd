"""Which points lie near which: SciPy's k-d tree on the CPU, blocks of all distances elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError, missing_extra

SEARCHES = ("auto", "tree", "blocks")
TREE_FROM = 4096  # points of a cloud; in smaller ones all distances take less time than a tree
BLOCK = {"cpu": 1 << 20}  # distances at a time
_OTHER_DEVICES = 1 << 26


@dataclass(frozen=True, eq=False)
class Neighbours:
    """For each target the sources near it, one list behind the other: target i has `index[start[i]:start[i + 1]]`.

    Attributes:
        start: `(targets + 1,)`, ascending.
        index: `(edges,)`, sources, ascending for each target.
        sources: how many sources there are.
        symmetric: whether targets and sources are the same points, so that nearness goes both ways. Default False.
    """

    start: Tensor
    index: Tensor
    sources: int
    symmetric: bool = False

    @cached_property
    def counts(self) -> Tensor:
        """How many sources each target has."""
        return self.start[1:] - self.start[:-1]

    @cached_property
    def transposed(self) -> Neighbours:
        """For each source the targets that it is near to."""
        if self.symmetric:
            return self
        targets = torch.repeat_interleave(torch.arange(len(self.counts), device=self.index.device), self.counts)
        order = torch.argsort(self.index, stable=True)
        return listed(self.index[order], targets[order], self.sources, len(self.counts))

    @cached_property
    def by_count(self) -> tuple[Tensor, list[int]]:
        """The targets sorted by how many sources they have, and these numbers."""
        counts, order = torch.sort(self.counts, stable=True)
        return order, counts.tolist()

    def padded(self, targets: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """The sources of some targets, `(n, width)`, and which of the entries are none."""
        places = self.start[targets, None] + torch.arange(width, device=self.index.device)
        beyond = places >= self.start[targets + 1, None]
        return self.index[places.clamp_(max=len(self.index) - 1)], beyond


def listed(target: Tensor, source: Tensor, targets: int, sources: int, symmetric: bool = False) -> Neighbours:
    """Edges, sorted by their target, as lists."""
    start = torch.zeros(targets + 1, dtype=torch.int64, device=target.device)
    start[1:] = torch.bincount(target, minlength=targets).cumsum(0)
    return Neighbours(start, source, sources, symmetric)


def within(
    pos: Tensor,
    radius: float,
    batch: Tensor | None = None,
    out_pos: Tensor | None = None,
    out_batch: Tensor | None = None,
    method: str = "auto",
) -> Neighbours:
    """The points at most `radius` away from each output point, in the same cloud.

    Args:
        pos: `(points, dim)`.
        radius: in the unit of the positions.
        batch: the cloud of each point. Default None: there is one cloud.
        out_pos: `(targets, dim)`. Default None: the points themselves.
        out_batch: the cloud of each output point.
        method: "tree" (SciPy, on the CPU), "blocks" (all distances, on any device), which find the same, or "auto".

    Example:
        >>> near = within(torch.tensor([[0.0], [1.0], [3.0]]), radius=2.0)
        >>> near.start.tolist(), near.index.tolist()
        ([0, 2, 5, 7], [0, 1, 0, 1, 2, 1, 2])
    """
    symmetric = out_pos is None
    out_pos, out_batch = (pos, batch) if out_pos is None else (out_pos, out_batch)
    targets, sources = [], []
    for rows, columns in _clouds(out_pos, out_batch, pos, batch):
        find = _by_tree if _use_tree(pos, len(columns), method) else _by_blocks
        i, j = find(out_pos[rows], pos[columns], radius)
        targets.append(rows[i])
        sources.append(columns[j])
    if not targets:
        none = torch.zeros(0, dtype=torch.int64, device=pos.device)
        return listed(none, none, len(out_pos), len(pos), symmetric)
    target, source = torch.cat(targets), torch.cat(sources)
    if out_batch is not None:
        order = torch.argsort(target, stable=True)  # clouds may come in any order
        target, source = target[order], source[order]
    return listed(target, source, len(out_pos), len(pos), symmetric)


def nearest(
    pos: Tensor,
    count: int,
    batch: Tensor | None = None,
    out_pos: Tensor | None = None,
    out_batch: Tensor | None = None,
    method: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The `count` points nearest to each output point, in the same cloud.

    Args:
        pos, batch, out_pos, out_batch, method: as in `within`.
        count: how many.

    Returns:
        Distances `(targets, count)`, ascending, infinite where a cloud has fewer points, and indices, zero there.

    Example:
        >>> distances, index = nearest(torch.tensor([[0.0], [1.0], [3.0]]), 2)
        >>> distances.tolist(), index.tolist()
        ([[0.0, 1.0], [0.0, 1.0], [0.0, 2.0]], [[0, 1], [1, 0], [2, 1]])
    """
    out_pos, out_batch = (pos, batch) if out_pos is None else (out_pos, out_batch)
    distances = torch.full((len(out_pos), count), torch.inf, dtype=pos.dtype, device=pos.device)
    index = torch.zeros((len(out_pos), count), dtype=torch.int64, device=pos.device)
    for rows, columns in _clouds(out_pos, out_batch, pos, batch):
        found = min(count, len(columns))
        find = _nearest_by_tree if _use_tree(pos, len(columns), method) else _nearest_by_blocks
        near, j = find(out_pos[rows], pos[columns], found)
        distances[rows, :found] = near
        index[rows, :found] = columns[j]
    return distances, index


def _clouds(
    out_pos: Tensor, out_batch: Tensor | None, pos: Tensor, batch: Tensor | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The output points and the points of each cloud that has both."""
    if batch is None or out_batch is None:
        if len(pos) and len(out_pos):
            yield torch.arange(len(out_pos), device=pos.device), torch.arange(len(pos), device=pos.device)
        return
    rows, columns = members(out_batch), members(batch)
    for cloud in rows.keys() & columns.keys():
        yield rows[cloud], columns[cloud]


def members(batch: Tensor) -> dict[int, Tensor]:
    """The points of each cloud that has any, ascending.

    Example:
        >>> {cloud: points.tolist() for cloud, points in members(torch.tensor([0, 2, 0])).items()}
        {0: [0, 2], 2: [1]}
    """
    order = torch.argsort(batch, stable=True)
    clouds, counts = torch.unique_consecutive(batch[order], return_counts=True)
    return dict(zip(clouds.tolist(), order.split(counts.tolist()), strict=True))


def _use_tree(pos: Tensor, points: int, method: str) -> bool:
    if method not in SEARCHES:
        raise ScaleGroupError(f"a search out of {SEARCHES}", repr(method), "'auto' chooses by the number of points")
    if method != "auto":
        return method == "tree"
    return pos.device.type == "cpu" and points >= TREE_FROM and find_spec("scipy") is not None


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances, in one order of summation for all searches."""
    total = (a[0] - b[0]).square_()
    for x, y in zip(a[1:], b[1:], strict=True):
        total += (x - y).square_()
    return total


def _blocks(targets: Tensor, sources: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The first target of each block, and the squared distances of its targets to all sources."""
    rows = max(1, BLOCK.get(sources.device.type, _OTHER_DEVICES) // len(sources))
    columns = sources.t().contiguous()[:, None]
    for start in range(0, len(targets), rows):
        yield start, _squares(targets[start : start + rows].t()[:, :, None], columns)


def _by_blocks(targets: Tensor, sources: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    found = []
    for start, squares in _blocks(targets, sources):
        edges = torch.nonzero(squares <= radius**2)
        edges[:, 0] += start
        found.append(edges)
    i, j = torch.cat(found).t()
    return i, j


def _by_tree(targets: Tensor, sources: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    tree, others = _tree(sources), _tree(targets)
    reach = radius * (1 + 1e-5)  # what rounding leaves out or lets in is decided below, as the blocks decide it
    found = others.sparse_distance_matrix(tree, reach, output_type="ndarray")
    i, j = (torch.from_numpy(found[name].astype("int64")) for name in ("i", "j"))
    inside = _squares(targets.t()[:, i], sources.t()[:, j]) <= radius**2
    i, j = i[inside], j[inside]
    order = torch.argsort(i * len(sources) + j)
    return i[order], j[order]


def _nearest_by_blocks(targets: Tensor, sources: Tensor, count: int) -> tuple[Tensor, Tensor]:
    found = [torch.topk(squares, count, largest=False, sorted=True) for _, squares in _blocks(targets, sources)]
    return torch.cat([part.values for part in found]).sqrt(), torch.cat([part.indices for part in found])


def _nearest_by_tree(targets: Tensor, sources: Tensor, count: int) -> tuple[Tensor, Tensor]:
    _, index = _tree(sources).query(targets.detach().numpy().astype("float64"), k=[*range(1, count + 1)])
    j = torch.from_numpy(index.astype("int64"))
    return _squares(targets.t()[:, :, None], sources.t()[:, j]).sqrt(), j


def _tree(points: Tensor):  # type: ignore[no-untyped-def]  # SciPy's class, which is not always there
    try:
        from scipy.spatial import cKDTree
    except ModuleNotFoundError as error:
        raise missing_extra("scipy", "points") from error
    return cKDTree(points.detach().cpu().numpy().astype("float64"))
