"""The comparison of methods: what is measured is right where it is known, and wrong where it should be."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from time import sleep

import pytest
import torch

from scalegroup import nn
from scalegroup.benchmarks.compare import equivariance
from scalegroup.benchmarks.compare.apart import apart
from scalegroup.benchmarks.compare.costs import Classifying, all_costs
from scalegroup.benchmarks.compare.equivariance import classifier_error, fitting, torus_errors, unet_error
from scalegroup.benchmarks.compare.inputs import band_limited, blob_images
from scalegroup.benchmarks.compare.networks import (
    PLAIN,
    WIDE,
    chosen_dims,
    chosen_names,
    classifier,
    features,
    layers_of,
    settle,
)
from scalegroup.benchmarks.compare.rows import Row, as_cells, measured_rows, merged, read_rows
from scalegroup.errors import ScaleGroupError
from scalegroup.methods import RegularLayers
from scalegroup.symbolic import HermiteBasis
from scalegroup.training.report import write_csv


class HermiteLayers(RegularLayers):
    """A method that is known to be equivariant."""

    def basis(self) -> HermiteBasis:
        return HermiteBasis(2, self.dim)


class FixedWidth(HermiteLayers):
    """The same with a convolution of fixed width after the lifting, which is not."""

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        count = self.field(out_channels).size
        blur = torch.nn.Conv2d(count, count, 7, padding=3, groups=count)
        return torch.nn.Sequential(super().lift(in_channels, out_channels), blur)


@pytest.mark.parametrize(("dim", "measured"), [(1, 0.033), (2, 0.053)])
def test_an_equivariant_method_has_a_small_error_on_the_torus(
    dim: int, measured: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivariance, "layers_of", lambda name, *args: HermiteLayers(*args))
    found = torus_errors("ours", dim)
    assert found.factor == pytest.approx(17 / 12)
    assert found.inner < 1e-3  # kernels of width 1: DESIGN.md section 5
    # SiLU makes frequencies that the grid cannot hold. METHODS.md 0.4 has 1.6e-2 of all scales under 0.9; this is the
    # worst scale under 2, as it was measured.
    assert found.value == pytest.approx(measured, rel=0.15)
    assert found.trivial > 0.5


def test_a_method_of_few_scales_keeps_them() -> None:
    assert torus_errors("worrall2019", 1).factor == pytest.approx(2)
    found = torus_errors("sosnovik2021", 1)
    assert found.factor == pytest.approx(2)
    assert found.inner < 1e-6  # exact but for float32


def test_one_that_is_not_has_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equivariance, "layers_of", lambda name, *args: FixedWidth(*args))
    found = torus_errors("ours", 2)
    assert min(found.value, found.inner) > 0.1


def test_a_window_without_a_scale_to_compare_is_made_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    class Narrow(HermiteLayers):
        num_scales = 2  # one step leaves one, which reads beyond the window
        scale_extent = 2

    monkeypatch.setattr(equivariance, "layers_of", lambda name, *args: Narrow(*args))
    assert torus_errors("ours", 1).inner < 1e-3


def test_features_that_turn_and_several_grids_are_measured_too() -> None:
    for found in (torus_errors("marcos2018", 1), unet_error("marcos2018", 1)):
        assert 0 < found.value < 2
        assert found.trivial > 0.1


def test_a_unet_has_an_error_of_its_scales() -> None:
    found = unet_error("lindeberg2021", 2)
    assert found.inner < 0.5 * found.value  # the projection over the window is the larger part


def test_a_factor_for_the_torus() -> None:
    assert fitting(2.0, 10) == (2.0, 10)
    assert fitting(2 ** (1 / 3), 10) == (pytest.approx(2.0), 10)
    with pytest.raises(ScaleGroupError, match="a power that is a ratio of small integers, received 1"):
        fitting(math.pi**0.5, 10)


def test_a_classifier_that_sees_no_scale_does_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sign(torch.nn.Module):
        """Of the sum over the image, which a scaling of blobs multiplies by a positive number."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1).sum(dim=1, keepdim=True).sign()

    monkeypatch.setattr(equivariance, "classifier", lambda *_, **__: Sign())
    assert classifier_error("sign", 2).value == 0
    monkeypatch.setattr(equivariance, "classifier", lambda *_, **__: torch.nn.Sequential(torch.nn.Flatten()))
    assert classifier_error("pixels", 2).value > 0.5


