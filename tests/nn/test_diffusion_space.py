"""Matrices between sets of samples of q-space: integrals where samples are dense, fits where they are few."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from scalegroup.nn.diffusion_basis import DiffusionBasis
from scalegroup.nn.diffusion_space import each_q, mirrored, polynomial_norms, q_matrices, quadrature
from scalegroup.symbolic import HermiteBasis
from scalegroup.testing import gradients

WHOLE = HermiteBasis(2, 2)
EVEN = tuple(p[2:] for p in DiffusionBasis(2, 2, p_order=0).products)


def matrices(out_q: Tensor, q: Tensor, width: float = 0.5, antipodal: bool = False, ridge: float = 0.1) -> Tensor:
    degrees = EVEN if antipodal else WHOLE.products
    return q_matrices(out_q, q, width, degrees, torch.tensor(polynomial_norms(2)), antipodal, ridge)


def lattice(count: int, reach: float = 4.0) -> Tensor:
    axis = torch.linspace(-reach, reach, count, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def test_dense_samples_give_the_integrals() -> None:
    """`∫ x(v) ψ_f(v / w) dv / w²` of a Gaussian x, by a sum on a far denser lattice."""
    width, origin = 0.5, torch.tensor([[0.3, -0.2]], dtype=torch.float64)

    def signal(v: Tensor) -> Tensor:
        return torch.exp(-(v @ torch.tensor([[0.5, 0.2], [0.2, 0.4]], dtype=torch.float64) * v).sum(dim=1))

    fine = lattice(201)
    cell = float(fine[1, 1] - fine[0, 1]) ** 2
    kernels = torch.tensor(WHOLE.at((fine - origin).T.numpy() / width)) * cell / width**2
    exact = kernels @ signal(fine)
    q = lattice(33)
    found = matrices(origin, q, width)[:, 0] @ signal(q)
    assert (found - exact).norm() < 1e-3 * exact.norm()
    assert (matrices(origin, q, 2 * width)[:, 0] @ signal(q) - exact).norm() > 0.1 * exact.norm()


@pytest.mark.parametrize("antipodal", [True, False])
@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_constants_are_seen_exactly_on_any_samples(count: int, antipodal: bool) -> None:
    q = gradients(count, 2)
    sums = matrices(torch.tensor([[0.0, 0.0], [0.4, 0.9]]), q, antipodal=antipodal).sum(dim=2)
    mass = float(WHOLE.means[0]) ** 2
    torch.testing.assert_close(sums[0], torch.full_like(sums[0], mass))
    assert sums[1:].abs().max() < 1e-9


def test_few_samples_tell_curvature_better_than_a_plain_sum() -> None:
    """Of signals that are polynomials of degree 2, whose integrals are the coefficients."""
    rng = np.random.default_rng(0)
    gain: dict[float | str, float] = {0.001: 0.0, 0.1: 0.0, "plain": 0.0}  # by ridge
    functions = [n for n, p in enumerate(EVEN) if sum(p) == 2]
    dense, origin = lattice(41), torch.zeros(1, 2, dtype=torch.float64)
    integrals = matrices(origin, dense, antipodal=True)[functions, 0]
    for seed in range(10):
        tensor = torch.tensor(rng.standard_normal((2, 2)))
        q = gradients(6, 2, seed)

        def signal(v: Tensor, tensor: Tensor = tensor) -> Tensor:
            return 1 - (v @ tensor * v).sum(dim=1)

        exact = integrals @ signal(dense)
        both = mirrored(q)
        weights = quadrature(q, 0.5, antipodal=True).repeat(2)
        kernels = torch.tensor(HermiteBasis(2, 2).at(both.T.numpy() / 0.5)) * weights * 2 * np.pi
        places = [WHOLE.products.index(EVEN[n]) for n in functions]
        plain = (kernels @ signal(both))[places]
        found: dict[float | str, Tensor] = {"plain": plain}
        for ridge in (0.001, 0.1):
            found[ridge] = (matrices(origin, q, antipodal=True, ridge=ridge)[:, 0] @ signal(q))[functions]
        for kind, value in found.items():
            gain[kind] += float((value - exact).norm() / exact.norm()) / 10
    assert gain["plain"] > 2 * gain[0.1] > 4 * gain[0.001]
    assert gain[0.1] < 0.3
    assert gain[0.001] < 0.02


def test_samples_that_are_all_too_far_away_count_as_zeros() -> None:
    q = torch.tensor([[100.0, 0.0]], dtype=torch.float64)
    assert matrices(torch.zeros(1, 2, dtype=torch.float64), q).abs().max() < 1e-12


def test_dilated_samples_at_the_dilated_width_are_the_same() -> None:
    q = gradients(7, 2)
    torch.testing.assert_close(matrices(3 * q, 3 * q, 1.5), matrices(q, q, 0.5), rtol=0, atol=1e-12)
    assert (matrices(3 * q, 3 * q, 0.5) - matrices(q, q, 0.5)).abs().max() > 0.1


def test_each_q_is_the_layer_at_each_sample() -> None:
    x = torch.randn(2, 3, 4, 5, 6)
    y = each_q(torch.nn.functional.avg_pool2d, x, 2)
    assert y.shape == (2, 3, 4, 2, 3)
    torch.testing.assert_close(y[:, :, 1], torch.nn.functional.avg_pool2d(x[:, :, 1], 2))
