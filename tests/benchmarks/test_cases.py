"""The cases are what they say: kernels of one width, baselines that compute the same, names that differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import scalegroup as sg
from scalegroup.benchmarks.baselines import PlainConvs, PublishedConv
from scalegroup.benchmarks.cases import BASES, SCALES, WIDTHS, WITHOUT_C, Layer, UNetStep, all_cases, layers
from scalegroup.engine import METHODS, native, slabs

CPU = torch.device("cpu")


def pair(base: float = 1.001, first: int = -3) -> tuple[sg.nn.GroupConv, PublishedConv]:
    group = sg.ScaleTranslationGroup(base=base, num_scales=4, first=first)
    conv = sg.nn.GroupConv(2 * group.regular, 2 * group.regular, support=2, bias=False)
    return conv, PublishedConv(conv)


def test_the_published_layer_is_ours() -> None:
    conv, published = pair()
    x = torch.randn(2, 2, SCALES, 7, 6, 8)  # our order: scale fastest
    wanted = conv(x.flatten(1, 2)).unflatten(1, (2, SCALES)).transpose(1, 2)
    found = published(x.transpose(1, 2).flatten(1, 2)).unflatten(1, (SCALES, 2))
    torch.testing.assert_close(found, wanted)


def test_another_order_of_channels_is_not() -> None:
    conv, published = pair()
    x = torch.randn(1, 2 * SCALES, 7, 6, 8)
    assert not torch.allclose(published(x), conv(x), atol=1e-2)


def test_scales_of_different_width_have_no_published_layer() -> None:
    with pytest.raises(RuntimeError, match="stack"):
        pair(base=2.0, first=0)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("functions", BASES)
def test_kernels_have_the_width_of_the_case(width: int, functions: int) -> None:
    conv = Layer("separable", functions, width, 1, 8)._layer()
    assert isinstance(conv, sg.nn.GroupConv)
    assert {axis.values.shape[1] for axes in conv.taps for axis in axes} == {width}
    assert conv.weights[0].shape == (1, 1, 1, functions)


def test_plain_convolutions_are_torchs() -> None:
    x = torch.randn(1, 3, 6, 6, 6)
    plain = PlainConvs(3)
    torch.testing.assert_close(plain(x, 2 * x)[1], 2 * plain(x)[0])


@pytest.mark.parametrize("method", ["plain", "published", WITHOUT_C, *METHODS])
@pytest.mark.parametrize("train", [False, True])
def test_a_case_runs(method: str, train: bool) -> None:
    case = Layer(method, 10, 5, 2, 6, train)
    result = case.prepare(CPU)()
    outputs = result[0] if train else result  # type: ignore[index]
    assert sum(y.numel() for y in outputs) == 2 * SCALES * 6**3
    if train:
        gradients = result[1]  # type: ignore[index]
        assert all(float(gradient.abs().max()) > 0 for gradient in gradients)


@pytest.mark.parametrize("method", ["auto", "dense"])
def test_a_training_step_runs(method: str) -> None:
    UNetStep(method, (2, 4), 8).prepare(CPU)()


def test_all_methods_and_sizes_are_measured_once() -> None:
    cases = all_cases()
    assert len({case.name for case in cases}) == len(cases)
    assert {case.method for case in cases} == {"plain", "published", WITHOUT_C, *METHODS}
    assert {case.width for case in layers()} == {5, 9, 13, 25}
    assert {(case.channels, case.size) for case in layers()} == {(8, 64), (16, 48), (32, 48), (32, 24)}


def test_without_c_torch_does_the_work_and_c_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    library, contract = native.library, slabs.contract
    taken: list[str] = []
    monkeypatch.setattr(slabs, "contract", lambda *given: taken.append("torch") or contract(*given))
    results = [Layer(method, 10, 5, 2, 6).prepare(CPU)() for method in (WITHOUT_C, "separable")]
    torch.testing.assert_close(*results)
    assert native.library is library
    assert taken == ["torch"] * SCALES * (1 if library() else 2)


def test_without_c_is_measured_at_one_width() -> None:
    own = [case for case in layers() if case.method == WITHOUT_C]
    assert {(case.width, case.functions) for case in own} == {(9, 10)}
    assert {(case.channels, case.size, case.train) for case in own} == {
        (case.channels, case.size, case.train) for case in layers()
    }
    assert all(case.method != WITHOUT_C for case in layers(methods=["dense"]))


def test_multiply_adds() -> None:
    dense = Layer("dense", 27, 9, 32, 48)
    assert dense.multiply_adds == 9**3 * 32 * 32 * 48**3 * 4
    assert replace(dense, method="separable").multiply_adds == Layer("plain", 27, 3, 32, 48).multiply_adds
    assert replace(dense, train=True).multiply_adds == 3 * dense.multiply_adds