def test_a_constant_output_wins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offset(torch.nn.Module):
        """Nearly always the same, as seen from its size."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1000 + x.flatten(1)

    monkeypatch.setattr(equivariance, "classifier", lambda *_, **__: Offset())
    assert classifier_error("offset", 2).value > 0.5


def test_a_unet_by_layers_has_scales_before_its_projection() -> None:
    found = unet_error(PLAIN, 2)
    assert found.value > 0.05
    assert math.isnan(found.inner)  # it has no scales
    assert found.trivial > found.value / 10


def test_images_scale_exactly() -> None:
    f, g = (blob_images(2, 2, 33, factor, room=2.0) for factor in (1.0, 2.0))
    torch.testing.assert_close(f[..., 8:25, 8:25], g[..., ::2, ::2])
    assert not torch.allclose(f, g, atol=0.1)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_noise_has_no_high_frequencies(dim: int) -> None:
    noise = band_limited(1, dim, 16, math.pi / 2)
    spectrum = torch.fft.fft(noise, dim=-1).abs()
    assert noise.shape == (1, 1, *[16] * dim)
    assert spectrum[..., 5:12].max() < 1e-4 < spectrum[..., 4].max()


def test_norms_get_the_statistics_of_one_batch() -> None:
    layers = HermiteLayers(2)
    x = band_limited(2, 2, 16)
    network = settle(features(layers, 2), x)
    lift, norm = network[0], network[1]
    assert isinstance(norm, nn.BatchNorm)
    assert norm.momentum == 0.1
    assert not network.training
    mean = lift(x).unflatten(1, (2, 4)).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(norm.running_mean, mean)


def test_plain_networks_differ_in_width_alone() -> None:
    counts = {name: sum(p.numel() for p in classifier(name, 2).parameters()) for name in (PLAIN, WIDE)}
    kernels = 16 + 16 * 32
    assert counts[WIDE] - counts[PLAIN] == (49 - 9) * kernels


def test_names_and_dimensions_are_chosen() -> None:
    assert chosen_names("all")[:2] == [PLAIN, WIDE]
    assert {"kanazawa2014", "wimmer2022", "ours"} <= {*chosen_names("all")}
    with pytest.raises(ScaleGroupError, match="perhaps 'plain' is meant"):
        chosen_names("plian")
    with pytest.raises(ScaleGroupError, match="names of methods, or all"):
        chosen_names(" , ")
    with pytest.raises(ScaleGroupError, match="numbers of axes out of 1, 2, 3"):
        chosen_dims("4")


def test_what_takes_too_long_is_stopped() -> None:
    found, reason = apart(partial(sleep, 30.0), 0.2)
    assert found is None
    assert reason == "stopped after 0.2 s"


def test_an_error_is_a_reason() -> None:
    found, reason = apart(partial(torus_errors, "no such method", 2), 30.0)
    assert found is None
    assert reason.startswith("expected a method out of kanazawa2014")


def test_costs_are_those_of_the_classifier() -> None:
    tiny = Classifying(PLAIN, 2, channels=(2, 2), size=8)
    assert Classifying(PLAIN, 2, train=True).easier == Classifying(PLAIN, 2)
    assert {one.case.name for one in all_costs([PLAIN], [1], 1, 30.0)} == {
        "plain 1-D forward C=16,32 N=8×256",
        "plain 1-D step C=16,32 N=8×256",
    }
    tiny.prepare(torch.device("cpu"))()


def test_rows_hold_ratios_to_the_plain_network() -> None:
    seen: list[str] = []
    rows = {row.name: row for row in measured_rows([PLAIN, WIDE], [1], advance=seen.append)}
    assert rows[PLAIN].forward == rows[PLAIN].step == rows[PLAIN].memory == 1
    assert rows[WIDE].forward == pytest.approx(rows[WIDE].forward_ms / rows[PLAIN].forward_ms)
    assert rows[WIDE].parameters > rows[PLAIN].parameters
    assert rows[PLAIN].torus > 0.1
    assert rows[PLAIN].notes == ""
    assert len(seen) == 6


def test_rows_are_kept(tmp_path: Path) -> None:
    rows = [Row("ours", 3, torus=0.25, notes="U-Net: none"), Row("plain", 3, forward=1.0)]
    write_csv(tmp_path / "methods.csv", [as_cells(row) for row in rows])
    again = read_rows(tmp_path / "methods.csv")
    assert [as_cells(row) for row in again] == [as_cells(row) for row in rows]
    assert again[0].torus == 0.25
    assert math.isnan(again[0].step)
    assert read_rows(tmp_path / "none.csv") == []


def test_new_rows_replace_old_ones() -> None:
    old = [Row("ours", 3, torus=1.0), Row("plain", 2)]
    found = merged(old, [Row("ours", 3, torus=2.0), Row("plain", 3)], ["plain", "ours"])
    assert [(row.name, row.dim) for row in found] == [("plain", 2), ("plain", 3), ("ours", 3)]
    assert found[-1].torus == 2.0


def test_a_method_without_layers_says_so() -> None:
    with pytest.raises(ScaleGroupError, match="a method with layers"):
        layers_of("jansson2021", 2)
