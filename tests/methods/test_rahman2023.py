"""Fourier layers: whole networks commute with ideal downsampling."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.methods.networks import LayerClassifier
from scalegroup.methods.plain import PlainLayers
from scalegroup.methods.rahman2023 import METHOD, FourierLayers
from scalegroup.nn.fourier import fourier_resample

DIMS = pytest.mark.parametrize("dim", [1, 2, 3])


def features(layers: FourierLayers | PlainLayers, dim: int) -> torch.nn.Module:
    """The features of a classifier: two blocks, and a grid of half the size between them."""
    torch.manual_seed(0)
    net = LayerClassifier(layers, 1, 5, (3, 4)).features
    net.train()(torch.randn(2, 1, *[16] * dim))
    return net.eval()


@torch.no_grad()
def error(net: torch.nn.Module, x: Tensor, size: int) -> float:
    """T5: fewer samples before the network, or behind it, where the grids have half as many."""
    dim = x.ndim - 2
    before = net(fourier_resample(x, [size] * dim))
    behind = fourier_resample(net(x), before.shape[2:])
    return float((before - behind).norm() / behind.norm())


@DIMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_commute_with_downsampling(dim: int, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 1, *[{1: 32, 2: 32, 3: 20}[dim]] * dim, dtype=dtype)
    net = features(FourierLayers(dim, modes=21), dim).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    assert max(error(net, x, size) for size in (14, 18)) < tolerance
    assert error(features(PlainLayers(dim), dim).to(dtype), x, 14) > 0.1


def test_entry() -> None:
    assert METHOD.beyond
    assert METHOD.no_unet
    with pytest.raises(ScaleGroupError, match="modes, an integer >= kernel_size"):
        FourierLayers(2, modes=3).conv(1, 1)
