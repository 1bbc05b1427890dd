"""Layers on point clouds keep their contract with rotations too: of the cube, of the plane, any."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import PointLayerContract


class TestOctahedral(PointLayerContract):
    rotations = "octahedral"
    dims = (3,)

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=0.2, scale_extent=2)


class TestOctahedralQuotient(TestOctahedral):
    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        field: FieldType = 1 * group.quotient(((-2, 1, 3),)) + 1 * group.irrep("T1")
        return field


class TestOctahedralPooling(TestOctahedral):
    per_point = False

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.FarthestPointPool(field, ratio=0.4, sigma=0.2)


class TestPlane(PointLayerContract):
    rotations = "d4"
    dims = (2,)

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=0.2, order=3)


class TestContinuousRotations(PointLayerContract):
    rotations = "so3"
    dims = (3,)

    @pytest.fixture(autouse=True)
    def _needs_escnn(self) -> None:
        pytest.importorskip("escnn")

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        field: FieldType = 1 * group.irrep(0) + 1 * group.irrep(1) + 1 * group.irrep(2)
        return field

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=0.2)


class TestGate(TestOctahedral):
    """Layers that act on each point alone take `(points, size)` as they are."""

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.Gate(field)

    def run_layer(self, layer: torch.nn.Module, x: Tensor, pos: Any, batch: Any) -> Tensor:
        y: Tensor = layer(x)
        return y


class TestNormActivation(TestGate):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.NormActivation(field)


class TestBatchNorm(TestGate):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.BatchNorm(field)
