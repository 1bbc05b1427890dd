"""Classification: it learns, chooses the best epoch, gives the network the spacing, and measures what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from lightning.pytorch.callbacks import Callback
from scipy.stats import rankdata
from torch.utils.data import DataLoader

from scalegroup.data import LabelledImages
from scalegroup.errors import ScaleGroupError
from scalegroup.models import Classifier
from scalegroup.training.classification import (
    Classification,
    ImageItems,
    accuracy,
    auc,
    bootstrap_interval,
    common_spacing,
    fit_classifier,
    mirrored,
    plain_classifier,
    probabilities,
)

SIZES: Any = {"channels": (4, 8), "strides": (1, 2)}


def shapes(n: int, seed: int) -> LabelledImages:
    """Discs and rings with noise: two classes that one convolution can tell apart."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(*np.mgrid[-6:7, -6:7])
    labels = np.arange(n) % 2
    pictures = np.where(labels[:, None, None] == 1, (radius < 5) & (radius > 3), radius < 5)
    noisy = pictures + 0.2 * rng.normal(size=pictures.shape)
    return LabelledImages(noisy[:, None].astype(np.float32), labels.astype(np.int64))


class NeedsSpacing(torch.nn.Module):
    """Notes the spacings with which it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 2)
        self.seen: list[Any] = []

    def forward(self, x: torch.Tensor, spacing: Any = None) -> torch.Tensor:
        self.seen.append(spacing)
        scores: torch.Tensor = self.linear(x.flatten(2).mean(dim=2))
        return scores


class Weights(Callback):
    """The network's weights and its validation AUC after every epoch."""

    def __init__(self) -> None:
        self.found: list[tuple[float, torch.Tensor]] = []

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        flat = torch.cat([p.detach().flatten() for p in pl_module.network.parameters()])
        self.found.append((float(trainer.callback_metrics["val_auc"]), flat.clone()))


