"""Batches of point clouds as two tensors, all points and the cloud of each, and what is done to them at random."""

from __future__ import annotations

from collections.abc import Iterable
from math import log

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError

Cloud = Tensor | npt.NDArray[np.float32] | npt.NDArray[np.float64]


def collate_clouds(clouds: Iterable[Cloud]) -> tuple[Tensor, Tensor]:
    """Clouds of any numbers of points as one batch: `pos` and `batch`, as PyTorch Geometric has them.

    Args:
        clouds: coordinates `(points_i, dim)` of each.

    Returns:
        `pos` of shape `(points, dim)`, all points one cloud after the other, and `batch` of shape `(points,)`, int64,
        the number of the cloud of each point.

    Raises:
        ScaleGroupError: for no cloud, or clouds that are not tables of one dimension and dtype.

    Example:
        >>> pos, batch = collate_clouds([torch.zeros(2, 3), torch.ones(3, 3)])
        >>> pos.shape, batch
        (torch.Size([5, 3]), tensor([0, 0, 1, 1, 1]))
    """
    tensors = [torch.as_tensor(cloud) for cloud in clouds]
    kinds = {(cloud.ndim, cloud.shape[-1:], cloud.dtype, cloud.device) for cloud in tensors}
    if len(kinds) != 1 or tensors[0].ndim != 2:
        received = [f"{tuple(cloud.shape)} of {cloud.dtype}" for cloud in tensors]
        hint = "give the coordinates of each cloud, at least one cloud"
        raise ScaleGroupError("clouds of the shape (points, dim), of one dim, dtype and device", received, hint)
    counts = torch.tensor([len(cloud) for cloud in tensors], device=tensors[0].device)
    return torch.cat(tensors), torch.repeat_interleave(counts)


def rescale_clouds(pos: Tensor, batch: Tensor, factors: Tensor) -> Tensor:
    """Each cloud times a factor of its own, about the origin.

    Args:
        pos: coordinates `(points, dim)`.
        batch: the cloud of each point `(points,)`.
        factors: `(clouds,)`, each > 0.

    Returns:
        Coordinates `(points, dim)`.

    Raises:
        ScaleGroupError: for a factor that is not positive, or too few of them.

    Example:
        >>> rescale_clouds(torch.ones(2, 3), torch.tensor([0, 1]), torch.tensor([1.0, 2.0])).sum(dim=1)
        tensor([3., 6.])
    """
    if not bool((factors > 0).all() & factors.isfinite().all()):
        raise ScaleGroupError("factors > 0", factors.tolist(), "0.5 halves the sizes")
    _one_for_each(factors, batch, ())
    return pos * factors.to(pos)[batch].unsqueeze(1)


def random_factors(clouds: int, low: float, high: float, generator: torch.Generator | None = None) -> Tensor:
    """A factor for each cloud, float64; its logarithm is uniform, so that halving is as likely as doubling.

    Args:
        clouds: number of clouds.
        low: smallest factor, > 0.
        high: largest factor.
        generator: of the random numbers. Default: torch's own.

    Returns:
        Shape `(clouds,)`.

    Raises:
        ScaleGroupError: unless `0 < low <= high`.

    Example:
        >>> factors = random_factors(100, 0.5, 2.0)
        >>> bool((factors >= 0.5).all() & (factors <= 2.0).all())
        True
    """
    if not 0 < low <= high < float("inf"):
        raise ScaleGroupError("two factors, 0 < low <= high", (low, high), "(0.5, 2) halves to doubles sizes")
    uniform = torch.rand(clouds, generator=generator, dtype=torch.float64)
    return (log(low) + (log(high) - log(low)) * uniform).exp().clamp(low, high)


def rotate_clouds(pos: Tensor, batch: Tensor, rotations: Tensor) -> Tensor:
    """Each cloud by an orthogonal matrix of its own, about the origin.

    Args:
        pos: coordinates `(points, dim)`.
        batch: the cloud of each point `(points,)`.
        rotations: `(clouds, dim, dim)`.

    Example:
        >>> turned = rotate_clouds(torch.eye(2), torch.tensor([0, 0]), torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]))
        >>> turned.tolist()
        [[0.0, 1.0], [-1.0, 0.0]]
    """
    _one_for_each(rotations, batch, (pos.shape[1], pos.shape[1]))
    return torch.einsum("pij,pj->pi", rotations.to(pos)[batch], pos)


def _one_for_each(values: Tensor, batch: Tensor, shape: tuple[int, ...]) -> None:
    """That there is a value of this shape for each cloud."""
    clouds = int(batch.max()) + 1 if len(batch) else 0
    if values.ndim != 1 + len(shape) or len(values) < clouds or values.shape[1:] != shape:
        hint = "the numbers in batch tell how many clouds there are"
        raise ScaleGroupError(f"one of shape {shape} for each of {clouds} clouds", tuple(values.shape), hint)


def random_rotations(clouds: int, dim: int = 3, generator: torch.Generator | None = None) -> Tensor:
    """A rotation for each cloud, uniform over all of them, float64.

    Args:
        clouds: number of clouds.
        dim: number of axes. Default 3.
        generator: of the random numbers. Default: torch's own.

    Returns:
        Shape `(clouds, dim, dim)`, orthogonal, with determinant 1.

    Source: F. Mezzadri, "How to generate random matrices from the classical compact groups", 2007.

    Example:
        >>> turns = random_rotations(4)
        >>> torch.allclose(turns @ turns.mT, torch.eye(3, dtype=turns.dtype)), torch.linalg.det(turns).round().tolist()
        (True, [1.0, 1.0, 1.0, 1.0])
    """
    q, r = torch.linalg.qr(torch.randn(clouds, dim, dim, generator=generator, dtype=torch.float64))
    q = q * r.diagonal(dim1=1, dim2=2).sign().unsqueeze(1)  # unique, and so uniform
    flip = torch.linalg.det(q).sign()
    return torch.cat([q[:, :, :1] * flip[:, None, None], q[:, :, 1:]], dim=2)


def normalise_clouds(pos: Tensor, batch: Tensor) -> Tensor:
    """Each cloud with its centroid at 0 and its farthest point at distance 1, as is usual for plain networks.

    A cloud whose points are all in one place is moved to 0.

    Args:
        pos: coordinates `(points, dim)`.
        batch: the cloud of each point `(points,)`.

    Example:
        >>> normalise_clouds(torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([0, 0, 0])).flatten().tolist()
        [-0.6666666865348816, -0.3333333432674408, 1.0]
    """
    clouds = int(batch.max()) + 1 if len(batch) else 0
    counts = torch.bincount(batch, minlength=clouds).clamp(min=1).to(pos).unsqueeze(1)
    centroids = pos.new_zeros(clouds, pos.shape[1]).index_add(0, batch, pos) / counts
    centred = pos - centroids[batch]
    radii = pos.new_zeros(clouds).scatter_reduce(0, batch, centred.norm(dim=1), "amax")
    return centred / torch.where(radii > 0, radii, 1)[batch].unsqueeze(1)
