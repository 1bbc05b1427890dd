"""Point clouds, and what is found out about them once for all layers: neighbours, densities, spacing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import ref

import torch
from torch import Tensor

from scalegroup.engine.farthest import farthest_points
from scalegroup.engine.point_basis import PointBasis
from scalegroup.engine.point_checks import checked_batch, checked_pos, owners
from scalegroup.engine.point_search import Neighbours, distances, nearest, rows_of, searched_by_tree, within
from scalegroup.errors import ScaleGroupError

T = TypeVar("T")
EDGES = {"cpu": 1 << 20}  # of which numbers are computed at a time
_OTHER_DEVICES = 1 << 24


class Points:
    """The positions of one or several point clouds; layers take it in place of `pos` and `batch`.

    Neighbours and densities are kept in it, so that the layers of a network that read the same points look for them
    once: make it anew for new positions.

    Args:
        pos: positions, `(points, dim)`, in the unit of the layers' sigma.
        batch: the cloud that each point belongs to, `(points,)`, integers >= 0 in any order. Default None: one cloud.

    Raises:
        ScaleGroupError: for positions that are not finite, of another shape or dtype, or that ask for a gradient
            (layers give none to positions), and for a `batch` that does not fit.

    Example:
        >>> points = Points(torch.tensor([[0.0], [1.0], [3.0], [9.0]]), torch.tensor([0, 0, 0, 1]))
        >>> len(points), points.dim, points.spacing.tolist()
        (4, 1, [1.0, 1.0])
        >>> points.subset(torch.tensor([0, 3])).batch.tolist()
        [0, 1]
    """

    def __init__(self, pos: Tensor, batch: Tensor | None = None) -> None:
        self.pos = checked_pos(pos)
        self.batch = checked_batch(batch, pos)
        self._kept: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self.pos)

    @property
    def dim(self) -> int:
        """The number of coordinates."""
        return self.pos.shape[1]

    @property
    def owner(self) -> Tensor:
        """The number of the cloud of each point, zeros without a batch vector."""
        return owners(self.pos, self.batch)

    def subset(self, index: Tensor) -> Points:
        """Some of the points."""
        return Points(self.pos[index], None if self.batch is None else self.batch[index])

    def near(self, radius: float, targets: Points | None = None) -> Neighbours:
        """The points around each target (by default, around each point) up to this radius."""
        if targets is None or targets is self:
            return self._once(("near", radius), lambda: within(self.pos, radius, self.batch))
        _check_pair(self, targets)

        def find() -> Neighbours:
            return within(self.pos, radius, self.batch, targets.pos, targets.batch)

        return targets._once(("near", radius, ref(self)), find)

    def nearest(self, count: int, targets: Points) -> tuple[Tensor, Tensor]:
        """Distances and indices of the points nearest to each target, `(targets, count)` both."""
        _check_pair(self, targets)

        def find() -> tuple[Tensor, Tensor]:
            return nearest(self.pos, count, self.batch, targets.pos, targets.batch)

        return targets._once(("nearest", count, ref(self)), find)

    def density(self, basis: PointBasis, width: float, targets: Points | None = None) -> Tensor:
        """How many points lie around each target (by default, each point), weighted by a Gaussian: `(targets,)`.

        A point counts itself as one.
        """
        around = self if targets is None else targets
        radius = basis.support * width

        def count() -> Tensor:
            if around is self and ("near", radius) not in self._kept and not searched_by_tree(self.pos, self.batch):
                return gaussian_sums_in_blocks(self.pos, self.batch, basis, width)
            return gaussian_sums(self.pos, around.pos, self.near(radius, around), basis, width)

        return around._once(("density", basis, width, ref(self)), count)

    def farthest(self, ratio: float | None = None, count: int | None = None) -> Points:
        """A coarser set of points that covers each cloud evenly, see `farthest_points`."""

        def sample() -> Points:
            return self.subset(farthest_points(self.pos, self.batch, ratio, count))

        return self._once(("farthest", ratio, count), sample)

    @property
    def spacing(self) -> Tensor:
        """For each cloud the median distance of its points to their nearest neighbours, see `cloud_spacing`."""
        return self._once("spacing", lambda: cloud_spacing(self.pos, self.batch))

    def relative(self, to: Points | None = None) -> Points:
        """The same points, each cloud in units of its own spacing (or of that of the same cloud in `to`)."""
        other = self if to is None else to

        def divide() -> Points:
            owner, spacing = self.owner, other.spacing
            missing = max(0, int(owner.max()) + 1 - len(spacing)) if len(owner) else 0
            unit = torch.cat([spacing, spacing.new_ones(missing)])[owner]  # a cloud without points has no spacing
            return Points(self.pos / unit.to(self.pos.dtype)[:, None], self.batch)

        return self._once(("relative", ref(other)), divide)

    def _once(self, key: Any, make: Callable[[], T]) -> T:
        """What was made under this key; keys name other points by weak references, or none of them would ever go."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies find their neighbours anew."""
        return Points, (self.pos, self.batch)

    def __repr__(self) -> str:
        clouds = 1 if self.batch is None else len(torch.unique(self.batch))
        return f"Points({len(self)} points of dim {self.dim} in {clouds} cloud(s))"


