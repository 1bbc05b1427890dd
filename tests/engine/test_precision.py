"""Rounding at the sizes of real layers: float32, float64 and bfloat16 against a plain float64 oracle."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from scalegroup.engine import METHODS, AxisOperator, Contraction, Term, contract
from scalegroup.kernels import sample_taps
from scalegroup.symbolic import HermiteBasis

# Spectral computes another contraction, with the exact transfer functions: its own tests know its oracle.
ALL = tuple(method for method in METHODS if method not in ("auto", "spectral"))
BASIS = HermiteBasis((2, 2, 2), 3, "each")
FLOAT32, BFLOAT16, FLOAT64 = 1e-5, 2e-2, 1e-11  # what issue 3 asks for
SPACES = {"cube": (24, 24, 24), "short axis": (24, 24, 7)}  # the short one is narrower than both kernels


class Case(NamedTuple):
    """One group convolution of two scales in float64, and what its exact output is multiplied with in the loss."""

    x: Tensor
    weight: Tensor
    slope: Tensor
    operators: list[list[AxisOperator]]
    contraction: Contraction

    def run(self, method: str, dtype: torch.dtype, autocast: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The output and the gradients in input and weight."""
        x, weight = (t.to(dtype).requires_grad_() for t in (self.x, self.weight))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            (y,) = contract([x], weight, self.operators, self.contraction, method)
        return y.detach(), *torch.autograd.grad(y, (x, weight), self.slope.to(y.dtype))


def make(width: int, space: tuple[int, int, int], channels: int = 16, scales: int = 2) -> Case:
    radius = width // 2
    axes = [sample_taps(BASIS, radius / 4.5 / 2 ** (s / 2), radius=radius) for s in range(scales)]
    operators = [[AxisOperator(torch.tensor(t.values), t.first, 1, n, n) for n in space] for t in axes]
    rng = torch.Generator().manual_seed(width)
    shape = (1, channels, scales, *space)
    x, slope = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    weight = torch.randn(channels, channels, 1, len(BASIS), generator=rng, dtype=torch.float64)
    terms = tuple(Term(s, s, s, 0) for s in range(scales))
    return Case(x, weight, slope, operators, Contraction(BASIS.products, terms, (scales,)))


def responses(case: Case, scale: int, x: Tensor) -> Tensor:
    """`(A_x ⊗ A_y ⊗ A_z) x` for all 27 products, `(27, C, *space)`, as the formula says."""
    a, b, c = (axis.matrix().to(x) for axis in case.operators[scale])
    along_z = torch.einsum("kcz,nxyz->knxyc", c, x)
    along_y = torch.einsum("jby,knxyc->jknxbc", b, along_z)
    grid = torch.einsum("iax,jknxbc->ijknabc", a, along_y)
    return torch.stack([grid[product] for product in case.contraction.products])


@cache
def exact(width: int, space: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The oracle: matrices and one sum, in float64, its gradients by autograd."""
    return oracle(make(width, space))


def oracle(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    x, weight = case.x.clone().requires_grad_(), case.weight.clone().requires_grad_()
    scales = [
        torch.einsum("ocf,fcxyz->oxyz", weight[:, :, 0], responses(case, s, x[0, :, s])) for s in range(x.shape[2])
    ]
    y = torch.stack(scales, dim=1)[None]
    return y.detach(), *torch.autograd.grad(y, (x, weight), case.slope)


def distance(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm())


def distances(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> list[float]:
    return [distance(a, b) for a, b in zip(found, wanted, strict=True)]


def test_the_oracle_is_the_dense_one() -> None:
    case = make(9, (10, 8, 6), channels=3)
    assert max(distances(case.run("dense", torch.float64), oracle(case))) < 1e-14


# torch has no fast path for dense kernels of 25 voxels: it takes minutes in float32, and 27 GB in float64.
SIZES = [(m, k, s) for m in ALL for k in (9, 25) for s in SPACES if (m, k) != ("dense", 25)]
sizes = pytest.mark.parametrize(("method", "width", "space"), SIZES)


@sizes
def test_float32(method: str, width: int, space: str) -> None:
    found = make(width, SPACES[space]).run(method, torch.float32)
    assert all(part.dtype == torch.float32 for part in found)
    assert max(distances(found, exact(width, SPACES[space]))) < FLOAT32


@sizes
def test_bfloat16_autocast(method: str, width: int, space: str) -> None:
    found = make(width, SPACES[space]).run(method, torch.float32, autocast=True)
    assert found[0].dtype == torch.bfloat16
    assert max(distances(found, exact(width, SPACES[space]))) < BFLOAT16


# Dense kernels of 9 voxels need 1.3 GB in float64; a smaller case of them is above.
@pytest.mark.parametrize(("method", "width", "space"), [size for size in SIZES if size[0] != "dense"])
def test_float64(method: str, width: int, space: str) -> None:
    found = make(width, SPACES[space]).run(method, torch.float64)
    assert max(distances(found, exact(width, SPACES[space]))) < FLOAT64


# Negative twins


def test_kernels_off_by_a_ten_thousandth_are_noticed() -> None:
    case = make(9, SPACES["cube"])
    noise = torch.randn(case.weight.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spoiled = case._replace(weight=case.weight * (1 + 1e-4 * noise))
    y, x_grad, _ = distances(spoiled.run("separable", torch.float32), exact(9, SPACES["cube"]))
    assert min(y, x_grad) > 3 * FLOAT32


def test_sums_in_bfloat16_are_noticed() -> None:
    case = make(9, SPACES["short axis"])
    wanted = exact(9, SPACES["short axis"])[0][0, :, 0]
    factors = responses(case, 0, case.x[0, :, 0]).flatten(0, 1).bfloat16()  # (27 C, *space), function slowest
    weight = case.weight[:, :, 0].permute(0, 2, 1).flatten(1).bfloat16()  # (O, 27 C)
    wide, narrow = (torch.zeros(wanted.shape, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    for column, factor in zip(weight.unbind(1), factors, strict=True):
        wide += column[:, None, None, None].float() * factor.float()
        narrow += column[:, None, None, None] * factor
    assert distance(wide.bfloat16(), wanted) < BFLOAT16 / 4  # measured 2.9e-3
    assert distance(narrow, wanted) > BFLOAT16  # measured 2.4e-2, from this one sum
