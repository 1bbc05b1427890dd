"""Riesz transforms: kernels that look the same at every scale, so that no scale axis is needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import factorial, prod, sqrt

import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.engine import without_autocast
from scalegroup.engine.autocast import at_least_float32
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.nn.grid import PADDING_MODES, choice
from scalegroup.nn.module import group_of
from scalegroup.nn.scalars import ScalarModule


class RieszConv(ScalarModule):
    """A learned combination of Riesz transforms, equivariant to every dilation without a scale axis.

    `y_o = Σ_c (C_oc + Σ_j C_ocj R_j + Σ_{j≤k} C_ocjk R_j R_k) f_c + b_o`, with `(R_j f)^(w) = -i w_j/|w| f̂(w)`. The
    factor depends on the direction of w only: so `R_j (L_a f) = L_a (R_j f)` for all factors a. The transforms of
    order n are multiplied by `sqrt(n!/α!)`, which up to order 2 is √2 for `R_j R_k`, j < k, and else 1: together they
    then keep the energy of a field of zero mean. Of the mean all give zero but that of order 0.

    Args:
        in_type: type of the input field, scalars.
        out_type: type of the output field, scalars.
        order: largest number of Riesz transforms in a row. Default 2.
        bias: add a constant to every output field. Default True.
        padding_mode: what lies outside the volume. The kernels fall off as `|x|^-d` only and see all of it: "circular"
            is exact for periodic volumes; for "replicate" (default), "zeros" and "reflect" the volume is extended to
            twice its size along each axis, and what lies beyond is its periodic continuation.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`; voxels are cubes.

    Raises:
        FieldTypeError: for fields that are not scalar, or a group with rotations.
        ScaleGroupError: for other bad arguments.

    Source: Barisin, Schladitz, Redenbach 2024, "Riesz networks: scale-invariant neural networks in a single forward
        pass", J. Math. Imaging Vis.; the factors in Unser and Van De Ville 2010, "Wavelet steerability and the
        higher-order Riesz transform".

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2)
        >>> layer = sg.nn.RieszConv(1 * group.scalar, 4 * group.scalar)
        >>> layer(torch.randn(1, 1, 9, 8)).shape, layer
        (torch.Size([1, 4, 9, 8]), RieszConv(1*scalar -> 4*scalar, order=2))
        >>> layer.indices
        ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    """

    weight: torch.nn.Parameter

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        order: int = 2,
        bias: bool = True,
        padding_mode: str = "replicate",
    ) -> None:
        super().__init__(in_type, out_type)
        self.order = as_integer(order, "order, an integer >= 0", "2 is that of the paper", minimum=0)
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        self.indices = riesz_indices(self.order, group_of(in_type).dim)
        self.add_weights([(out_type.size, in_type.size, len(self.indices))])
        self.add_bias(bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New random weights that keep the variance of a field of zero mean; biases are zero."""
        torch.nn.init.normal_(self.weight, std=(self.weight.shape[1] * (self.order + 1)) ** -0.5)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    @property
    def declared_error(self) -> float:
        """None on the torus; no bound where the volume ends, because the kernels see what lies beyond."""
        return 0.0 if self.padding_mode == "circular" else float("inf")

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`."""
        x = self.check(x)
        with without_autocast(x.device):
            y = self._transformed(x.to(at_least_float32(x.dtype)))
            return y.to(x.dtype)

    def _transformed(self, x: Tensor) -> Tensor:
        space, axes = x.shape[2:], tuple(range(2, x.ndim))
        first, x = extended(x, self.padding_mode)
        period = x.shape[2:]
        spectrum = torch.fft.rfftn(x, dim=axes)
        numbers = torch.view_as_real(spectrum).flatten(2)  # (batch, in, frequencies * 2)
        shape = (len(x), self.out_type.size, *spectrum.shape[2:], 2)
        weights, multipliers = self.weight.to(x.dtype).unbind(2), riesz_multipliers(self.indices, period, x)
        parts = [
            torch.view_as_complex(torch.matmul(weight, numbers).reshape(shape)) * multiplier
            for weight, multiplier in zip(weights, multipliers, strict=True)
        ]
        y: Tensor = torch.fft.irfftn(sum(parts[1:], parts[0]), s=period, dim=axes)
        for axis, start, size in zip(axes, first, space, strict=True):
            y = y.narrow(axis, start, size)
        return y if self.bias is None else y + self.bias.to(y.dtype).view(-1, *[1] * len(space))

    def extra_repr(self) -> str:
        """Types, order, and what differs from the defaults."""
        unusual = self.unusual(padding_mode="replicate")
        return ", ".join([super().extra_repr(), f"order={self.order}", *unusual])


def riesz_indices(order: int, dim: int) -> tuple[tuple[int, ...], ...]:
    """How often each `R_j` is applied, for all products of up to `order` of them, by their number.

    Example:
        >>> riesz_indices(2, 1), riesz_indices(1, 3)
        (((0,), (1,), (2,)), ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)))
    """
    powers = [alpha for alpha in product(range(order, -1, -1), repeat=dim) if sum(alpha) <= order]
    return tuple(sorted(powers, key=sum))


def riesz_multipliers(indices: Sequence[Sequence[int]], space: Sequence[int], like: Tensor) -> list[Tensor]:
    """`sqrt(n!/α!) Π_j (-i w_j/|w|)^α_j` at the frequencies of `torch.fft.rfftn`, for each `α` with `n = Σ_j α_j`.

    At the Nyquist frequency of an axis stand two waves, `w_j = π` and `-π`: the mean over both is taken.

    Args:
        indices: the exponents α.
        space: samples along each axis.
        like: a tensor whose dtype and device they get.

    Returns:
        Complex tensors of shape `(*space[:-1], space[-1] // 2 + 1)`.
    """
    dim, last = len(space), len(space) - 1
    kinds = [torch.fft.rfftfreq if axis == last else torch.fft.fftfreq for axis in range(dim)]
    waves = [
        kind(n, dtype=like.dtype, device=like.device).view([-1 if i == axis else 1 for i in range(dim)])
        for axis, (kind, n) in enumerate(zip(kinds, space, strict=True))
    ]
    square = sum((w**2 for w in waves[1:]), waves[0] ** 2)
    norm = torch.where(square > 0, square, 1.0).sqrt()
    even = [(w / norm) ** 2 for w in waves]
    odd = [torch.where(w.abs() == 0.5, 0.0, w) / norm for w in waves]
    multipliers = []
    for alpha in indices:
        order = sum(alpha)
        value = torch.full_like(norm, sqrt(factorial(order) / prod([factorial(power) for power in alpha])))
        for axis, power in enumerate(alpha):
            for factor in [odd[axis]] * (power % 2) + [even[axis]] * (power // 2):
                value = value * factor
        multipliers.append(value * (-1j) ** order)
    return multipliers


def extended(x: Tensor, padding_mode: str) -> tuple[list[int], Tensor]:
    """A volume in the middle of a period of about twice its size, and where it starts there; "circular": itself.

    The mirror image of n samples has the period `2n - 2`, without a seam; the others get 2n.

    Example:
        >>> extended(torch.arange(4.0).view(1, 1, 4), "reflect")
        ([1], tensor([[[1., 0., 1., 2., 3., 2.]]]))
    """
    space = x.shape[2:]
    if padding_mode == "circular":
        return [0] * len(space), x
    room = [max(n - 2, 0) if padding_mode == "reflect" else n for n in space]
    pads = [side for n in reversed(room) for side in (n // 2, n - n // 2)]
    return [n // 2 for n in room], F.pad(x, pads, mode="constant" if padding_mode == "zeros" else padding_mode)
