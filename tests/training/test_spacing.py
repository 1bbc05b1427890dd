"""The network is told the voxel size of each scan, or never; and broken scans are left out, or stop the run."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.data import DataError, load, write_phantoms
from scalegroup.errors import ScaleGroupError
from scalegroup.models import UNet
from scalegroup.training import (
    DataConfig,
    ModelConfig,
    Segmentation,
    SegmentationData,
    TrainerConfig,
    dice_at_scales,
    fit,
)
from scalegroup.training.cli import main

OPTIONS = {"num_scales": 2, "order": 1, "first": 0, "train_scales": None, "sampling": "uniform"}
OURS = ModelConfig("scale", (2, 4), (2,), options={**OPTIONS, "spacing": 4.0}, use_spacing=True)
SHORT = TrainerConfig(max_epochs=1, batch_size=1)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Four patients, two of 4 mm and two of 5 mm."""
    root = tmp_path_factory.mktemp("mixed")
    write_phantoms(root, [1, 2], size=16, voxel=4.0)
    write_phantoms(root, [3, 4], size=16, voxel=5.0)
    return DataConfig("brats", root, train=2, validation=1, test=1)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What networks are told in this test."""
    seen: list[Any] = []
    forward = UNet.forward

    def noted(self: UNet, x: torch.Tensor, spacing: Any = None) -> Any:
        seen.append(spacing)
        return forward(self, x, spacing)

    monkeypatch.setattr(UNet, "forward", noted)
    return seen


def test_each_scan_has_its_own(mixed: DataConfig, tmp_path: Path, told: list[Any]) -> None:
    sizes = {case.name: 3 * (load(case).spacing[0],) for case in mixed.open().cases}
    split = mixed.split()
    wanted = {part: [sizes[case.name] for case in getattr(split, part)] for part in ("train", "validation", "test")}
    best = fit(mixed, OURS, SHORT, tmp_path)
    assert set(told) == {*wanted["train"], *wanted["validation"]} == {(4.0,) * 3, (5.0,) * 3}
    told.clear()
    main(["validate", "--ckpt", str(best)])
    assert told == wanted["validation"]
    told.clear()
    main(["test", "--ckpt", str(best), "--scales", "[0.5, 1.0, 1.25]"])
    (size,) = wanted["test"]
    assert told == [pytest.approx([value / scale for value in size]) for scale in (0.5, 1.0, 1.25)]
    told.clear()
    name = split.test[0].name
    main(["predict", "--ckpt", str(best), "--input", str(Path(mixed.root) / name), "--out", str(tmp_path / "out")])
    assert set(told) == {size}


def test_the_convention_is_in_the_checkpoint(mixed: DataConfig, tmp_path: Path, told: list[Any]) -> None:
    unsaid = replace(OURS, options=OPTIONS)
    module = Segmentation.load(fit(mixed, unsaid, SHORT, tmp_path / "a"))
    assert module.hparams["model"]["use_spacing"] is True
    found = module.hparams["model"]["options"]["spacing"]  # that of the training scans
    assert found == pytest.approx(np.median([load(case).spacing[0] for case in mixed.split().train]))
    assert module.network.spacing == 3 * (found,)
    assert f"spacing: {found}" in (tmp_path / "a" / "config.yaml").read_text()
    told.clear()
    without = Segmentation.load(fit(mixed, replace(unsaid, use_spacing=False, options=OPTIONS), SHORT, tmp_path / "b"))
    assert without.hparams["model"]["use_spacing"] is False
    assert "spacing" not in without.hparams["model"]["options"]
    assert set(told) == {None}
    told.clear()
    dice_at_scales(without, [load(case) for case in mixed.split().test], (0.8,))
    assert told == [None]
    with pytest.raises(ScaleGroupError, match=r"another model\.options, model\.use_spacing"):
        fit(mixed, unsaid, SHORT, tmp_path / "b")


def test_one_batch_has_one_voxel_size(mixed: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(ScaleGroupError, match=r"one voxel size in a batch, received .*5\.0.*--trainer.batch_size 1"):
        fit(mixed, OURS, replace(SHORT, batch_size=2), tmp_path / "run")
    fit(mixed, replace(OURS, use_spacing=False), replace(SHORT, batch_size=2), tmp_path / "run")


def test_windows_are_told_too(mixed: DataConfig, told: list[Any]) -> None:
    module = Segmentation(OURS, replace(SHORT, patch=(6, 6, 6)), ("a",), 1).eval()
    with torch.no_grad():
        module.predict(torch.zeros(1, 1, 18, 12, 12), torch.tensor([[4.0, 4.0, 5.0]]))
    assert told == 2 * [(4.0, 4.0, 5.0)]
    with pytest.raises(ScaleGroupError, match="the voxel size of the scan, received None"):
        module(torch.zeros(1, 1, 12, 12, 12))


def test_magnified_scans_have_smaller_voxels(mixed: DataConfig) -> None:
    data = SegmentationData(mixed.split(), TrainerConfig(batch_size=1, zoom=(1.25, 1.25), coarsen=0.7))
    found = sorted(float(batch["spacing"][0, 0]) for batch in data.train_dataloader())
    assert found == pytest.approx(sorted(scan.spacing[0] / 1.25 for scan in data.scans("train")))


def test_plain_networks_have_no_millimetres() -> None:
    with pytest.raises(ScaleGroupError, match="kernels in mm, received the model 'plain'"):
        ModelConfig("plain", use_spacing=True)


def test_broken_scans_stop_the_run_or_are_listed(
    phantoms: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = ModelConfig("plain", (2, 4), (2,))
    data = replace(phantoms, root=shutil.copytree(phantoms.root, tmp_path / "scans"))
    name = data.split().train[0].name
    path = data.root / name / f"{name}_t2.nii.gz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=path.name):
        fit(data, plain, SHORT, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with caplog.at_level(logging.WARNING, "scalegroup"):
        fit(replace(data, skip_bad=True), plain, SHORT, tmp_path / "run")
    assert f"left out {name}" in caplog.text
    assert path.name in (tmp_path / "run" / "skipped.csv").read_text()
    fit(phantoms, plain, SHORT, tmp_path / "sound")
    assert not (tmp_path / "sound" / "skipped.csv").exists()


def test_a_table_deals_out_its_own_parts(phantoms: Any, tmp_path: Path) -> None:
    parts = ("train", "train", "validation", "test")
    lines = ["image_t1,image_flair,label,part"]
    for folder, part in zip(sorted(Path(phantoms.root).iterdir()), parts, strict=True):
        files = [folder / f"{folder.name}_{kind}.nii.gz" for kind in ("t1", "flair", "seg")]
        lines.append(",".join([*map(str, files), part]))
    (tmp_path / "scans.csv").write_text("\n".join(lines))
    classes = "{classes: {core: 1, oedema: 2, rim: 4}}"
    counts = ["--data.train", "null", "--data.validation", "null", "--data.test", "null", "--data.options", classes]
    model = ["--model", "plain", "--model.channels", "[2,4]", "--model.strides", "[2]", "--trainer.max_epochs", "1"]
    main(
        ["fit", "--data", "table", "--data.root", str(tmp_path / "scans.csv"), *counts, *model, "--out", str(tmp_path)]
    )
    module = Segmentation.load(tmp_path / "best.ckpt")
    assert (module.classes, module.label_values) == (("core", "oedema", "rim"), (0, 1, 2, 4))
    assert [len(module.hparams["data"]["cases"][part]) for part in ("train", "validation", "test")] == [2, 1, 1]
    assert module.hparams["data"]["channels"] == ["t1", "flair"]
    main(["test", "--ckpt", str(tmp_path / "best.ckpt"), "--scales", "[1.0]"])
    with pytest.raises(ScaleGroupError, match="only a table"):
        replace(phantoms, train=None).split()
