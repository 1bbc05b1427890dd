"""Images to measure with: blobs that are scaled exactly, and noise without high frequencies."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SPREAD = 0.25  # of the centres, as a share of what both images show
WIDTHS = (2.0, 3.0)  # standard deviations of the blobs in samples


def blob_images(
    count: int, dim: int, size: int, factor: float = 1.0, room: float = 2**0.5, blobs: int = 8, seed: int = 0
) -> Tensor:
    """Images of Gaussian blobs, magnified by a factor about their centre.

    With the same seed and `room` the images of two factors are exactly `f(x)` and `f(x / factor)`.

    Args:
        count: number of images.
        dim: number of axes.
        size: samples per axis.
        factor: of everything seen. Default 1.
        room: the largest factor for which the blobs stay well inside. Default √2.
        blobs: in an image. Default 8.
        seed: of the blobs. Default 0.

    Returns:
        `(count, 1, *space)`.

    Example:
        >>> f, g = (blob_images(1, 1, 65, factor, room=2.0) for factor in (1.0, 2.0))
        >>> f.shape, torch.allclose(f[..., 16:49], g[..., ::2])
        (torch.Size([1, 1, 65]), True)
    """
    rng = np.random.default_rng(seed)
    reach = SPREAD * (size - 1) / 2 / room
    centres = rng.uniform(-reach, reach, (count, blobs, dim))
    widths = rng.uniform(*WIDTHS, (count, blobs))
    heights = rng.uniform(0.5, 1.5, (count, blobs)) * rng.choice([-1.0, 1.0], (count, blobs))
    places = (np.arange(size) - (size - 1) / 2) / factor
    images = heights[..., None]  # (count, blobs, samples so far)
    for axis in range(dim):
        bump = np.exp(-0.5 * ((places - centres[:, :, axis, None]) / widths[..., None]) ** 2)
        images = (images[..., None] * bump[:, :, None]).reshape(count, blobs, -1)
    return torch.from_numpy(images.sum(axis=1).reshape(count, 1, *[size] * dim)).float()


def band_limited(count: int, dim: int, size: int, highest: float = math.pi / 2, seed: int = 0) -> Tensor:
    """Periodic noise of unit variance without frequencies above a bound.

    Args:
        count: number of images.
        dim: number of axes.
        size: samples per axis.
        highest: radians per sample. Default π/2.
        seed: of the noise. Default 0.

    Returns:
        `(count, 1, *space)`.

    Example:
        >>> noise = band_limited(2, 2, 32)
        >>> noise.shape, noise.std().round(decimals=2)
        (torch.Size([2, 1, 32, 32]), tensor(1.))
    """
    generator = torch.Generator().manual_seed(seed)
    axes = tuple(range(-dim, 0))
    spectrum = torch.fft.fftn(torch.randn(count, 1, *[size] * dim, generator=generator), dim=axes)
    along = 2 * math.pi * torch.fft.fftfreq(size)
    squares = sum((along.view([-1 if axis == own else 1 for own in axes]) ** 2 for axis in axes), torch.zeros(()))
    noise: Tensor = torch.fft.ifftn(spectrum * (squares.sqrt() <= highest), dim=axes).real
    return noise / noise.std()
