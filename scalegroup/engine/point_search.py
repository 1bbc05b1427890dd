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
TREE_TARGETS = 256  # at a time
BLOCK = {"cpu": 1 << 20}  # distances at a time
_OTHER_DEVICES = 1 << 26


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The sources near each target: target i has `index[first[i] : first[i] + counts[i]]`, in ascending order.

    Attributes:
        first: `(targets,)`, where the list of each target begins.
        counts: `(targets,)`, how long it is.
        index: `(edges,)`, all lists, in any order of the targets.
    """

    first: Tensor
    counts: Tensor
    index: Tensor

    @cached_property
    def by_count(self) -> tuple[Tensor, list[int]]:
        """The targets sorted by how many sources they have, and these numbers."""
        counts, order = torch.sort(self.counts, stable=True)
        return order, counts.tolist()

    def padded(self, targets: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """The sources of some targets, `(n, width)`, and which of the entries are none."""
        columns = torch.arange(width, device=self.index.device)
        beyond = columns >= self.counts[targets, None]
        places = (self.first[targets, None] + columns).clamp_(max=len(self.index) - 1)
        return self.index.index_select(0, places.flatten()).view(-1, width), beyond

    def tolist(self) -> list[list[int]]:
        """The list of each target."""
        lists = zip(self.first.tolist(), self.counts.tolist(), strict=True)
        return [self.index[first : first + count].tolist() for first, count in lists]


def rows_of(columns: Tensor, index: Tensor) -> Tensor:
    """`columns[:, index]` for an index of any shape; many times faster on the CPU."""
    return columns.contiguous().index_select(1, index.flatten()).view(len(columns), *index.shape)


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
        >>> within(torch.tensor([[0.0], [1.0], [3.0]]), radius=2.0).tolist()
        [[0, 1], [0, 1, 2], [1, 2]]
    """
    out_pos, out_batch = (pos, batch) if out_pos is None else (out_pos, out_batch)
    counts = torch.zeros(len(out_pos), dtype=torch.int64, device=pos.device)
    first, lists, length = torch.zeros_like(counts), [counts[:0]], 0
    for rows, columns in _clouds(out_pos, out_batch, pos, batch):
        find = _by_tree if _use_tree(pos, len(columns), method) else _by_blocks
        for part, found, sources in find(out_pos[rows], pos[columns], radius):
            counts[rows[part]] = found
            first[rows[part]] = length + found.cumsum(0) - found
            length += len(sources)
            lists.append(columns.index_select(0, sources))
    return Neighbours(first, counts, torch.cat(lists))


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


def distances(pos: Tensor, batch: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Some points at a time, and their squared distances to all points of their cloud."""
    for points, _ in _clouds(pos, batch, pos, batch):
        places = pos[points]
        for start, block in _blocks(places, places):
            yield points[start : start + len(block)], block


def searched_by_tree(pos: Tensor, batch: Tensor | None = None) -> bool:
    """Whether some cloud has so many points that not all distances are computed."""
    largest = len(pos) if batch is None or not len(pos) else int(torch.bincount(batch).max())
    return _use_tree(pos, largest, "auto")


def _use_tree(pos: Tensor, points: int, method: str) -> bool:
    if method not in SEARCHES:
        raise ScaleGroupError(f"a search out of {SEARCHES}", repr(method), "'auto' chooses by the number of points")
    if method == "tree" and pos.device.type != "cpu":
        raise ScaleGroupError("positions on the CPU for method='tree'", pos.device, "'blocks' works on any device")
    if method != "auto":
        return method == "tree"
    return pos.device.type == "cpu" and points >= TREE_FROM and find_spec("scipy") is not None


def squares(a: Tensor, b: Tensor) -> Tensor:
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
        yield start, squares(targets[start : start + rows].t()[:, :, None], columns)


Found = Iterator[tuple[Tensor, Tensor, Tensor]]
"""Some targets at a time, how many sources each has, and these, target by target."""


def _by_blocks(targets: Tensor, sources: Tensor, radius: float) -> Found:
    for start, block in _blocks(targets, sources):
        inside = block <= radius**2
        rows = torch.arange(start, start + len(block), device=targets.device)
        yield rows, inside.sum(1), inside.nonzero(as_tuple=True)[1]


def _by_tree(targets: Tensor, sources: Tensor, radius: float) -> Found:
    tree = _tree(sources)
    order = torch.from_numpy(_tree(targets).indices.astype("int64"))  # parts of it are near each other
    firsts = torch.arange(TREE_TARGETS + 1) * len(sources)
    for rows in order.split(TREE_TARGETS):
        part = targets[rows]
        # The radius is widened: what rounding lets in or leaves out is decided as the blocks decide it.
        found = _tree(part).sparse_distance_matrix(tree, radius * (1 + 1e-5), output_type="ndarray")
        edges = torch.from_numpy(found["i"] * len(sources) + found["j"])
        doubtful = torch.from_numpy((found["v"] > radius * (1 - 1e-5)).nonzero()[0])
        i, j = edges[doubtful] // len(sources), edges[doubtful] % len(sources)
        outside = squares(rows_of(part.t(), i), rows_of(sources.t(), j)) > radius**2
        edges[doubtful[outside]] = torch.iinfo(torch.int64).max
        edges = torch.sort(edges).values[: len(edges) - int(outside.sum())]
        starts = torch.searchsorted(edges, firsts[: len(rows) + 1])
        counts = starts[1:] - starts[:-1]
        yield rows, counts, edges.sub_(torch.repeat_interleave(firsts[: len(rows)], counts))


def _nearest_by_blocks(targets: Tensor, sources: Tensor, count: int) -> tuple[Tensor, Tensor]:
    found = [torch.topk(block, count, largest=False, sorted=True) for _, block in _blocks(targets, sources)]
    return torch.cat([part.values for part in found]).sqrt(), torch.cat([part.indices for part in found])


def _nearest_by_tree(targets: Tensor, sources: Tensor, count: int) -> tuple[Tensor, Tensor]:
    _, index = _tree(sources).query(targets.numpy().astype("float64"), k=[*range(1, count + 1)])
    j = torch.from_numpy(index.astype("int64"))
    return squares(targets.t()[:, :, None], rows_of(sources.t(), j)).sqrt(), j


def _tree(points: Tensor):  # type: ignore[no-untyped-def]  # SciPy's class, which is not always there
    try:
        from scipy.spatial import cKDTree
    except ModuleNotFoundError as error:
        raise missing_extra("scipy", "points") from error
    return cKDTree(points.numpy().astype("float64"))