def gaussian_sums(pos: Tensor, out_pos: Tensor, near: Neighbours, basis: PointBasis, width: float) -> Tensor:
    """`Σ_j e^{-r²/2} b(r)` over the sources j around each target, r in widths: `(targets,)`."""
    sums = pos.new_zeros(len(out_pos))
    own, other = out_pos.t() / width, pos.t().div(width).contiguous()
    for targets, count in chunks(near, 1, pos.device):
        index, beyond = near.padded(targets, count)
        squares = rows_of(other, index).sub_(own[:, targets, None]).square_().sum(0)
        sums[targets] = basis.gauss(squares).masked_fill_(beyond, 0).sum(1)
    return sums


def gaussian_sums_in_blocks(pos: Tensor, batch: Tensor | None, basis: PointBasis, width: float) -> Tensor:
    """The same for all points, from all distances, where neighbours are not needed for anything else."""
    sums = pos.new_zeros(len(pos))
    for points, block in distances(pos / width, batch):
        sums[points] = basis.gauss(block).sum(1)
    return sums


def chunks(near: Neighbours, numbers: int, device: torch.device) -> list[tuple[Tensor, int]]:
    """Targets with about as many sources each, and the largest of these counts; those without any are left out.

    So many at a time that about `EDGES` numbers are computed, `numbers` for each edge.
    """
    order, counts = near.by_count
    room = max(1, EDGES.get(device.type, _OTHER_DEVICES) // numbers)
    found, stop = [], len(counts)
    while stop > 0 and counts[stop - 1] > 0:
        first = max(0, stop - max(1, room // counts[stop - 1]))
        found.append((order[first:stop], counts[stop - 1]))
        stop = first
    return found


def cloud_spacing(pos: Tensor, batch: Tensor | None = None) -> Tensor:
    """The spacing of each cloud: the median over its positions of the distance to the nearest other position.

    Multiplying a cloud by a factor multiplies its spacing by it; the order of the points and copies of them change
    nothing. A cloud with a single position has a spacing of 1.

    Args:
        pos: `(points, dim)`.
        batch: the cloud of each point. Default None: one cloud.

    Shape:
        `(clouds,)`, one more than the largest number in `batch`.

    Example:
        >>> cloud_spacing(torch.tensor([[0.0], [2.0], [2.0], [5.0], [9.0]]))
        tensor([2.])
    """
    pos = checked_pos(pos)
    batch = checked_batch(batch, pos)
    owner = owners(pos, batch)
    spacing = pos.new_ones(int(owner.max()) + 1 if len(owner) else 1)
    places = torch.unique(torch.cat([owner[:, None].double(), pos.double()], dim=1), dim=0)
    owner, pos = places[:, 0].long(), places[:, 1:].to(pos.dtype)
    gaps = nearest(pos, 2, owner)[0][:, 1]
    for cloud in torch.unique(owner).tolist():
        gap = gaps[owner == cloud].median()
        spacing[cloud] = torch.where(gap.isfinite(), gap, torch.ones_like(gap))
    return spacing


def _check_pair(points: Points, targets: Points) -> None:
    if (points.batch is None) != (targets.batch is None):
        hint = "clouds are told apart by their number"
        raise ScaleGroupError("a batch vector for both or neither of the two sets of points", "one of them", hint)
    if points.dim != targets.dim:
        hint = "both lie in the same space"
        raise ScaleGroupError(f"output positions of dim {points.dim}", targets.dim, hint)
    if points.pos.dtype != targets.pos.dtype or points.pos.device != targets.pos.device:
        received = f"{targets.pos.dtype} on {targets.pos.device}"
        expected = f"output positions of {points.pos.dtype} on {points.pos.device}, like the input's"
        raise ScaleGroupError(expected, received, "convert one of them")
