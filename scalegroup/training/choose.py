"""The command `choose`: what a choice of kernels and scales means, before anything is built from it."""

from __future__ import annotations

from typing import Literal

import torch

from scalegroup.nn import estimate
from scalegroup.training.report import open_console


def choose(
    order: int = 2,
    sigma: float = 1.0,
    support: float = 4.5,
    base: float = 2**0.5,
    num_scales: int = 4,
    first: int = 0,
    scale_extent: int = 1,
    sampling: Literal["uniform", "haar"] = "uniform",
    channels: int = 16,
    shape: tuple[int, ...] = (48, 48, 48),
    size_range: float | None = None,
    dtype: Literal["float64", "float32", "bfloat16", "float16"] = "float32",
) -> None:
    """Says which error, cost and memory a choice of kernels and scales has, and which rules it breaks.

    Args:
        order: largest total degree of the kernels.
        sigma: width of the kernels at scale 1, in voxels.
        support: half-width of the kernels in widths.
        base: ratio of neighbouring scales.
        num_scales: number of scales.
        first: exponent of the first scale; below 0 it is finer than the voxels.
        scale_extent: neighbouring scales that are mixed.
        sampling: "uniform": all scales on the voxels; "haar": each on a grid of its own.
        channels: fields in and out.
        shape: voxels along each axis, as a list: --shape "[96, 96, 96]".
        size_range: by which factor the sizes of your objects differ.
        dtype: of weights and fields.

    Example:
        >>> choose(order=1, shape=(32, 32))
        order 1, sigma 1, support 4.5, 4 scales (uniform), 16 fields on 32×32
          half-widths     5 7 10 13  at scales 1 1.41 2 2.83
          ...
    """
    found = estimate(
        order=order,
        sigma=sigma,
        support=support,
        base=base,
        num_scales=num_scales,
        first=first,
        scale_extent=scale_extent,
        sampling=sampling,
        channels=channels,
        shape=shape,
        size_range=size_range,
        dtype=getattr(torch, dtype),
    )
    open_console().print(str(found), markup=False, highlight=False, soft_wrap=True)
