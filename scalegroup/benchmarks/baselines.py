"""What the engine is compared with: dense kernels as published code applies them, and plain convolutions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.nn import GroupConv


class PublishedConv(torch.nn.Module):
    """A group convolution as published code does it: dense kernels, and all scales in one grouped `conv3d`.

    `y[s] = Σ_c (Σ_f W[o,c,f] ψ_f(·/s)) * x[c,s]`: in every forward pass the kernels `(S O, C, k, k, k)` are made from
    the weights and the sampled basis. Channels are in the order that needs no copy: scale slowest.

    Args:
        conv: a layer between regular fields whose scales do not interact and whose kernels have one width; its weights
            and taps are used.

    Shape:
        `(batch, S C, *space)` to `(batch, S O, *space)`.

    Source: Wimmer et al., "Scale-Equivariant Deep Learning for 3D Data"; Sosnovik et al. 2019.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(base=1.001, num_scales=4, first=-3).regular
        >>> layer = PublishedConv(sg.nn.GroupConv(field, field, support=2, bias=False))
        >>> layer(torch.randn(1, 8, 6, 6, 6)).shape
        torch.Size([1, 8, 6, 6, 6])
    """

    basis: Tensor

    def __init__(self, conv: GroupConv) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(conv.weights[0].detach()[:, :, 0].clone())  # (O, C, F)
        functions = []
        for axes in conv.taps:
            x, y, z = (torch.tensor(axis.values, dtype=self.weight.dtype) for axis in axes)
            functions.append(torch.stack([torch.einsum("x,y,z->xyz", x[i], y[j], z[k]) for i, j, k in conv.products]))
        self.register_buffer("basis", torch.stack(functions), persistent=False)  # (S, F, k, k, k)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, S C, *space)` to `(batch, S O, *space)`."""
        kernels = torch.einsum("ocf,sfxyz->socxyz", self.weight, self.basis).flatten(0, 1)
        return F.conv3d(x, kernels, padding=kernels.shape[-1] // 2, groups=len(self.basis))


class PlainConvs(torch.nn.Module):
    """The floor: one plain convolution with 3×3×3 kernels for each scale.

    Args:
        channels: of the input and of the output.

    Shape:
        For each scale (or batch of scales) `(batch, channels, *space)` to the same.

    Example:
        >>> import torch
        >>> [y.shape for y in PlainConvs(2)(torch.randn(1, 2, 6, 6, 6), torch.randn(1, 2, 6, 6, 6))]
        [torch.Size([1, 2, 6, 6, 6]), torch.Size([1, 2, 6, 6, 6])]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(channels, channels, 3, 3, 3) / (27 * channels) ** 0.5)

    def forward(self, *scales: Tensor) -> tuple[Tensor, ...]:
        """One convolution for each scale."""
        return tuple(F.conv3d(x, self.weight, padding=1) for x in scales)
