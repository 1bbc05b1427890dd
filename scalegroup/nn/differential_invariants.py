"""Derivatives over their largest value: an equivariant layer without a scale axis for smooth images."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, factorial

import numpy as np
import torch
from torch import Tensor

from scalegroup.engine import AxisOperator, without_autocast
from scalegroup.engine.autocast import at_least_float32
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import sample_taps
from scalegroup.nn.grid import PADDING_MODES, choice, positive
from scalegroup.nn.linear import Linear
from scalegroup.nn.module import group_of
from scalegroup.nn.pointwise import Pointwise
from scalegroup.nn.scalars import ScalarModule
from scalegroup.symbolic import HermiteBasis
from scalegroup.symbolic.basis import Array

_SMALLEST = 1e-5  # of the largest value of the field: derivatives below it are rounding errors, not to be enlarged


class DifferentialInvariants(ScalarModule):
    """A pointwise network of all derivatives, those of each order divided by the largest of them.

    `y(x) = W_2 φ(W_1 u(x) + b_1) + b_2`, where u are the derivatives `∂^α f_c / max_{c, |β|=|α|, x} |∂^β f_c|` up to an
    order. A derivative of order n of `f(x/a)` is `a^-n` times that of f, and so is its maximum: nothing is left of the
    factor. The derivatives are those of a Gaussian of fixed width: the error is that of the smoothing, and vanishes for
    images that are smooth at this width. Nothing is left of a factor of f either. The maximum sees the whole volume.

    Args:
        in_type: type of the input field, scalars.
        out_type: type of the output field, scalars.
        order: largest order of the derivatives. Default 2.
        sigma: width of the Gaussian in voxels. Default 1.0.
        support: half-width of the kernels, in widths. Default 4.5.
        hidden: fields between the two linear maps. Default: as many as come out.
        activation: φ, a module or function of a tensor. Default `torch.nn.SiLU()`.
        padding_mode: "zeros", "replicate" (default), "reflect" or "circular".

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`; voxels are cubes.

    Raises:
        FieldTypeError: for fields that are not scalar, or a group with rotations.
        ScaleGroupError: for other bad arguments.

    Source: Li, Qiu, Chen, He, Lin 2024, "Affine Equivariant Networks Based on Differential Invariants", CVPR.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2)
        >>> layer = sg.nn.DifferentialInvariants(1 * group.scalar, 4 * group.scalar)
        >>> layer(torch.randn(1, 1, 9, 8)).shape, layer.extra_repr()
        (torch.Size([1, 4, 9, 8]), '1*scalar -> 4*scalar, order=2, sigma=1')
        >>> [d.shape[1] for d in layer.derivatives(torch.randn(1, 1, 9, 8))]
        [1, 2, 3]
    """

    taps: Tensor

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        order: int = 2,
        sigma: float = 1.0,
        support: float = 4.5,
        hidden: int | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
        padding_mode: str = "replicate",
    ) -> None:
        super().__init__(in_type, out_type)
        group = group_of(in_type)
        self.order = as_integer(order, "order, an integer >= 1", "2 is that of the paper", minimum=1)
        self.sigma = positive(sigma, "sigma")
        self.support = positive(support, "support")
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        taps, self._first = derivative_taps(self.order, self.sigma, self.support)
        self.register_constant("taps", taps)
        hidden = out_type.size if hidden is None else hidden
        count = as_integer(hidden, "hidden, an integer >= 1", "it is a number of fields", minimum=1)
        middle: FieldType = count * group.scalar
        derivatives = comb(self.order + group.dim, group.dim)  # of all orders, that of order 0 is the field itself
        invariants: FieldType = derivatives * in_type.size * group.scalar
        self.first, self.act = Linear(invariants, middle), Pointwise(middle, activation)
        self.second = Linear(middle, out_type)

    @property
    def declared_error(self) -> float:
        """No bound: the Gaussian does not grow with the content."""
        return float("inf")

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`."""
        x = self.check(x)
        return self.second(self.act(self.first(self.invariants(x))))  # type: ignore[no-any-return]

    def invariants(self, x: Tensor) -> Tensor:
        """The derivatives of all orders, each over the largest of its order: `(batch, in * count, *space)`."""
        with without_autocast(x.device):
            groups = self.derivatives(x.to(at_least_float32(x.dtype)))
            floor = _SMALLEST * _largest(x)
            return torch.cat([_over_largest(group, floor) for group in groups], dim=1).to(x.dtype)

    def derivatives(self, x: Tensor) -> list[Tensor]:
        """For each order from 0 the derivatives of this order per voxel: `(batch, in * count, *space)`."""
        found: dict[tuple[int, ...], Tensor] = {(): x}
        for axis, n in enumerate(x.shape[2:], start=2):
            rows = AxisOperator(self.taps, self._first, 1, n, n, self.padding_mode).matrix().to(x.dtype)
            found = {
                (*alpha, k): torch.tensordot(part, rows[k], dims=([axis], [1])).movedim(-1, axis)
                for alpha, part in found.items()
                for k in range(self.order + 1 - sum(alpha))
            }
        orders = range(1, self.order + 1)
        return [x, *(torch.cat([part for alpha, part in found.items() if sum(alpha) == n], dim=1) for n in orders)]

    def extra_repr(self) -> str:
        """Types, order, width, and what differs from the defaults."""
        unusual = self.unusual(support=4.5, padding_mode="replicate")
        return ", ".join([super().extra_repr(), f"order={self.order}", f"sigma={self.sigma:g}", *unusual])


def derivative_taps(order: int, sigma: float, support: float) -> tuple[Array, int]:
    """Taps of the derivatives of orders 0 to `order` of a Gaussian, each exact for powers up to its own order.

    Returns:
        The taps, `(order + 1, L)`, and the position of the first.

    Example:
        >>> taps, first = derivative_taps(2, 1.0, 4.5)
        >>> m = np.arange(first, first + taps.shape[1])
        >>> [round(float(row @ m**n), 9) for n, row in enumerate(taps)]  # n! for the n-th derivative of x^n
        [1.0, 1.0, 2.0]
    """
    taps = sample_taps(HermiteBasis(order, 1), sigma, support)
    m = np.arange(taps.first, taps.last + 1)
    moments = taps.values @ m[:, None] ** np.arange(order + 1)  # (order + 1, order + 1)
    mixing = [np.linalg.inv(moments[: n + 1, : n + 1])[n] * factorial(n) for n in range(order + 1)]
    return np.stack([mix @ taps.values[: n + 1] for n, mix in enumerate(mixing)]), taps.first


def _largest(x: Tensor) -> Tensor:
    """The largest absolute value of each sample: `(batch, 1, *ones)`."""
    return x.abs().amax(dim=tuple(range(1, x.ndim)), keepdim=True)


def _over_largest(x: Tensor, floor: Tensor) -> Tensor:
    peak = torch.maximum(_largest(x), floor)
    return x / torch.where(peak > 0, peak, 1.0)  # a volume of zeros stays one, and so do its gradients
