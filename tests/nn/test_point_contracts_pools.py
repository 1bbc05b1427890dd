"""Layers whose output lies at other points keep the contract of point layers."""

from __future__ import annotations

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.testing import PointLayerContract


class Elsewhere(PointLayerContract):
    """The output lies at a share of the points."""

    per_point = False
    relative = False

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=0.2, relative=self.relative)

    def run_layer(self, layer: torch.nn.Module, x: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        points = nn.Points(pos, batch)
        y: Tensor = layer(x, points, out_pos=points.farthest(0.4))
        return y


class TestStrided(Elsewhere):
    pass


class TestRelative(PointLayerContract):
    any_factor = True

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=1.0, relative=True)


class TestRelativeStrided(Elsewhere):
    any_factor = True
    relative = True

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, sigma=1.0, relative=True)


class TestPooling(PointLayerContract):
    per_point = False

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.FarthestPointPool(field, ratio=0.4, sigma=0.2)


class TestUpsampling(PointLayerContract):
    """From a share of the points, far from each other, to all of them."""

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointUpsample(field)

    def run_layer(self, layer: torch.nn.Module, x: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        fine = nn.Points(pos, batch)
        few = nn.farthest_points(fine.pos, fine.batch, ratio=0.4)
        wrong = not isinstance(x, Tensor) or len(x) != len(pos)
        y: Tensor = layer(x if wrong else x[few], fine.subset(few), out_pos=fine)
        return y


class TestCloudMean(PointLayerContract):
    per_point = False
    mode = "mean"

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.CloudPool(field, mode=self.mode)


class TestCloudMaximum(TestCloudMean):
    mode = "max"
