"""The two parts of a Hermite basis: together they are the whole, and reflections tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import HermiteBasis, ParityBasis
from scalegroup.testing import BasisContract


class TestEven(BasisContract):
    def make_basis(self) -> ParityBasis:
        return ParityBasis(True, order=4, dim=2)


class TestOdd(BasisContract):
    def make_basis(self) -> ParityBasis:
        return ParityBasis(False, order=2, dim=3, truncation="each")


class TestOddInOneDimension(BasisContract):
    def make_basis(self) -> ParityBasis:
        return ParityBasis(False, order=3, dim=1)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("truncation", ["total", "each"])
def test_both_parts_are_the_whole(dim: int, truncation: str) -> None:
    even, odd = (ParityBasis(flag, 2, dim, truncation) for flag in (True, False))  # type: ignore[arg-type]
    whole = HermiteBasis(2, dim, truncation)  # type: ignore[arg-type]
    assert sorted(even.degrees + odd.degrees) == sorted(whole.products)
    u = np.linspace(-3, 3, 7)
    for part in (even, odd):
        for product, degrees in zip(part.products, part.degrees, strict=True):
            np.testing.assert_array_equal(part.functions(u)[list(product)], whole.functions(u)[list(degrees)])


def test_reflections() -> None:
    """T9: even kernels stay the same under every reflection, the others do not; permutations keep both parts."""
    u = np.random.default_rng(0).normal(size=(2, 50))
    for even in (True, False):
        basis = ParityBasis(even, 3, 2)
        for product, degrees in zip(basis.products, basis.degrees, strict=True):
            assert degrees[::-1] in basis.degrees
            values = [
                np.prod([basis.functions(s * v)[f] for s, v, f in zip(signs, u, product, strict=True)], axis=0)
                for signs in ((1, 1), (-1, 1), (1, -1))
            ]
            same = all(np.array_equal(values[0], other) for other in values[1:])
            assert same == even


def test_odd_kernels_have_no_mean() -> None:
    for dim in (1, 2, 3):
        odd, even = (ParityBasis(flag, 3, dim) for flag in (False, True))
        assert odd.zero_mean_constraint().shape == (len(odd), len(odd))
        assert even.zero_mean_constraint().shape[1] == len(even) - 1


def test_refuses() -> None:
    with pytest.raises(ScaleGroupError, match="an order >= 1 for odd kernels"):
        ParityBasis(False, order=0, dim=2)
    with pytest.raises(ScaleGroupError, match="order to be an integer"):
        ParityBasis(True, order=-1, dim=2)
