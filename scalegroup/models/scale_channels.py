"""Any network made scale-equivariant: its weights shared by grids whose spacing grows with the scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.engine import resample, without_autocast
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.models.checks import as_count, as_flag, as_train_scales
from scalegroup.models.projection import as_projection
from scalegroup.models.runs import ScaleRuns, as_run_weights
from scalegroup.models.scale_backbone import channels_of, check_backbone, check_output, divisor_of
from scalegroup.models.scale_selection import as_select, as_shifts, select_window
from scalegroup.models.scale_summary import cost_of, cost_table, total
from scalegroup.models.shared_norm import GridsTogether, SharedBatchNorm, convert_shared_norm
from scalegroup.nn.grid import per_axis
from scalegroup.nn.haar import Grid, to_voxels
from scalegroup.nn.module import group_of
from scalegroup.nn.spacing import Spacing, as_spacing, like, plain, spacing_in


class ScaleChannels(ScaleRuns):
    """Makes any image-to-image or image-to-label network scale-equivariant: one network on grids of all scales.

    `F(s) = backbone(lift_s x)`, where `lift_s` resamples the volume to a grid of spacing s without aliasing
    (`nn.HaarLift`); the output is a projection of all F(s), brought back to the voxels. If the volume is dilated by
    the base, every grid sees the array that its neighbour saw before. The weights are those of the backbone and do
    not know the window: `sg.with_window(net, 7, first=-1)` has the same ones. S scales cost `Σ_s s^-dim` times the
    backbone: 1.55 times from scale 1 on, 12 times from 1/2 on (`summary` tells).

    Args:
        backbone: a network `(batch, channels, *space)` to `(batch, classes, *space)` or `(batch, classes)`. Its batch
            norms become shared ones (`convert_shared_norm`), in place.
        in_channels: channels of the input. Default: read off the backbone.
        spatial_dims: number of spatial axes, 1 to 3. Default 3.
        base: ratio of neighbouring scales. Default √2.
        first: exponent of the finest scale; below 0 finer than the voxels. Default -2.
        num_scales: number of scales. Default 6.
        train_scales: number of neighbouring scales in a step of training, another run in each; None for all.
            Default 3.
        run_weights: how often each run is drawn: "uniform" (default), "cheap", or a number for each run, see
            `ScaleRuns`.
        projection: mode of `models.Projection`, a module like it, or None for the tuple of all outputs, each on its own
            grid, finest first; `last_grids` tells which ones, in training those of the run: labels go there by
            `engine.resample(y, *grid)`. Default "volume_confidence", which in training is the mean: the flattest
            without a search in `docs/results/scale_channels_choices.md`.
        select: which window of scales is used in eval mode. "none" (default): the one of the arguments. "spacing":
            the one that the training scans had in mm; `forward` must be given the spacing of the scan. "confidence":
            for each volume the window, of those moved by `shifts`, whose prediction is surest of its foreground
            (`models.scale_selection`); `last_shift` tells which.
        spacing: spacing of the grid of scale 1 in mm, a number or one per axis: best the voxel size of the training
            scans. Default 1.
        shifts: candidates of "confidence" in steps of the base, with 0; negative ones are finer. Default -2 … 2.
        climb: "confidence" tries finer windows, which are expensive, only as long as they are surer. Default False.
        divisor: product of the strides of the backbone, of which sizes must be multiples. Default: read off MONAI's
            UNet and SegResNet, 1 for layers that keep the size of a map, else 32 with a warning, as a smaller one is
            cheaper. Attention windows that are counted from the corner, as in SwinUNETR, are cut elsewhere on a grid
            of another size, and then it is not exact.
        padding_mode: what lies outside the volume, as in `nn.HaarLift`. Default "replicate".
        amp: dtype in which the backbone runs, such as `torch.bfloat16`; lifting and projection stay in float32.
            Default None: as the surrounding autocast says.

    Shape:
        `(batch, in_channels, *space)` of any size to `(batch, classes, *space)` or `(batch, classes)`.

    Raises:
        ScaleGroupError: for bad arguments, and if the statistics of batch norms cannot be shared: also after
            `SyncBatchNorm.convert_sync_batchnorm` (Lightning's `sync_batchnorm=True`), in the first step of training.

    In training batch norms need Python between their layers: `torch.compile` breaks its graph there. In eval mode, and
    with other norms, one graph holds everything.

    Source: the invariant measure `ds dx / s^(d+1)`, `docs/concepts/haar_grids.md`; shared weights over rescaled
        inputs in Xu et al., "Scale-Invariant Convolutional Neural Networks", 2014.

    Example:
        >>> import torch, scalegroup as sg
        >>> plain = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1))
        >>> net = sg.models.ScaleChannels(plain, spatial_dims=2, divisor=1)
        >>> net(torch.randn(1, 1, 15, 16)).shape
        torch.Size([1, 2, 15, 16])
    """

    def __init__(
        self,
        backbone: torch.nn.Module,
        in_channels: int | None = None,
        *,
        spatial_dims: int = 3,
        base: float = 2**0.5,
        first: int = -2,
        num_scales: int = 6,
        train_scales: int | None = 3,
        run_weights: str | Sequence[float] = "uniform",
        projection: str | torch.nn.Module | None = "volume_confidence",
        select: str = "none",
        spacing: Spacing = 1.0,
        shifts: Sequence[int] = (-2, -1, 0, 1, 2),
        climb: bool = False,
        divisor: int | None = None,
        padding_mode: str = "replicate",
        amp: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_backbone(backbone)
        group = ScaleTranslationGroup(spatial_dims, base, num_scales, first=first, sampling="haar")
        self.in_channels = channels_of(backbone) if in_channels is None else as_count(in_channels, "in_channels")
        strides = divisor_of(backbone, self.in_channels or 1, group.dim) if divisor is None else divisor
        self.lift = nn.HaarLift(1 * group.scalar, strides, odd=False, padding_mode=padding_mode)
        self.train_scales = as_train_scales(train_scales)
        self.run_weights = as_run_weights(run_weights)
        if self.train_scales is not None:
            self.run_chances(group, max(1, group.num_scales - self.train_scales + 1))
        self.backbone = convert_shared_norm(backbone)
        self.projection = as_projection(projection)
        self.spacing = as_spacing(spacing, spatial_dims)
        self.select = as_select(select, self.projection)
        self.shifts, self.climb = as_shifts(shifts), as_flag(climb, "climb")
        self.last_shift: Tensor | None = None
        self.last_grids: list[Grid] | None = None
        self.amp = _as_amp(amp)
        self._together = GridsTogether()
        if any(isinstance(part, SharedBatchNorm) for part in backbone.modules()):
            self._together.check(backbone, self._sample(2 * strides))  # fails now, not in the first step

    @property
    def in_type(self) -> FieldType | None:
        """The type of the input, of the present window; None if the channels are unknown."""
        group = group_of(self.lift.in_type)
        return None if self.in_channels is None else self.in_channels * group.scalar

    def grids(self, space: Sequence[int], spacing: Spacing | None = None) -> list[Grid]:
        """The grid of each scale in use over a volume of so many voxels of this size in mm, finest first."""
        return self.lift.grids(space, spacing_in(self.spacing, None, spacing))

    def forward(self, x: Tensor, spacing: Spacing | None = None) -> Any:
        """`(batch, in_channels, *space)` to `(batch, classes, *space)`, `(batch, classes)`, or a tuple of them.

        `spacing` is the voxel size of the scan in mm, a number or one per axis. Grids keep then their spacing in mm.
        Default: that of a MONAI `MetaTensor`, or the network's own.
        """
        ratios = spacing_in(self.spacing, x, spacing)
        if self.select == "spacing" and not self.training and ratios is None:
            hint = "call net(x, spacing=...) with the voxel size of the scan in mm, or choose another select"
            raise ScaleGroupError("a spacing for select='spacing'", None, hint)
        y = self.on_run(self.lift, partial(self._on_window, spacing=ratios), plain(self._checked(x)))
        return y if isinstance(y, tuple) or y.ndim == 2 else like(y, x)

    def _on_window(self, x: Tensor, spacing: tuple[float, ...] | None) -> Any:
        if self.projection is None:
            grids = self.lift.grids(x.shape[2:], spacing)
            if not torch.compiler.is_exporting():
                self.last_grids = grids
            return tuple(y for y, _ in self._outputs(x, grids))
        if self.select == "confidence" and not self.training:
            result = self._selected(x, spacing)
        else:
            grids = self.lift.grids(x.shape[2:], spacing)
            scores = [self._on_voxels(*output, x) for output in self._outputs(x, grids)]
            result = self._projected(torch.stack(scores, dim=2))
        return result.to(x.dtype)

    def _projected(self, scores: Tensor) -> Tensor:
        with without_autocast(scores.device):  # a learned projection stays in float32
            result: object = cast(torch.nn.Module, self.projection)(scores)
        if not isinstance(result, Tensor) or result.ndim != scores.ndim - 1:
            received = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            hint = f"it was given {tuple(scores.shape)}, (batch, classes, scales, *space)"
            raise ScaleGroupError("a projection that returns (batch, classes, *space)", received, hint)
        return result

    def _selected(self, x: Tensor, spacing: tuple[float, ...] | None) -> Tensor:
        scales, base = self.lift.scales, group_of(self.lift.in_type).base

        def logits_of(k: int) -> Tensor:
            (output,) = self._outputs(x, self.lift.grids(x.shape[2:], spacing, [scales[0] * base**k]))
            return self._on_voxels(*output, x)

        result, shift = select_window(logits_of, len(scales), self._projected, self.shifts, self.climb)
        if not torch.compiler.is_exporting():
            self.last_shift = shift
        return result

    def _outputs(self, x: Tensor, grids: Sequence[Grid]) -> Iterator[tuple[Tensor, Grid]]:
        """The backbone's output on each grid, one after another unless their norms need all of them."""
        together = self._together.needed(self.backbone)
        for part in [grids] if together else [[grid] for grid in grids]:
            lifted = [resample(x, *grid, self.lift.padding_mode) for grid in part]
            for y, seen, grid in zip(self._on_grids(lifted, together), lifted, part, strict=True):
                yield check_output(y, seen), grid

    def _on_grids(self, lifted: Sequence[Tensor], together: bool) -> list[Any]:
        try:
            with self._precision(lifted[0]):
                return self._together(self.backbone, lifted) if together else [self.backbone(x) for x in lifted]
        except RuntimeError as error:
            sizes = ", ".join(str(tuple(x.shape[2:])) for x in lifted)
            error.add_note(
                f"ScaleChannels ran the backbone on grids of {sizes} samples, multiples of twice the divisor, which is "
                f"{self.lift.divisor}; give another divisor if they do not suit it."
            )
            raise

    def _on_voxels(self, y: Tensor, grid: Grid, x: Tensor) -> Tensor:
        y = y.to(torch.promote_types(y.dtype, torch.float32))
        return y if y.ndim == 2 else to_voxels(y, grid, x.shape[2:], self.lift.padding_mode)

    def _sample(self, size: int) -> Tensor | None:
        if self.in_channels is None:
            return None
        shape = (1, self.in_channels, *[size] * group_of(self.lift.in_type).dim)
        like = next(self.backbone.parameters(), torch.zeros(()))
        return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(like.device, like.dtype)

    def _precision(self, x: Tensor) -> AbstractContextManager[Any]:
        return nullcontext() if self.amp is None else torch.autocast(x.device.type, dtype=self.amp)

    def _checked(self, x: Tensor) -> Tensor:
        dim = group_of(self.lift.in_type).dim
        if not isinstance(x, Tensor):
            raise ScaleGroupError("a torch.Tensor", type(x).__name__, "convert it with torch.as_tensor")
        if x.ndim != dim + 2 or 0 in x.shape:
            hint = f"spatial_dims is {dim}; add or remove axes"
            raise ScaleGroupError(f"a volume of {dim + 2} axes (batch, channels, *space)", tuple(x.shape), hint)
        if self.in_channels is not None and x.shape[1] != self.in_channels:
            hint = "give in_channels if the number that was read off the backbone is wrong"
            raise ScaleGroupError(f"a volume of {self.in_channels} channels", tuple(x.shape), hint)
        if not x.is_floating_point():
            raise ScaleGroupError("a volume of a floating-point dtype", x.dtype, "convert it with x.float()")
        return x

    def summary(self, space: int | Sequence[int]) -> str:
        """A table of what each grid costs over a volume of so many voxels: one pass of one sample of the backbone.

        Multiply-adds are those of convolutions and matrix products; activations are the outputs of all layers in
        bytes, which a step of training keeps (in eval mode those of one grid at a time are alive, and few of them).
        "window" is the sum, "step" the mean over the runs of training (if `run_weights` fit the window, which may be
        another one than that of training), and the last column is relative to the backbone on the voxels' own grid.

        Args:
            space: voxels along each axis, or one number for all.

        Raises:
            ScaleGroupError: if the number of input channels is unknown, or the backbone does not run without data.
        """
        group = group_of(self.lift.in_type)
        sizes = per_axis(space if isinstance(space, int) else tuple(space), group.dim, "space")
        if self.in_channels is None:
            hint = "give it to ScaleChannels"
            raise ScaleGroupError("a known number of in_channels", None, hint)
        itemsize = None if self.amp is None else self.amp.itemsize
        scales = self.lift.scales
        grids = self.lift.grids(sizes, scales=[1.0, *scales])
        plain, *costs = [cost_of(self.backbone, (1, self.in_channels, *grid.sizes), itemsize) for grid in grids]
        rows = [(f"{s:.3g}", g.sizes, cost) for s, g, cost in zip(scales, grids[1:], costs, strict=True)]
        rows.append(("window", (), total(costs)))
        if self.train_scales is not None:
            count = min(self.train_scales, len(scales))
            try:
                chances = self.run_chances(group, len(scales) - count + 1)
            except ScaleGroupError as error:
                return f"{cost_table(rows, plain)}\nno step: {error}"
            runs = [total(costs[start : start + count]) for start in range(len(chances))]
            rows.append(("step", (), total(runs, chances)))
        return cost_table(rows, plain)

    def extra_repr(self) -> str:
        """Window and training."""
        group = group_of(self.lift.in_type)
        parts = [f"scales {group.scales[0]:.3g} … {group.scales[-1]:.3g}", f"train_scales={self.train_scales}"]
        return ", ".join([*parts, *([f"select={self.select!r}"] if self.select != "none" else [])])


def _as_amp(value: object) -> torch.dtype | None:
    if value in (None, torch.float16, torch.bfloat16):
        return value
    hint = "float32 needs no amp; None leaves the surrounding autocast as it is"
    raise ScaleGroupError("amp: torch.float16, torch.bfloat16 or None", repr(value), hint)
