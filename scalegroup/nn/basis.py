"""Which functions the kernels of a convolution are made of, in space and over the scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalegroup.errors import ScaleGroupError
from scalegroup.nn.grid import choice
from scalegroup.symbolic import Basis, FreeBasis, HermiteBasis, JointBasis

ScaleBasis = tuple[tuple[float, ...], ...]


def as_basis(
    basis: Basis | JointBasis | str | None,
    order: int | Sequence[int],
    sigma: float,
    support: float,
    kernel_size: int,
    dim: int,
) -> Basis | JointBasis:
    """The basis that the arguments of a convolution name: their own, free kernels, or Hermite-Gaussians."""
    if isinstance(basis, str):
        choice(basis, ("free",), "basis")
        if (order, sigma, support) != (2, 1.0, 4.5):
            received = f"order={order}, sigma={sigma}, support={support}"
            hint = "leave them out, or name an order instead of basis='free' for Hermite kernels"
            raise ScaleGroupError("free kernels without order, sigma and support", received, hint)
        return FreeBasis(kernel_size, dim)
    if kernel_size != 3:
        hint = "Hermite kernels reach support * sigma; basis='free' has a kernel_size"
        raise ScaleGroupError("a kernel_size for free kernels only", kernel_size, hint)
    if basis is None:
        return HermiteBasis(tuple(order) if isinstance(order, list) else order, dim)  # type: ignore[arg-type]
    return basis


def as_scale_basis(value: Sequence[Sequence[float]] | None, extent: int) -> ScaleBasis | None:
    """A matrix `(M, extent)` of functions over the neighbouring scales as tuples, or None."""
    if value is None:
        return None
    matrix = np.array(value, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != extent or not matrix.shape[0] or not np.isfinite(matrix).all():
        hint = "one row for each function of the scale, one column for each scale that is mixed"
        raise ScaleGroupError(f"scale_basis: finite numbers of shape (functions, {extent})", matrix.shape, hint)
    return tuple(tuple(row) for row in matrix.tolist())
