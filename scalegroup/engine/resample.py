"""Between grids of different spacing: one small matrix along each axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scalegroup.engine.autocast import at_least_float32, without_autocast
from scalegroup.engine.opaque import opaque
from scalegroup.kernels import resampling_matrix, smoothing_matrix


def along_axes(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply one matrix along each of the last axes of a tensor: `y[…, p, q] = Σ_{i,j} A_pi B_qj x[…, i, j]`.

    Args:
        x: `(…, n_1, n_2, …)`.
        matrices: one `(m_i, n_i)` for each of the last axes; they are converted to the dtype of `x`.

    Returns:
        `(…, m_1, m_2, …)`.

    Example:
        >>> import torch
        >>> rows, columns = torch.ones(1, 3), torch.eye(4)
        >>> along_axes(torch.arange(12.0).view(3, 4), [rows, columns])
        tensor([[12., 15., 18., 21.]])
    """
    for i, matrix in enumerate(matrices):
        axis = x.ndim - len(matrices) + i
        before, behind = x.shape[:axis], x.shape[axis + 1 :]
        matrix = matrix.to(x.dtype)
        if not behind:
            x = x @ matrix.t()
        else:  # the axes behind are one, so that nothing has to be moved
            x = (matrix @ x.reshape(*before, x.shape[axis], behind.numel())).reshape(*before, len(matrix), *behind)
    return x


@opaque
def _resampling(n_in: int, n_out: int, ratio: float, padding_mode: str, device: torch.device) -> Tensor:
    matrix = resampling_matrix(n_in, n_out, ratio, padding_mode)
    return torch.tensor(matrix, device=device)


@opaque
def _smoothing(n_in: int, n_out: int, ratio: float, sigma: float, padding_mode: str, device: torch.device) -> Tensor:
    matrix = smoothing_matrix(n_in, n_out, ratio, sigma, padding_mode)
    return torch.tensor(matrix, device=device)


def resample(x: Tensor, sizes: Sequence[int], ratios: Sequence[float], padding_mode: str = "replicate") -> Tensor:
    """`x` on centred grids of other spacings, by anti-aliased windowed-sinc resampling along its last axes.

    Args:
        x: any shape; the last `len(sizes)` axes are resampled.
        sizes: samples of the output along each of them.
        ratios: spacing of the output over that of the input, along each of them.
        padding_mode: zeros, replicate (default), reflect or circular.

    Returns:
        The shape of `x` with the last axes replaced by `sizes`; the dtype of `x`, computed in float32 at least.

    Example:
        >>> resample(torch.ones(1, 9, 8), (5, 5), (2.0, 1.5)).shape
        torch.Size([1, 5, 5])
    """
    space = x.shape[x.ndim - len(sizes) :]
    axes = zip(space, sizes, ratios, strict=True)
    return _exactly(x, [_resampling(n, m, ratio, padding_mode, x.device) for n, m, ratio in axes])


def _exactly(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """`along_axes` in float32 or better, also under autocast: in bfloat16 it would be the largest of all errors."""
    precise = x.to(at_least_float32(x.dtype))
    with without_autocast(x.device):
        return along_axes(precise, matrices).to(x.dtype)


def smooth(
    x: Tensor,
    sizes: Sequence[int],
    ratios: Sequence[float],
    sigma: float = 1.0,
    padding_mode: str = "zeros",
    adjoint: bool = False,
) -> Tensor:
    """`x` on centred grids of other spacings, seen through Gaussians as wide as these; or the adjoint of that.

    Args:
        x: any shape; the last `len(sizes)` axes are resampled.
        sizes: samples of the output along each of them.
        ratios: spacing of the grid that is smoothed to over that of the other one, along each of them.
        sigma: standard deviation in samples of the grid that is smoothed to. Default 1.
        padding_mode: zeros (default), replicate, reflect or circular.
        adjoint: from the smoothed grid back, as the measures of both grids ask for. Default False.

    Returns:
        The shape of `x` with the last axes replaced by `sizes`; the dtype of `x`, computed in float32 at least.

    Example:
        >>> import torch
        >>> y = smooth(torch.ones(1, 1, 33), sizes=[17], ratios=[2.0], padding_mode="replicate")
        >>> y.shape, torch.allclose(y, torch.ones(17), atol=1e-4)  # a mean of ones
        (torch.Size([1, 1, 17]), True)
    """
    matrices = []
    for n, m, ratio in zip(x.shape[x.ndim - len(sizes) :], sizes, ratios, strict=True):
        if adjoint:
            matrices.append(ratio * _smoothing(m, n, ratio, sigma, padding_mode, x.device).t())
        else:
            matrices.append(_smoothing(n, m, ratio, sigma, padding_mode, x.device))
    return _exactly(x, matrices)
