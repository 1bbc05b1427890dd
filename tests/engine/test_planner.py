"""The cost model counts what is computed, and the cheaper method is taken."""

from __future__ import annotations

import pytest
import torch

from scalegroup.engine import METHODS, AxisOperator, Contraction, Term, choose, contract, cost_of, seconds
from scalegroup.kernels import sample_taps
from scalegroup.symbolic import FreeBasis, HermiteBasis

CPU = torch.device("cpu")


def problem(channels: tuple[int, int], size: int, sigma: float = 1.0, dim: int = 3, stride: int = 1):  # type: ignore[no-untyped-def]
    """A single term with Hermite kernels of order 2."""
    taps = torch.tensor(sample_taps(HermiteBasis(2), sigma).values)
    axes = [AxisOperator(taps, -(taps.shape[1] // 2), stride, size, -(-size // stride))] * dim
    one = Contraction(HermiteBasis(2, dim).products, (Term(0, 0, 0, 0),), (1,))
    return (channels[1], channels[0], 1, len(one.products)), [axes], one


def test_dense_counts_the_samples_of_the_kernel() -> None:
    shape, operators, one = problem((3, 5), 20)
    cost = cost_of("dense", shape, operators, one)
    assert cost.multiply_adds == 3 * 5 * 11**3 * (20**3 + 10)  # ten functions are summed to make the kernels
    assert cost.bytes == 4 * (3 * 20**3 + 2 * 5 * 20**3 + 2 * 3 * 5 * 11**3)
    assert cost.calls == 1


def test_separable_counts_bands_and_the_mix() -> None:
    shape, operators, one = problem((3, 5), 40)
    mix = 10 * 3 * 5
    bands = 3 * 14 * 3 + 6 * 14 * 3 + 3 * 26 * 5  # X and Y for 3 channels, in tiles of 4; Z for 5, in tiles of 16
    assert cost_of("separable", shape, operators, one).multiply_adds == 40**3 * (mix + bands)


@pytest.mark.parametrize(
    ("channels", "work"),
    [
        ((16, 1), 10 * 16 + 3 * 14 * 16 + 6 * 14 * 1 + 3 * 26 * 1),  # late: X, the mix, Y and Z of one channel
        ((1, 16), 10 * 16 + 3 * 14 * 1 + 6 * 14 * 1 + 3 * 26 * 16),  # early: X and Y of one channel, the mix, Z
    ],
)
def test_the_order_of_the_work_follows_the_channels(channels: tuple[int, int], work: int) -> None:
    """One channel on one side of the mix: the six pairs are applied there, and not to the sixteen."""
    assert cost_of("separable", *problem(channels, 40)).multiply_adds == 40**3 * work


def test_the_price_of_separable_hardly_grows_with_the_kernel() -> None:
    narrow, wide = ([cost_of(m, *problem((16, 16), 48, s)).multiply_adds for m in METHODS[1:3]] for s in (1.0, 2.0))
    assert wide[0] > 4 * narrow[0]
    assert wide[1] < 1.4 * narrow[1]


def test_strides_are_computed_only_where_needed() -> None:
    full, strided = (cost_of("separable", *problem((16, 16), 48, stride=q)).multiply_adds for q in (1, 2))
    assert strided < full / 3.5  # an eighth of the outputs, but X is applied to all rows of Y and Z


def test_auto_is_separable_for_wide_kernels_and_dense_for_free_ones() -> None:
    shape, operators, one = problem((16, 16), 48)
    assert choose(shape, operators, one, 4, 1, CPU) == "separable"
    basis = FreeBasis(3, 3)
    axes = [AxisOperator(torch.eye(3), -1, 1, 48, 48)] * 3
    free = Contraction(basis.products, one.terms, one.outputs)
    assert choose((16, 16, 1, 27), [axes], free, 4, 1, CPU) == "dense"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_model_grows_with_the_work(device: str) -> None:
    shape, operators, one = problem((16, 16), 48)
    for method in METHODS[1:]:
        cost = cost_of(method, shape, operators, one)
        single, double = (seconds(method, cost, 16, batch, torch.device(device)) for batch in (1, 2))
        assert 0 < single < double < 2 * single


def test_auto_runs_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    shape, operators, one = problem((2, 2), 6, dim=2)
    x, weight = torch.randn(1, 2, 1, 6, 6), torch.randn(shape)
    taken: list[str] = []
    for name in METHODS[1:]:
        monkeypatch.setattr(f"scalegroup.engine.{name}.contract", lambda *_, name=name: taken.append(name) or [])
    for wanted in ("dense", "separable"):
        monkeypatch.setattr("scalegroup.engine.planner.choose", lambda *_, wanted=wanted: wanted)
        contract([x], weight, [[axis] * 2 for axis in [operators[0][0]]], one)
    assert taken == ["dense", "separable"]
