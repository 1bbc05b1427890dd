"""Lifting by blurring: the Gaussian scale space of an image."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from scalegroup.engine import AxisOperator, along_axes
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.grid import PADDING_MODES, choice, positive
from scalegroup.nn.module import EquivariantModule, check_types, group_of
from scalegroup.nn.spacing import Spacing, read, spacing_of
from scalegroup.representations import Scalar
from scalegroup.symbolic import discrete_gaussian

HALF_WIDTH = 4  # in standard deviations rounded up, as published


class ScaleSpaceLift(EquivariantModule):
    """Lifts an image to its scale space: level k is the image blurred by a Gaussian, the finest is the image itself.

    `F(s_k, x) = (T(t_k) * f)(x)` with the discrete Gaussian T of variance `t_k = zero_scale² (s_k² - s_0²) / s_0²`
    along each axis. If f has the blur `zero_scale` of a camera, level k has the blur `zero_scale s_k / s_0`: it looks
    as level 0 of the image seen s_k / s_0 times smaller does. So the lifting suits a semigroup, that of the
    downsampling of images, in which the blur counts as part of the image.

    Args:
        field: the input, scalar fields.
        zero_scale: standard deviation σ_0 in voxels of the blur that the image has already. The published values are
            0.25 and 0.5, at which a grid cannot hold the image: subsampling by 2 moves one level to the next with an
            error of 0.19 for 0.5, of 0.018 for 1.0 and 0.007 for 1.5. Default 1.0.
        padding_mode: what lies outside the volume: "zeros" (default), "replicate", "reflect" or "circular".

    Shape:
        `(batch, field.size, *space)` to `(batch, field.size * num_scales, *space)`.

    Raises:
        FieldTypeError: for fields that are not scalar, or have a grid for each scale.
        ScaleGroupError: for other bad arguments, and from `with_window` for a scale finer than the image's own.

    Source: Worrall and Welling 2019, "Deep Scale-Spaces: Equivariance Over Scale", section 3.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, base=2, num_scales=3)
        >>> lift = sg.nn.ScaleSpaceLift(1 * group.scalar)
        >>> lift(torch.randn(1, 1, 9, 8)).shape
        torch.Size([1, 3, 9, 8])
        >>> lift
        ScaleSpaceLift(1*scalar -> 1*regular, zero_scale=1)
    """

    def __init__(self, field: FieldType, zero_scale: float = 1.0, padding_mode: str = "zeros") -> None:
        check_types(self, field=field)
        if not all(isinstance(rep, Scalar) for _, rep in field.blocks) or group_of(field).sampling != "uniform":
            hint = "the levels share the grid of the image; nn.HaarLift makes a grid for each scale"
            raise FieldTypeError("scalar fields with sampling='uniform'", f"{field} of {field.group!r}", hint)
        super().__init__(field, field.num_fields * group_of(field).regular)
        self.zero_scale = positive(zero_scale, "zero_scale")
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        self.finest = group_of(field).scales[0]  # that of the image itself, in other windows too
        self.build()

    def build(self) -> None:
        """Make the Gaussians of all levels."""
        for name in self._constants:
            delattr(self, name)
        self._constants = {}
        for i, scale in enumerate(group_of(self.out_type).scales):
            variance = self.zero_scale**2 * ((scale / self.finest) ** 2 - 1)
            if variance < 0:
                hint = "blurring makes scales coarser only; make the layer with the finest scale that is needed"
                raise ScaleGroupError(f"scales from {self.finest:g} on", f"{scale:g}", hint)
            taps = discrete_gaussian(variance, HALF_WIDTH * ceil(variance**0.5))
            self.register_constant(f"blur_{i}", taps[None] / taps.sum())

    @property
    def declared_error(self) -> float:
        """No bound: it depends on the blur that the image has."""
        return float("inf")

    def forward(self, x: Tensor, spacing: Spacing | None = None) -> Tensor:
        """`(batch, field.size, *space)` to `(batch, field.size * num_scales, *space)`.

        `spacing` is the voxel size of the input in voxels of the grid that `zero_scale` counts, as in `GroupConv`.
        """
        x = self.check(x)
        x = read(x, spacing_of(x, spacing, x.ndim - 2), self.padding_mode)
        levels = self.scales_of(self.out_type.blocks[0][1])
        return torch.stack([self._blurred(x, f"blur_{i}") for i in levels], dim=2).flatten(1, 2)

    def _blurred(self, x: Tensor, name: str) -> Tensor:
        taps = getattr(self, name)
        if taps.shape[1] == 1:
            return x
        start = -(taps.shape[1] // 2)
        return along_axes(x, [AxisOperator(taps, start, 1, n, n, self.padding_mode).matrix()[0] for n in x.shape[2:]])

    def extra_repr(self) -> str:
        """Types, the blur of the image, and what differs from the defaults."""
        parts = [super().extra_repr(), f"zero_scale={self.zero_scale:g}"]
        return ", ".join(parts + self.unusual(padding_mode="zeros"))
