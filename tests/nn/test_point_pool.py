"""Fewer points, more points, one row for a cloud: values, and what is refused."""

from __future__ import annotations

import pytest
import torch

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.point_pool import interpolation_weights
from scalegroup.testing import point_error
from scalegroup.testing.point_errors import Cloud

GROUP = ScaleTranslationGroup(dim=3, base=2.0, num_scales=3)
FIELD = 2 * GROUP.regular


class TestFarthestPointPool:
    def test_it_is_a_mean_with_gaussian_weights(self) -> None:
        layer = nn.FarthestPointPool(FIELD, ratio=0.3, sigma=0.2)
        cloud = Cloud.random(FIELD)
        y, points = layer(*cloud)
        assert points.batch is not None
        chosen = nn.farthest_points(cloud.pos, cloud.batch, ratio=0.3)
        assert torch.equal(points.pos, cloud.pos[chosen])
        same = points.batch[:, None] == cloud.batch
        for s, scale in enumerate(GROUP.scales):
            squares = torch.cdist(points.pos, cloud.pos).square() / (0.2 * scale) ** 2
            weights = (-squares / 2).exp() * (1 - (squares / 9) ** 2).clamp(min=0) ** 2 * same
            wanted = weights @ cloud.x.unflatten(1, (2, 3))[:, :, s] / weights.sum(1, keepdim=True)
            torch.testing.assert_close(y.unflatten(1, (2, 3))[:, :, s], wanted)

    def test_constants_stay_what_they_are(self) -> None:
        layer = nn.FarthestPointPool(FIELD, sigma=0.3)
        y, _ = layer(torch.ones(40, 6), torch.rand(40, 3))
        torch.testing.assert_close(y, torch.ones(10, 6))

    def test_a_width_that_does_not_grow_is_not_equivariant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        layer = nn.FarthestPointPool(FIELD, ratio=0.4, sigma=0.2)
        assert point_error(layer, s=2.0).error < 1e-12
        monkeypatch.setattr(nn.FarthestPointPool, "_widths", lambda self, rep: [0.2] * 3)
        assert point_error(layer, s=2.0).error > 0.1

    def test_scales_relative_to_the_cloud(self) -> None:
        layer = nn.FarthestPointPool(FIELD, ratio=0.4, sigma=1.0, relative=True)
        cloud = Cloud.random(FIELD)
        (y, points), (larger, others) = (layer(cloud.x, size * cloud.pos, cloud.batch) for size in (1, 3.3))
        torch.testing.assert_close(larger, y)
        torch.testing.assert_close(others.pos, 3.3 * points.pos)

    def test_fields_without_scales(self) -> None:
        with pytest.raises(FieldTypeError, match="fields on the scales"):
            nn.FarthestPointPool(1 * GROUP.scalar)

    @pytest.mark.parametrize("ratio", [0.0, 1.5])
    def test_ratios_out_of_range(self, ratio: float) -> None:
        with pytest.raises(ScaleGroupError, match="ratio, a number in"):
            nn.FarthestPointPool(FIELD, ratio=ratio)


class TestPointUpsample:
    def test_the_points_of_the_input_keep_their_values(self) -> None:
        cloud = Cloud.random(FIELD)
        few = nn.farthest_points(cloud.pos, cloud.batch, ratio=0.4)
        y = nn.PointUpsample(FIELD)(
            cloud.x[few], cloud.pos[few], cloud.batch[few], out_pos=cloud.pos, out_batch=cloud.batch
        )
        torch.testing.assert_close(y[few], cloud.x[few])
        assert torch.equal(nn.PointUpsample(FIELD)(*cloud), cloud.x)

    def test_constants_stay_what_they_are(self) -> None:
        y = nn.PointUpsample(FIELD)(torch.ones(5, 6), torch.rand(5, 3), out_pos=torch.rand(20, 3))
        torch.testing.assert_close(y, torch.ones(20, 6))

    def test_fewer_points_than_neighbours(self) -> None:
        x = torch.randn(1, 6)
        y = nn.PointUpsample(FIELD)(x, torch.zeros(1, 3), out_pos=torch.rand(4, 3))
        torch.testing.assert_close(y, x.expand(4, -1))
        two = nn.PointUpsample(FIELD)(
            torch.tensor([[0.0] * 6, [1.0] * 6]), torch.eye(3)[:2], out_pos=torch.eye(3)[:1] / 2 + torch.eye(3)[1:2] / 2
        )
        torch.testing.assert_close(two, torch.full((1, 6), 0.5))

    def test_clouds_without_input_and_no_input_at_all(self) -> None:
        layer, zeros = nn.PointUpsample(FIELD), torch.zeros(2, 3)
        y = layer(torch.ones(2, 6), zeros, torch.tensor([0, 0]), out_pos=zeros, out_batch=torch.tensor([0, 4]))
        assert y.tolist() == [[1.0] * 6, [0.0] * 6]
        assert layer(torch.ones(0, 6), zeros[:0], out_pos=zeros).tolist() == [[0.0] * 6] * 2

    def test_weights_are_continuous_where_the_next_point_comes_nearer(self) -> None:
        just_before, just_after = torch.tensor([[0.5, 1.0, 1.0 + 1e-6], [0.5, 1.0 - 1e-6, 1.0]])
        weights = interpolation_weights(torch.stack([just_before, just_after]))
        assert float(weights[:, 1].max()) < 1e-5

    def test_weights_of_copies(self) -> None:
        weights = interpolation_weights(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
        assert weights.tolist() == [[0.5, 0.5], [0.5, 0.5]]

    @pytest.mark.parametrize("unit", [7.7, 1e-30, 1e30])  # the square of the last two is no float32
    def test_weights_do_not_know_the_unit(self, unit: float) -> None:
        distances = torch.rand(9, 4).sort(dim=1).values
        torch.testing.assert_close(interpolation_weights(unit * distances), interpolation_weights(distances))

    def test_no_neighbours_asked_for(self) -> None:
        with pytest.raises(ScaleGroupError, match="neighbours, an integer >= 1"):
            nn.PointUpsample(FIELD, neighbours=0)


class TestCloudPool:
    def test_clouds_without_points_are_zero(self) -> None:
        x, pos, batch = -torch.ones(3, 6), torch.rand(3, 3), torch.tensor([3, 1, 1])
        for mode in ("mean", "max"):
            y = nn.CloudPool(FIELD, mode)(x, pos, batch)
            assert y[:, 0].tolist() == [0, -1, 0, -1]

    def test_the_mean_and_the_maximum(self) -> None:
        x, pos = torch.randn(7, 6), torch.rand(7, 3)
        torch.testing.assert_close(nn.CloudPool(FIELD)(x, pos), x.mean(0, keepdim=True))
        torch.testing.assert_close(nn.CloudPool(FIELD, "max")(x, pos), x.amax(0, keepdim=True))

    def test_fields_that_turn_have_a_mean_only(self) -> None:
        field = 1 * ScaleTranslationGroup(dim=3, rotations="octahedral").irrep("T1")
        assert point_error(nn.CloudPool(field), k=(2, 3, 1)).error < 1e-12
        with pytest.raises(FieldTypeError, match="fields that rotations permute"):
            nn.CloudPool(field, "max")

    def test_unknown_modes(self) -> None:
        with pytest.raises(ScaleGroupError, match="mode"):
            nn.CloudPool(FIELD, "sum")
