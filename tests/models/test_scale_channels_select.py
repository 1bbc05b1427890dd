"""Projections of the scales, and the choice of the window at test time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.models import Projection, ScaleChannels
from scalegroup.models.projection import MODES, confidence_features, foreground_confidence, log_probabilities
from scalegroup.models.scale_selection import select_window, window_scores
from scalegroup.nn.spacing import as_spacing

WEIGHTED = ("voxel_confidence", "volume_confidence", "attention")


def projection(mode: str) -> Projection:
    """With weights unlike the initial zeros."""
    result = Projection(mode).double().eval()
    if result.weight is not None:
        torch.manual_seed(3)
        torch.nn.init.normal_(result.weight)
    return result


def scores(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 3 * torch.randn(*(shape or (2, 3, 4, 5, 6)), generator=generator).double()


# projections


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (2, 1, 4, 7), (2, 3, 4), (2, 1, 1)])
def test_shapes_gradients_and_batches(mode: str, shape: tuple[int, ...]) -> None:
    project = projection(mode)
    x = scores(*shape).requires_grad_()
    y = project(x)
    assert y.shape == (*shape[:2], *shape[3:])
    y.square().sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
    torch.testing.assert_close(project(x[1:]), y[1:])  # volumes know nothing of each other


@pytest.mark.parametrize("mode", MODES)
@given(count=st.integers(1, 5), seed=st.integers(0, 99))
def test_scales_that_agree_are_believed(mode: str, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    one = torch.randn(1, 3, 4, dtype=torch.float64)
    y = projection(mode)(one.unsqueeze(2).expand(-1, -1, count, -1))
    torch.testing.assert_close(log_probabilities(y), log_probabilities(one))


@pytest.mark.parametrize("mode", WEIGHTED)
def test_one_class_is_two_of_which_the_background_has_score_0(mode: str) -> None:
    z = scores(2, 1, 4, 5)
    two = torch.cat([torch.zeros_like(z), z], dim=1)
    torch.testing.assert_close(projection(mode)(two)[:, 1:], projection(mode)(z))
    y = Projection("mixture")(z)
    torch.testing.assert_close(y.sigmoid(), z.sigmoid().mean(dim=2))


def test_confidence_does_not_weight_in_training() -> None:
    x, project = scores(), projection("volume_confidence")
    assert not torch.allclose(project(x), x.mean(dim=2), atol=1e-3)
    torch.testing.assert_close(project.train()(x), x.mean(dim=2))


def test_what_the_formulas_say() -> None:
    x = scores()
    torch.testing.assert_close(Projection("mean")(x), x.mean(dim=2))
    torch.testing.assert_close(Projection("max")(x), x.amax(dim=2))
    torch.testing.assert_close(Projection("logsumexp")(x).exp(), x.exp().mean(dim=2))
    torch.testing.assert_close(Projection("mixture")(x).exp(), x.softmax(dim=1).mean(dim=2))
    taper = x.new_tensor([0.146447, 0.853553, 0.853553, 0.146447]) / 2
    torch.testing.assert_close(Projection("taper")(x), torch.einsum("s,bcsxy->bcxy", taper, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", WEIGHTED)
def test_weights_of_the_scales_sum_to_one_and_do_not_see_constants(mode: str) -> None:
    x, project = scores(), projection(mode)
    project.requires_grad_(False)
    weights = project.scale_weights(x)
    assert weights.shape in {(2, 4, 5, 6), (2, 4, 1, 1)}
    torch.testing.assert_close(weights.sum(dim=1), torch.ones_like(weights[:, 0]))
    torch.testing.assert_close(project.scale_weights(x + 5), weights)
    torch.testing.assert_close(project.scale_weights(x[:, [0, 2, 1]]), weights)  # nor the order of the objects' classes
    assert float(weights.std(dim=1).mean()) > 0.01


def test_confidence_weights_are_powers_of_probabilities() -> None:
    x = scores(1, 3, 4, 2)
    chances = x.softmax(dim=1).amax(dim=1) ** 8
    torch.testing.assert_close(projection("voxel_confidence").scale_weights(x), chances / chances.sum(dim=1))
    x = torch.zeros(1, 2, 3, 1)
    x[0, :, :, 0] = torch.tensor([[0.0, 0.0, 5.0], [2.0, 1.0, 0.0]])  # two scales see an object, one does not
    sure = torch.tensor([2.0, 1.0]).sigmoid() ** 8
    weights = Projection("volume_confidence").scale_weights(x)[0, :, 0]
    torch.testing.assert_close(weights, torch.cat([sure / sure.sum(), torch.zeros(1)]))
    empty = torch.zeros(1, 2, 3, 4)
    assert Projection("volume_confidence").scale_weights(empty)[0, :, 0].tolist() == pytest.approx([1 / 3] * 3)


def test_attention_sees_the_neighbours_and_no_more() -> None:
    project = projection("attention")
    with torch.no_grad():
        assert torch.equal(Projection("attention").double()(scores()), scores().mean(dim=2))
        x, y = scores(1, 3, 6, 1), scores(1, 3, 6, 1)
        y[:, :, 5] += torch.tensor([[4.0, 0.0, 0.0]]).double().unsqueeze(2)
        change = (project.scale_weights(y) / project.scale_weights(x)).log()[0, :, 0]
    change = change - change[0]  # up to the common denominator
    assert change[:4].abs().max() < 1e-12
    assert change[4:].abs().min() > 1e-3
    assert confidence_features(scores()).shape == (2, 3, 4, 5, 6)


def test_other_modes_are_refused() -> None:
    with pytest.raises(ScaleGroupError, match="projection out of"):
        Projection("median")
    with pytest.raises(ScaleGroupError, match="sharpness: a positive number"):
        Projection("voxel_confidence", sharpness=0)


# selection


def seen_at(confidences: dict[int, float], batch: int = 1) -> Any:
    """Scores of scale k, the same at 4 voxels: the object is foreground with this log-odds."""
    return lambda k: torch.full((batch, 1, 4), confidences[k])


def mean(x: Tensor) -> Tensor:
    return x.mean(dim=2)


@given(st.lists(st.floats(-5, 5), min_size=5, max_size=5), st.integers(1, 2))
def test_the_surest_window_is_chosen(odds: list[float], count: int) -> None:
    logits = {k - 2: value for k, value in enumerate(odds)} | {3: 0.0}
    shifts = range(-2, 3)
    y, chosen = select_window(seen_at(logits), count, mean, shifts)
    means = {shift: sum(logits[shift + i] for i in range(count)) / count for shift in shifts}
    best = max(means.values())
    if best <= 1e-9:
        assert chosen.tolist() == [0]  # nothing found at any shift
    else:
        assert means[int(chosen)] == pytest.approx(best, abs=1e-4)
    assert float(y[0, 0, 0]) == pytest.approx(means[int(chosen)], abs=1e-5)


def test_scores_of_all_windows_are_those_that_selection_compares() -> None:
    logits = scores(3, 3, 6, 10)
    values = window_scores(logits, 4, mean)
    assert values.shape == (3, 3)
    y, chosen = select_window(lambda k: logits[:, :, k + 1], 4, mean, (-1, 0, 1))
    assert (chosen + 1).tolist() == values.argmax(dim=1).tolist()
    for row, shift in zip(range(3), chosen.tolist(), strict=True):
        torch.testing.assert_close(y[row], mean(logits[:, :, shift + 1 : shift + 5])[row])
    lowest = window_scores(logits, 4, mean, score=lambda z: -foreground_confidence(z))
    assert torch.equal(lowest, -values)
    with pytest.raises(ScaleGroupError, match="count from 1 to 6"):
        window_scores(logits, 7, mean)


def test_volumes_of_a_batch_choose_for_themselves() -> None:
    def logits_of(k: int) -> Tensor:
        return torch.tensor([[3.0 + k], [3.0 - k], [-1.0], [3.0 - abs(k)]]).reshape(4, 1, 1)

    _, chosen = select_window(logits_of, 1, mean, (-2, -1, 0, 1, 2))
    assert chosen.tolist() == [2, -2, 0, 0]


@pytest.mark.parametrize(
    ("climb", "finer", "shift", "finest"),
    [(False, 0.6, -3, -3), (True, 0.6, 1, -1), (True, 3.0, -1, -2)],
)
def test_climbing_stops_where_it_goes_down(climb: bool, finer: float, shift: int, finest: int) -> None:
    odds = {-3: 5.0, -2: 0.5, -1: finer, 0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}
    asked: list[int] = []

    def logits_of(k: int) -> Tensor:
        asked.append(k)
        return torch.full((1, 1, 1), odds[k])

    _, chosen = select_window(logits_of, 1, mean, range(-3, 4), climb=climb)
    assert chosen.tolist() == [shift]
    assert sorted(asked) == list(range(finest, 4))  # each scale once


def test_each_volume_climbs_by_itself() -> None:
    odds = {0: [1.0, 1.0], -1: [0.5, 3.0], -2: [5.0, 5.0], -3: [9.0, 2.0]}

    def chosen(*rows: int) -> list[int]:
        _, shifts = select_window(
            lambda k: torch.tensor(odds[k])[list(rows)].reshape(-1, 1, 1), 1, mean, range(-3, 1), climb=True
        )
        return shifts.tolist()

    assert chosen(0, 1) == [*chosen(0), *chosen(1)] == [0, -2]  # the first one stopped before its summits


def brightness(**options: Any) -> ScaleChannels:
    """Bright voxels are the object; sharper grids are surer."""
    backbone = torch.nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        backbone.weight.fill_(1.0), backbone.bias.fill_(-1.0)
    window: dict[str, Any] = {"base": 2, "first": 0, "num_scales": 2, "train_scales": None, "divisor": 1}
    return ScaleChannels(backbone, spatial_dims=2, **{"projection": "mean", **window, **options}).eval()


def dots() -> Tensor:
    """Small and large bright squares, and nothing."""
    x = torch.zeros(3, 1, 16, 16)
    x[0, 0, 7:9, 7:9] = 9.0
    x[1, 0, 4:12, 4:12] = 1.5
    x[1, 0, 6:10, 6:10] = 1.2
    return x


def test_the_network_moves_its_window() -> None:
    net = brightness(select="confidence", shifts=(-1, 0, 1))
    y = net(dots())
    assert net.last_shift is not None
    shifts = net.last_shift.tolist()
    assert shifts[0] == -1
    assert shifts[2] == 0
    for row, shift in enumerate(shifts):
        other = nn.with_window(brightness(), first=shift)
        torch.testing.assert_close(y[row], other(dots())[row])
    net.last_shift = None
    torch.testing.assert_close(net.train()(dots()), brightness()(dots()))  # a matter of tests alone
    assert net.last_shift is None


def test_a_network_without_choice_stays() -> None:
    net = brightness(select="confidence", shifts=(0,), climb=True)
    torch.testing.assert_close(net(dots()), brightness()(dots()))


def test_scores_of_images_are_chosen_too() -> None:
    net = brightness(select="confidence", projection="logsumexp")
    net.backbone = torch.nn.Sequential(net.backbone, torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())
    assert net(dots()).shape == (3, 1)
    assert net.last_shift is not None


# spacing


def test_grids_stay_the_same_in_millimetres() -> None:
    net = brightness(select="spacing", spacing=(1.0, 2.0), projection=None)
    fine, coarse = net(dots(), spacing=(0.5, 1.0)), net(dots()[..., ::2, ::2], spacing=(1.0, 2.0))
    assert [y.shape for y in fine] == [y.shape for y in coarse]
    assert net.train()(dots())[0].shape == (3, 1, 16, 16)  # training scans have that spacing


def test_a_spacing_is_asked_for() -> None:
    net = brightness(select="spacing", spacing=1)
    with pytest.raises(ScaleGroupError, match=r"a spacing for select='spacing', received None; call net\(x, spacing"):
        net(dots())
    with pytest.raises(ScaleGroupError, match="spacing: a positive number"):
        net(dots(), spacing=0)


@pytest.mark.parametrize("spacing", [2, (2.0, 4), np.float32(2), np.array([2, 4]), torch.tensor([2.0, 4.0])])
def test_numbers_of_any_library_are_spacings(spacing: Any) -> None:
    assert as_spacing(spacing, 2) in {(2.0, 2.0), (2.0, 4.0)}


@pytest.mark.parametrize("spacing", [True, "2", "ab", (1.0, "2"), (1, 2, 3), torch.ones(1, 2), np.ones(3)])
def test_other_spacings_are_refused(spacing: Any) -> None:
    with pytest.raises(ScaleGroupError, match=r"spacing: a number or one for each of 2 axes.* voxel size, in mm"):
        as_spacing(spacing, 2)