@pytest.mark.parametrize("ours", [False, True])
def test_it_learns(ours: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net: torch.nn.Module = plain_classifier(2, 1, 2, **SIZES)
    if ours:
        net = Classifier(2, 1, 2, **SIZES, sampling="haar", basis="free", num_scales=2)
    test = shapes(40, 2)
    labels = torch.from_numpy(test.labels)
    before = auc(probabilities(net, test.images), labels)
    module = Classification(net, 2, learning_rate=1e-2)
    best = fit_classifier(module, shapes(64, 0), shapes(20, 1), tmp_path, epochs=8, batch_size=16)
    assert best == tmp_path / "best.ckpt"
    chances = probabilities(net, test.images)
    assert before < 0.9 < auc(chances, labels)
    assert accuracy(chances, labels) > 0.9


def test_the_best_epoch_is_kept_and_the_run_can_be_repeated(tmp_path: Path) -> None:
    def run() -> tuple[Weights, torch.Tensor]:
        torch.manual_seed(0)
        net, notes = plain_classifier(2, 1, 2, **SIZES), Weights()
        module = Classification(net, 2, learning_rate=0.3)
        fit_classifier(module, shapes(32, 0), shapes(20, 1), tmp_path, 4, 16, monitor="val_auc", callbacks=[notes])
        return notes, torch.cat([p.detach().flatten() for p in net.parameters()])

    notes, kept = run()
    areas = [area for area, _ in notes.found]
    torch.testing.assert_close(kept, notes.found[int(np.argmax(areas))][1])
    assert len({float(weights.sum()) for _, weights in notes.found}) == 4
    torch.testing.assert_close(run()[1], kept, rtol=0, atol=0)


def test_the_network_is_given_the_spacing(tmp_path: Path) -> None:
    net, data = NeedsSpacing(), shapes(4, 0)
    module = Classification(net, 2)
    for spacing in (None, 1.5, (1.0, 2.0)):
        batch = next(iter(DataLoader(ImageItems(data, spacing), 4)))
        module(batch)
        probabilities(net, data.images, spacing, batch_size=3)
    assert net.seen == [None] * 3 + [1.5] * 3 + [(1.0, 2.0)] * 3


def test_a_batch_has_one_spacing() -> None:
    with pytest.raises(ScaleGroupError, match=r"images of one spacing in a batch, received \[1\.0, 2\.0\]"):
        common_spacing(torch.tensor([1.0, 2.0]))


def test_the_schedules(tmp_path: Path) -> None:
    class Rates(Callback):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    rates = Rates()
    module = Classification(plain_classifier(2, 1, 2, **SIZES), 2, 0.01, optimiser="adam", milestones=(1, 2))
    fit_classifier(module, shapes(8, 0), shapes(4, 1), tmp_path, 3, 4, callbacks=[rates])
    np.testing.assert_allclose(rates.seen, [1e-2, 1e-3, 1e-4])
    assert type(module.optimizers(use_pl_optimizer=False)) is torch.optim.Adam
    with pytest.raises(ScaleGroupError, match=r"an optimiser of \['adam', 'adamw'\], received 'sgd'"):
        Classification(NeedsSpacing(), 2, optimiser="sgd")
    with pytest.raises(
        ScaleGroupError, match=r"monitor out of \['val_accuracy', 'val_auc', 'val_loss'\], received 'loss'"
    ):
        fit_classifier(module, shapes(8, 0), shapes(4, 1), tmp_path, 1, monitor="loss")


def test_each_image_is_mirrored_by_itself() -> None:
    image = torch.arange(4.0).reshape(1, 1, 2, 2)
    found = mirrored(image.expand(400, 1, 2, 2))
    kinds, counts = found.flatten(1).unique(dim=0, return_counts=True)
    assert {tuple(kind) for kind in kinds.tolist()} == {(0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0)}
    assert counts.min() > 60
    net = NeedsSpacing()
    seen: list[torch.Tensor] = []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for mirror in (False, True):
        module = Classification(net, 2, mirror=mirror)
        module.log = lambda *_, **__: None  # type: ignore
        module.training_step({"image": image.expand(9, 1, 2, 2), "label": torch.zeros(9, dtype=torch.int64)}, 0)
    assert len(seen[0].unique(dim=0)) == 1
    assert len(seen[1].unique(dim=0)) > 1


def test_testing_leaves_the_mode_as_it_was() -> None:
    net = plain_classifier(2, 1, 2, **SIZES)
    for mode in (True, False):
        net.train(mode)
        first = probabilities(net, shapes(4, 0).images)
        assert net.training is mode
        torch.testing.assert_close(first, probabilities(net, shapes(4, 0).images))
    torch.testing.assert_close(first.sum(dim=1), torch.ones(4))


@given(st.data(), st.integers(2, 4), st.integers(4, 30))
def test_auc_is_the_rank_statistic(data: st.DataObject, classes: int, n: int) -> None:
    values = data.draw(st.lists(st.integers(0, 6), min_size=n * classes, max_size=n * classes))  # with ties
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)))
    chances = np.array(values, dtype=np.float64).reshape(n, classes)
    areas = []
    for index in range(1, 2) if classes == 2 else range(classes):
        mine = labels == index
        if 0 < mine.sum() < n:
            above = rankdata(chances[:, index])[mine].sum() - mine.sum() * (mine.sum() + 1) / 2
            areas.append(above / (mine.sum() * (~mine).sum()))
    found = auc(torch.from_numpy(chances), torch.from_numpy(labels))
    np.testing.assert_allclose(found, np.mean(areas) if areas else np.nan, atol=1e-6)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [30, 20])
    inside = 0
    for seed in range(100):
        values = rng.normal(size=50)
        low, high = bootstrap_interval(lambda drawn, values=values: values[drawn].mean(), labels, 300, seed)  # type: ignore
        inside += low <= 0 <= high
    assert 85 <= inside <= 100
    assert bootstrap_interval(lambda drawn: np.bincount(labels[drawn])[1], labels, 20) == (20, 20)


def test_the_plain_network_takes_any_size() -> None:
    net = plain_classifier(3, 1, 4, (2, 3), (2, 2)).eval()
    for size in (9, 16):
        assert net(torch.randn(2, 1, size, size, size)).shape == (2, 4)
