"""How far a module on point clouds is from `f(L_g x) = L_g f(x)`: nothing is interpolated, only rounding is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.representations import on_scales
from scalegroup.testing.errors import largest_error, truncation_reach
from scalegroup.testing.experiment import group_of


class Cloud(NamedTuple):
    """Features, positions, and the cloud of each point."""

    x: Tensor
    pos: Tensor
    batch: Tensor

    @classmethod
    def random(cls, field: FieldType, points: int = 31, clouds: int = 2, seed: int = 1) -> Cloud:
        """White noise on points spread evenly in the unit cube, in no order, in float64."""
        generator = torch.Generator().manual_seed(seed)
        pos = torch.rand(points, group_of(field).dim, generator=generator, dtype=torch.float64)
        x = torch.randn(points, field.size, generator=generator, dtype=torch.float64)
        return cls(x, pos, torch.randperm(points, generator=generator) % clouds)

    def to(self, dtype: torch.dtype) -> Cloud:
        """Features and positions in another dtype."""
        return Cloud(self.x.to(dtype), self.pos.to(dtype), self.batch)


Run = Callable[[torch.nn.Module, Tensor, Tensor, Tensor], Tensor]


def call(layer: torch.nn.Module, x: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
    """The features that `layer(x, pos, batch)` returns, without the points that some layers return with them."""
    y = layer(x, pos, batch)
    features: Tensor = y[0] if isinstance(y, tuple) else y
    return features


@dataclass(frozen=True)
class PointErrors:
    """Relative errors of one module: the largest difference over the largest number.

    Attributes:
        error: `max |f(L_g x) - L_g f(x)| / max |L_g f(x)|`, where the window of scales holds both.
        trivial: the negative twin, the error if nothing had to be done to the output.

    Example:
        >>> import scalegroup as sg
        >>> field = 1 * sg.ScaleTranslationGroup(dim=2, base=2.0, num_scales=3).regular
        >>> errors = point_error(sg.nn.PointGroupConv(field, field, sigma=0.2).double(), t=(1.0, 2.0))
        >>> errors.error < 1e-12, errors.trivial < 1e-12  # a translation leaves features as they are
        (True, True)
    """

    error: float
    trivial: float


def point_error(
    module: torch.nn.Module,
    *,
    s: float = 1.0,
    k: Any = None,
    t: Any = None,
    cloud: Cloud | None = None,
    run: Run = call,
    dtype: torch.dtype = torch.float64,
    relative: bool = False,
    in_type: FieldType | None = None,
    out_type: FieldType | None = None,
) -> PointErrors:
    """Measure the equivariance of a module on point clouds under one element of the group.

    Args:
        module: a module in `dtype`, called as `run(module, x, pos, batch)`.
        s: factor of the positions, a power of the base. Default 1.
        k: a rotation of the group, or its value. Default None: none.
        t: a translation, one number per axis. Default None: none.
        cloud: the input. Default: random points.
        run: how the module is called. Default: `module(x, pos, batch)`.
        dtype: of the input. Default float64.
        relative: the scales are relative to the size of the cloud: the factor must change nothing. Default False.
        in_type: type of the input. Default: the module's own.
        out_type: type of the output. Default: the module's own.

    Example:
        >>> import scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=3, base=2.0, num_scales=3).regular
        >>> errors = point_error(sg.nn.PointGroupConv(field, field, sigma=0.2).double(), s=2.0)
        >>> errors.error < 1e-12, errors.trivial > 0.1
        (True, True)
    """
    layer: Any = module
    field, out_field = layer.in_type if in_type is None else in_type, layer.out_type if out_type is None else out_type
    cloud = Cloud.random(field) if cloud is None else cloud
    moved_pos = torch.from_numpy(group_of(field).element(t=t, s=s, k=k).act(cloud.pos.numpy()))
    before, after = (group_of(kind).element(t=t, s=1.0 if relative else s, k=k) for kind in (field, out_field))
    turned = Cloud(cloud.x @ torch.from_numpy(field.representation(before)).t(), moved_pos, cloud.batch)
    with torch.no_grad():
        y, moved = (run(module, *part.to(dtype)).double() for part in (cloud, turned))
    wanted = y @ torch.from_numpy(out_field.representation(after)).t()
    below, above = truncation_reach(module) if after.exponent else (0, 0)
    inside = channels_of(out_field, range(below, group_of(out_field).num_scales - above))
    inside &= out_field.representation.overlap(after)
    return PointErrors(*(largest_error(moved[:, inside], part[:, inside]) for part in (wanted, y)))


def channels_of(field: FieldType, scales: Iterable[int]) -> NDArray[np.bool_]:
    """Which channels belong to these scales, or to none.

    Example:
        >>> import scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(num_scales=3)
        >>> channels_of(1 * group.regular + 1 * group.scalar, [0, 2]).tolist()
        [True, False, True, True]
    """
    kept = []
    for multiplicity, rep in field.blocks:
        wanted = np.isin(np.arange(rep.num_scales), list(scales)) | (not on_scales(rep))
        kept.append(np.tile(wanted, multiplicity * (rep.size // rep.num_scales)))
    return np.concatenate(kept)
