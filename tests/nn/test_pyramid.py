"""Convolutions on grids of all scales as modules of torch; how they transform is in tests/methods."""

from __future__ import annotations

import pytest
import torch

from scalegroup import nn
from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of
from scalegroup.nn.pyramid import pyramid_grids
from scalegroup.testing import LayerContract, equivariance_error


class Pyramid(LayerContract):
    """The truncated window has no bound: what it costs is pinned here."""

    translates = False  # by samples of all its grids it does, which tests/methods/test_kanazawa2014.py tests

    def test_equivariance(self) -> None:
        error = equivariance_error(self._layer(1), protocol="lattice").error
        assert 0.1 < error < 1.0  # measured 0.25 to scalars, 0.43 to vectors, 0.34 between them

    def test_the_measurement_can_fail(self) -> None:
        assert self._layer(1).declared_error == float("inf")  # type: ignore[operator]


class TestToScalars(Pyramid):
    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar

    def make_layer(self, field: FieldType) -> nn.PyramidConv:
        return nn.PyramidConv(field, 3 * group_of(field).scalar)


class TestToVectors(TestToScalars):
    def make_layer(self, field: FieldType) -> nn.PyramidConv:
        return nn.PyramidConv(field, 3 * group_of(field).phase(0.5), mask_outside=False)


class TestBetweenVectors(TestToVectors):
    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.phase(0.5)


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
