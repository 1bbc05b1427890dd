"""Where the output of a module lies, and its values between the grid points."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import interpolation_matrix
from scalegroup.testing.inputs import Array

Module = TypeVar("Module", bound=torch.nn.Module)


def with_padding(module: Module, mode: str) -> Module:
    """A copy of a module in which every `padding_mode` is this one, but for torch's transposed convolutions.

    Those know zeros only.

    Example:
        >>> with_padding(torch.nn.Conv1d(1, 1, 3, padding=1), "replicate").padding_mode
        'replicate'
    """
    twin = copy.deepcopy(module)
    for part in twin.modules():
        fixed = isinstance(part, torch.nn.modules.conv._ConvTransposeNd)
        if isinstance(vars(part).get("padding_mode"), str) and not fixed:
            part.padding_mode = mode  # type: ignore[assignment]
    return twin


def circular(module: Module) -> Module:
    """A copy of a module that lives on the torus: every `padding_mode` in it is "circular".

    Args:
        module: any module; torch's transposed convolutions keep their zeros, they know no other padding.

    Example:
        >>> conv = torch.nn.Conv1d(1, 1, 3, padding=1)
        >>> circular(conv).padding_mode, conv.padding_mode
        ('circular', 'zeros')
    """
    return with_padding(module, "circular")


def output_spacing(n_in: int, n_out: int) -> float:
    """Spacing of a centred output grid in voxels of the input, told from the two sizes.

    `n_out = ceil(n_in / q)` means stride q, `n_out` near `p n_in` means upsampling by p, and somewhat fewer points mean
    that padding is missing (spacing 1).

    Raises:
        ScaleGroupError: if the sizes do not tell.

    Example:
        >>> output_spacing(17, 17), output_spacing(17, 9), output_spacing(17, 34), output_spacing(17, 13)
        (1.0, 2.0, 0.5, 1.0)
    """
    ratio = n_in / n_out if n_out else 0.0
    for stride in (round(ratio), math.ceil(ratio)):
        if stride >= 1 and -(-n_in // stride) == n_out:
            return float(stride)
    factor = math.ceil(n_out / n_in)
    if factor > 1 and -(-n_out // factor) == n_in:
        return 1.0 / factor
    if n_in / 2 < n_out < n_in:
        return 1.0
    raise ScaleGroupError(
        f"an output grid whose spacing follows from its size, for {n_in} input points",
        f"{n_out} output points",
        "give out_spacing, the distance of output points in voxels of the input",
    )


def at_positions(field: Tensor, grids: Sequence[Array], positions: Sequence[Array], period: float | None) -> Tensor:
    """The values of a sampled field at the product of other positions along each axis.

    Args:
        field: shape `(batch, channels, *space)`.
        grids: positions of its samples along each axis.
        positions: where the values are wanted, along each axis.
        period: side of the torus, on which interpolation is exact; `None` for a volume: a windowed sinc, exact to 1e-7
            below two thirds of the grid's Nyquist frequency and exact on its points.
    """
    for axis, (grid, wanted) in enumerate(zip(grids, positions, strict=True), start=2):
        matrix = _between(grid, wanted) if period is None else _around(grid, wanted, period)
        field = torch.tensordot(field, torch.from_numpy(matrix).to(field), dims=([axis], [1])).movedim(-1, axis)
    return field


def _between(grid: Array, wanted: Array) -> Array:
    if len(grid) == 1:
        return np.ones((len(wanted), 1))
    # Beyond the border the field goes on as it ends: constants stay constants.
    return interpolation_matrix(grid, wanted, padding_mode="replicate")


def _around(grid: Array, wanted: Array, period: float) -> Array:
    """Trigonometric interpolation by the frequencies that both grids can hold (a Fourier crop)."""
    top = (min(len(grid), len(wanted)) - 1) // 2
    angles = 2 * math.pi / period * (wanted[:, None] - grid)
    result = np.ones_like(angles)
    for mode in range(1, top + 1):
        result += 2 * np.cos(mode * angles)
    return np.asarray(result / len(grid))


def at_points(field: Tensor, grids: Sequence[Array], points: Array) -> Tensor:
    """The values of a sampled field at any points, by the windowed sinc of `at_positions` along each axis.

    Args:
        field: shape `(batch, channels, *space)`.
        grids: positions of its samples along each axis.
        points: shape `(points, dim)`.

    Returns:
        Shape `(batch, channels, points)`.

    Example:
        >>> grid = np.arange(-20.0, 21)
        >>> x = torch.from_numpy(np.exp(-(grid[:, None] ** 2 + grid**2) / 18))[None, None]
        >>> abs(float(at_points(x, [grid, grid], np.array([[0.5, 1.25]]))) - math.exp(-(0.5**2 + 1.25**2) / 18)) < 1e-6
        True
    """
    weights = [
        torch.from_numpy(_between(grid, axis)).to(field) for grid, axis in zip(grids, points.T, strict=True)
    ]  # each (points, samples)
    field = torch.tensordot(field, weights[-1], dims=([field.ndim - 1], [1]))  # (batch, channels, *space, points)
    for weight in reversed(weights[:-1]):
        field = (field * weight.T).sum(dim=-2)
    return field
