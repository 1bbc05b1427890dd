"""Group convolution on point clouds: what breaks its equivariance, what it takes, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from scalegroup import nn
from scalegroup.engine import PointOperator
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import point_error
from scalegroup.testing.errors import largest_error
from scalegroup.testing.point_errors import Cloud

GROUP = ScaleTranslationGroup(dim=3, base=2**0.5, num_scales=4)


def case(points: int = 31) -> tuple[nn.PointGroupConv, Cloud]:
    torch.manual_seed(0)
    layer = nn.PointGroupConv(1 * GROUP.scalar, 2 * GROUP.regular, sigma=0.2).double()
    return layer, Cloud.random(layer.in_type, points)


def test_it_is_the_sum_of_its_formula() -> None:
    layer, (x, pos, batch) = case(12)
    y = layer(x, pos, batch).unflatten(1, (2, 4))
    basis, coefficients = layer.basis, layer.coefficients()[:, 0, 0]
    for s, scale in enumerate(GROUP.scales):
        width = layer.sigma * scale
        u = (pos[None] - pos[:, None]) / width  # u[i, j] leads from point i to point j
        same = batch[None] == batch[:, None]
        gauss = basis.gauss(u.square().sum(2)) * same
        volume = width**3 * basis.mass / gauss.sum(1)
        functions = basis.values(u.permute(2, 0, 1)) * same
        wanted = torch.einsum("j,of,fij,jc->io", volume * width**-3, coefficients, functions, x)
        torch.testing.assert_close(y[:, :, s], wanted, rtol=1e-12, atol=1e-12)


class TestNegativeTwins:
    """The layer is exact to rounding, and each of these makes it wrong."""

    def test_without_density_weights(self, monkeypatch: pytest.MonkeyPatch) -> None:
        layer, cloud = case()
        assert point_error(layer, s=GROUP.base, cloud=cloud).error < 1e-12

        def ones(operator: PointOperator) -> tuple[None, Any]:
            return None, torch.full_like(operator.points.pos[:, 0], operator.width**-3)  # a_j = 1

        monkeypatch.setattr(PointOperator, "weights", ones)
        assert point_error(layer, s=GROUP.base, cloud=cloud).error > 0.5

    def test_another_power_of_the_scale(self, monkeypatch: pytest.MonkeyPatch) -> None:
        layer, cloud = case()
        plain = nn.PointGroupConv._factors
        powers = np.array(GROUP.scales)
        monkeypatch.setattr(nn.PointGroupConv, "_factors", lambda self, i, j: list(powers * plain(self, i, j)))
        assert point_error(layer, s=GROUP.base, cloud=cloud).error > 0.1

    def test_one_radius_for_all_scales(self, monkeypatch: pytest.MonkeyPatch) -> None:
        layer, cloud = case()
        monkeypatch.setattr(PointOperator, "near", property(lambda self: self.points.near(0.4, self.targets)))
        assert point_error(layer, s=GROUP.base, cloud=cloud).error > 0.1

    def test_a_character_of_another_weight(self) -> None:
        right, wrong = (
            nn.PointGroupConv(1 * GROUP.character(weight), 1 * GROUP.regular, sigma=0.2).double()
            for weight in (-1.0, 0.0)
        )
        assert point_error(right, s=GROUP.base).error < 1e-12
        assert point_error(wrong, s=GROUP.base, in_type=right.in_type).error > 0.1

    def test_components_in_another_order(self) -> None:
        group = ScaleTranslationGroup(dim=3, num_scales=2, rotations="octahedral")
        field = 1 * group.irrep("T1")
        layer = nn.PointGroupConv(field, field, sigma=0.2).double()
        k = (2, 3, 1)
        assert point_error(layer, k=k).error < 1e-12

        def reversed_components(layer: Any, x: torch.Tensor, pos: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
            return layer(x.unflatten(1, (3, 2)).flip(1).flatten(1), pos, batch)  # type: ignore[no-any-return]

        assert point_error(layer, k=k, run=reversed_components).error > 0.1

    def test_scales_relative_to_something_else(self) -> None:
        layer, cloud = case()
        relative = nn.PointGroupConv(layer.in_type, layer.out_type, sigma=1.0, relative=True).double()
        y, larger = (relative(cloud.x, factor * cloud.pos, cloud.batch) for factor in (1, 1.7))
        assert largest_error(larger, y) < 1e-12
        y, larger = (layer(cloud.x, factor * cloud.pos, cloud.batch) for factor in (1, 1.7))
        assert largest_error(larger, y) > 0.1

    def test_a_base_below_one_and_far_scales(self) -> None:
        group = ScaleTranslationGroup(dim=3, base=0.9, num_scales=5, first=-2)
        layer = nn.PointGroupConv(1 * group.scalar, 1 * group.regular, sigma=0.2).double()
        assert point_error(layer, s=group.base**3).error < 1e-12


def test_any_rotation_is_exact_because_functions_are_not_sampled() -> None:
    pytest.importorskip("escnn")
    group = ScaleTranslationGroup(dim=3, num_scales=2, rotations="so3")
    field = 2 * group.irrep(0) + 1 * group.irrep(1) + 1 * group.irrep(2)
    layer = nn.PointGroupConv(field, field, sigma=0.2)
    for seed in range(3):
        k = group.rotations.sample(seed)
        exact = point_error(layer.double(), k=k.value)
        assert exact.error < 1e-12
        assert exact.trivial > 0.1
        assert point_error(layer.float(), k=k.value, dtype=torch.float32).error < 1e-5


def test_the_plane_and_its_reflections() -> None:
    group = ScaleTranslationGroup(dim=2, num_scales=3, rotations="d4")
    field = 1 * group.regular + 1 * group.irrep(group.rotations.irreps[-1])
    layer = nn.PointGroupConv(field, field, sigma=0.2, order=3).double()
    assert point_error(layer, s=group.base, k=(1, -2), t=(3.0, -2.0)).error < 1e-12


class TestInputs:
    def test_an_object_with_x_pos_and_batch(self) -> None:
        layer, (x, pos, batch) = case()
        y = layer(x, pos, batch)
        assert torch.equal(layer(SimpleNamespace(x=x, pos=pos, batch=batch)), y)
        assert torch.equal(layer(SimpleNamespace(x=x, pos=pos)), layer(x, pos))
        assert torch.equal(layer(SimpleNamespace(x=x, pos=pos, batch=None)), layer(x, pos))

    def test_points_instead_of_positions(self) -> None:
        layer, (x, pos, batch) = case()
        points = nn.Points(pos, batch)
        assert torch.equal(layer(x, points), layer(x, pos, batch))
        coarse = points.farthest(0.3)
        y = layer(x, pos, batch, out_pos=coarse.pos, out_batch=coarse.batch)
        assert largest_error(layer(x, points, out_pos=coarse), y) < 1e-12
        with pytest.raises(ScaleGroupError, match=r"no batch vector beside an nn\.Points"):
            layer(x, points, batch)

    def test_the_order_of_the_clouds_is_irrelevant(self) -> None:
        layer, (x, pos, batch) = case()
        order = torch.argsort(batch, stable=True)
        sorted_ = layer(x[order], pos[order], batch[order])
        assert largest_error(sorted_, layer(x, pos, batch)[order]) < 1e-12
        assert largest_error(layer(x, pos, 7 - 3 * batch), layer(x, pos, batch)) < 1e-12

    def test_a_point_with_no_neighbours_sees_itself(self) -> None:
        layer, _ = case()
        x, far = torch.ones(2, 1).double(), torch.tensor([[0.0, 0, 0], [50, 0, 0]]).double()
        alone = layer(x[:1], far[:1])
        assert alone.abs().max() > 0
        assert torch.equal(layer(x, far), alone.expand(2, -1))

    def test_an_output_point_out_of_reach_is_zero_and_the_bias(self) -> None:
        layer, (x, pos, batch) = case()
        with torch.no_grad():
            layer.get_parameter("bias").copy_(torch.tensor([1.0, 2.0]))
        y = layer(x, pos, batch, out_pos=torch.full((1, 3), 99.0).double(), out_batch=torch.tensor([0]))
        assert y.tolist() == [[1.0] * 4 + [2.0] * 4]
        for density in ("source", "target"):
            layer.density = density
            elsewhere = layer(x, pos, batch, out_pos=pos[:2], out_batch=torch.tensor([5, 6]))  # clouds without input
            assert elsewhere.tolist() == y.expand(2, -1).tolist()

    def test_copies_of_a_point_share_its_weight(self) -> None:
        layer, (x, pos, _) = case()
        twice = layer(torch.cat([x, x]), torch.cat([pos, pos]))
        assert largest_error(twice[: len(x)], layer(x, pos)) < 1e-12
        assert bool(layer(torch.ones(4, 1).double(), torch.zeros(4, 3).double()).isfinite().all())

    def test_positions_of_another_precision(self) -> None:
        layer, (x, pos, batch) = case()
        y = layer.float()(x.float(), pos, batch)
        assert y.dtype == torch.float32
        assert largest_error(y, layer(x.float(), pos.float(), batch)) < 1e-5

    def test_nothing_at_all(self) -> None:
        layer, (x, pos, batch) = case()
        none = layer(x[:0], pos[:0], batch[:0])
        assert none.shape == (0, 8)
        y = layer(x[:0].requires_grad_(), pos[:0], out_pos=pos[:3])
        assert y.shape == (3, 8)
        y.sum().backward()

    def test_features_are_asked_for(self) -> None:
        layer, (x, pos, _) = case()
        with pytest.raises(ScaleGroupError, match=r"torch.ones\(len\(pos\), 1\)"):
            layer(SimpleNamespace(x=None, pos=pos))
        with pytest.raises(ScaleGroupError, match="positions, a floating-point tensor"):
            layer(x)
        with pytest.raises(ScaleGroupError, match="31 rows of PointGroupConv input, one for each position"):
            layer(x[:5], pos)

    def test_output_points_need_a_batch_too(self) -> None:
        layer, (x, pos, batch) = case()
        with pytest.raises(ScaleGroupError, match="a batch vector for both or neither"):
            layer(x, pos, batch, out_pos=pos[:3])


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"order": -1}, "order, an integer >= 0"),
            ({"order": 1.5}, "order, an integer >= 0"),
            ({"sigma": 0.0}, "sigma, a number > 0"),
            ({"support": -1.0}, "support, a number > 0"),
            ({"scale_extent": 0}, "scale_extent, an integer >= 1"),
            ({"scale_padding": "wrap"}, "scale_padding"),
            ({"density": "none"}, "density"),
            ({"scale_basis": [[1.0, 2.0]]}, "scale_basis"),
        ],
    )
    def test_out_of_range(self, options: dict[str, Any], text: str) -> None:
        with pytest.raises(ScaleGroupError, match=text):
            nn.PointGroupConv(1 * GROUP.scalar, 1 * GROUP.regular, **options)

    def test_groups_with_grids_of_their_own(self) -> None:
        group = ScaleTranslationGroup(sampling="haar")
        with pytest.raises(FieldTypeError, match="points have no grids"):
            nn.PointGroupConv(1 * group.scalar, 1 * group.regular)

    def test_scalars_to_scalars(self) -> None:
        with pytest.raises(FieldTypeError, match=r"use nn\.Linear"):
            nn.PointGroupConv(1 * GROUP.scalar, 1 * GROUP.scalar)

    def test_repr_names_what_differs(self) -> None:
        layer = nn.PointGroupConv(1 * GROUP.scalar, 1 * GROUP.regular, relative=True, density="target", bias=False)
        text = "PointGroupConv(1*scalar -> 1*regular, order=2, sigma=1, relative=True, density='target', bias=False)"
        assert repr(layer) == text

    def test_projection_is_the_mean_over_the_scales(self) -> None:
        torch.manual_seed(0)
        field = 1 * GROUP.regular
        layer = nn.PointGroupConv(field, 1 * GROUP.scalar, sigma=0.2).double()
        same = nn.PointGroupConv(field, field, sigma=0.2).double()
        same.load_state_dict(layer.state_dict())
        cloud = Cloud.random(field)
        torch.testing.assert_close(layer(*cloud), same(*cloud).mean(1, keepdim=True))
        assert layer.declared_error == float("inf")
        assert same.declared_error == 0


class TestWindows:
    def test_another_window_has_the_same_weights(self) -> None:
        layer, (x, pos, batch) = case()
        wide = nn.with_window(layer, num_scales=6, first=-1)
        y, z = layer(x, pos, batch).unflatten(1, (2, 4)), wide(x, pos, batch).unflatten(1, (2, 6))
        torch.testing.assert_close(z[..., 1:5], y)

    def test_a_run_of_scales(self) -> None:
        layer, (x, pos, batch) = case()
        with nn.run_of_scales(layer, start=1, num_scales=2):
            y = layer(x, pos, batch).unflatten(1, (2, 2))
        torch.testing.assert_close(y, layer(x, pos, batch).unflatten(1, (2, 4))[..., 1:3])


def test_new_weights_keep_the_size_of_constants_and_noise() -> None:
    torch.manual_seed(0)
    group = ScaleTranslationGroup(dim=3, num_scales=2)
    layer = nn.PointGroupConv(32 * group.regular, 64 * group.regular, sigma=0.15, bias=False)
    pos = torch.rand(1500, 3)
    middle = (pos - 0.5).abs().amax(1) < 0.1
    layer.requires_grad_(False)
    constant = layer(torch.randn(1, 64).expand(1500, -1), pos)[middle]
    assert 0.5 < float(constant.std()) < 2
    noise = layer(torch.randn(1500, 64), pos)[middle]
    assert 0.05 < float(noise.std()) < 2  # the more neighbours, the more of it is averaged


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, between two graphs
def test_compiled_networks_call_it_between_their_graphs() -> None:
    layer, (x, pos, batch) = case()

    def network(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.silu(layer(torch.cos(x), pos, batch)) * 2

    torch._dynamo.reset()
    compiled = torch.compile(network, backend="aot_eager")
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    results = compiled(inputs[0]), network(inputs[1])
    torch.testing.assert_close(*results)
    for y in results:
        y.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)


def test_on_a_lattice_it_is_the_convolution_of_the_grid() -> None:
    torch.manual_seed(0)
    group = ScaleTranslationGroup(dim=2, num_scales=2)
    types = 2 * group.regular, 1 * group.regular
    grid = nn.GroupConv(*types, order=2, sigma=1.4, scale_extent=2, support=6.0).double()
    cloud = nn.PointGroupConv(*types, order=2, sigma=1.4, scale_extent=2, support=16.0).double()
    cloud.load_state_dict(grid.state_dict())
    size = 33
    pos = torch.cartesian_prod(*[torch.arange(size, dtype=torch.float64)] * 2)
    x = torch.randn(1, 4, size, size, dtype=torch.float64)
    y = cloud(x[0].flatten(1).t(), pos).t().unflatten(1, (size, size))
    middle = slice(14, 19)  # the border changes the volumes around points, and thereby what lies behind
    assert largest_error(y[:, middle, middle], grid(x)[0, :, middle, middle]) < 1e-3
