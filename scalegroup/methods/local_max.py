"""One filter at several scales, and the strongest response at each point: what forgets the scale after every layer."""

from __future__ import annotations

from typing import Any

from scalegroup import nn
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.symbolic import Basis, JointBasis


def local_scale_max(
    group: ScaleTranslationGroup, in_channels: int, out_channels: int, basis: Basis | JointBasis, **options: Any
) -> nn.Sequential:
    """From scalar fields to scalar fields: `y(x) = max_s ∫ f(x+u) s^-d ψ(u/s) du + b` over the scales of the group.

    A lifting and a maximum over its scales. If the input is scaled by a factor of the group, the output is scaled with
    it where the strongest response stays inside the window of scales.

    Args:
        group: its window are the scales.
        in_channels: scalar fields of the input.
        out_channels: scalar fields of the output.
        basis: of the kernels.
        options: further arguments of `nn.GroupConv`, such as sigma or padding_mode.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, num_scales=3)
        >>> layer = local_scale_max(group, 1, 4, sg.symbolic.HermiteBasis(2, dim=2))
        >>> layer(torch.randn(1, 1, 9, 8)).shape
        torch.Size([1, 4, 9, 8])
    """
    scales = out_channels * group.regular
    lift = nn.GroupConv(in_channels * group.scalar, scales, basis=basis, **options)
    return nn.Sequential(lift, nn.ScalePool(scales, "max"))
