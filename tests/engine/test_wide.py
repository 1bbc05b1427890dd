"""Kernels that are no products: spectra against full arrays in space."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import scalegroup as sg
from scalegroup.engine import wide
from scalegroup.symbolic import JointBasis


@dataclass(frozen=True)
class Bumps(JointBasis):
    """Three functions without any symmetry."""

    dim: int = 2
    support: float = 3.0

    def functions(self, u: Any) -> Any:
        points = np.asarray(u, dtype=np.float64)
        gauss = np.exp(-(points**2).sum(axis=0) / 2)
        return np.stack([gauss, gauss * points[0], gauss * (points[0] > 0.3) * points[-1]])

    def __len__(self) -> int:
        return 3


def results(conv: torch.nn.Module, x: torch.Tensor, spectra: bool, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Output and gradients, with spectra or without."""
    calls = []
    contract = wide.contract
    monkeypatch.setattr(wide, "pays", lambda *_: spectra)
    monkeypatch.setattr(wide, "contract", lambda *args: calls.append(1) or contract(*args))
    x = x.clone().requires_grad_()
    conv.zero_grad()
    y = conv(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    assert bool(calls) == spectra
    monkeypatch.undo()
    return [y.detach(), x.grad, *(p.grad.clone() for p in conv.parameters())]


@pytest.mark.parametrize(
    ("dim", "stride", "mode"),
    [(1, 3, "zeros"), *product((2,), (1, 2), ("zeros", "replicate", "reflect", "circular")), (3, 1, "replicate")],
)
@pytest.mark.parametrize(("lifts", "first"), [(True, True), (False, True), (False, False)])
def test_spectra_and_full_arrays_are_one_function(
    dim: int, stride: int, mode: str, lifts: bool, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    group = sg.ScaleTranslationGroup(dim=dim, base=1.5, num_scales=3)
    in_type = 2 * group.scalar if lifts else 2 * group.regular
    options = {"stride": stride, "padding_mode": mode, "scale_extent": 2, "scale_padding": "replicate"}
    conv = sg.nn.GroupConv(in_type, 3 * group.regular, basis=Bumps(dim), **options).double()
    x = torch.randn(2, in_type.size, *(13, 8, 9)[:dim], dtype=torch.float64)
    expected = results(conv, x, False, monkeypatch)
    monkeypatch.setattr(wide, "_functions_first", lambda *_: first)
    for one, other in zip(results(conv, x, True, monkeypatch), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_functions_of_another_width_are_another_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: what the comparison would see if spectra were those of wrong functions."""
    group = sg.ScaleTranslationGroup(dim=2, base=1.5, num_scales=3)
    conv = sg.nn.GroupConv(1 * group.scalar, 1 * group.regular, basis=Bumps()).double()
    x = torch.randn(1, 1, 9, 9, dtype=torch.float64)
    other = sg.nn.GroupConv(1 * group.scalar, 1 * group.regular, basis=Bumps(), sigma=1.01).double()
    other.load_state_dict(conv.state_dict())
    one, two = results(conv, x, True, monkeypatch)[0], results(other, x, False, monkeypatch)[0]
    assert (one - two).abs().max() > 1e-3


def test_each_scale_on_its_own_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    group = sg.ScaleTranslationGroup(dim=2, base=1.5, num_scales=2, sampling="haar")
    field = 2 * group.regular
    conv = sg.nn.GroupConv(field, field, basis=Bumps(), scale_extent=2)
    x = tuple(torch.randn(1, 2, n, n) for n in (16, 12))
    outputs = []
    for spectra in (True, False):
        monkeypatch.setattr(wide, "pays", lambda *_, spectra=spectra: spectra)
        outputs.append(conv(x))
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_autocast_gives_the_dtype_that_full_arrays_give(monkeypatch: pytest.MonkeyPatch) -> None:
    group = sg.ScaleTranslationGroup(dim=2, base=1.5, num_scales=2)
    conv, x = sg.nn.GroupConv(1 * group.scalar, 2 * group.regular, basis=Bumps()), torch.randn(1, 1, 9, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one, other = (results(conv, x, spectra, monkeypatch)[0] for spectra in (True, False))
    assert one.dtype == other.dtype == torch.bfloat16
    torch.testing.assert_close(one, other, rtol=0.02, atol=0.02)


def test_spectra_are_for_wide_kernels_that_fit_into_memory() -> None:
    group = sg.ScaleTranslationGroup(dim=3, base=1.5, num_scales=2)

    def pays(sigma: float, channels: int, space: int, batch: int = 1) -> bool:
        conv = sg.nn.GroupConv(channels * group.regular, channels * group.regular, basis=Bumps(3), sigma=sigma)
        operators = conv.operators([(space,) * 3])
        contraction = wide.Contraction(conv.products, conv.terms(0, 0), (2,))
        return wide.pays(batch, conv.weight.shape, operators, contraction)

    assert pays(2.0, 4, 24)
    assert not pays(0.3, 4, 24)
    assert pays(2.0, 40, 64)
    assert not pays(2.0, 40, 64, batch=40)
