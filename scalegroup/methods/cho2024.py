"""Separable scale equivariance: a stream of even kernels, and one that gathers what all other kernels find in it.

Cho et al., "Scale-Equivariant Object Perception for Autonomous Driving", 2024, IEEE Xplore 10480255; its public code.

Half of the features, L, see kernels that are even along every axis, and the other half, H, all others:

    L' = act(norm(K_even * L + b)),    H' = act(norm(W_1 (K_odd * L) + W_2 H + b))

with `K = Σ_n w_n ψ_n` of Hermite-Gaussians of every scale. The kernels of H read L: what they find is mixed at each
point with what was found before, and never convolved again. For a single linear layer the split changes nothing but the
names of its weights, as every function has a weight of its own already. It is the streams that make the difference:
each has its norm and its activation, and what odd kernels found is not convolved again.

Exact and approximate: as in all group convolutions with these functions, see "ours"; the split adds no error.

Choices: as published, each degree is at most 2. Features alternate, L, H, L, H, …, so that they may be concatenated; a
method of C features has C/2 in each stream, where the paper counts those of one; kernels here grow with the scale
(published code: 5 voxels for all scales). Both streams go to the last linear layer, where the paper adds them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.nn.module import group_of, has_scales
from scalegroup.symbolic import Basis, HermiteBasis, ParityBasis


class ParityConv(nn.EquivariantModule):
    """A convolution of two streams: even kernels from the first to itself, the others from the first to the second.

    Args:
        in_type: an image, scalars, or regular fields of which every second one belongs to the second stream.
        out_type: regular fields of both streams by turns, an even number.
        order: the largest degree along each axis. Default 2.
        sigma: width of the functions at scale 1, in voxels. Default 1.0.
        padding_mode: as in `nn.GroupConv`. Default "zeros".

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`.

    Raises:
        ScaleGroupError: for an odd number of features, or other bad arguments.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, num_scales=3)
        >>> conv = ParityConv(4 * group.regular, 6 * group.regular)
        >>> conv(torch.randn(1, 12, 9, 9)).shape, conv.even.in_type.num_fields, conv.even.out_type.num_fields
        (torch.Size([1, 18, 9, 9]), 2, 3)
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        order: int = 2,
        sigma: float = 1.0,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__(in_type, out_type)
        self.lifts = not has_scales(in_type)
        for field in [out_type] if self.lifts else [in_type, out_type]:
            if field.num_fields % 2:
                hint = "half of the features belong to each stream"
                raise ScaleGroupError("an even number of features", field.num_fields, hint)
        group = group_of(out_type)
        half: FieldType = out_type.num_fields // 2 * group.regular
        read: FieldType = in_type if self.lifts else in_type.num_fields // 2 * group.regular
        even, odd = (ParityBasis(flag, order, group.dim, "each") for flag in (True, False))
        self.even = nn.GroupConv(read, half, basis=even, sigma=sigma, padding_mode=padding_mode)
        self.odd = nn.GroupConv(read, half, basis=odd, sigma=sigma, padding_mode=padding_mode, bias=self.lifts)
        self.mix = None if self.lifts else nn.Linear(half + read, half)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`."""
        x = self.check(x)
        if self.mix is None:
            return _by_turns(self.even(x), self.odd(x), self.even.out_type.num_fields)
        low, high = x.unflatten(1, (self.even.in_type.num_fields, 2, -1)).unbind(2)
        low, high = low.flatten(1, 2), high.flatten(1, 2)
        found = self.mix(torch.cat([self.odd(low), high], dim=1))
        return _by_turns(self.even(low), found, self.even.out_type.num_fields)


def _by_turns(low: Tensor, high: Tensor, count: int) -> Tensor:
    """The fields of both streams, one after the other."""
    parts = [part.unflatten(1, (count, -1)) for part in (low, high)]
    return torch.stack(parts, dim=2).flatten(1, 3)


class ParityLayers(RegularLayers):
    """The layers of two streams.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 4.
        order: the largest degree along each axis. Default 2.
        sigma: width of the functions at scale 1, in voxels. Default 1.0.
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        order: int = 2,
        sigma: float = 1.0,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.order, self.sigma = order, sigma

    def basis(self) -> Basis:
        """The functions of both streams together."""
        return HermiteBasis(self.order, self.dim, "each")

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Even and other kernels on an image."""
        return ParityConv(in_channels * self.group.scalar, self.field(out_channels), self.order, self.sigma)

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Even and other kernels on the first stream."""
        return ParityConv(self.field(in_channels), self.field(out_channels), self.order, self.sigma)


METHOD = Method(
    name="cho2024",
    title="SSE",
    source="Cho et al., Scale-Equivariant Object Perception for Autonomous Driving, 2024",
    kind="steerable",
    interscale=False,
    scales="all",
    equivariance="global",
    layers=ParityLayers,
    beyond=True,
)
