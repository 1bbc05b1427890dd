"""Q-space as one more axis: matrices between sets of gradients, weighted by how densely the samples lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import factorial, pi, sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.engine.hermite import polynomials
from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.hermite import hermite_table

NOTHING = 1e-15  # the ridge of constants: samples that are all too far away count as zeros


def each_q(function: Callable[..., Tensor], x: Tensor, *arguments: Any) -> Tensor:
    """A layer of fields on positions, applied at each sample of q-space by itself.

    Samples are put beside the batch, so that `nn.BatchNorm` takes its statistics over them too, and all pointwise
    layers serve fields on positions and q-space.

    Args:
        function: a layer or function of `(batch, channels, *space)`.
        x: `(batch, channels, samples, *space)`.
        *arguments: handed on to `function`.

    Returns:
        `(batch, channels', samples, *space')`.

    Raises:
        ScaleGroupError: for a field without the axis of samples.

    Example:
        >>> import scalegroup as sg
        >>> field = 2 * sg.DiffusionGroup(dim=2, num_scales=3).regular
        >>> each_q(sg.nn.BatchNorm(field), torch.randn(1, 6, 17, 8, 8)).shape
        torch.Size([1, 6, 17, 8, 8])
    """
    if x.ndim < 4:
        expected = "a field of the axes (batch, channels, samples, *space)"
        raise ScaleGroupError(expected, tuple(x.shape), "samples of q-space are the third axis")
    y = function(x.transpose(1, 2).flatten(0, 1), *arguments)
    return y.reshape(x.shape[0], x.shape[2], *y.shape[1:]).transpose(1, 2)


def as_q(q: Any, name: str, dim: int, x: Tensor, samples: int | None = None) -> Tensor:
    """A set of q-vectors as float64 `(1 or batch, samples, dim)`, or an error.

    Args:
        q: `(samples, dim)`, one set for the batch, or `(batch, samples, dim)`.
        name: what to call it.
        dim: axes of q-space.
        x: the field, for its batch and device.
        samples: how many there must be; None for any number ≥ 1.
    """
    hint = f"rows are sqrt(b / b_ref) times the gradient's direction, see nn.DiffusionGroupConv; dim is {dim}"
    count = "samples" if samples is None else samples
    expected = f"{name} of shape ({count}, {dim}), or one such set for each of {x.shape[0]} fields"
    try:
        vectors = torch.as_tensor(q, device=x.device)
    except (TypeError, ValueError, RuntimeError):
        raise ScaleGroupError(expected, type(q).__name__, hint) from None
    shape = tuple(vectors.shape)
    right = len(shape) in (2, 3) and shape[-1] == dim and shape[-2] == (samples or max(shape[-2], 1))
    if not right or (len(shape) == 3 and shape[0] != x.shape[0]) or vectors.is_complex():
        raise ScaleGroupError(expected, shape, hint)
    # A graph cannot look at values.
    if not torch.compiler.is_compiling() and not bool(torch.isfinite(vectors).all()):
        raise ScaleGroupError(f"{name} of finite numbers", "nan or inf", "leave such samples out")
    return vectors.to(torch.float64).view(-1, *shape[-2:])


def mirrored(q: Tensor) -> Tensor:
    """The samples and their antipodes: `(…, samples, dim)` to `(…, 2 samples, dim)`."""
    return torch.cat([q, -q], dim=-2)


def quadrature(q: Tensor, width: float, antipodal: bool) -> Tensor:
    """One over the density of the samples, each seen as the Gaussian `e^{-v²/2}` of this width: `(…, samples)`.

    Samples that crowd share the weight of one, in as many dimensions as they are spread, so that no volume of a shell
    has to be known. The number is in units of the width: those of a dilated set seen at the dilated width are the same.

    Example:
        >>> q = torch.tensor([[0.0], [0.0], [9.0]], dtype=torch.float64)
        >>> quadrature(q, 1.0, antipodal=False).tolist()
        [0.5, 0.5, 1.0]
    """
    others = mirrored(q) if antipodal else q
    squares = (q.unsqueeze(-2) - others.unsqueeze(-3)).square().sum(dim=-1) / width**2
    return 1 / torch.exp(-squares / 2).sum(dim=-1)


def q_matrices(
    out_q: Tensor,
    q: Tensor,
    width: float,
    degrees: Sequence[tuple[int, ...]],
    norms: Tensor,
    antipodal: bool,
    ridge: float,
) -> Tensor:
    """The matrices of the functions of q-space: `Σ_j A[f,i,j] x_j` is `∫ x(q_i + v) width^-d ψ_f(v / width) dv`.

    A plain sum has `A[f,i,j] = ψ_f((q_j - q_i) / width) w_j` with the weights of `quadrature`. But on few samples the
    functions are no longer orthogonal: a constant looks like a curvature. So they are made orthogonal again on the
    samples around each `q_i`. With the Gaussian g and its orthonormal polynomials
    `p_f = ψ_f / r_f g`, the sums are those of a fit of polynomials to the samples by least squares with the weights
    `g w`, whose ridge decides where samples are too few to tell all of them apart; constants are always seen exactly,
    and dense samples leave nothing to correct. Rotations turn the p_f of one degree into each other without changing
    lengths, dilations of samples and width change nothing: the fit is as equivariant as the sum.

    Args:
        out_q: `(…, out, dim)`.
        q: `(…, samples, dim)`.
        width: of the kernels.
        degrees: of all functions up to some degree, along each axis; the Gaussian is one of them.
        norms: r of each degree along one axis, `∫ h_n p_n`: `(order + 1,)`, see `polynomial_norms`.
        antipodal: whether each sample also lies at `-q_j`, with the same value.
        ridge: of the fit, where a polynomial that the samples resolve has a mean square of 1.

    Returns:
        Shape `(…, functions, out, samples)`, float64.

    Source: moving least squares, Lancaster and Salkauskas 1981; reproducing kernels, Liu et al. 1995.
    """
    samples = mirrored(q) if antipodal else q
    offsets = (samples.unsqueeze(-3) - out_q.unsqueeze(-2)) / width  # (…, out, samples, dim)
    along = _polynomials(offsets, norms.shape[0] - 1)
    products = [[along[n][..., axis] for axis, n in enumerate(degree)] for degree in degrees]
    values = torch.stack([reduce(torch.mul, factors) for factors in products], dim=-2)  # (…, out, functions, samples)
    weights = quadrature(q, width, antipodal)
    if antipodal:
        weights = torch.cat([weights, weights], dim=-1)
    plain = values * (torch.exp(-offsets.square().sum(dim=-1) / 2) * weights.unsqueeze(-2)).unsqueeze(-2)
    ridges = values.new_tensor([ridge if any(degree) else NOTHING for degree in degrees])
    gram = plain @ values.mT + torch.diag(ridges)
    scale = torch.stack([norms[list(degree)].prod() for degree in degrees]) * (1 + ridges)
    fitted: Tensor = torch.linalg.solve(gram, plain) * scale.unsqueeze(-1)
    if antipodal:
        fitted = fitted[..., : q.shape[-2]] + fitted[..., q.shape[-2] :]
    return fitted.transpose(-2, -3)


def _polynomials(u: Tensor, order: int) -> list[Tensor]:
    """The polynomials `p_0 … p_order` that are orthonormal for the Gaussian of width 1 and mass 1, at `u`."""
    ahead, back = [1 / sqrt(n + 1) for n in range(order)], [sqrt(n / (n + 1)) for n in range(order)]
    return [torch.ones_like(u), *polynomials(u, ahead, back)]


def polynomial_norms(order: int) -> NDArray[np.float64]:
    """`r_n` with `h_n = r_n p_n g` for the Gaussian g of mass 1: `c_n sqrt(n! 2π)`, shape `(order + 1,)`.

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> bool(np.isclose(polynomial_norms(0)[0], HermiteBasis(0).means[0]))
        True
    """
    factorials = [factorial(n) for n in range(order + 1)]
    return np.asarray(hermite_table(order).norms * np.sqrt(2 * pi * np.array(factorials)))
