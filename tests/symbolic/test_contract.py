"""A broken basis fails the contract, by the test that is about its defect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scalegroup.symbolic import HermiteBasis
from scalegroup.testing.bases import BasisContract, check_basis


class Fine(HermiteBasis):
    pass


class WrongSign(HermiteBasis):
    def transfer(self, w: Any) -> Any:
        return np.conj(super().transfer(w))


class WrongFactor(HermiteBasis):
    def functions(self, u: Any) -> Any:
        return super().functions(u) * (1 + 1e-8)


class NoDecay(HermiteBasis):
    def functions(self, u: Any) -> Any:
        return super().functions(u) + 1e-6


class SinglePrecision(HermiteBasis):
    def functions(self, u: Any) -> Any:
        return super().functions(u).astype(np.float32)


class WrongMeans(HermiteBasis):
    @property
    def means(self) -> Any:
        return np.ones(self.num_functions)


class NoConstraint(HermiteBasis):
    def zero_mean_constraint(self) -> Any:
        return np.eye(len(self))


class UnusedFunction(HermiteBasis):
    @property
    def products(self) -> Any:
        return tuple(product for product in super().products if 1 not in product)


class ByIdentity(HermiteBasis):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Mutable(HermiteBasis):
    __setattr__ = object.__setattr__


BROKEN: list[tuple[Callable[..., HermiteBasis], str]] = [
    (WrongSign, "e^{iwu} du"),
    (WrongFactor, "e^{iwu} du"),
    (NoDecay, "decay"),
    (SinglePrecision, "double precision"),
    (WrongMeans, "means"),
    (NoConstraint, "zero mean"),
    (UnusedFunction, "use of all functions"),
    (ByIdentity, "made alike"),
    (Mutable, "immutability"),
]


@pytest.mark.parametrize(("make", "text"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_basis_fails(make: Callable[..., HermiteBasis], text: str) -> None:
    failures = []
    for name in (name for name in dir(BasisContract) if name.startswith("test_")):

        class Check(BasisContract):
            def make_basis(self) -> HermiteBasis:
                return make(order=2, dim=2)

            def names(self) -> dict[str, Any]:
                return super().names() | {"HermiteBasis": HermiteBasis}

        try:
            getattr(Check(), name)()
        except AssertionError as error:
            failures.append(str(error))
    assert any(text in failure for failure in failures), failures
    with pytest.raises(AssertionError):
        check_basis(make(order=2, dim=2))


def test_unbroken_subclass_passes() -> None:
    check_basis(Fine(order=2, dim=2))
