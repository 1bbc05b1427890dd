"""A U-Net for diffusion MRI: layers on positions and q-space, then a U-Net on positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, DiffusionGroup
from scalegroup.models.blocks import Recipe
from scalegroup.models.checks import as_channels, as_count, as_strides, as_train_scales, total_stride
from scalegroup.models.fields import turning_fields
from scalegroup.models.runs import ScaleRuns
from scalegroup.models.unet import UNet
from scalegroup.nn.diffusion_conv import diffusion_group
from scalegroup.nn.diffusion_space import as_q
from scalegroup.nn.module import Samples, group_of, has_scales


class DiffusionUNet(ScaleRuns, nn.EquivariantModule):
    """A network from diffusion-weighted volumes and their gradients to maps, for any number of gradients.

    Group convolutions on positions and q-space (`nn.DiffusionGroupConv`) come first; then q-space is pooled
    (`nn.DiffusionPool`), and a U-Net on positions (`models.UNet`) follows. The order of the gradients and their signs
    do not matter, and weights trained on some gradients serve others.

    For maps of numbers as fine as voxels, such as fractional anisotropy, one first layer that gathers all q-space does
    best: `q_channels=(32,), q_pool="origin", q_sigma=1.0, q_ridge=0.001, voxelwise=True`. On a series of 64×64×20
    voxels with 17 samples, the defaults take 1.2 GB in float32, a training step 2 GB, and these settings 0.7 GB.

    Args:
        out_channels: maps to predict, or classes. Default 1.
        q_channels: fields behind each of the layers on positions and q-space. Default (4, 8).
        channels: fields at each level of the U-Net, finest first. Default (8, 16, 32).
        strides: strides between its levels. Default (2, 2).
        acts_on: what dilations act on, see `DiffusionGroup`: "p" (default), "q" or "joint". With "q" the network is
            invariant to the diffusivity, up to the truncated window, and its first layers have one width on positions.
        spatial_dims: axes of positions and of q-space. Default 3.
        order: largest total Hermite degree of the kernels, in p and q together. Default 2.
        sigma: width of the kernels at scale 1, in voxels. Default 1.0.
        q_sigma: width in q at scale 1, in the unit of the q-vectors. Default 0.5.
        q_ridge: see `nn.DiffusionGroupConv`. Default 0.1; 0.001 serves other numbers of gradients better.
        q_pool: "attention" (default) or "mean", see `nn.DiffusionPool`; or "origin": the last of the first layers
            gathers all samples at q = 0, which is cheap.
        antipodal: signals are even in q, see `nn.DiffusionGroupConv`. Default True.
        voxelwise: kernels are not narrower than voxels, so a stack of them blurs. With this option each of the first
            layers also has kernels that are a point in p (`sigma=None` in `nn.DiffusionGroupConv`), and what they find
            leads to the output past the U-Net, through two pointwise layers, as well. For maps as fine as voxels.
            Default False.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 3.
        first: exponent of the first scale. Default 0.
        rotations: a compact group that turns positions and q-space together, see `models.UNet`. Default None.
        act: activation. Default "silu".
        norm: "batch" (default), which keeps what is measured on a scale of its own, as anisotropy is; or another one.
        dropout: probability that a field is dropped in training. Default 0.
        padding_mode: what convolutions see outside their grids. Default "zeros".
        scale_pool: projection over the scales. Default "mean", for maps of numbers; see `models.UNet`.
        train_scales: in training use so many neighbouring scales. Default None: all.
        **options: more of `models.UNet`, such as `num_res_units` or `basis`.

    Shape:
        `unet(x, q)`: x `(batch, samples, *space)`, signals divided by those of b = 0; q `(samples, dim)` or
        `(batch, samples, dim)`, with rows `sqrt(b / b_ref) * direction`. To `(batch, out_channels, *space)`.

    Raises:
        ScaleGroupError: (a ValueError) for bad arguments.

    Source: Müller et al. 2021, arXiv 2102.06942 (layers on p and q, then on p); the U-Net and its scales are of this
        library.

    Example:
        >>> import torch, scalegroup as sg
        >>> unet = sg.models.DiffusionUNet(q_channels=(2, 2), channels=(2, 4), strides=(2,), num_scales=2)
        >>> for gradients in (6, 9):
        ...     q = torch.nn.functional.normalize(torch.randn(gradients, 3), dim=1)
        ...     print(tuple(unet(torch.rand(1, gradients, 8, 8, 7), q).shape))
        (1, 1, 8, 8, 7)
        (1, 1, 8, 8, 7)
        >>> print(unet.summary().partition(", scales ")[0])
        DiffusionUNet(1*scalar -> 1*scalar, q_pool='attention', q_channels=(2, 2), channels=(2, 4), acts_on='p'
    """

    def __init__(
        self,
        out_channels: int = 1,
        q_channels: Sequence[int] = (4, 8),
        channels: Sequence[int] = (8, 16, 32),
        strides: Sequence[int | Sequence[int]] = (2, 2),
        *,
        acts_on: str = "p",
        spatial_dims: int = 3,
        order: int = 2,
        sigma: float = 1.0,
        q_sigma: float = 0.5,
        q_ridge: float = 0.1,
        q_pool: str = "attention",
        antipodal: bool = True,
        voxelwise: bool = False,
        base: float = 2**0.5,
        num_scales: int = 3,
        first: int = 0,
        rotations: CompactGroup | str | None = None,
        act: Any = "silu",
        norm: Any = "batch",
        dropout: Any = 0.0,
        padding_mode: str = "zeros",
        scale_pool: str | torch.nn.Module | None = "mean",
        train_scales: int | None = None,
        **options: Any,
    ) -> None:
        group = DiffusionGroup(acts_on, spatial_dims, base, num_scales, rotations, first)
        signal: FieldType = 1 * group.scalar
        super().__init__(signal, signal)
        self.q_channels = _layers(q_channels)
        *inner, last = self.q_channels
        if q_pool not in ("attention", "mean", "origin"):
            hint = "'origin' gathers all samples at q = 0"
            raise ScaleGroupError("q_pool out of ('attention', 'mean', 'origin')", repr(q_pool), hint)
        shared: dict[str, Any] = {"order": order, "sigma": sigma, "padding_mode": padding_mode}
        recipe = Recipe(act, norm, dropout)
        fields = [signal, *(turning_fields(group, count) for count in inner), last * group.regular]
        six = {**shared, "q_sigma": q_sigma, "q_ridge": q_ridge, "antipodal": antipodal}
        self.first_layers = torch.nn.ModuleList(_Unit(recipe, *pair, voxelwise, six) for pair in pairwise(fields))
        self.q_pool = q_pool
        pool_mode = "attention" if q_pool == "attention" else "mean"
        self.pool = nn.DiffusionPool(fields[-1], pool_mode, q_sigma, antipodal)
        self.unet = UNet(
            spatial_dims,
            self.pool.out_type.num_fields,
            as_count(out_channels, "out_channels"),
            channels,
            strides,
            act=act,
            norm=norm,
            dropout=dropout,
            base=base,
            num_scales=num_scales,
            first=first,
            rotations=rotations,
            scale_pool=scale_pool,
            train_scales=train_scales,
            **shared,
            **options,
        )
        self.train_scales = as_train_scales(train_scales) if group.p_power else None
        beyond, divisor = self.unet.beyond, total_stride(as_strides(strides))
        self.to_haar = nn.ToHaar(self.pool.out_type, sigma, divisor, beyond) if group.p_power else None
        self.past = _past(recipe, self.pool.out_type, out_channels) if voxelwise and scale_pool is not None else None
        self.out_type = self.unet.out_type

    def forward(self, x: Tensor, q: Tensor) -> Samples:
        """`(batch, samples, *space)` and their q-vectors to `(batch, out_channels, *space)`."""
        axes = group_of(self.in_type).dim + 2
        if not isinstance(x, Tensor) or x.ndim != axes:
            received = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            hint = "give the series without a channel axis"
            raise ScaleGroupError(f"DiffusionUNet input of {axes} axes (batch, samples, *space)", received, hint)
        vectors = as_q(q, "q", axes - 2, x, x.shape[1]).squeeze(0)  # a set for all, or one for each
        return self.on_run(self, partial(self._run_all, q=vectors), x.unsqueeze(1))

    def _run_all(self, x: Tensor, q: Tensor) -> Samples:
        space, samples = x.shape[3:], q
        for n, layer in enumerate(self.first_layers, start=1):
            if n == len(self.first_layers) and self.q_pool == "origin":
                samples = torch.zeros_like(q[..., :1, :])
            x = layer(x, q, samples)
        pooled = self.pool(x, samples)
        y = self._on_positions(pooled, space)
        return y if self.past is None else y + self.past(pooled)

    def _on_positions(self, pooled: Tensor, space: Sequence[int]) -> Samples:
        """The U-Net, without its lifting where the fields have scales already."""
        if self.to_haar is None:
            whole: Samples = self.unet(pooled)
            return whole
        y: Samples = self.unet.levels(self.to_haar(pooled))
        return y if self.unet.projection is None else self.unet.projection(y, output_size=space)

    def summary(self) -> str:
        """One line: types, levels, rotations, scales, and the number of weights."""
        group = diffusion_group(self.in_type)
        weights = sum(p.numel() for p in self.parameters())
        text = f"{self.extra_repr()}, q_channels={self.q_channels}, channels={self.unet.channels}"
        text += f", acts_on={group.acts_on!r}"
        text += "" if group.rotations.is_trivial else f", rotations={group.rotations!r}"
        return f"DiffusionUNet({text}, scales {group.scales[0]:.3g} … {group.scales[-1]:.3g} | {weights:,} weights)"

    def extra_repr(self) -> str:
        """Types and the way from q-space to positions."""
        return f"{super().extra_repr()}, q_pool={self.q_pool!r}"


class _Unit(nn.EquivariantModule):
    """A convolution on positions and q-space, then norm, dropout and activation at each sample."""

    def __init__(
        self, recipe: Recipe, in_type: FieldType, out_type: FieldType, voxelwise: bool, options: Mapping[str, Any]
    ) -> None:
        super().__init__(in_type, out_type)
        made = recipe.before_adn(out_type)
        self.conv = nn.DiffusionGroupConv(in_type, made, **options)
        point = {name: options[name] for name in ("order", "q_sigma", "q_ridge", "antipodal")}
        self.point = nn.DiffusionGroupConv(in_type, made, sigma=None, bias=False, **point) if voxelwise else None
        layers = recipe.adn(out_type)
        self.rest = nn.Sequential(*layers) if layers else None

    def forward(self, x: Tensor, q: Tensor, out_q: Tensor) -> Tensor:
        """`(batch, in_type.size, samples, *space)` to `(batch, out_type.size, out samples, *space)`."""
        y: Tensor = self.conv(x, q, out_q)
        if self.point is not None:
            y = y + self.point(x, q, out_q)
        return y if self.rest is None else nn.each_q(self.rest, y)


def _past(recipe: Recipe, field: FieldType, out_channels: int) -> nn.Sequential:
    """Two layers at each voxel and scale, and the mean over the scales."""
    out: FieldType = out_channels * field.blocks[0][1]
    layers = [nn.Linear(field, field), *recipe.adn(field), nn.Linear(field, out)]
    return nn.Sequential(*layers, *([nn.ScalePool(out, "mean")] if has_scales(out) else []))


def _layers(value: object) -> tuple[int, ...]:
    counts = as_channels(value)
    if not counts:
        raise ScaleGroupError("q_channels of one layer at least", repr(value), "write for example (4, 8)")
    return counts
