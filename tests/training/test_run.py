"""One run: what it leaves behind, that it learns, and that it goes on after an interruption."""

from __future__ import annotations

import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from lightning.pytorch.callbacks import Callback

from scalegroup.data import DataError, load, rescale
from scalegroup.errors import ScaleGroupError
from scalegroup.training import (
    ModelConfig,
    Segmentation,
    SegmentationData,
    TrainerConfig,
    dice_at_scales,
    fit,
    summarise,
)
from scalegroup.training.evaluate import DiceRow
from scalegroup.training.module import stored_cases
from scalegroup.training.pictures import dice_per_scan

PLAIN = ModelConfig("plain", channels=(2, 4), strides=(2,), num_res_units=0)
OURS = ModelConfig("scale", channels=(2, 4), strides=(2,), num_res_units=0, options={"num_scales": 2, "order": 1})
CHANNELS = replace(OURS, name="channels", norm="instance", options={"num_scales": 3, "train_scales": 1})
SHORT = TrainerConfig(max_epochs=4, validate_every=1)


class Interruption(Callback):
    """Stops a run as a user does, at the end of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("interrupted")


class Epochs(Callback):
    """Notes which epochs were run."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.seen.append(trainer.current_epoch)


def losses(out: Path) -> list[float]:
    with (out / "metrics.csv").open() as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file) if row["train_loss"]]


@pytest.mark.parametrize("model", [PLAIN, OURS, CHANNELS], ids=["plain", "scale", "channels"])
def test_a_run_and_its_checkpoint(phantoms: Any, tmp_path: Path, model: ModelConfig) -> None:
    best = fit(phantoms, model, SHORT, tmp_path / "run")
    assert best == tmp_path / "run" / "best.ckpt"
    assert {path.name for path in best.parent.iterdir()} >= {"best.ckpt", "last.ckpt", "metrics.csv"}
    assert losses(best.parent)[-1] < losses(best.parent)[0]
    module = Segmentation.load(best)
    assert module.model_config == model
    assert module.classes == ("core", "oedema", "enhancing")
    assert not module.training
    rows = dice_at_scales(module, [load(case) for case in phantoms.split().test], (0.8, 1.0))
    assert [(row.scale, row.label) for row in rows] == [(s, c) for s in (0.8, 1.0) for c in module.classes]


