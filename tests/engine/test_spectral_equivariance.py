"""Linear layers by the spectral method are equivariant to rounding error on the torus, under any factor."""

from __future__ import annotations

import pytest
import torch

import scalegroup as sg
from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.symbolic import SymbolicBasis
from scalegroup.testing import LayerContract, equivariance_error


class TestSpectralOnTheTorus(LayerContract):
    """A linear layer on the torus, exact for any step of the window."""

    dims = (1, 2)
    protocol = "torus"
    size = 16
    tolerance = 1e-12
    rounding = 0.0

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, padding_mode="circular", method="spectral")


class TestSpectralZeros(LayerContract):
    """The same where the volume ends: as good as the taps."""

    dims = (1, 2)

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, order=(1,) * field.group.dim, method="spectral")  # type: ignore[attr-defined]


LAYERS = {
    "lifting": lambda g, method: nn.GroupConv(2 * g.scalar, 2 * g.regular, method=method),
    "group": lambda g, method: nn.GroupConv(2 * g.regular, 2 * g.regular, order=4, method=method),
    "strided": lambda g, method: nn.GroupConv(2 * g.scalar, 2 * g.regular, stride=2, method=method),
    "scales": lambda g, method: nn.GroupConv(
        2 * g.regular, 1 * g.regular, scale_extent=2, scale_padding="valid", method=method
    ),
    "symbolic": lambda g, method: nn.GroupConv(
        1 * g.scalar, 1 * g.regular, basis=SymbolicBasis(["exp(-x**2)", "x*exp(-x**2/2)"], g.dim), method=method
    ),
}
FACTORS = ((1 / 0.9, 18), (2**0.5, 12), (1.37, 100), (1.8, 10), (25 / 16, 16))  # a base, and a size that it suits


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("base", "size"), FACTORS)
def test_linear_layers_are_equivariant_to_rounding(name: str, base: float, size: int) -> None:
    group = sg.ScaleTranslationGroup(dim=1 if size == 100 else 2, base=base, num_scales=4)
    steps = 2 if base == 2**0.5 else 1
    if name == "strided" and round(base**steps * size) % 2:
        size *= 2
    errors = {}
    for method in ("spectral", "dense"):
        torch.manual_seed(0)
        layer = LAYERS[name](group, method)
        measured = equivariance_error(layer, scale=base**steps, protocol="torus", size=size, wmax=1.4)
        errors[method] = [e for e, cut in zip(measured.channels, measured.truncated, strict=True) if not cut]
    assert max(errors["spectral"]) < 1e-12
    assert max(errors["dense"]) > 1e-6


def test_linear_layers_in_three_dimensions_are_equivariant_to_rounding() -> None:
    group = sg.ScaleTranslationGroup(dim=3, base=1 / 0.9, num_scales=3)
    field = 2 * group.regular
    errors = {}
    for method in ("spectral", "dense"):
        torch.manual_seed(0)
        layers = [nn.GroupConv(2 * group.scalar, field, method=method), nn.GroupConv(field, field, method=method)]
        errors[method] = equivariance_error(nn.Sequential(*layers), protocol="torus", size=9).error
    assert errors["spectral"] < 1e-12
    assert errors["dense"] > 1e-6
