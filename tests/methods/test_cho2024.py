"""Two streams by parity: a split that costs no equivariance, and is no split of a single layer."""

from __future__ import annotations

import pytest
import torch

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.methods.cho2024 import METHOD, ParityConv, ParityLayers
from scalegroup.nn.module import group_of
from scalegroup.symbolic import HermiteBasis, ParityBasis
from scalegroup.testing import LayerContract, equivariance_error, kernel_spectrum_error

DIMS = pytest.mark.parametrize("dim", [1, 2, 3])


def group(dim: int) -> ScaleTranslationGroup:
    return ScaleTranslationGroup(dim, base=2**0.5, num_scales=3)


def worst(conv: nn.GroupConv) -> float:
    return float(kernel_spectrum_error(conv)[:, 0].max())


class TestParityConv(LayerContract):
    dims = (1, 2)

    def make_layer(self, field: FieldType) -> ParityConv:
        return ParityConv(field, 2 * group_of(field).regular)


class TestParityLift(TestParityConv):
    dims = (1,)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 1 * group.scalar


@DIMS
def test_each_half_keeps_the_scale_law(dim: int) -> None:
    """T1, unchanged by the split; the negative twin has kernels that are cut off, as in the published code."""
    torch.manual_seed(0)
    scalar, regular = 2 * group(dim).scalar, 2 * group(dim).regular
    whole = worst(nn.GroupConv(scalar, regular, basis=HermiteBasis(2, dim, "each")))
    conv = ParityConv(scalar, 4 * group(dim).regular)
    for half in (conv.even, conv.odd):
        assert worst(half) < 1e-3
        assert worst(half) < 4 * whole  # measured over twelve seeds .4 to 2.8
    for even in (True, False):
        cut = nn.GroupConv(scalar, regular, basis=ParityBasis(even, 2, dim, "each"), support=2.0)
        assert worst(cut) > 3e-3  # measured over eight seeds .006 to .03


@DIMS
def test_for_a_linear_layer_the_split_is_only_another_name(dim: int) -> None:
    """Both halves of a lifting, added, are one convolution with all functions."""
    torch.manual_seed(0)
    conv = ParityConv(1 * group(dim).scalar, 2 * group(dim).regular).double()
    basis = HermiteBasis(2, dim, "each")
    whole = nn.GroupConv(1 * group(dim).scalar, 1 * group(dim).regular, basis=basis).double()
    with torch.no_grad():
        for half in (conv.even, conv.odd):
            places = [basis.products.index(degrees) for degrees in half.basis.degrees]
            whole.weight[..., places] = half.weight
        x = torch.randn(1, 1, *[9] * dim, dtype=torch.float64)
        low, high = conv(x).unflatten(1, (2, -1)).unbind(1)
        assert torch.allclose(low + high, whole(x))


def test_the_second_stream_is_never_convolved() -> None:
    """What is in it at one point stays there, and does not reach the first stream."""
    torch.manual_seed(0)
    conv = ParityConv(4 * group(2).regular, 4 * group(2).regular)
    x = torch.zeros(1, 12, 9, 9)
    moved = x.clone()
    moved.unflatten(1, (2, 2, 3))[:, :, 1, :, 4, 4] = 1.0  # a point of the second stream
    change = (conv(moved) - conv(x)).detach().abs().unflatten(1, (2, 2, 3))
    assert float(change[:, :, 0].max()) == 0.0
    assert float(change[:, :, 1, :, 4, 4].min()) > 0.0
    change[:, :, 1, :, 4, 4] = 0.0
    assert float(change.max()) == 0.0


@DIMS
def test_two_layers(dim: int) -> None:
    torch.manual_seed(0)
    layers = ParityLayers(dim, num_scales=3)
    net = nn.Sequential(layers.lift(1, 4), layers.act(4), layers.conv(4, 2))
    result = equivariance_error(net)
    assert max(result.channels) < 5e-4  # measured 4e-6 to 4e-5, as without the split
    assert result.trivial > 0.3


def test_entry_and_errors() -> None:
    assert METHOD.beyond
    with pytest.raises(ScaleGroupError, match="an even number of features"):
        ParityLayers(2).lift(1, 3)
    with pytest.raises(ScaleGroupError, match="an even number of features"):
        ParityLayers(2).conv(3, 4)