def test_an_interrupted_run_goes_on(phantoms: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(phantoms, PLAIN, SHORT, tmp_path / "a", callbacks=[Interruption(2)])
    again = Epochs()
    fit(phantoms, PLAIN, SHORT, tmp_path / "a", callbacks=[again])
    assert again.seen == [2, 3]
    finished = Epochs()
    fit(phantoms, PLAIN, SHORT, tmp_path / "a", callbacks=[finished])
    assert finished.seen == []
    anew = Epochs()
    fit(phantoms, PLAIN, SHORT, tmp_path / "a", resume=False, callbacks=[anew])
    assert anew.seen == [0, 1, 2, 3]


@pytest.mark.parametrize("model", [PLAIN, CHANNELS], ids=["plain", "channels"])
def test_a_resumed_run_is_the_run_it_would_have_been(phantoms: Any, tmp_path: Path, model: ModelConfig) -> None:
    config = replace(SHORT, patch=(8, 8, 8), mirror=(0, 1, 2), zoom=(0.8, 1.25), batch_size=1)
    fit(phantoms, model, config, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(phantoms, model, config, tmp_path / "cut", callbacks=[Interruption(2)])
    with (tmp_path / "cut" / "metrics.csv").open("a") as file:
        file.write("2,9.9,,,,\n")  # the row of an epoch whose checkpoint was not written
    fit(phantoms, model, config, tmp_path / "cut")
    weights = [Segmentation.load(tmp_path / name / "last.ckpt").state_dict() for name in ("whole", "cut")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value)
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")


def test_the_last_epoch_is_validated(phantoms: Any, tmp_path: Path) -> None:
    fit(phantoms, PLAIN, TrainerConfig(max_epochs=3, validate_every=2), tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        assert [bool(row["val_dice"]) for row in csv.DictReader(file)] == [False, True, True]
    short = TrainerConfig(max_epochs=50, max_minutes=1e-4, validate_every=50)
    assert fit(phantoms, PLAIN, short, tmp_path / "short").is_file()


def test_a_failed_fresh_start_keeps_the_old_run(phantoms: Any, tmp_path: Path) -> None:
    best = fit(phantoms, PLAIN, replace(SHORT, max_epochs=1), tmp_path / "run")
    with pytest.raises(DataError):
        fit(replace(phantoms, root=tmp_path / "none"), PLAIN, SHORT, tmp_path / "run", resume=False)
    assert best.is_file()
    with pytest.raises(ScaleGroupError, match="a folder for the run, received the file"):
        fit(phantoms, PLAIN, SHORT, best)


def test_cases_are_known_by_name(phantoms: Any, tmp_path: Path) -> None:
    short = replace(SHORT, max_epochs=1)
    best = fit(phantoms, PLAIN, short, tmp_path / "run")
    names = stored_cases(Segmentation.load(best).hparams, best)
    assert names["test"] == [case.name for case in phantoms.split().test]
    moved = replace(phantoms, root=shutil.copytree(phantoms.root, tmp_path / "moved"))
    again = Epochs()
    fit(moved, PLAIN, short, tmp_path / "run", callbacks=[again])
    assert again.seen == []
    shutil.rmtree(tmp_path / "moved" / names["test"][0])
    with pytest.raises(DataError, match=rf"the case {names['test'][0]} of the run"):
        moved.named(names["test"])
    with pytest.raises(ScaleGroupError, match=r"another .*data\.test"):
        fit(replace(moved, test=None, train=1), PLAIN, short, tmp_path / "run")
    with pytest.raises(ScaleGroupError, match="a checkpoint with the names of its cases, received none in old"):
        stored_cases({"data": {"name": "brats"}}, "old")


def test_absent_classes_are_left_out() -> None:
    nan = float("nan")
    rows = [DiceRow(1.0, "a", "x", 0.5), DiceRow(1.0, "a", "y", nan)]
    assert summarise(rows)["mean"] == {1.0: 0.5}
    assert dice_per_scan(rows) == {1.0: [0.5]}
    assert math.isnan(summarise(rows[1:])["mean"][1.0])


def test_seeds_decide_everything(phantoms: Any, tmp_path: Path) -> None:
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        best = fit(phantoms, PLAIN, replace(SHORT, max_epochs=1, seed=seed), tmp_path / name)
        runs[name] = Segmentation.load(best).state_dict()
    for key, value in runs["a"].items():
        torch.testing.assert_close(runs["b"][key], value)
    assert any(not torch.equal(runs["c"][key], value) for key, value in runs["a"].items())


def test_two_runs_do_not_mix(phantoms: Any, tmp_path: Path) -> None:
    fit(phantoms, PLAIN, replace(SHORT, max_epochs=1), tmp_path / "run")
    other = replace(PLAIN, channels=(3, 4))
    with pytest.raises(ScaleGroupError, match=r"the run in .*run, received another model\.channels"):
        fit(phantoms, other, replace(SHORT, max_epochs=1), tmp_path / "run")


def test_lightning_may_change_what_leaves_the_weights_alone(phantoms: Any, tmp_path: Path) -> None:
    short = replace(SHORT, batch_size=1, validate_every=4, lightning={"max_steps": 3})
    best = fit(phantoms, PLAIN, short, tmp_path / "run")  # validated in mid-epoch, where the steps ended
    assert torch.load(best, weights_only=True)["global_step"] == 3
    fit(phantoms, PLAIN, replace(short, lightning={"max_steps": 3, "enable_model_summary": False}), tmp_path / "run")
    changed = replace(short, lightning={"max_steps": 3, "precision": "bf16-mixed", "gradient_clip_val": 1.0})
    with pytest.raises(ScaleGroupError, match=r"another trainer\.gradient_clip_val, trainer\.precision"):
        fit(phantoms, PLAIN, changed, tmp_path / "run")


def test_checkpoint_errors_name_the_path(tmp_path: Path) -> None:
    with pytest.raises(ScaleGroupError, match=r"nothing at .*none\.ckpt"):
        Segmentation.load(tmp_path / "none.ckpt")
    (tmp_path / "bad.ckpt").write_text("no checkpoint")
    with pytest.raises(ScaleGroupError, match=r"checkpoint of scalegroup, received .*bad\.ckpt"):
        Segmentation.load(tmp_path / "bad.ckpt")


def test_missing_data_are_named(phantoms: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one folder per patient"):
        fit(replace(phantoms, root=tmp_path), PLAIN, SHORT, tmp_path / "run")


def test_batches(phantoms: Any) -> None:
    whole = next(iter(SegmentationData(phantoms.split(), TrainerConfig(), multiple=4).train_dataloader()))
    assert whole["image"].shape == (2, 4, 20, 20, 20)
    assert whole["label"].shape == (2, 1, 20, 20, 20)
    patches = SegmentationData(phantoms.split(), TrainerConfig(patch=(8, 10, 12), mirror=(0, 2)))
    assert next(iter(patches.train_dataloader()))["image"].shape == (2, 4, 8, 10, 12)
    assert next(iter(patches.val_dataloader()))["image"].shape == (1, 4, 18, 18, 18)


def test_zoom(phantoms: Any) -> None:
    def volumes(low: float, high: float) -> list[Any]:
        data = SegmentationData(phantoms.split(), TrainerConfig(batch_size=1, zoom=(low, high)))
        return list(data.train_dataloader())

    twice = volumes(2, 2)
    assert [batch["image"].shape for batch in twice] == 2 * [(1, 4, 36, 36, 36)]
    assert [batch["label"].shape for batch in twice] == 2 * [(1, 1, 36, 36, 36)]
    drawn = [batch["image"].shape[-1] for batch in volumes(0.5, 2) + volumes(0.6, 2)]
    assert len(set(drawn)) > 2
    assert all(9 <= size <= 36 for size in drawn)
    both = SegmentationData(phantoms.split(), TrainerConfig(zoom=(0.5, 2)), multiple=4)
    batch = next(iter(both.train_dataloader()))
    assert batch["image"].shape[2:] == batch["label"].shape[2:]
    assert all(size % 4 == 0 for size in batch["image"].shape[2:])


def test_zoom_moves_image_and_label_alike(phantoms: Any) -> None:
    data = SegmentationData(phantoms.split(), TrainerConfig(batch_size=1, zoom=(1.5, 1.5)))
    wanted = [rescale(scan.image, scan.label, 1.5) for scan in data.scans("train")]
    for batch in data.train_dataloader():
        found = [np.array_equal(batch["image"][0], image) for image, _ in wanted]
        assert sum(found) == 1
        assert np.array_equal(batch["label"][0, 0], wanted[found.index(True)][1])


def test_coarser_scans_keep_size_and_label(phantoms: Any) -> None:
    data = SegmentationData(phantoms.split(), TrainerConfig(batch_size=1, coarsen=0.4))
    untouched = {scan.label.tobytes(): scan.image for scan in data.scans("train")}
    for batch in data.train_dataloader():
        image = untouched[batch["label"][0, 0].numpy().tobytes()]
        assert batch["image"].shape == (1, *image.shape)
        lost = float((batch["image"][0].numpy() - image).std() / image.std())
        assert 0.02 < lost < 0.8


def test_patches_cut_image_and_label_alike(phantoms: Any) -> None:
    data = SegmentationData(phantoms.split(), TrainerConfig(patch=(9, 9, 9), mirror=(0, 2), batch_size=1))
    scans = data.scans("train")
    # A flair value tells its voxel, apart from the clipped ones at both ends of a scan.
    ends = {float(end) for scan in scans for end in (scan.image[3].min(), scan.image[3].max())}
    pairs: dict[float, int] = {}
    for scan in scans:
        pairs |= dict(zip(scan.image[3].ravel().tolist(), scan.label.ravel().tolist(), strict=True))
    for batch in data.train_dataloader():
        values, labels = batch["image"][0, 3].ravel().tolist(), batch["label"].ravel().tolist()
        found = [(pairs[value], label) for value, label in zip(values, labels, strict=True) if value not in ends]
        assert len(found) > 600
        assert all(expected == label for expected, label in found)


def test_training_on_patches(phantoms: Any, tmp_path: Path) -> None:
    config = TrainerConfig(max_epochs=1, validate_every=1, patch=(8, 8, 8))
    module = Segmentation.load(fit(phantoms, PLAIN, config, tmp_path / "run"))
    assert module.predict(torch.randn(1, 4, 21, 18, 17)).shape == (1, 21, 18, 17)
