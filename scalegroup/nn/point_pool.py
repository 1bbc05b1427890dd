"""Fewer points, more points, and one row for a whole cloud."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalegroup.engine import PointBasis, PointOperator, Points, points
from scalegroup.engine.farthest import check_amount
from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_finite, as_integer
from scalegroup.nn.grid import choice
from scalegroup.nn.module import check_types, group_of
from scalegroup.nn.point_module import PointModule, as_points
from scalegroup.representations import on_scales, permutes

MODES = ("mean", "max")


class FarthestPointPool(PointModule):
    """Gaussian means around a few points that cover the cloud evenly: the strided pooling of point clouds.

    `y(s, x_i) = Σ_j g((x_j - x_i) / (σ s)) x(s, x_j) / Σ_j g((x_j - x_i) / (σ s))` at points chosen by
    `nn.farthest_points`, with a Gaussian whose width grows with the scale, as all windows of pooling must.

    Args:
        field: type of input and output, all of it on the scales.
        ratio: share of the points of each cloud that stay. Default 0.25.
        sigma: width of the mean at scale 1, in the unit of the positions (in spacings, if `relative`). Default 1.0.
        support: radius of the neighbourhood in widths. Default 3.0.
        relative: sigma is relative to the spacing of each cloud. Default False.

    Shape:
        `(points, field.size)` to a pair: `(fewer points, field.size)`, and these points as an `nn.Points`.

    Raises:
        FieldTypeError: for fields without scales, which have no width.
        ScaleGroupError: for other bad arguments.

    Source: Qi et al. 2017, "PointNet++" (farthest points); `docs/accuracy.md` (widths).

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular
        >>> y, coarse = sg.nn.FarthestPointPool(field, ratio=0.25)(torch.randn(40, 8), torch.randn(40, 3))
        >>> y.shape, len(coarse)
        (torch.Size([10, 8]), 10)
    """

    def __init__(
        self,
        field: FieldType,
        ratio: float = 0.25,
        *,
        sigma: float = 1.0,
        support: float = 3.0,
        relative: bool = False,
    ) -> None:
        check_types(self, field=field)
        if not all(on_scales(rep) for _, rep in field.blocks):
            hint = "take x[index] of the others, with index = nn.farthest_points(pos, batch, ratio)"
            raise FieldTypeError("fields on the scales", str(field), hint)
        super().__init__(field, field)
        self.ratio = as_finite(ratio, "ratio, a number in (0, 1]", "0.25 keeps every fourth point", positive=True)
        check_amount(self.ratio, None)
        self.sigma = as_finite(sigma, "sigma, a number > 0", "it is a width", positive=True)
        self.support = as_finite(support, "support, a number > 0", "it is a radius in widths", positive=True)
        self.relative = bool(relative)

    def forward(self, x: Any, pos: Any = None, batch: Any = None) -> tuple[Tensor, Points]:
        """`(points, field.size)` to the means at fewer points, and these points."""
        x, sources = self.read(x, pos, batch)
        targets = sources.farthest(self.ratio)
        near, far = (sources.relative(), targets.relative(to=sources)) if self.relative else (sources, targets)
        basis = PointBasis(0, sources.dim, self.support)
        one = 1 / (basis.mass * basis.height)
        parts = []
        for block, (_, rep) in zip(self.split(x, self.in_type), self.in_type.blocks, strict=True):
            mix = torch.eye(block.shape[1], dtype=x.dtype, device=x.device).mul_(one)[None]
            scales = zip(block.unbind(2), self._widths(rep), strict=True)
            operators = ((part, PointOperator(basis, width, near, far, "target")) for part, width in scales)
            parts.append(torch.stack([points.apply(part, mix, operator) for part, operator in operators], dim=2))
        return self.join(parts), targets

    def _widths(self, rep: Any) -> list[float]:
        return [self.sigma * group_of(self.in_type).scales[s] for s in self.scales_of(rep)]

    def extra_repr(self) -> str:
        """The type, the share and the width, then what differs from the defaults."""
        parts = [str(self.in_type), f"ratio={self.ratio:g}", f"sigma={self.sigma:g}"]
        return ", ".join([*parts, *self.unusual(support=3.0, relative=False)])


class PointUpsample(PointModule):
    """Interpolates a field from few points to many.

    `y(x_i) = Σ_j w_j x(x_j) / Σ_j w_j` over the `neighbours` nearest points, with `w_j = (1 / d_j - 1 / d)²`, where
    d_j are their distances and d is that of the next point: weights that depend on ratios of distances alone, so that
    any factor leaves them as they are, and that are continuous where the next point becomes one of the nearest. Where
    a point of the input lies, its own value is taken.

    Args:
        field: type of input and output.
        neighbours: number of points. Default 3.

    Shape:
        `(points, field.size)` to `(out_points, field.size)`; zero in clouds that have output points only.

    Source: Franke & Little's weights, as in Renka 1988, "Multivariate interpolation of large sets of scattered data";
        the layer as in Qi et al. 2017, "PointNet++".

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 1 * sg.ScaleTranslationGroup(dim=1, num_scales=1).regular
        >>> up = sg.nn.PointUpsample(field, neighbours=2)
        >>> pos, x = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[0.0], [1.0], [2.0]])
        >>> up(x, pos, out_pos=torch.tensor([[0.5], [1.0]]))
        tensor([[0.5000],
                [1.0000]])
    """

    def __init__(self, field: FieldType, neighbours: int = 3) -> None:
        super().__init__(field, field)
        hint = "it is the number of points that are read"
        self.neighbours = as_integer(neighbours, "neighbours, an integer >= 1", hint, minimum=1)

    def forward(self, x: Any, pos: Any = None, batch: Any = None, out_pos: Any = None, out_batch: Any = None) -> Tensor:
        """`(points, field.size)` to `(out_points, field.size)`; `out_pos` may be an `nn.Points`."""
        values, sources = self.read(x, pos, batch)
        targets = sources if out_pos is None else as_points(out_pos, out_batch)
        distances, index = sources.nearest(self.neighbours + 1, targets)
        if not len(sources):
            return values.new_zeros(len(targets), values.shape[1])
        weights = interpolation_weights(distances).to(values.dtype)
        return (weights[:, :, None] * values[index[:, :-1]]).sum(1)

    def extra_repr(self) -> str:
        """The type and the number of neighbours."""
        return f"{self.in_type}, neighbours={self.neighbours}"


def interpolation_weights(distances: Tensor) -> Tensor:
    """Weights of the nearest points, `(n, k)`, that sum to 1, from ascending distances `(n, k + 1)` of one more.

    Example:
        >>> interpolation_weights(torch.tensor([[1.0, 2.0, 4.0], [0.0, 2.0, 4.0], [1.0, 1.0, 1.0]]))
        tensor([[0.9000, 0.1000],
                [1.0000, 0.0000],
                [0.5000, 0.5000]])
    """
    near, beyond = distances[:, :-1], distances[:, -1:]
    closest, here = near[:, :1], near == 0
    # Times the square of the smallest distance: in any unit of length the numbers stay in the range of floats.
    gaps = torch.where(here | near.isinf(), 0, closest / near - closest / beyond).square()
    gaps = torch.where(here.any(1, keepdim=True), here.to(near.dtype), gaps)
    level = near.isfinite() & (near == beyond)  # all are equally far: none is nearer than the next
    gaps = torch.where(gaps.sum(1, keepdim=True) > 0, gaps, level.to(near.dtype))
    return gaps / gaps.sum(1, keepdim=True).clamp(min=torch.finfo(near.dtype).tiny)


class CloudPool(PointModule):
    """One row for each cloud: the mean or the maximum over its points.

    Args:
        field: type of input and output. Fields that a rotation does not permute have a mean only.
        mode: "mean" or "max". Default "mean".

    Shape:
        `(points, field.size)` to `(clouds, field.size)`: one more than the largest number in `batch`, zero for clouds
        without points.

    Raises:
        FieldTypeError: for the maximum of fields that rotate.
        ScaleGroupError: for another mode.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 1 * sg.ScaleTranslationGroup(dim=3, num_scales=2).regular
        >>> x, pos, batch = torch.arange(6.0).view(3, 2), torch.randn(3, 3), torch.tensor([0, 1, 1])
        >>> sg.nn.CloudPool(field)(x, pos, batch).tolist()
        [[0.0, 1.0], [3.0, 4.0]]
    """

    def __init__(self, field: FieldType, mode: str = "mean") -> None:
        super().__init__(field, field)
        self.mode = choice(mode, MODES, "mode")
        if mode == "max" and not all(permutes(rep) for _, rep in field.blocks):
            hint = "take the mean, or nn.RotationPool first"
            raise FieldTypeError("fields that rotations permute, for mode='max'", str(field), hint)

    def forward(self, x: Any, pos: Any = None, batch: Any = None) -> Tensor:
        """`(points, field.size)` to `(clouds, field.size)`."""
        x, cloud = self.read(x, pos, batch)
        owner = cloud.owner
        pooled = x.new_zeros(int(owner.max()) + 1 if len(owner) else int(cloud.batch is None), x.shape[1])
        way = "mean" if self.mode == "mean" else "amax"
        y: Tensor = pooled.scatter_reduce(0, owner[:, None].expand_as(x), x, way, include_self=False)
        return y

    def extra_repr(self) -> str:
        """The type and the mode."""
        return f"{self.in_type}, mode={self.mode!r}"
