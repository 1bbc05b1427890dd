"""How well the kernels of all scales are one kernel: in the Fourier domain, without a volume and its border."""

from __future__ import annotations

import copy
from math import pi

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.nn.convolution import Convolution
from scalegroup.nn.module import group_of

POINTS = {1: 129, 2: 33, 3: 17}  # frequencies along each axis, by the number of axes


def kernel_spectrum_error(conv: Convolution, wmax: float = pi / 2, tap: int = 0) -> NDArray[np.float64]:
    """The differences of the kernels of all scales, each brought to the width of the other.

    `e[k, j] = ‖K̂_k(w) - K̂_j(w s_k / s_j)‖ / ‖K̂_k(w)‖` with the spectrum `K̂_k(w) = Σ_x K_k(x) e^{-iwx}` of the kernel at
    scale k, over the frequencies that are at most `wmax` along each axis for the finer of the two. It shows truncation
    and aliasing, a basis that is none at all scales, and a wrong power of the scale.

    Args:
        conv: a group convolution, with the weights that it has.
        wmax: largest frequency in radians per sample. Default π/2.
        tap: of the neighbouring scales that it mixes. Default 0.

    Returns:
        A matrix with a row and a column for each scale; its first column compares all scales with the finest.

    Raises:
        ScaleGroupError: for anything else than a convolution with all scales on one grid.

    Source: METHODS.md section 0.3, test T1.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, base=2**0.5, num_scales=3)
        >>> conv = sg.nn.GroupConv(1 * group.scalar, 4 * group.regular)
        >>> bool(kernel_spectrum_error(conv).max() < 1e-3)
        True
        >>> narrow = sg.nn.GroupConv(1 * group.scalar, 4 * group.regular, support=2.0)
        >>> bool(kernel_spectrum_error(narrow).max() > 1e-2)
        True
    """
    if not isinstance(conv, Convolution) or conv.on_grids:
        received = f"{type(conv).__name__}" if not isinstance(conv, Convolution) else str(group_of(conv.out_type))
        hint = "give a nn.GroupConv of a group with sampling='uniform'"
        raise ScaleGroupError("a group convolution with a kernel for each scale", received, hint)
    conv = copy.deepcopy(conv).double()
    scales = np.array(conv.scales)
    kernels = [conv.kernels(k, tap).detach().numpy() for k in range(len(scales))]
    count = POINTS[conv.basis.dim]
    errors = np.zeros((len(scales), len(scales)))
    for k, j in np.ndindex(errors.shape):
        w = np.linspace(-wmax, wmax, count) * min(1.0, scales[j] / scales[k])
        own, other = _spectrum(kernels[k], w), _spectrum(kernels[j], w * scales[k] / scales[j])
        errors[k, j] = np.linalg.norm(own - other) / np.linalg.norm(own)
    return errors


def _spectrum(kernel: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Of a centred kernel `(out, in, *K)`, at all combinations of frequencies along the axes."""
    spectrum = kernel.astype(np.complex128)
    for axis in range(2, kernel.ndim):
        where = np.arange(kernel.shape[axis]) - kernel.shape[axis] // 2
        spectrum = np.moveaxis(np.tensordot(np.exp(-1j * np.outer(w, where)), spectrum, axes=(1, axis)), 0, axis)
    return spectrum
