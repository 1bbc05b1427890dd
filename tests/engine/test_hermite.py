"""Hermite polynomials as tensors, in two norms, against NumPy's."""

from __future__ import annotations

from math import factorial, sqrt

import numpy as np
import torch

from scalegroup.engine.hermite import polynomials
from scalegroup.symbolic import HermiteBasis
from scalegroup.symbolic.hermite import hermite_table

U = np.linspace(-4, 4, 17)


def test_those_of_a_table_times_the_gaussian_are_the_functions() -> None:
    table, functions = hermite_table(8), HermiteBasis(8, 1).functions(U)
    found = polynomials(torch.from_numpy(U), table.ahead.tolist(), table.back.tolist())
    for degree, values in enumerate(found, start=1):
        np.testing.assert_allclose(values.numpy() * functions[0], functions[degree], rtol=1e-12, atol=1e-14)


def test_the_orthonormal_ones_are_numpys_over_the_root_of_the_factorial() -> None:
    order = 6
    ahead, back = [1 / sqrt(n + 1) for n in range(order)], [sqrt(n / (n + 1)) for n in range(order)]
    for degree, values in enumerate(polynomials(torch.from_numpy(U), ahead, back), start=1):
        wanted = np.polynomial.hermite_e.hermeval(U, [0] * degree + [1]) / sqrt(factorial(degree))
        np.testing.assert_allclose(values, wanted, rtol=1e-12, atol=1e-12)


def test_no_degree_and_any_shape() -> None:
    assert polynomials(torch.ones(2, 3), [], []) == []
    assert [p.shape for p in polynomials(torch.ones(2, 0, 3), [1.0, 1.0], [0.0, 1.0])] == [(2, 0, 3)] * 2
