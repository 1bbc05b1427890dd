"""Standard deviations of new weights, so that activations keep their size through depth."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from scalegroup.symbolic import Basis


def weight_std(basis: Basis, sigma: float, input_is_white: bool) -> NDArray[np.float64]:
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
    products = np.array(basis.products)
    w = np.linspace(-12.0, 12.0, 4001)
    power = np.abs(basis.transfer(w)) ** 2  # (F1, N)
    step = (w[1] - w[0]) / (2 * pi)
    own = power.sum(axis=1) * step  # ∫ h²
    cross = (power[:, None] * power[None]).sum(axis=2) * step
    white = np.prod(own[products], axis=1) / sigma**basis.dim
    if input_is_white:
        gain = white
    else:  # P = Σ_g Var(a_g) |ψ̂_g|² of a white-noise layer, whose total power is 1
        first = weight_std(basis, sigma, True) ** 2 / sigma**basis.dim
        gain = np.prod(cross[products[:, None], products[None]], axis=2) @ first
    means = np.prod(basis.means[products], axis=1) ** 2
    has_mean = means > 1e-12 * max(means.max(), 1e-300)
    variance = np.where(has_mean, 1 / max(means.sum(), 1e-300), 0.0)
    if not has_mean.all():
        share = max(1 - float(variance @ gain), 0.1)
        variance[~has_mean] = share / gain[~has_mean].sum()
    return np.asarray(np.sqrt(variance))
