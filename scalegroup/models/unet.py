"""The U-Net that is equivariant to scale and, if wanted, to rotation, with MONAI's arguments."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, ScaleTranslationGroup
from scalegroup.models.blocks import Recipe, ResidualUnit
from scalegroup.models.checks import as_admissible, as_channels, as_count, as_strides, as_train_scales, total_stride
from scalegroup.models.fields import Fields, level_fields, side_by_side
from scalegroup.models.projection import as_scale_pool
from scalegroup.models.runs import ScaleRuns, as_run_weights
from scalegroup.nn.module import Samples, group_of
from scalegroup.nn.spacing import Spacing, as_spacing, like, plain, read, spacing_in, write
from scalegroup.symbolic import Basis


class UNet(ScaleRuns, nn.EquivariantModule):
    """A U-Net whose features live on scales and space: rescale the scan, and the segmentation is rescaled.

    The first layer lifts the scan to `num_scales` scales; encoder, decoder and skip connections are
    group-equivariant; the projection over the scales (`nn.ScalePool`) comes last. Arguments up to `adn_ordering`
    are those of `monai.networks.nets.UNet`, so a MONAI script runs with one import changed; in place of kernel
    sizes stand `order` and `sigma`. Weights do not depend on the window of scales: `sg.with_window(unet, 6)`.
    With `rotations` it is equivariant to these as well, end to end: a network of similarities, Sim(3).

    Args:
        spatial_dims: number of spatial axes, 1 to 3. Default 3.
        in_channels: input channels (modalities). Default 1.
        out_channels: output channels (classes). Default 2.
        channels: fields at each level, finest first. Default (8, 16, 32).
        strides: stride between the levels, one less than levels; numbers or one per axis. Default (2, 2).
        kernel_size: samples along each axis of free kernels, odd; it stands for `basis="free"`. Default None: Hermite
            kernels, which have `order`, `sigma` and `support` instead.
        up_kernel_size: not used.
        num_res_units: convolutions in each residual unit; 0 for plain convolutions. Default 0.
        act: "silu" (default), or another name, class, or (name, options). Vectors and tensors have gates instead.
        norm: "instance" (default, as in MONAI), "batch", "group", None, or (name, options). In eval mode "batch" is
            exactly equivariant; the others are so where the volume grows with its content. "instance" learns better
            from few scans. "group" takes fields of one representation only.
        dropout: probability that a field is dropped in training. Default 0.
        bias: biases in the convolutions. Default True.
        adn_ordering: order of activation, dropout and norm. Default "NDA".
        order: largest total Hermite degree of the kernels, or the largest degree per axis. Default 2.
        sigma: width of the kernels at scale 1 in units of each layer's coarse grid. Default 1.0.
        support: half-width of the kernels in widths. Default 4.5.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 6.
        rotations: a compact group: a name, such as "octahedral" (the 24 rotations of the voxel grid, exact), "so3" or
            "o3" (all rotations, with and without reflections; as exact as the kernels are; needs escnn), or a
            `CompactGroup`. Default None: none.
        fields: with `rotations`, a function of the group and a number of channels that returns the field type of a
            level, all of it on the scales: `lambda group, count: count * group.quotient()`. Default None:
            `models.turning_fields`, half of them scalars.
        first: exponent of the first scale. Default -2: below 0 there are grids finer than the voxels, which see small
            objects. (With `sampling="uniform"` there are kernels finer than the accuracy rules allow on their grid:
            those channels alias, the others stay as they are.)
        scale_extent: neighbouring scales that a convolution mixes. Default 1.
        scale_padding: what lies above the window for `scale_extent > 1`: "zeros" or "replicate". Default "zeros".
        scale_pool: mode of `nn.ScalePool` or of `models.Projection`, a module like that, or None to return the regular
            field before the projection. Default "volume_confidence", which in training is the mean: one weight for
            each scale and scan, for scans whose objects are all of one size. For objects of several sizes in one scan
            try "max": made-up tumours with their oedema are found with a Dice of .76 instead of .63 (the demo).
        train_scales: in training use a random run of so many neighbouring scales in each step, in eval mode all of
            them: cheaper, and the projection meets every shift of the window. Compiled, the runs take turns. None:
            always all. Default 3, or all where there are fewer.
        run_weights: how often each run is drawn: "uniform" (default), "cheap", or a number for each, see `ScaleRuns`.
        admissible: zero-mean kernels in the "lifting" or in the whole "encoder"; default False.
        oversample: factor of the finer grid on which activations act. Default 1.
        padding_mode: what convolutions see outside their grids: "zeros" (default, as in MONAI: it tells them where the
            scan ends), "replicate", "reflect" or "circular". The scan itself, on the way to the grids, goes on as its
            border voxels unless it is reflected or periodic.
        sampling: "haar" (default): each scale on a grid of its own spacing, exact behind the lifting whatever the
            layers do, and cheap; or "uniform": all scales on the grid of the voxels, each as dear as any other.
        basis: of the kernels: a `Basis`, or "free" for those of an ordinary convolution, which need `sampling="haar"`.
            Default None: Hermite-Gaussians of `order`, which in `docs/results/recipes.md` are flatter over the scales,
            with a third of the weights.
        spacing: spacing of the network's own grid (that of scale 1) in mm, a number or one per axis: best the voxel
            size of the training scans. `unet(x, spacing=...)` runs the same weights on other voxels. Default 1.
        method: how the engine executes convolutions. Default "auto".

    Shape:
        `(batch, in_channels, *space)` of any size to `(batch, out_channels, *space)`, or
        `(batch, out_channels * num_scales, *space)` with `scale_pool=None` (a tuple with a tensor for each scale if
        sampled as "haar").

    Raises:
        ScaleGroupError: (a ValueError) for bad arguments.

    Source: Wimmer et al., "Scale-Equivariant Deep Learning for 3D Data", by the rules of `docs/accuracy.md`;
        Ronneberger et al. 2015.

    Example:
        >>> import torch, scalegroup as sg
        >>> unet = sg.models.UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(2, 4), strides=(2,))
        >>> unet(torch.randn(1, 1, 15, 16)).shape
        torch.Size([1, 2, 15, 16])
        >>> print(unet.summary())
        UNet(1*scalar -> 2*scalar, channels=(2, 4), strides=(2,), scales 0.5 … 2.83 | 140 weights)
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        channels: Sequence[int] = (8, 16, 32),
        strides: Sequence[int | Sequence[int]] = (2, 2),
        kernel_size: Any = None,
        up_kernel_size: Any = None,
        num_res_units: int = 0,
        act: Any = "silu",
        norm: Any = "instance",
        dropout: Any = 0.0,
        bias: bool = True,
        adn_ordering: str = "NDA",
        *,
        order: int | Sequence[int] = 2,
        sigma: float = 1.0,
        support: float = 4.5,
        base: float = 2**0.5,
        num_scales: int = 6,
        rotations: CompactGroup | str | None = None,
        fields: Fields | None = None,
        first: int = -2,
        scale_extent: int = 1,
        scale_padding: str = "zeros",
        scale_pool: str | torch.nn.Module | None = "volume_confidence",
        train_scales: int | None = 3,
        run_weights: str | Sequence[float] = "uniform",
        admissible: bool | str = False,
        oversample: int = 1,
        padding_mode: str = "zeros",
        sampling: str = "haar",
        basis: Basis | str | None = None,
        spacing: Spacing = 1.0,
        method: str = "auto",
    ) -> None:
        if kernel_size is not None and basis is None and sampling == "haar":
            basis = "free"
        if (kernel_size is not None and basis != "free") or up_kernel_size is not None:
            name = "kernel_size" if up_kernel_size is None else "up_kernel_size"
            hint = f"replace {name} by order and sigma: kernels reach support * sigma at every scale"
            if up_kernel_size is not None and basis == "free":
                hint = "leave it out; kernel_size is that of all free kernels"
            raise ScaleGroupError("order, sigma and support", f"{name}={up_kernel_size or kernel_size}", hint)
        channels, strides = _levels(channels, strides)
        if scale_padding == "valid":
            hint = "skip connections need one window; use 'zeros' or 'replicate'"
            raise ScaleGroupError("scale_padding out of ('zeros', 'replicate')", repr(scale_padding), hint)
        in_channels, out_channels = as_count(in_channels, "in_channels"), as_count(out_channels, "out_channels")
        group = ScaleTranslationGroup(spatial_dims, base, num_scales, rotations, first, sampling)
        image, logits = in_channels * group.scalar, out_channels * group.regular
        super().__init__(image, logits if scale_pool is None else out_channels * group.scalar)
        self.channels, self.strides = channels, strides
        self.train_scales, self.run_weights = as_train_scales(train_scales), as_run_weights(run_weights)
        self.spacing = as_spacing(spacing, spatial_dims)
        self.beyond = "replicate" if padding_mode == "zeros" else padding_mode  # what lies outside the scan
        conv = {
            "order": order,
            "sigma": sigma,
            "support": support,
            "scale_extent": scale_extent,
            "scale_padding": scale_padding,
            "padding_mode": padding_mode,
            "bias": bias,
            "basis": basis,
            "kernel_size": 3 if kernel_size is None else kernel_size,
            "method": method,
        }
        haar = sampling == "haar"
        self._recipe = Recipe(act, norm, dropout, adn_ordering, oversample, conv)
        self._units = as_count(num_res_units, "num_res_units", minimum=0)
        self._admissible = as_admissible(admissible)
        types = [level_fields(group, count, fields) for count in channels]
        lifted = in_channels * group.regular if haar else image
        self.levels = self._level(lifted, logits, types, list(strides), is_top=True)
        self.lift = nn.HaarLift(image, total_stride(strides), padding_mode=self.beyond) if haar else None
        self.projection = (
            nn.ScalePool(logits, as_scale_pool(scale_pool), self.beyond) if scale_pool is not None else None
        )

    def _level(
        self, in_type: FieldType, out_type: FieldType, fields: list[FieldType], strides: list[Any], is_top: bool
    ) -> _Level:
        own, *below = fields
        if len(below) > 1:
            inner: nn.EquivariantModule = self._level(own, own, below, strides[1:], is_top=False)
        else:
            inner = self._down(own, below[0], 1, is_top=False)
        merged = side_by_side(own, inner.out_type)
        down = self._down(in_type, own, strides[0], is_top)
        up, refine = self._up(merged, out_type, strides[0], is_top)
        return _Level(down, inner, up, refine)

    def _down(self, in_type: FieldType, out_type: FieldType, stride: Any, is_top: bool) -> nn.EquivariantModule:
        admissible = self._admissible == "encoder" or (self._admissible == "lifting" and is_top)
        if self._units > 0:
            return ResidualUnit(self._recipe, in_type, out_type, stride, self._units, admissible=admissible)
        return self._recipe.unit(in_type, out_type, stride, admissible=admissible)

    def _up(
        self, in_type: FieldType, out_type: FieldType, stride: Any, is_top: bool
    ) -> tuple[nn.GroupConvTranspose, nn.Sequential | None]:
        layers = self._recipe.adn(out_type) if not is_top or self._units > 0 else []
        made = self._recipe.before_adn(out_type) if layers else out_type
        conv = nn.GroupConvTranspose(in_type, made, stride=stride, **self._recipe.conv)
        if self._units > 0:
            layers.append(ResidualUnit(self._recipe, out_type, out_type, subunits=1, last_conv_only=is_top))
        return conv, nn.Sequential(*layers) if layers else None

    def forward(self, x: Tensor, spacing: Spacing | None = None) -> Samples:
        """`(batch, in_channels, *space)` to `(batch, out_channels, *space)`, on the voxels of the scan.

        `spacing` is their size in mm, a number or one per axis. Default: that of a MONAI `MetaTensor`, which is
        returned as one, or the network's own. Without a projection the result for `sampling="haar"` is a tuple of
        `(batch, out_channels, *space_s)`, on the network's grids.
        """
        ratios = spacing_in(self.spacing, x, spacing)
        y = self.on_run(self, partial(self._run_all, spacing=ratios), plain(self.check(x)))
        return y if isinstance(y, tuple) else like(y, x)

    def _run_all(self, x: Tensor, spacing: tuple[float, ...] | None) -> Samples:
        space, mode = x.shape[2:], self.beyond
        y: Samples = self.levels(read(x, spacing, mode) if self.lift is None else self.lift(x, spacing))
        if self.projection is None:
            return y if isinstance(y, tuple) else write(y, spacing, space, mode)
        return self.projection(y, output_size=space, spacing=spacing)  # type: ignore[no-any-return]

    def summary(self) -> str:
        """One line: types, levels, rotations, scales, and the number of weights."""
        group = group_of(self.in_type)
        weights = sum(p.numel() for p in self.parameters())
        text = f"{self.in_type} -> {self.out_type}, channels={self.channels}, strides={self.strides}"
        text += "" if group.rotations.is_trivial else f", rotations={group.rotations!r}"
        return f"UNet({text}, scales {group.scales[0]:.3g} … {group.scales[-1]:.3g} | {weights:,} weights)"

    def extra_repr(self) -> str:
        """The summary's content."""
        return self.summary().removeprefix("UNet(").removesuffix(")")


