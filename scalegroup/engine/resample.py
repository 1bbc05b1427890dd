"""Between grids of different spacing: one small matrix along each axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scalegroup.kernels import resampling_matrix


def along_axes(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply one matrix `(n_out, n_in)` along each of the last axes of `x`."""
    for i, matrix in enumerate(matrices):
        axis = x.ndim - len(matrices) + i
        x = (x.movedim(axis, -1) @ matrix.to(x.dtype).t()).movedim(-1, axis)
    return x


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _constant(n_in: int, n_out: int, ratio: float, padding_mode: str, device: torch.device) -> Tensor:
    matrix = resampling_matrix(n_in, n_out, ratio, padding_mode)
    return torch.tensor(matrix, device=device)


def resample(x: Tensor, sizes: Sequence[int], ratios: Sequence[float], padding_mode: str = "replicate") -> Tensor:
    """`x` on centred grids of other spacings, by anti-aliased windowed-sinc resampling along its last axes.

    Args:
        x: any shape; the last `len(sizes)` axes are resampled.
        sizes: samples of the output along each of them.
        ratios: spacing of the output over that of the input, along each of them.
        padding_mode: zeros, replicate (default), reflect or circular.

    Returns:
        The shape of `x` with the last axes replaced by `sizes`; the dtype of `x`.

    Example:
        >>> resample(torch.ones(1, 9, 8), (5, 5), (2.0, 1.5)).shape
        torch.Size([1, 5, 5])
    """
    space = x.shape[x.ndim - len(sizes) :]
    axes = zip(space, sizes, ratios, strict=True)
    return along_axes(x, [_constant(n, m, ratio, padding_mode, x.device) for n, m, ratio in axes])
