"""Standard deviations of new weights, so that activations keep their size through depth."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from scalegroup.kernels.taps import waves
from scalegroup.symbolic import Basis, JointBasis
from scalegroup.symbolic.basis import Array


def weight_std(basis: Basis | JointBasis, sigma: float, input_is_white: bool) -> NDArray[np.float64]:
    """Standard deviation of the coefficient of each basis function, for one input channel.

    Two inputs are asked to keep their variance. A constant passes through the functions that have a mean; they get
    `Var(a_f) = 1 / Σ_g (∫ψ_g)²`. The others share the variance of a noise of power spectrum P(w): they get
    `Var(a) = (1 - Σ_{f with a mean} Var(a_f) G_f) / Σ_{f without} G_f` with `G_f = ∫ |ψ̂_f(w)|² P(w) dw / ∫ P`. P is
    white for the first layer, and what the first layer makes of white noise for those behind it.

    Args:
        basis: the functions, in units of their width.
        sigma: width at scale 1 in samples of the grid the layer writes.
        input_is_white: whether the layer reads raw data rather than responses of another layer.

    Returns:
        Shape `(F,)`.
    """
    white, cross, means = _joint(basis, sigma) if isinstance(basis, JointBasis) else _separable(basis, sigma)
    # P = Σ_g Var(a_g) |ψ̂_g|² of a white-noise layer, whose total power is 1
    gain = white if input_is_white else cross @ weight_std(basis, sigma, True) ** 2
    has_mean = means > 1e-12 * max(means.max(), 1e-300)
    variance = np.where(has_mean, 1 / max(means.sum(), 1e-300), 0.0)
    if not has_mean.all():
        share = max(1 - float(variance @ gain), 0.1)
        total = float(gain[~has_mean].sum())
        variance[~has_mean] = share / total if total > 0 else 0.0  # none of them has a sample other than zero
    return np.asarray(np.sqrt(variance))


def _separable(basis: Basis, sigma: float) -> tuple[Array, Array, Array]:
    """For product kernels: ∫|ψ̂_f|², ∫|ψ̂_f|²|ψ̂_g|² and (∫ψ_f)², in voxels."""
    products = np.array(basis.products)
    own_taps = basis.taps(sigma, 0.0)
    if own_taps is None:
        w = np.linspace(-12.0, 12.0, 4001)
        step = (w[1] - w[0]) / (2 * pi * sigma)
        transfer = basis.transfer(w)
    else:
        w = np.linspace(-pi, pi, 4001)
        step = (w[1] - w[0]) / (2 * pi)
        transfer = own_taps[0] @ waves(w, own_taps[1], own_taps[0].shape[1])
    power = np.abs(transfer) ** 2  # (F1, N)
    white = np.prod((power.sum(axis=1) * step)[products], axis=1)
    cross = (power[:, None] * power[None]).sum(axis=2) * step
    means = np.prod(basis.means[products], axis=1) ** 2
    return white, np.prod(cross[products[:, None], products[None]], axis=2), means


def _joint(basis: JointBasis, sigma: float) -> tuple[Array, Array, Array]:
    """The same for kernels of another form, from their samples."""
    values = basis.sample([sigma] * basis.dim, [0.0] * basis.dim)
    axes = tuple(range(1, basis.dim + 1))
    sizes = [2 * n for n in values.shape[1:]]
    power = np.abs(np.fft.fftn(values, sizes, axes=axes).reshape(len(values), -1)) ** 2
    return power.mean(axis=1), power @ power.T / power.shape[1], values.sum(axis=axes) ** 2