class _Level(nn.EquivariantModule):
    """Down, the levels below, and up again to the size of the input, with a skip connection."""

    def __init__(
        self,
        down: nn.EquivariantModule,
        inner: nn.EquivariantModule,
        up: nn.GroupConvTranspose,
        refine: nn.Sequential | None,
    ) -> None:
        super().__init__(down.in_type, (refine or up).out_type)
        self.down, self.inner, self.up, self.refine = down, inner, up, refine
        reps = [rep for _, rep in (*down.out_type, *inner.out_type)]
        self._blocks = [[n for n, other in enumerate(reps) if other == rep] for _, rep in up.in_type]

    def forward(self, x: Samples) -> Samples:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`."""
        skip = self.down(x)
        merged = nn.each(self._side_by_side, skip, self.inner(skip))
        size = x.shape[2:] if isinstance(x, Tensor) else [grid.shape[2:] for grid in x]
        y: Samples = self.up(merged, output_size=size)
        return y if self.refine is None else self.refine(y)

    def _side_by_side(self, skip: Tensor, inner: Tensor) -> Tensor:
        """The channels of both, in the order of their types' `side_by_side`."""
        parts = [*self.split(skip, self.down.out_type), *self.split(inner, self.inner.out_type)]
        return self.join([torch.cat([parts[n] for n in block], dim=1) for block in self._blocks])


def _levels(channels: object, strides: object) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    channels, strides = as_channels(channels), as_strides(strides)
    if len(channels) < 2:
        raise ScaleGroupError("the length of channels to be no less than 2", channels, "add a level")
    surplus = len(strides) - (len(channels) - 1)
    if surplus < 0:
        hint = "give one stride for each step between levels"
        raise ScaleGroupError(f"the length of strides to equal {len(channels) - 1}", strides, hint)
    if surplus > 0:
        message = f"{len(strides)} strides for {len(channels)} levels: the last {surplus} will not be used"
        warnings.warn(message, stacklevel=3)
    return channels, strides[: len(channels) - 1]
