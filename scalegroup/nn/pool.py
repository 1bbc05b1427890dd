"""Pooling in space, with windows that grow with the scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.engine import along_axes
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.kernels import declared_error
from scalegroup.nn.grid import GridModule
from scalegroup.nn.module import Samples, check_types, each, group_of
from scalegroup.nn.rotating import check_isotropic
from scalegroup.nn.spacing import Spacing, read
from scalegroup.representations import on_scales, permutes
from scalegroup.symbolic import HermiteBasis


class ScaleBlurPool(GridModule):
    """Blurs each scale by a Gaussian proportional to it, and keeps every `stride`-th sample.

    `y(s,x) = ∫ F(s,x+u) s^-d g(u/s) du` with a Gaussian g of standard deviation `sigma` and unit mass. A blur of fixed
    width would not be equivariant; this one is, up to what aliases at the smallest scale.

    Args:
        field: type of the input and the output. Fields without scales are blurred as scale 1, and are then
            equivariant under translations and rotations only.
        stride: input samples per output sample, a number or one per axis; the same for axes that rotations of the
            group mix. Default 2.
        sigma: width at scale 1, in units of the output grid's spacing. Default 1.0.
        support: half-width of the blur in its own widths. Default 4.5.
        padding_mode: "zeros", "replicate", "reflect" or "circular". Default "replicate".

    Shape:
        `(batch, field.size, *space)` to `(batch, field.size, *ceil(space / stride))`; grids are centred. Where each
        scale has its own grid, the window is the same number of samples on all of them.

    Raises:
        ScaleGroupError: for bad arguments.

    Source: `docs/accuracy.md`; Zhang 2019, "Making Convolutional Networks Shift-Invariant Again".

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> sg.nn.ScaleBlurPool(field)(torch.ones(1, 6, 9, 8)).shape
        torch.Size([1, 6, 5, 4])
    """

    def __init__(
        self,
        field: FieldType,
        stride: int | Sequence[int] = 2,
        sigma: float = 1.0,
        support: float = 4.5,
        padding_mode: str = "replicate",
    ) -> None:
        check_types(self, field=field)
        super().__init__(
            field,
            field,
            HermiteBasis(0, group_of(field).dim),
            sigma=sigma,
            support=support,
            stride=stride,
            padding="same",
            padding_mode=padding_mode,
        )
        check_isotropic(self, field, self.stride, "stride")
        self._mass = float(self.basis.means[0])
        self.build()

    def build(self) -> None:
        """Make the blurs of all scales, and that of scale 1 for fields without scales."""
        super().build()
        self.keep_scale(len(self.scales), 1.0)

    @property
    def declared_error(self) -> float:
        """Truncation and aliasing on the band `|w| ≤ π/2`, for the two worst scales; inf with fields without scales.

        Zero where each scale has a grid of its own.
        """
        if self.on_grids:
            return 0.0
        return declared_error(self.taps) if all(on_scales(rep) for _, rep in self.in_type.blocks) else float("inf")

    def _slices(self, x: Tensor) -> list[list[tuple[Tensor, int]]]:
        """For each block its fields at each scale, `(batch, fields, *space)`, and the index of that scale's blur."""
        return [
            list(zip(part.unbind(2), self.active_scales() if on_scales(rep) else [len(self.scales)], strict=True))
            for part, (_, rep) in zip(self.split(x, self.in_type), self.in_type.blocks, strict=True)
        ]

    def forward(self, x: Samples, spacing: Spacing | None = None) -> Samples:
        """`(batch, field.size, *space)` to `(batch, field.size, *space')`.

        `spacing` is that of the samples of x, in the unit of `sigma`; the output lies on the layer's own grid.
        """
        return each(self._on_grid, read(self.check(x), spacing, self.padding_mode))  # type: ignore[no-any-return]

    def _on_grid(self, x: Tensor) -> Tensor:
        space = tuple(x.shape[2:])
        coarse = self.coarse_size(space)
        blocks = self._slices(x)
        blurs = {
            index: [axis.matrix()[0] / self._mass for axis in self.axes_at(index, space, coarse)]
            for index in {index for block in blocks for _, index in block}
        }
        parts = [[along_axes(part, blurs[index]) for part, index in block] for block in blocks]
        return self.join([torch.stack(part, dim=2) for part in parts])

    def extra_repr(self) -> str:
        """The type and the blur."""
        unusual = self.unusual(support=4.5, padding_mode="replicate")
        return ", ".join([str(self.in_type), f"stride={self.stride}", f"sigma={self.sigma:g}", *unusual])


class ScaleMaxPool(ScaleBlurPool):
    """The maximum over a cube that grows with the scale, then a blur that grows with it and a stride.

    The half-width of the cube at scale s is `radius * s` samples. Between whole samples the maxima over the next
    smaller and the next larger cube are interpolated; that is this layer's error, and it falls as the cubes grow.

    Args:
        field: type of the input and the output: fields whose components rotations only permute.
        radius: half-width of the cube at scale 1, in input samples. Default 1.0.
        stride, sigma, support, padding_mode: as in `ScaleBlurPool`; samples outside the volume never win the maximum.

    Shape:
        `(batch, field.size, *space)` to `(batch, field.size, *ceil(space / stride))`.

    Raises:
        FieldTypeError: for vectors, whose components have no maximum that turns with them.
        ScaleGroupError: for bad arguments.

    Source: `docs/accuracy.md`.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, base=2, num_scales=3).regular
        >>> sg.nn.ScaleMaxPool(field)(torch.ones(1, 6, 9, 8)).shape
        torch.Size([1, 6, 5, 4])
    """

    def __init__(
        self,
        field: FieldType,
        radius: float = 1.0,
        stride: int | Sequence[int] = 2,
        sigma: float = 1.0,
        support: float = 4.5,
        padding_mode: str = "replicate",
    ) -> None:
        super().__init__(field, stride, sigma, support, padding_mode)
        if not all(permutes(rep) for _, rep in field.blocks):
            hint = "nn.ScaleBlurPool takes vectors"
            raise FieldTypeError("scalar and regular fields, and quotients", str(field), hint)
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not radius > 0:
            raise ScaleGroupError("radius, a positive number of samples", repr(radius), "1.0 is a 3×3×3 cube")
        self.radius = float(radius)

    @property
    def declared_error(self) -> float:
        """No bound: what lies between two cubes depends on the field. Zero where each scale has its own grid."""
        return 0.0 if self.on_grids else float("inf")

    def _on_grid(self, x: Tensor) -> Tensor:
        max_pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
        parts = []
        for block in self._slices(x):
            pooled = []
            for part, index in block:
                half = self.radius * (*self.scales, 1.0)[index]
                smaller = int(half)
                cubes = [max_pool(part, 2 * n + 1, stride=1, padding=n) for n in (smaller, smaller + 1)]
                pooled.append(torch.lerp(cubes[0], cubes[1], half - smaller))
            parts.append(torch.stack(pooled, dim=2))
        return super()._on_grid(self.join(parts))

    def extra_repr(self) -> str:
        """The type, the cube and the blur."""
        return f"{super().extra_repr()}, radius={self.radius:g}"
