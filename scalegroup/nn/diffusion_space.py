"""Q-space as one more axis: matrices between sets of gradients, weighted by how densely the samples lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi, pow
from typing import Any

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError

NOTHING = 1e-300  # the sum of the weights of samples that are all too far away


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
    """One over the density of the samples, each seen as a Gaussian of this width and of unit mass: `(…, samples)`.

    Samples that crowd share the weight of one, in as many dimensions as they are spread, so that no volume of a shell
    has to be known. The number is in units of the width: those of a dilated set seen at the dilated width are the same.

    Example:
        >>> q = torch.tensor([[0.0], [0.0], [9.0]], dtype=torch.float64)
        >>> (quadrature(q, 1.0, antipodal=False) / (2 * pi) ** 0.5).tolist()
        [0.5, 0.5, 1.0]
    """
    others = mirrored(q) if antipodal else q
    squares = (q.unsqueeze(-2) - others.unsqueeze(-3)).square().sum(dim=-1) / width**2
    return pow(2 * pi, q.shape[-1] / 2) / torch.exp(-squares / 2).sum(dim=-1)


def q_matrices(
    out_q: Tensor, q: Tensor, width: float, degrees: Sequence[tuple[int, ...]], table: Tensor, antipodal: bool
) -> Tensor:
    """The matrices `A[f, i, j] = ψ_f((q_j - q_i) / width) w_j` of the functions of q-space.

    `Σ_j A[f, i, j] x_j` stands for `∫ x(q_i + v) width^-d ψ_f(v / width) dv`; where signals are antipodal, each sample
    also lies at `-q_j`, with the same value. All functions but the Gaussian have no mean, which a sum over few samples
    would miss: as much of the Gaussian is taken from them as makes `Σ_j A[f, i, j] = 0`.

    Args:
        out_q: `(…, out, dim)`.
        q: `(…, samples, dim)`.
        width: of the kernels.
        degrees: of each function along each axis.
        table: of the Hermite functions, `(3, order + 1)`: norms, and the two columns of their recurrence.
        antipodal: whether samples are mirrored.

    Returns:
        Shape `(…, functions, out, samples)`, float64.
    """
    samples = mirrored(q) if antipodal else q
    offsets = (samples.unsqueeze(-3) - out_q.unsqueeze(-2)) / width
    values = _hermite(offsets, table)
    weights = quadrature(q, width, antipodal).unsqueeze(-2)

    def matrix(degree: Sequence[int]) -> Tensor:
        kernel = values[degree[0]][..., 0]
        for axis, n in enumerate(degree[1:], start=1):
            kernel = kernel * values[n][..., axis]
        if antipodal:
            kernel = kernel[..., : q.shape[-2]] + kernel[..., q.shape[-2] :]
        return kernel * weights

    gaussian = matrix((0,) * q.shape[-1])
    shares = gaussian / gaussian.sum(dim=-1, keepdim=True).clamp(min=NOTHING)
    matrices = []
    for degree in degrees:
        raw = matrix(degree) if any(degree) else gaussian
        matrices.append(raw - raw.sum(dim=-1, keepdim=True) * shares if any(degree) else raw)
    return torch.stack(matrices, dim=-3)


def _hermite(u: Tensor, table: Tensor) -> list[Tensor]:
    """The functions `h_0 …` at `u`, by their three-term recurrence."""
    norms, ahead, back = table.unbind(0)
    values = [norms[0] * torch.exp(-u.square() / 2)]
    for k in range(table.shape[1] - 1):
        step = ahead[k] * u * values[k]
        values.append(step - back[k] * values[k - 1] if k else step)
    return values
