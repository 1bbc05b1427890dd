"""Layers that commute with ideal resampling of periodic images, for every number of samples.

That is scaling of the image as a whole: the kernels grow with its period. An object that grows while the field of view
stays is none of their concern, see `RieszConv` for such a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import pi

import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.engine import without_autocast
from scalegroup.engine.autocast import at_least_float32
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.nn.module import group_of
from scalegroup.nn.pointwise import Pointwise
from scalegroup.nn.scalars import ScalarModule
from scalegroup.nn.spacing import plain


class FourierConv(ScalarModule):
    """A convolution of periodic images whose kernel has a fixed size in units of the period, not of the voxels.

    The image is brought onto a grid of `modes` samples along each axis, convolved there, and brought back, both by
    Fourier resampling. The response to each wave is then a number that does not depend on the samples of the image:
    the layer commutes with resampling exactly, and with other dilations not at all. Waves that `modes` samples cannot
    hold are lost.

    Args:
        in_type: type of the input field, scalars.
        out_type: type of the output field, scalars.
        modes: samples along each axis of the grid on which the kernel lives. Default 28.
        kernel_size: samples along each axis of the kernel, odd. Default 5.
        bias: add a constant to every output field. Default True.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`.

    Raises:
        FieldTypeError: for fields that are not scalar, or a group with rotations.
        ScaleGroupError: for other bad arguments.

    Source: Rahman and Yeh 2023, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS, section 4.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2)
        >>> layer = sg.nn.FourierConv(1 * group.scalar, 4 * group.scalar)
        >>> layer(torch.randn(1, 1, 9, 8)).shape, layer
        (torch.Size([1, 4, 9, 8]), FourierConv(1*scalar -> 4*scalar, modes=28, kernel_size=5))
    """

    weight: torch.nn.Parameter

    def __init__(
        self, in_type: FieldType, out_type: FieldType, modes: int = 28, kernel_size: int = 5, bias: bool = True
    ) -> None:
        super().__init__(in_type, out_type)
        dim = group_of(in_type).dim
        expected, hint = "kernel_size, an odd integer >= 1", "a kernel is centred on a sample; 5 is the paper's"
        self.kernel_size = as_integer(kernel_size, expected, hint, minimum=1)
        if kernel_size % 2 == 0:
            raise ScaleGroupError(expected, kernel_size, hint)
        self.modes = as_integer(modes, "modes, an integer >= kernel_size", "28 is the paper's", minimum=kernel_size)
        self.add_weights([(out_type.size, in_type.size, *[kernel_size] * dim)])
        self.add_bias(bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New random weights that keep the variance; biases are zero."""
        torch.nn.init.normal_(self.weight, std=self.weight[0].numel() ** -0.5)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    @property
    def declared_error(self) -> float:
        """No bound: resampling is exact, but an object that grows in its image meets a kernel that does not."""
        return float("inf")

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`."""
        x = self.check(x)
        space, dim = x.shape[2:], x.ndim - 2
        y = fourier_resample(x, [self.modes] * dim)
        y = F.pad(y, [self.kernel_size // 2] * (2 * dim), mode="circular")
        convolve = (F.conv1d, F.conv2d, F.conv3d)[dim - 1]
        return fourier_resample(convolve(y, self.weight, self.bias), space)

    def extra_repr(self) -> str:
        """Types, modes and the size of the kernel."""
        return f"{super().extra_repr()}, modes={self.modes}, kernel_size={self.kernel_size}"


class FourierPointwise(ScalarModule):
    """An activation of periodic images that commutes with ideal downsampling.

    The highest waves of an activated image are made of all others: on fewer samples they come out differently. Here
    `Y[k] = F_r(φ(F_r^-1 X))[k]` with `r = max_i |k_i|`: the waves k of the output come from the input on `2r + 1`
    samples along each axis, for one r after the other. The cost is about that of `space / (2 dim + 2)` activations.
    So few samples stand for different curves when the image moves by a part of them: the layer commutes with
    translations roughly, the better the more `oversample` puts between them.

    Args:
        field: type of the input and the output, scalars.
        activation: φ, a module or function of a tensor. Default `torch.nn.SiLU()`.
        base: the fewest samples along an axis; what these hold comes from them. Default 7.
        step: the waves of so many neighbouring r are made together. Default 1; more are cheaper, and exact for every
            `step`-th number of samples only.
        oversample: samples on which the activation acts, over those that hold the waves, along each axis. Default 1,
            as published.

    Shape:
        `(batch, field.size, *space)` to the same; an even number of samples has no wave at the Nyquist frequency.

    Raises:
        FieldTypeError: for fields that are not scalar, or a group with rotations.
        ScaleGroupError: for other bad arguments.

    Source: Rahman and Yeh 2023, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS, section 4.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2).scalar
        >>> layer, x = sg.nn.FourierPointwise(field), torch.randn(1, 2, 15, 15)
        >>> fewer = fourier_resample(x, (9, 9))
        >>> bool(torch.allclose(layer(fewer), fourier_resample(layer(x), (9, 9)), atol=1e-5))
        True
    """

    def __init__(
        self,
        field: FieldType,
        activation: Callable[[Tensor], Tensor] | None = None,
        base: int = 7,
        step: int = 1,
        oversample: int = 1,
    ) -> None:
        super().__init__(field, field)
        self.act = Pointwise(field, activation)
        self.base = as_integer(base, "base, an integer >= 1", "it is a number of samples", minimum=1)
        self.step = as_integer(step, "step, an integer >= 1", "1 is exact for every size", minimum=1)
        self.oversample = as_integer(oversample, "oversample, an integer >= 1", "1 is the paper's", minimum=1)

    @property
    def declared_error(self) -> float:
        """No bound: more samples hold waves that fewer cannot have, and an activation makes them."""
        return float("inf")

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, field.size, *space)` to the same."""
        x = self.check(x)
        with without_autocast(x.device):
            waves = waves_of(x.to(at_least_float32(x.dtype)))
            tops = [(n - 1) // 2 for n in x.shape[2:]]
            radii = [*range((self.base - 1) // 2, max(tops), self.step), max(tops)]
            made = self._activated(waves, tops, radii[0])
            for inner, outer in pairwise(radii):
                wider = self._activated(waves, tops, outer)
                made = wider + within(made - within(wider, _at_most(tops, inner)), _at_most(tops, outer))
            return samples_of(made, x.shape[2:]).to(x.dtype)

    def _activated(self, waves: Tensor, tops: Sequence[int], radius: int) -> Tensor:
        """The waves of the activated image on `2 radius + 1` samples along each axis, or as many as there are."""
        bounds = _at_most(tops, radius)
        fine = samples_of(within(waves, bounds), [2 * self.oversample * r + 1 for r in bounds])
        return within(waves_of(self.act(fine)), bounds)

    def extra_repr(self) -> str:
        """The type, and what differs from the defaults."""
        return ", ".join([str(self.in_type), *self.unusual(base=7, step=1, oversample=1)])


class FourierDownsample(ScalarModule):
    """Ideal downsampling of periodic images: the waves that fewer samples hold.

    Args:
        field: type of the input and the output, scalars.
        factor: input samples per output sample. Default 2.

    Shape:
        `(batch, field.size, *space)` to `(batch, field.size, *ceil(space / factor))`.

    Raises:
        FieldTypeError: for fields that are not scalar, or a group with rotations.
        ScaleGroupError: for a factor below 1.

    Source: Rahman and Yeh 2023, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS, section 3.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2).scalar
        >>> sg.nn.FourierDownsample(field)(torch.ones(1, 2, 9, 8)).shape
        torch.Size([1, 2, 5, 4])
    """

    def __init__(self, field: FieldType, factor: int = 2) -> None:
        super().__init__(field, field)
        self.factor = as_integer(factor, "factor, an integer >= 1", "2 halves the grid", minimum=1)

    @property
    def declared_error(self) -> float:
        """None for periodic images of waves that the output holds."""
        return 0.0

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, field.size, *space)` to `(batch, field.size, *ceil(space / factor))`."""
        return fourier_resample(plain(self.check(x)), [-(-n // self.factor) for n in x.shape[2:]])

    def extra_repr(self) -> str:
        """The type and the factor."""
        return f"{self.in_type}, factor={self.factor}"


def fourier_resample(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """A periodic image on another number of samples: the same waves, as far as both grids hold them.

    Both grids are centred. Those of even size hold no wave at their Nyquist frequency, which would stand for two.

    Args:
        x: `(batch, channels, *space)`.
        sizes: samples of the output along each axis.

    Returns:
        `(batch, channels, *sizes)`; the dtype of x, computed in float32 at least.

    Example:
        >>> x = (torch.arange(-4, 5) * (2 * torch.pi / 9)).cos().view(1, 1, 9)  # 1 in the middle
        >>> fourier_resample(x, (3,)).round(decimals=3)
        tensor([[[-0.5000,  1.0000, -0.5000]]])
    """
    with without_autocast(x.device):
        return samples_of(waves_of(x.to(at_least_float32(x.dtype))), sizes).to(x.dtype)


def waves_of(x: Tensor) -> Tensor:
    """The amplitudes of the waves `|k_i| ≤ (n_i - 1) // 2` of a periodic image, ascending, with phases in its middle.

    Along the last axis only k ≥ 0, the others being their conjugates: `(batch, channels, 2 r_1 + 1, …, r_d + 1)`.
    """
    sizes = x.shape[2:]
    axes = tuple(range(2, x.ndim))
    waves = torch.fft.rfftn(x, dim=axes, norm="forward")
    for axis in axes[:-1]:
        waves = torch.fft.fftshift(waves, dim=axis)
    return _turned(F.pad(waves, _nyquist(sizes, -1)), sizes, 1)


def samples_of(waves: Tensor, sizes: Sequence[int]) -> Tensor:
    """The image with these waves, as `waves_of` gives them, on so many samples; those it cannot hold are left out."""
    waves = within(waves, [(n - 1) // 2 for n in sizes])
    waves = F.pad(_turned(waves, sizes, -1), _nyquist(sizes, 1))
    axes = tuple(range(2, waves.ndim))
    for axis in axes[:-1]:
        waves = torch.fft.ifftshift(waves, dim=axis)
    x: Tensor = torch.fft.irfftn(waves, s=list(sizes), dim=axes, norm="forward")
    return x


def _nyquist(sizes: Sequence[int], count: int) -> list[int]:
    """What `F.pad` needs to add (1) or to remove (-1) the Nyquist frequency where there is one."""
    *others, last = [count * (1 - n % 2) for n in sizes]
    return [0, last, *[pad for extra in reversed(others) for pad in (extra, 0)]]


def _turned(waves: Tensor, sizes: Sequence[int], sign: int) -> Tensor:
    """Phases at the first sample made phases in the middle of the image (1), or the other way round (-1)."""
    real = waves.real
    for axis, n in enumerate(sizes, start=2):
        count = waves.shape[axis]
        first = 0 if axis == waves.ndim - 1 else -(count // 2)
        k = torch.arange(first, first + count, dtype=real.dtype, device=real.device)
        turns = torch.polar(torch.ones_like(k), k * (sign * pi * (n - 1) / n))
        waves = waves * turns.view([-1 if i == axis else 1 for i in range(waves.ndim)])
    return waves


def within(waves: Tensor, radii: Sequence[int]) -> Tensor:
    """The waves `|k_i| ≤ r_i` of these; zeros where there are none."""
    last = radii[-1] + 1 - waves.shape[-1]
    others = [(2 * r + 1 - n) // 2 for r, n in zip(radii[:-1], waves.shape[2:-1], strict=True)]
    return F.pad(waves, [0, last, *[pad for change in reversed(others) for pad in (change, change)]])


def _at_most(tops: Sequence[int], radius: int) -> list[int]:
    return [min(top, radius) for top in tops]
