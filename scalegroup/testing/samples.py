"""Sampled fields of both kinds, one tensor or a tuple with one for each scale, handled alike."""

from __future__ import annotations

import torch
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.nn.module import Samples, each, grids, on_grids
from scalegroup.testing.inputs import lines
from scalegroup.testing.places import input_places


def noise(field: FieldType, size: int, divisor: int, generator: torch.Generator) -> Samples:
    """Two fields of white noise over a volume of so many voxels per axis, in float64."""
    channels = len(lines(field)) if on_grids(field) else field.size
    shapes = [tuple(map(len, axes)) for axes in input_places(field, size, divisor)]
    parts = [torch.randn(2, channels, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return tuple(parts) if on_grids(field) else parts[0]


def by_scale(x: Samples, field: FieldType) -> list[Tensor]:
    """The channels of each scale, finest first; of a field without scales nothing."""
    if isinstance(x, tuple):
        return list(x)
    window = [x[:, line.channels] for line in lines(field) if line.scales is not None]
    return list(torch.stack(window, dim=1).unbind(2)) if window else []


def to_dtype(x: Samples, dtype: torch.dtype) -> Samples:
    """The field in another dtype."""
    moved: Samples = each(lambda part: part.to(dtype), x)
    return moved


def flat(x: Samples) -> Tensor:
    """All numbers of a field."""
    return torch.cat([part.flatten() for part in grids(x)])
