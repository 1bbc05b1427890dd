"""What all contracts share: they are listed, they reject negative twins, and they work in a file by themselves."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup import nn, testing
from scalegroup.fields import FieldType
from scalegroup.groups import Group, SignedPermutations
from scalegroup.symbolic import Basis, HermiteBasis
from scalegroup.testing import (
    BasisContract,
    BrokenLaw,
    Contract,
    GroupContract,
    LayerContract,
    PointLayerContract,
    RepresentationContract,
    assert_rejected,
)
from scalegroup.testing.twins import Growing

CONTRACTS = [GroupContract, RepresentationContract, BasisContract, LayerContract, PointLayerContract]


class WrongInverse(SignedPermutations):
    def invert(self, a: Any) -> Any:
        return a


class BiasPerScale(nn.EquivariantModule):
    """The negative twin of `nn.Pointwise`."""

    declared_error = 0.0  # type: ignore[assignment]

    def __init__(self, field: FieldType) -> None:
        super().__init__(field, field)
        self.bias = torch.nn.Parameter(torch.arange(float(field.size)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.check(x)
        return x + self.bias.view(-1, *[1] * (x.ndim - 2))


class TestQuarterTurns(GroupContract):
    def make_group(self) -> Group:
        return SignedPermutations.c4()

    def make_twin(self) -> Group:
        return WrongInverse([(-2, 1)])


class TestHermite(BasisContract):
    def make_basis(self) -> Basis:
        return HermiteBasis(order=1, dim=1)

    def make_twin(self) -> Basis:
        class Shifted(HermiteBasis):
            def transfer(self, w: Any) -> Any:
                return super().transfer(w + 0.1)

        return Shifted(order=1, dim=1)


class OfPointwise(LayerContract):
    dims = (1,)

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.Pointwise(field)

    def make_twin(self, field: FieldType) -> torch.nn.Module:
        return BiasPerScale(field)


class OfPointConv(PointLayerContract):
    dims = (2,)

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return nn.PointGroupConv(field, field, order=1, sigma=0.5)

    def make_twin(self, field: FieldType) -> torch.nn.Module:
        return Growing(self.make_layer(field))


@pytest.mark.parametrize(("contract", "test"), [(OfPointwise, "test_equivariance"), (OfPointConv, "test_scales")])
def test_the_twin_of_a_layer_is_rejected(contract: type[Any], test: str) -> None:
    contract().test_twin_is_rejected()
    assert_rejected(contract.of(contract().make_twin), test)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_test_says_what_it_checks(contract: type[Contract]) -> None:
    checks = contract.checks()
    assert len(checks) >= 5
    assert all(text.endswith(".") for text in checks.values())
    assert "test_twin_is_rejected" not in checks


def test_a_twin_gives_one_test_more() -> None:
    assert set(TestQuarterTurns.checks()) - set(GroupContract.checks()) == {"test_twin_is_rejected"}
    assert "twin" in TestQuarterTurns.checks()["test_twin_is_rejected"]


def test_a_twin_that_is_not_broken_is_noticed() -> None:
    class NotBroken(TestQuarterTurns):
        def make_twin(self) -> Group:
            return SignedPermutations.c4()

    with pytest.raises(AssertionError, match=r"what NotBroken\.make_group makes\nreceived: it passes test_.*\nhint: "):
        NotBroken().run()


def test_the_test_that_must_reject_can_be_named() -> None:
    contract = GroupContract.of(WrongInverse([(-2, 1)]))
    failure = assert_rejected(contract, "test_inverse_undoes")
    assert failure.law == "g @ ~g == e == ~g @ g"
    assert str(failure).endswith("for: SignedPermutations.c4(), of the class WrongInverse")
    with pytest.raises(AssertionError, match="expected: test_product_is_associative rejects what"):
        assert_rejected(contract, "test_product_is_associative")
    with pytest.raises(AssertionError, match="for another reason than 'associative'"):
        assert_rejected(contract, "test_inverse_undoes", match="associative")


def test_a_twin_that_crashes_is_not_rejected() -> None:
    class Crashes(SignedPermutations):
        def invert(self, a: Any) -> Any:
            raise KeyError("a bug of its own")

    with pytest.raises(KeyError, match="a bug of its own"):
        assert_rejected(GroupContract.of(Crashes([(-2, 1)])))


def test_a_broken_law_can_be_copied() -> None:
    error = BrokenLaw("a law", 3, "look here", [1])
    assert str(copy.copy(error)) == "expected: a law\nreceived: 3\nhint: look here.\nfor: [1]"


FILE = """
from scalegroup.groups import SignedPermutations
from scalegroup.testing import GroupContract

class TestTurns(GroupContract):
    def make_group(self):
        return SignedPermutations.c4()

class TestBroken(TestTurns):
    def make_group(self):
        class Broken(SignedPermutations):
            def invert(self, a):
                return a
        return Broken([(-2, 1)])
"""


def test_a_file_by_itself_is_enough(tmp_path: Path) -> None:
    """Outside this repository: no conftest, no configuration."""
    path = tmp_path / "test_mine.py"
    path.write_text(FILE)
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-W", "error"]
    command = [sys.executable, "-m", "pytest", str(path), *options]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    count = len(GroupContract.checks())
    assert "BrokenLaw: expected: g @ ~g == e" in result.stdout
    assert "hint: look at `invert`" in result.stdout
    assert "def require(" not in result.stdout  # of the traceback only what the reader wrote and what is tested
    failed = result.stdout.count("\nFAILED ")
    assert 0 < failed < count
    assert f"{failed} failed, {2 * count - failed} passed" in result.stdout


def test_all_contracts_are_public() -> None:
    assert {contract.__name__ for contract in CONTRACTS} | {"Contract"} == {
        name for name in testing.__all__ if name.endswith("Contract")
    }
