"""Too little memory is said in time, and enough memory is never called too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.data import write_phantoms
from scalegroup.errors import ScaleGroupError
from scalegroup.training import DataConfig, ModelConfig, Segmentation, SegmentationData, TrainerConfig, fit, memory
from scalegroup.training.cli import main

PLAIN = ModelConfig("plain", channels=(2, 4), strides=(2,), num_res_units=0)
OURS = ModelConfig("scale", (2, 4), (2,), options={"num_scales": 2, "order": 1, "first": 0})
MIB = 2**20


@pytest.mark.parametrize("model", [PLAIN, OURS], ids=["plain", "scale"])
def test_training_stops_before_it_begins(
    phantoms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: ModelConfig
) -> None:
    # Two patches of 160³ are 8 million voxels, of which each layer keeps 4 bytes and more; the scans are smaller.
    config = TrainerConfig(max_epochs=1, patch=(160, 160, 160))
    monkeypatch.setattr(memory, "available_memory", lambda device: 100 * MIB)
    with pytest.raises(
        ScaleGroupError, match=r"free memory for a batch of shape \(2, 4, 160, .* GiB, received 0.1 GiB"
    ):
        fit(phantoms, model, config, tmp_path / "run")
    assert not (tmp_path / "run" / "last.ckpt").exists()
    monkeypatch.setattr(memory, "available_memory", lambda device: 10 * MIB)
    best = fit(phantoms, model, replace(config, patch=None), tmp_path / "run")
    with pytest.raises(ScaleGroupError, match="free memory"):
        fit(phantoms, model, config, tmp_path / "run", resume=False)
    assert best.is_file(), "a start that failed has removed the old run"


@pytest.mark.parametrize("model", [PLAIN, OURS], ids=["plain", "scale"])
def test_the_estimate_is_close_to_what_is_kept(model: ModelConfig) -> None:
    module = Segmentation(model, TrainerConfig(), ("a",), 1)
    small, large = ((1, 1, n, n, n) for n in (24, 48))
    kept = [memory._step(module, shape, None, torch.enable_grad()) for shape in (small, large)]
    assert 1.0 <= 8 * kept[0] / kept[1] < 1.2


def test_the_hippocampus_needs_little(data_dir: Path) -> None:
    data = DataConfig("hippocampus", data_dir / "Task04_Hippocampus", train=10, validation=1, test=1)
    trainer = TrainerConfig()
    batches = SegmentationData(data.split(), trainer)
    shape = batches.largest
    assert shape[:2] == (2, 1)
    module = Segmentation(ModelConfig(), trainer, ("a", "b"), 1)
    small = memory._probe_of(module, shape)
    kept = max(memory._step(module, small, None, torch.enable_grad()) for _ in range(memory.DRAWS))
    assert kept * torch.Size(shape).numel() / torch.Size(small).numel() < 1000 * MIB


def test_prediction_stops_before_it_begins(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_phantoms(tmp_path / "large", [1], size=32)
    monkeypatch.setattr(memory, "available_memory", lambda device: MIB // 10)
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--ckpt", str(trained), "--input", str(root), "--out", str(tmp_path / "out")])
    assert "free memory for a batch of shape (1, 4, 32, 32, 32)" in capsys.readouterr().err
    monkeypatch.setattr(memory, "available_memory", lambda device: 20 * MIB)
    main(["predict", "--ckpt", str(trained), "--input", str(root), "--out", str(tmp_path / "out")])


def test_the_largest_batch(phantoms: Any) -> None:
    def largest(**settings: Any) -> tuple[int, ...]:
        return SegmentationData(phantoms.split(), TrainerConfig(**settings), multiple=4).largest

    assert largest() == (2, 4, 20, 20, 20)
    assert largest(batch_size=8, zoom=(0.5, 2)) == (2, 4, 36, 36, 36)
    assert largest(batch_size=1, patch=(8, 12, 16)) == (1, 4, 8, 12, 16)
    seen = SegmentationData(phantoms.split(), TrainerConfig(zoom=(2, 2)), multiple=4)
    assert tuple(next(iter(seen.train_dataloader()))["image"].shape) == largest(zoom=(2, 2))


def test_what_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = memory.available_memory(torch.device("cpu"))
    assert free is None or 10 * MIB < free < 2**50
    if free is None:
        return
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(f"{60 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon {20 * MIB}\nfile 12345678\n")
    assert memory.available_memory(torch.device("cpu")) == 40 * MIB
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory(torch.device("cpu")) > 40 * MIB
