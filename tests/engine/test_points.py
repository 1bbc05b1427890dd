"""The contraction on point sets against full matrices, and what is kept about the points."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scalegroup.engine import PointBasis, PointOperator, PointPath, Points, Term, cloud_spacing, point_set, points
from scalegroup.errors import ScaleGroupError


def two_sets(dtype: torch.dtype = torch.float64, dim: int = 3) -> tuple[Points, Points]:
    generator = torch.Generator().manual_seed(dim)
    pos, out = (torch.rand(n, dim, generator=generator, dtype=dtype) for n in (50, 20))
    batch, out_batch = (torch.randint(0, 2, (n,), generator=generator) for n in (50, 20))
    return Points(pos, batch), Points(out, out_batch)


class TestBasis:
    @pytest.mark.parametrize("dim", [1, 2, 3])
    def test_values_are_products_of_hermite_functions_times_the_window(self, dim: int) -> None:
        basis = PointBasis(order=4, dim=dim, support=3.0)
        u = torch.rand(dim, 7, dtype=torch.float64) * 4 - 2
        r = u.square().sum(0).sqrt()
        fade = torch.where(r < 3, (1 - (r / 3) ** 4) ** 2, 0)
        lines = torch.from_numpy(basis.hermite.functions(u.numpy()))  # (F1, dim, 7)
        for value, degrees in zip(basis.values(u), basis.hermite.products, strict=True):
            wanted = fade * torch.stack([lines[n, axis] for axis, n in enumerate(degrees)]).prod(0)
            torch.testing.assert_close(value, wanted, rtol=1e-13, atol=1e-14)

    @pytest.mark.parametrize("dim", [1, 2, 3])
    def test_means_and_mass_are_the_integrals(self, dim: int) -> None:
        basis = PointBasis(order=4, dim=dim, support=2.0)
        line = np.linspace(-2, 2, {1: 2001, 2: 401, 3: 81}[dim])
        grid = torch.from_numpy(np.stack(np.meshgrid(*[line] * dim, indexing="ij")).reshape(dim, -1))
        cell = (line[1] - line[0]) ** dim
        np.testing.assert_allclose(basis.means, basis.values(grid).sum(1).numpy() * cell, atol=1e-4)
        assert basis.mass == pytest.approx(float(basis.gauss(grid.square().sum(0)).sum()) * cell, abs=1e-4)

    def test_admissible_kernels_have_zero_mean(self) -> None:
        basis = PointBasis(order=4, dim=2)
        columns = basis.zero_mean_constraint()
        assert columns.shape == (len(basis), len(basis) - 1)
        assert np.abs(basis.means @ columns).max() < 1e-14
        assert np.abs(basis.means[1:]).max() > 0.01  # with the window it is not the Gaussian alone

    def test_a_rotation_mixes_the_functions(self) -> None:
        basis, u = PointBasis(order=3, dim=3), torch.rand(3, 9, dtype=torch.float64)
        k = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
        turned = basis.values(torch.from_numpy(k) @ u)
        torch.testing.assert_close(turned, torch.from_numpy(basis.action(k)) @ basis.values(u), rtol=0, atol=1e-13)

    def test_functions_fade_without_a_jump(self) -> None:
        basis = PointBasis(order=2, dim=1)
        near = basis.values(torch.tensor([[3 - 1e-4]], dtype=torch.float64)).abs().max()
        assert 0 < near < 1e-7


@pytest.mark.parametrize("density", points.DENSITIES)
@pytest.mark.parametrize(("dim", "elsewhere"), list(product([1, 2, 3], [False, True])))
def test_values_and_gradients_are_those_of_full_matrices(dim: int, elsewhere: bool, density: str) -> None:
    sources, others = two_sets(dim=dim)
    operator = PointOperator(PointBasis(2, dim), 0.15, sources, others if elsewhere else sources, density)
    functions = len(operator.basis)
    x = torch.randn(50, 3, dtype=torch.float64, requires_grad=True)
    mix = torch.randn(functions, 3, 2, dtype=torch.float64, requires_grad=True)
    y = points.apply(x, mix, operator)
    wanted = torch.einsum("fij,jc,fco->io", operator.dense(), x, mix)
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)
    slope = torch.randn_like(y)
    found, expected = (torch.autograd.grad(z, (x, mix), slope) for z in (y, wanted))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(lambda x, mix: points.apply(x, mix, operator), (x, mix), fast_mode=True)


@given(
    sizes=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    dim=st.integers(1, 3),
    order=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    width=st.floats(0.05, 1.0),
    clouds=st.integers(1, 3),
    density=st.sampled_from(points.DENSITIES),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_any_sets_give_what_full_matrices_give(
    sizes: tuple[int, int],
    dim: int,
    order: int,
    channels: tuple[int, int],
    width: float,
    clouds: int,
    density: str,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int) -> Points:
        places = torch.randint(0, 9, (count, dim), generator=generator) / 8.0  # copies and equal distances among them
        return Points(places.double(), torch.randint(0, clouds, (count,), generator=generator))

    operator = PointOperator(PointBasis(order, dim), width, *map(draw, sizes), density)
    x = torch.randn(sizes[0], channels[0], generator=generator, dtype=torch.float64, requires_grad=True)
    shape = (len(operator.basis), *channels)
    mix = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    y, wanted = points.apply(x, mix, operator), torch.einsum("fij,jc,fco->io", operator.dense(), x, mix)
    torch.testing.assert_close(y, wanted, rtol=1e-11, atol=1e-11)
    slope = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    found, expected = (torch.autograd.grad(z, (x, mix), slope) for z in (y, wanted))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_float32_and_half_precision() -> None:
    sources, others = two_sets(torch.float32)
    operator = PointOperator(PointBasis(2, 3), 0.2, sources, others)
    x, mix = torch.randn(50, 3, dtype=torch.float64), torch.randn(10, 3, 2, dtype=torch.float64)
    exact = points.apply(x, mix, operator)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.03), (torch.float16, 0.005)):
        y = points.apply(x.to(dtype), mix.to(dtype), operator)
        assert y.dtype == dtype
        assert float((y.double() - exact).abs().max() / exact.abs().max()) < tolerance


def test_gradients_of_gradients_are_refused() -> None:
    sources, _ = two_sets()
    x = torch.randn(50, 1, dtype=torch.float64, requires_grad=True)
    y = points.apply(x, torch.randn(10, 1, 1, dtype=torch.float64), PointOperator(PointBasis(), 0.2, sources, sources))
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sources, others = two_sets()
    x, mix = torch.randn(50, 3, dtype=torch.float64), torch.randn(10, 3, 2, dtype=torch.float64)
    whole = points.apply(x, mix, PointOperator(PointBasis(), 0.3, sources, others))
    monkeypatch.setattr(point_set, "EDGES", {"cpu": 100})
    again = [Points(p.pos, p.batch) for p in (sources, others)]
    parts = points.apply(x, mix, PointOperator(PointBasis(), 0.3, *again))
    torch.testing.assert_close(parts, whole, rtol=1e-13, atol=1e-13)


def test_matrices_are_never_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    plain = PointBasis.values

    def spy(basis: PointBasis, u: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        values = plain(basis, u, weights)
        sizes.append(values.numel())
        return values

    monkeypatch.setattr(PointBasis, "values", spy)
    monkeypatch.setattr(point_set, "EDGES", {"cpu": 1 << 14})
    sources = Points(torch.rand(1000, 3))
    operator = PointOperator(PointBasis(), 0.15, sources, sources)
    x = torch.randn(1000, 4, requires_grad=True)
    points.apply(x, torch.randn(10, 4, 4), operator).sum().backward()
    edges = len(operator.near.index)
    assert 2 * edges <= sum(sizes) / 10 < 2.2 * edges  # forward and backward, with little padding
    assert max(sizes) <= 1 << 14 < 10 * edges / 50


def test_the_contraction_follows_its_terms() -> None:
    """Two blocks in, two out: with neighbouring scales, a sum over scales, and factors."""
    sources, others = two_sets()
    widths = (0.15, 0.2, 0.3)
    operators = [PointOperator(PointBasis(1, 3), width, sources, others) for width in widths]
    x = [torch.randn(50, 2, 3, dtype=torch.float64), torch.randn(50, 1, 1, dtype=torch.float64)]
    mixed = tuple(Term(s, s + t, s, t) for s in range(3) for t in range(2) if s + t < 3)
    lifted = tuple(Term(s, 0, s, 0) for s in range(3))
    summed = tuple(Term(0, s, s, 0) for s in range(3))
    weights = [torch.randn(3, c, t, 4, dtype=torch.float64) for c, t in ((2, 2), (1, 1), (2, 1))]
    paths = [
        PointPath(0, 0, weights[0], mixed, (1.0, 1.0, 1.0)),
        PointPath(1, 0, weights[1], lifted, (1.0, 0.5, 0.25)),
        PointPath(0, 1, weights[2], summed, (2.0, 1.0, 3.0)),
    ]
    found = points.contract(x, paths, operators, [(3, 3), (3, 1)])
    wanted = [torch.zeros(20, 3, 3, dtype=torch.float64), torch.zeros(20, 3, 1, dtype=torch.float64)]
    for path in paths:
        for term in path.terms:
            full = operators[term.operator].dense() * path.factors[term.operator]
            part = torch.einsum("fij,jc,ocf->io", full, x[path.source][:, :, term.source], path.weight[:, :, term.tap])
            wanted[path.target][:, :, term.target] += part
    for y, z in zip(found, wanted, strict=True):
        torch.testing.assert_close(y, z, rtol=1e-12, atol=1e-12)


def test_scales_without_a_term_are_zero() -> None:
    sources, _ = two_sets()
    path = PointPath(0, 0, torch.randn(2, 1, 1, 10, dtype=torch.float64), (Term(1, 0, 0, 0),), (1.0,))
    operators = [PointOperator(PointBasis(), 0.2, sources, sources)]
    (y,) = points.contract([torch.randn(50, 1, 1, dtype=torch.float64)], [path], operators, [(2, 2)])
    assert y.shape == (50, 2, 2)
    assert not y[:, :, 0].any()
    assert y[:, :, 1].any()


class TestDensity:
    def test_a_constant_stays_a_constant_where_it_is_divided_by_the_sum_at_the_target(self) -> None:
        sources, others = two_sets()
        basis = PointBasis(0, 3)
        y = points.apply(
            torch.ones(50, 1, dtype=torch.float64),
            torch.full((1, 1, 1), 1 / (basis.mass * basis.height), dtype=torch.float64),
            PointOperator(basis, 0.3, sources, others, "target"),
        )
        torch.testing.assert_close(y, torch.ones_like(y))

    def test_weights_are_volumes(self) -> None:
        """On a fine lattice, dense on one side, the sum with weights is the integral on both sides."""
        coarse, fine = torch.arange(-4, 0, 0.05), torch.arange(0, 4, 0.0125)
        sources = Points(torch.cat([coarse, fine]).double()[:, None])
        basis = PointBasis(0, 1)
        x = torch.ones(len(sources), 1, dtype=torch.float64)
        operator = PointOperator(basis, 0.2, sources, Points(torch.tensor([[-2.0], [0.0], [2.0]]).double()))
        y = points.apply(x, torch.ones(1, 1, 1, dtype=torch.float64), operator) / basis.means[0]
        assert y[[0, 2], 0].tolist() == pytest.approx([1, 1], abs=1e-6)
        assert float(y[1]) == pytest.approx(1, abs=0.2)  # where the density jumps, it is smoothed
        bare = PointOperator(basis, 0.2, sources, sources).dense().sum(2)[0] / sources.density(basis, 0.2)
        assert float(bare.max() / bare.min()) > 2  # without the weights the dense side counts more

    def test_it_is_the_same_from_neighbours_and_from_all_distances(self) -> None:
        sources, _ = two_sets()
        again, basis = Points(sources.pos, sources.batch), PointBasis()
        again.near(0.2 * basis.support)
        torch.testing.assert_close(sources.density(basis, 0.2), again.density(basis, 0.2), rtol=1e-13, atol=0)

    def test_it_counts_a_lonely_point_as_one(self) -> None:
        lonely = Points(torch.tensor([[0.0], [100.0]]))
        assert lonely.density(PointBasis(2, 1), 1.0).tolist() == [1, 1]


class TestPoints:
    def test_what_was_found_is_kept(self) -> None:
        sources, others = two_sets()
        assert sources.near(0.3) is sources.near(0.3)
        assert sources.near(0.3, others) is sources.near(0.3, others)
        assert sources.near(0.3, others) is not sources.near(0.2, others)
        assert sources.farthest(0.5) is sources.farthest(0.5)
        assert sources.density(PointBasis(), 0.2) is sources.density(PointBasis(), 0.2)
        assert sources.relative() is sources.relative()
        assert others.relative(to=sources) is others.relative(to=sources)

    def test_points_go_when_nobody_needs_them(self) -> None:
        """Without waiting for the garbage collector, which may let many lists of neighbours pile up."""
        gc.disable()
        try:
            fine = Points(torch.rand(40, 3))
            coarse = fine.farthest(0.5)
            for sources, targets in ((fine, coarse), (coarse, fine)):
                x = torch.randn(len(sources), 1, requires_grad=True)
                operator = PointOperator(PointBasis(), 0.2, sources.relative(), targets.relative(to=sources))
                points.apply(x, torch.randn(10, 1, 1), operator).sum().backward()
                sources.nearest(2, targets)
            alive = [weakref.ref(part) for part in (fine, coarse, fine.relative(), coarse.relative(to=fine))]
            del fine, coarse, sources, targets, operator
            assert [part() for part in alive] == [None] * 4
        finally:
            gc.enable()

    def test_copies(self) -> None:
        sources, others = two_sets()
        sources.near(0.3, others)
        for twin in (copy.deepcopy(others), pickle.loads(pickle.dumps(others))):
            assert torch.equal(twin.pos, others.pos)
            assert twin.batch is not None
            assert torch.equal(twin.batch, others.owner)

    def test_spacing_follows_the_size_of_each_cloud(self) -> None:
        sources, _ = two_sets()
        assert sources.batch is not None
        size = torch.tensor([2.0, 3.0], dtype=torch.float64)
        larger = cloud_spacing(sources.pos * size[sources.batch][:, None], sources.batch)
        torch.testing.assert_close(larger, sources.spacing * size)
        torch.testing.assert_close(cloud_spacing(sources.pos), Points(sources.pos).spacing)

    def test_spacing_of_few_points(self) -> None:
        assert cloud_spacing(torch.zeros(0, 3)).tolist() == [1]
        assert cloud_spacing(torch.zeros(4, 3)).tolist() == [1]  # copies of one point
        assert cloud_spacing(torch.tensor([[0.0], [5.0], [7.0]]), torch.tensor([0, 0, 2])).tolist() == [5, 1, 1]

    def test_spacing_ignores_copies(self) -> None:
        pos = torch.tensor([[0.0], [2.0], [4.0], [6.0]])
        assert torch.equal(cloud_spacing(pos), cloud_spacing(torch.cat([pos, pos, pos])))

    def test_relative_positions_have_a_spacing_of_one(self) -> None:
        sources, others = two_sets()
        torch.testing.assert_close(sources.relative().spacing, torch.ones(2, dtype=torch.float64))
        torch.testing.assert_close(others.relative(to=sources).pos, others.pos / sources.spacing[others.owner][:, None])

    def test_a_cloud_that_has_output_points_only(self) -> None:
        sources, others = (
            Points(torch.rand(3, 2), torch.zeros(3).long()),
            Points(torch.rand(2, 2), torch.tensor([0, 4])),
        )
        assert torch.equal(others.relative(to=sources).pos[1], others.pos[1])

    def test_half_precision_is_made_float32(self) -> None:
        assert Points(torch.rand(3, 3).half()).pos.dtype == torch.float32

    def test_repr(self) -> None:
        assert repr(two_sets()[0]) == "Points(50 points of dim 3 in 2 cloud(s))"

    @pytest.mark.parametrize(
        ("pos", "batch", "text"),
        [
            ([[0.0]], None, "received list"),
            (torch.zeros(3), None, r"received \(3,\)"),
            (torch.zeros(3, 4), None, "dim 1, 2 or 3"),
            (torch.zeros(3, 3).long(), None, r"convert it with pos.float\(\)"),
            (torch.full((3, 3), torch.nan), None, "expected finite positions"),
            (torch.full((3, 3), torch.inf), None, "leave such points out"),
            (torch.zeros(3, 3, requires_grad=True), None, r"give pos.detach\(\)"),
            (torch.zeros(3, 3), [0, 0, 0], "received list"),
            (torch.zeros(3, 3), torch.zeros(3), "integers >= 0, one for each point, received torch.float32"),
            (torch.zeros(3, 3), torch.zeros(2).long(), r"3 integers >= 0, one for each point, received \(2,\)"),
            (torch.zeros(3, 3), torch.tensor([0, -1, 0]), "received -1"),
        ],
    )
    def test_what_is_no_point_cloud(self, pos: Any, batch: Any, text: str) -> None:
        with pytest.raises(ScaleGroupError, match=text):
            Points(pos, batch)

    @pytest.mark.parametrize(
        ("others", "text"),
        [
            (Points(torch.rand(2, 3)), "a batch vector for both or neither"),
            (Points(torch.rand(2, 2), torch.zeros(2).long()), "output positions of dim 3, received 2"),
            (Points(torch.rand(2, 3).double(), torch.zeros(2).long()), "output positions of torch.float32"),
        ],
    )
    def test_sets_that_do_not_belong_together(self, others: Points, text: str) -> None:
        sources = two_sets(torch.float32)[0]
        for find in (lambda: sources.near(0.1, others), lambda: sources.nearest(2, others)):
            with pytest.raises(ScaleGroupError, match=text):
                find()
