"""Convolutions on grids of all scales as modules of torch; how they transform is in tests/methods."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of
from scalegroup.nn.pyramid import pyramid_grids
from scalegroup.nn.vector import magnitudes
from scalegroup.testing import EquivarianceErrors, LayerContract, equivariance_error


class Pyramid(LayerContract):
    """The truncated window has no bound: what it costs is pinned here, the median over eight seeds of the weights."""

    translates = False  # by samples of all its grids it does, which tests/methods/test_kanazawa2014.py tests
    dims = (1, 2)
    cost: ClassVar[float]

    def test_equivariance(self) -> None:
        assert median(result.error for result in self._results()) == pytest.approx(self.cost, rel=0.1)
        assert self._layer(1).declared_error == float("inf")  # type: ignore[operator]

    def test_the_measurement_can_fail(self) -> None:
        assert median(result.trivial for result in self._results()) > 1.5 * self.cost

    def _results(self) -> Iterator[EquivarianceErrors]:
        for seed in range(8):
            torch.manual_seed(seed)
            layer = self.make_layer(self.make_field(self._group(1))).double()
            yield equivariance_error(layer, protocol="lattice")


class TestToScalars(Pyramid):
    cost = 0.33  # between 0.25 and 0.50

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar

    def make_layer(self, field: FieldType) -> nn.PyramidConv:
        return nn.PyramidConv(field, 3 * group_of(field).scalar)


class TestBetweenVectors(Pyramid):
    """Of images too they make vectors in this way: see tests/methods/test_marcos2018.py."""

    cost = 0.46  # between 0.41 and 0.96, and once 3.5

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.phase(0.5)

    def make_layer(self, field: FieldType) -> nn.PyramidConv:
        return nn.PyramidConv(field, 3 * group_of(field).phase(0.5), mask_outside=False)

    def test_autocast(self) -> None:
        """Where two scales are as strong rounding decides between them, and so on the angle: lengths are accurate."""
        layer, x = self._case()
        assert isinstance(x, Tensor)
        exact = magnitudes(layer(x))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = magnitudes(layer.float()(x.float()))
        torch.testing.assert_close(y.double(), exact, rtol=0, atol=0.05 * float(exact.detach().max()))


def test_grids_are_even_or_odd_as_the_volume() -> None:
    grids = pyramid_grids([0.63, 1.0, 1.587], (9, 8))
    assert [grid.sizes for grid in grids] == [(15, 14), (9, 8), (7, 6)]
    assert [grid.ratios for grid in grids] == [(s, s) for s in (0.63, 1.0, 1.587)]
    around = pyramid_grids([0.5, 2.0], (12, 12), "circular")
    assert [grid.sizes for grid in around] == [(24, 24), (6, 6)]


def test_a_run_of_scales_is_a_smaller_window() -> None:
    group = ScaleTranslationGroup(1, 2**0.5, 4, first=-1)
    conv, x = nn.PyramidConv(1 * group.scalar, 2 * group.phase(0.5)), torch.randn(1, 1, 12)
    whole = conv.responses(x)
    with nn.run_of_scales(conv, start=1, num_scales=2):
        torch.testing.assert_close(conv.responses(x), whole[:, :, 1:3])
        assert conv(x).shape == (1, 4, 12)


def test_one_kind_of_fields() -> None:
    group = ScaleTranslationGroup(1)
    for field in (1 * group.regular, 1 * group.scalar + 1 * group.phase(0.5), 1 * group.character(1.0)):
        with pytest.raises(FieldTypeError, match="scalar fields, or vectors of one phase"):
            nn.PyramidConv(field, 1 * group.scalar)
