"""Convolutions on point clouds, and layers that act on each point alone, keep the contract of point layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import PointLayerContract


class TestGroupConvolution(PointLayerContract):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=0.2)


class TestInterscale(PointLayerContract):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, order=1, sigma=0.2, scale_extent=2)


class TestInterscaleValid(PointLayerContract):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, order=1, sigma=0.2, scale_extent=2, scale_padding="valid")


class TestLifting(PointLayerContract):
    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        field: FieldType = 2 * group.scalar + 1 * group.character(-1.0)
        return field

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, 2 * field.group.regular, order=3, sigma=0.2)  # type: ignore[attr-defined]


class TestMixedFields(PointLayerContract):
    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        field: FieldType = 1 * group.regular + 1 * group.scalar + 1 * group.regular
        return field

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, 2 * field.group.regular, sigma=0.2)  # type: ignore[attr-defined]


class TestMeans(PointLayerContract):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=0.2, density="target", admissible=True, bias=False)


class TestScaleBasis(PointLayerContract):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=0.2, scale_extent=2, scale_basis=[[1.0, 1.0]])


class Pointwise(PointLayerContract):
    """Layers that act on each point alone take `(points, size)` as they are."""

    def run_layer(self, layer: torch.nn.Module, x: Tensor, pos: Any, batch: Any) -> Tensor:
        y: Tensor = layer(x)
        return y


class TestBatchNorm(Pointwise):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.BatchNorm(field)


class TestLinear(Pointwise):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.Linear(field, field)


class TestPointwise(Pointwise):
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.Pointwise(field)
