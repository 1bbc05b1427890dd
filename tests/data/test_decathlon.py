"""Tasks of the Medical Segmentation Decathlon: the index, the channels, the download."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import DataError, Decathlon, load, load_image, read_nifti, write_nifti

WriteScan = Callable[..., tuple[Path, Path]]


def write_task(root: Path, write_scan: WriteScan, number: int = 3, channels: int = 1, **entries: Any) -> Path:
    """A tiny task; `entries` replace those of its index."""
    rows = []
    for i in range(number):
        image, label = (path.relative_to(root) for path in write_scan(root, f"h_{i}", channels))
        rows.append({"image": f"./{image}", "label": f"./{label}"})
    index = {
        "name": "tiny",
        "modality": {str(channel): f"MRI {channel}" for channel in range(channels)},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "training": rows,
    }
    (root / "dataset.json").write_text(json.dumps({**index, **entries}))
    return root


def test_layout(tmp_path: Path, write_scan: WriteScan) -> None:
    data = Decathlon(write_task(tmp_path, write_scan, test=["./imagesTs/h_9.nii.gz"]))
    assert repr(data) == f"Decathlon('{tmp_path}'): tiny, 3 cases, classes ('Anterior', 'Posterior')"
    assert data.channels == ("MRI 0",)
    assert data.label_values == (0, 1, 2)
    assert data.unlabelled == (tmp_path / "imagesTs/h_9.nii.gz",)
    scan = load(data.cases[1])
    assert scan.name == "h_1"
    assert scan.image.shape == (1, 9, 10, 11)
    assert scan.spacing == (1.0, 2.0, 3.0)


def test_many_modalities(tmp_path: Path, write_scan: WriteScan) -> None:
    labels = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}
    data = Decathlon(write_task(tmp_path, write_scan, channels=4, labels=labels))
    assert data.regions == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert load(data.cases[0]).image.shape == (4, 9, 10, 11)
    assert load_image(data.cases[0].images, channels=4)[0].shape == (4, 9, 10, 11)
    stored, affine, _ = read_nifti(data.cases[0].images[0])
    write_nifti(data.cases[0].images[0], stored[..., :3], affine)
    with pytest.raises(DataError, match=r"4 image channels, received 3 in .*h_0\.nii\.gz"):
        load(data.cases[0])
    write_nifti(data.cases[0].images[0], stored[..., 0], affine)
    with pytest.raises(DataError, match=r"4 image channels, received 1 in .*h_0\.nii\.gz"):
        load(data.cases[0])


def test_one_modality_is_three_axes(tmp_path: Path, write_scan: WriteScan) -> None:
    data = Decathlon(write_task(tmp_path, write_scan))
    assert data.regions == {}
    write_nifti(data.cases[0].images[0], np.ones((9, 10, 11, 2), np.float32), np.diag([1, 2, 3, 1]))
    with pytest.raises(DataError, match=r"three axes, received the shape \(9, 10, 11, 2\) in .*h_0\.nii\.gz"):
        load(data.cases[0])


def test_errors_name_the_path(tmp_path: Path, write_scan: WriteScan) -> None:
    write_task(tmp_path, write_scan)
    with pytest.raises(DataError, match=r"no file .*nowhere/dataset\.json; give the folder of one task"):
        Decathlon(tmp_path / "nowhere")
    for content, text in (
        ('{"name": "x"}', r"'labels' in .*dataset\.json"),
        ("{", r"valid JSON, received .*dataset\.json"),
        ("[]", r"a JSON object, received list in .*dataset\.json"),
        ('{"labels": {"0": "background"}, "name": "x", "modality": {}, "training": []}', "for each class"),
    ):
        (tmp_path / "dataset.json").write_text(content)
        with pytest.raises(DataError, match=text):
            Decathlon(tmp_path)


@pytest.fixture
def archive(tmp_path: Path, write_scan: WriteScan, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive of a task, where MONAI believes it to be."""
    apps = pytest.importorskip("monai.apps", reason="needs the extra 'train'")
    task = tmp_path / "server" / "Task04_Hippocampus"
    write_task(task, write_scan)
    path = task.with_suffix(".tar")
    with tarfile.open(path, "w") as tar:
        tar.add(task, task.name)
    checksum = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(apps.DecathlonDataset.resource, task.name, path.as_uri())
    monkeypatch.setitem(apps.DecathlonDataset.md5, task.name, checksum)
    return path


def test_download(tmp_path: Path, archive: Path) -> None:
    data = Decathlon.download("Task04_Hippocampus", tmp_path / "data", progress=False)
    assert data.root == tmp_path / "data" / "Task04_Hippocampus"
    assert load(data.cases[0]).image.shape == (1, 9, 10, 11)
    archive.unlink()
    assert len(Decathlon.download("Task04_Hippocampus", tmp_path / "data").cases) == 3, "it is not downloaded again"


def test_an_interrupted_download_is_no_data_set(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import monai.apps

    def stop(archive: Path, folder: str) -> None:
        (Path(folder) / "Task04_Hippocampus").mkdir()
        raise KeyboardInterrupt

    root = tmp_path / "data"
    with monkeypatch.context() as patch:
        patch.setattr(monai.apps, "extractall", stop)
        with pytest.raises(KeyboardInterrupt):
            Decathlon.download("Task04_Hippocampus", root, progress=False)
    assert [path.name for path in root.iterdir()] == ["Task04_Hippocampus.tar"]
    assert len(Decathlon.download("Task04_Hippocampus", root, progress=False).cases) == 3


def test_a_download_that_fails_is_told(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(DataError, match=r"a task out of Task01_BrainTumour, .*received Task99_Toes"):
        Decathlon.download("Task99_Toes", tmp_path)
    archive.write_bytes(archive.read_bytes()[:-5])
    for _ in range(2):
        with pytest.raises(DataError, match=r"a download of Task04_Hippocampus, received HashCheckError: .*delete"):
            Decathlon.download("Task04_Hippocampus", tmp_path / "data", progress=False)
    archive.unlink()
    with pytest.raises(DataError, match=r"a download of Task04_Hippocampus, received URLError: "):
        Decathlon.download("Task04_Hippocampus", tmp_path / "data", progress=False)
    assert not (tmp_path / "data" / "Task04_Hippocampus").exists()


def test_hippocampus(data_dir: Path) -> None:
    data = Decathlon(data_dir / "Task04_Hippocampus")
    assert data.classes == ("Anterior", "Posterior")
    assert len(data.cases) == 180
    scan = load(data.cases[0])
    assert abs(float(scan.image.mean())) < 1e-3
    assert abs(float(scan.image.std()) - 1) < 1e-3
    assert set(np.unique(scan.label)) == {0, 1, 2}
