"""A classifier that is invariant to scale and, if wanted, to rotation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import CompactGroup, ScaleTranslationGroup
from scalegroup.models.blocks import Recipe
from scalegroup.models.checks import as_channels, as_count, as_flag, as_strides, as_train_scales, total_stride
from scalegroup.models.fields import Fields, level_fields
from scalegroup.models.runs import ScaleRuns, as_run_weights
from scalegroup.nn.module import group_of
from scalegroup.nn.spacing import Spacing, as_spacing, plain, spacing_in
from scalegroup.symbolic import Basis


class Classifier(ScaleRuns):
    """Convolutions over scale and space, a projection over the scales, the maximum over space, and a linear layer.

    The mean over space would grow with the object; the maximum does not, so the scores are invariant up to the
    truncated window. With `rotations` they do not change when the volume turns, either: the last block has scalars
    only.

    Args:
        spatial_dims: number of spatial axes, 1 to 3. Default 3.
        in_channels: input channels. Default 1.
        num_classes: number of scores. Default 2.
        channels: fields of each block. Default (8, 16, 32).
        strides: stride of each block, a number or one per axis. Default (1, 2, 2).
        act, norm, dropout, bias, adn_ordering: as in `UNet`.
        order, sigma, support, base, num_scales, first, scale_extent, scale_padding, padding_mode, method: as in `UNet`.
        rotations, fields: as in `UNet`; the last block has `group.regular` fields whatever `fields` says.
        scale_pool: mode of `nn.ScalePool`. Default "max".
        train_scales: number of neighbouring scales in a step of training, as in `UNet`. Default None: all.
        run_weights: how often each run of scales is drawn, as in `UNet`. Default "uniform".
        admissible: zero-mean kernels in all convolutions. Default False.
        oversample: factor of the finer grid on which activations act. Default 1.
        sampling, basis: as in `UNet`. Default "uniform" and None.
        kernel_size: samples along each axis of free kernels (`basis="free"`). Default 3.
        spacing: spacing of the network's own grid in mm, as in `UNet`. Default 1.

    Shape:
        `(batch, in_channels, *space)` to `(batch, num_classes)`.

    Raises:
        ScaleGroupError: for bad arguments.

    Source: the networks of Sosnovik et al. 2019, section 5, with kernels and strides by `docs/accuracy.md`.

    Example:
        >>> import torch, scalegroup as sg
        >>> net = sg.models.Classifier(spatial_dims=2, num_classes=10, channels=(4, 8), strides=(1, 2))
        >>> net(torch.randn(3, 1, 28, 28)).shape
        torch.Size([3, 10])
        >>> print(net.summary())
        Classifier(1*scalar -> 10 scores, channels=(4, 8), strides=(1, 2), scales 1 … 2.83 | 342 weights)
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        num_classes: int = 2,
        channels: Sequence[int] = (8, 16, 32),
        strides: Sequence[int | Sequence[int]] = (1, 2, 2),
        act: Any = "silu",
        norm: Any = "batch",
        dropout: Any = 0.0,
        bias: bool = True,
        adn_ordering: str = "NDA",
        *,
        order: int | Sequence[int] = 2,
        sigma: float = 1.0,
        support: float = 4.5,
        base: float = 2**0.5,
        num_scales: int = 4,
        rotations: CompactGroup | str | None = None,
        fields: Fields | None = None,
        first: int = 0,
        scale_extent: int = 1,
        scale_padding: str = "zeros",
        scale_pool: str = "max",
        train_scales: int | None = None,
        run_weights: str | Sequence[float] = "uniform",
        admissible: bool = False,
        oversample: int = 1,
        padding_mode: str = "replicate",
        sampling: str = "uniform",
        basis: Basis | str | None = None,
        kernel_size: int = 3,
        spacing: Spacing = 1.0,
        method: str = "auto",
    ) -> None:
        super().__init__()
        channels, strides = as_channels(channels), as_strides(strides)
        if not channels or len(strides) != len(channels):
            hint = "give one stride for each block"
            raise ScaleGroupError("channels and strides of equal length, 1 or more", (channels, strides), hint)
        self.channels, self.strides = channels, strides
        group = ScaleTranslationGroup(spatial_dims, base, num_scales, rotations, first, sampling)
        conv = {
            "order": order,
            "sigma": sigma,
            "support": support,
            "scale_extent": scale_extent,
            "scale_padding": scale_padding,
            "padding_mode": padding_mode,
            "bias": bias,
            "admissible": as_flag(admissible, "admissible"),
            "basis": basis,
            "kernel_size": kernel_size,
            "method": method,
        }
        recipe = Recipe(act, norm, dropout, adn_ordering, oversample, conv)
        self.spacing = as_spacing(spacing, spatial_dims)
        self.train_scales, self.run_weights = as_train_scales(train_scales), as_run_weights(run_weights)
        type_ = as_count(in_channels, "in_channels") * group.scalar
        blocks: list[nn.EquivariantModule] = []
        if sampling == "haar":
            blocks.append(nn.HaarLift(type_, total_stride(strides), padding_mode=padding_mode))
            type_ = blocks[0].out_type
        types = [*(level_fields(group, count, fields) for count in channels[:-1]), channels[-1] * group.regular]
        for wanted, stride in zip(types, strides, strict=True):
            block = recipe.unit(type_, wanted, stride)
            type_ = block.out_type
            blocks.append(block)
        self.features = nn.Sequential(*blocks, nn.ScalePool(type_, scale_pool))
        self.head = torch.nn.Linear(channels[-1], as_count(num_classes, "num_classes"))

    def forward(self, x: Tensor, spacing: Spacing | None = None) -> Tensor:
        """`(batch, in_channels, *space)` to `(batch, num_classes)`.

        `spacing` is the voxel size of the scan in mm, a number or one per axis. Default: that of a MONAI
        `MetaTensor`, or the network's own.
        """
        ratios = spacing_in(self.spacing, x, spacing)
        features = self.on_run(self.features, partial(self.features, spacing=ratios), plain(x))
        return self.head(features.flatten(2).amax(dim=2))  # type: ignore[no-any-return]

    def summary(self) -> str:
        """One line: types, blocks, rotations, scales, and the number of weights."""
        group = group_of(self.features.in_type)
        weights = sum(p.numel() for p in self.parameters())
        text = f"{self.features.in_type} -> {self.head.out_features} scores"
        text += f", channels={self.channels}, strides={self.strides}"
        text += "" if group.rotations.is_trivial else f", rotations={group.rotations!r}"
        return f"Classifier({text}, scales {group.scales[0]:.3g} … {group.scales[-1]:.3g} | {weights:,} weights)"

    def extra_repr(self) -> str:
        """The summary's content."""
        return self.summary().removeprefix("Classifier(").removesuffix(")")
