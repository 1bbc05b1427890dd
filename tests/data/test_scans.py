"""Files in and out: the two layouts, splits, and what a broken file is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import Brats, Case, DataError, Decathlon, load, split, write_phantoms
from scalegroup.data.nifti import read_nifti, write_nifti


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("brats"), seeds=(1, 2), size=20)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A tiny Decathlon task of six cases."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(6):
        image, label = tmp_path / f"imagesTr/h_{index}.nii.gz", tmp_path / f"labelsTr/h_{index}.nii.gz"
        write_nifti(image, rng.normal(size=(9, 10, 11)).astype(np.float32), np.diag([1, 2, 3, 1]))
        write_nifti(label, rng.integers(0, 3, (9, 10, 11)).astype(np.uint8), np.diag([1, 2, 3, 1]))
        rows.append({"image": f"./imagesTr/{image.name}", "label": f"./labelsTr/{label.name}"})
    index_file = {
        "name": "tiny",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "training": rows,
    }
    (tmp_path / "dataset.json").write_text(json.dumps(index_file))
    return tmp_path


def test_brats_layout(patients: Path) -> None:
    data = Brats(patients)
    assert [case.name for case in data.cases] == ["BraTS_0001", "BraTS_0002"]
    assert sorted(path.name for path in (patients / "BraTS_0001").iterdir()) == [
        f"BraTS_0001_{part}.nii.gz" for part in ("flair", "seg", "t1", "t1ce", "t2")
    ]
    scan = load(data.cases[0])
    assert scan.image.shape == (4, 20, 20, 20)
    assert scan.spacing == (4.0, 4.0, 4.0)
    assert set(np.unique(scan.label)) <= {0, 1, 2, 3}
    stored = read_nifti(data.cases[0].label).data
    assert set(np.unique(stored)) <= {0, 1, 2, 4}


def test_brats_names_what_is_missing(patients: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one folder per patient, received none in"):
        Brats(tmp_path)
    shutil.copytree(patients / "BraTS_0001", tmp_path / "BraTS_0001")
    (tmp_path / "BraTS_0001" / "BraTS_0001_t2.nii.gz").unlink()
    with pytest.raises(DataError, match=r"no file .*BraTS_0001_t2\.nii\.gz"):
        Brats(tmp_path)


def test_decathlon_layout(task: Path) -> None:
    data = Decathlon(task)
    assert data.classes == ("Anterior", "Posterior")
    assert data.channels == ("MRI",)
    scan = load(data.cases[3])
    assert scan.name == "h_3"
    assert scan.image.shape == (1, 9, 10, 11)
    assert scan.spacing == (1.0, 2.0, 3.0)
    assert repr(data).endswith("tiny, 6 cases, classes ('Anterior', 'Posterior')")


def test_decathlon_errors_name_the_path(task: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*nowhere/dataset\.json"):
        Decathlon(tmp_path / "nowhere")
    (task / "dataset.json").write_text('{"name": "x"}')
    with pytest.raises(DataError, match=r"'labels' in .*dataset\.json"):
        Decathlon(task)
    (task / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"valid JSON, received .*dataset\.json"):
        Decathlon(task)


def test_broken_files_are_named(task: Path) -> None:
    case = Decathlon(task).cases[0]
    with pytest.raises(DataError, match=r"the label values \(0, 1\), received \[.*2.*\] in .*h_0"):
        load(Case(case.name, case.images, case.label, (0, 1)))
    good = case.images[0].read_bytes()
    case.images[0].write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match=r"readable NIfTI file, received .*imagesTr/h_0\.nii\.gz"):
        load(case)
    write_nifti(case.images[0], np.full((9, 10, 11), np.nan, np.float32), np.eye(4))
    with pytest.raises(DataError, match=r"NaN or infinity in .*h_0"):
        load(case)
    write_nifti(case.images[0], np.zeros((9, 10, 12), np.float32), np.eye(4))
    with pytest.raises(DataError, match=r"shape \(9, 10, 11\) of its label .*\(9, 10, 12\) in"):
        load(case)
    write_nifti(case.images[0], np.zeros((9, 10, 11), np.float32), np.diag([1, 2, 3.1, 1]))
    with pytest.raises(DataError, match=r"place of its label .*labelsTr/h_0.*another affine matrix in .*imagesTr/h_0"):
        load(case)
    case.images[0].unlink()
    with pytest.raises(DataError, match=r"nothing at .*h_0\.nii\.gz"):
        load(case)


def test_trailing_axes_of_one_are_dropped(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", np.ones((3, 4, 5, 1), np.float32), np.eye(4))
    assert read_nifti(tmp_path / "a.nii.gz").data.shape == (3, 4, 5)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "volume.nii.gz"
    write_nifti(path, np.ones((3, 3, 3), np.float32), np.eye(4))
    with pytest.raises(Exception, match="object"):
        write_nifti(path, np.array([object()]), np.eye(4))
    assert [item.name for item in tmp_path.iterdir()] == ["volume.nii.gz"]
    assert read_nifti(path).data.sum() == 27


def names(cases: tuple[Case, ...]) -> set[str]:
    return {case.name for case in cases}


@pytest.mark.parametrize("seed", [0, 1])
def test_split_is_disjoint_and_repeatable(seed: int) -> None:
    cases = [Case(f"case_{i:02d}", (), Path("x.nii"), (0, 1)) for i in range(30)]
    parts = split(cases, train=10, validation=5, test=8, seed=seed)
    train, validation, test = names(parts.train), names(parts.validation), names(parts.test)
    assert (len(train), len(validation), len(test)) == (10, 5, 8)
    assert len(train | validation | test) == 23
    assert split(cases[::-1], train=10, validation=5, test=8, seed=seed) == parts
    assert split(cases, train=2, validation=5, test=8, seed=seed).test == parts.test
    assert split(cases, train=10, validation=5, test=8, seed=seed + 7) != parts


def test_split_refuses_too_much() -> None:
    cases = [Case(str(i), (), Path("x.nii"), (0, 1)) for i in range(5)]
    with pytest.raises(DataError, match="at least 4 training, 1 validation and 1 test cases, received 5 cases"):
        split(cases, train=4, validation=1, test=1)
    with pytest.raises(DataError, match="received 5 cases"):
        split(cases, train=9, validation=1)


def test_hippocampus(data_dir: Path) -> None:
    data = Decathlon(data_dir / "Task04_Hippocampus")
    assert data.classes == ("Anterior", "Posterior")
    assert len(data.cases) == 180
    scan = load(data.cases[0])
    assert abs(float(scan.image.mean())) < 1e-3
    assert abs(float(scan.image.std()) - 1) < 1e-3
    assert set(np.unique(scan.label)) == {0, 1, 2}
