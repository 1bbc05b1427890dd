"""Networks that no longer train: constant kernels, torch's own convolutions."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch

from scalegroup.nn.module import EquivariantModule

M = TypeVar("M", bound=torch.nn.Module)


def freeze(module: M) -> M:
    """A copy of `module` in eval mode for good, with constant dense kernels: the same function by torch's operators.

    The state dict keeps its keys, and loading one renews the kernels. Where kernels are wide this is slower than the
    engine; it is for `torch.export` to places that know torch but not scalegroup.

    Args:
        module: any module; its `GroupConv` and `GroupConvTranspose` layers get kernels, unless their method is
            "spectral": these stay as they are, and need scalegroup.

    Returns:
        The copy.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> conv = sg.nn.GroupConv(field, field)
        >>> x = torch.randn(1, 6, 8, 8)
        >>> torch.allclose(sg.nn.freeze(conv)(x), conv(x), atol=1e-4)
        True
    """
    frozen = deepcopy(module).eval().requires_grad_(False)
    for layer in frozen.modules():
        if isinstance(layer, EquivariantModule):
            layer.freeze()
    return frozen
