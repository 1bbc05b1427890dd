"""Label maps on the grids of their scans, whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

import nibabel

from scalegroup.data import BRATS_MODALITIES, DataError, brats_images, load_image, write_nifti
from scalegroup.training import Segmentation
from scalegroup.training.cli import main
from scalegroup.training.evaluate import predict
from scalegroup.training.inputs import find_inputs

TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def affine(matrix: Any) -> Any:
    result = np.eye(4)
    result[:3, :3] = matrix
    result[:3, 3] = -31.5, 12.25, 7.0
    return result


GRIDS = {
    "rotated": affine(TURN @ np.diag([1.0, 1.5, 2.5])),
    "oblique": affine(TURN.T @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]) @ np.diag([0.7, 0.7, 3.0])),
    "flipped": affine(np.diag([-1.0, -1.0, 2.0])),
    "turned": affine(np.array([[0, 0, -1.5], [1.0, 0, 0], [0, 2.0, 0]])),
}


def patient(folder: Path, image: Any, placed: Any) -> Path:
    for modality, channel in zip(BRATS_MODALITIES, image, strict=True):
        file = nibabel.Nifti1Image(channel, placed)
        file.set_sform(placed, code=1)
        file.set_qform(placed, code=2)
        file.header.set_xyzt_units("mm", "sec")
        file.header["descrip"] = b"a scan"
        folder.mkdir(parents=True, exist_ok=True)
        nibabel.save(file, folder / f"{folder.name}_{modality}.nii.gz")
    return folder


def run(trained: Path, where: Path | str, out: Path, *more: str) -> None:
    main(["predict", "--ckpt", str(trained), "--input", str(where), "--out", str(out), *more])


@pytest.mark.parametrize("name", GRIDS)
def test_labels_are_on_the_grid_of_the_scan(trained: Path, tmp_path: Path, name: str) -> None:
    image = np.random.default_rng(0).normal(size=(4, 11, 13, 9)).astype(np.float32)
    scan = patient(tmp_path / "scans" / name, image, GRIDS[name])
    run(trained, scan, tmp_path / "labels")
    found, given = (nibabel.load(path) for path in (tmp_path / "labels" / f"{name}.nii.gz", brats_images(scan)[0]))
    assert np.array_equal(found.affine, given.affine)
    assert found.shape == given.shape
    for key in ("sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d", "pixdim", "xyzt_units", "srow_x"):
        assert np.array_equal(found.header[key], given.header[key]), key
    assert found.get_data_dtype() == np.uint8
    values = np.asarray(found.dataobj)
    module = Segmentation.load(trained)
    classes = predict(module, load_image(brats_images(scan))[0]).numpy()
    assert np.array_equal(values, np.array([0, 1, 2, 4])[classes])
    assert set(np.unique(classes)) > {0}, "nothing was found: the test would hold for an empty label map"


def test_patients_of_a_folder_and_a_pattern(phantoms: Any, trained: Path, tmp_path: Path) -> None:
    names = sorted(folder.name for folder in phantoms.root.iterdir())
    run(trained, phantoms.root, tmp_path / "all")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [f"{name}.nii.gz" for name in names]
    run(trained, phantoms.root / "BraTS_000[12]", tmp_path / "two")
    for path in (tmp_path / "two").iterdir():
        assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes()
    assert len(list((tmp_path / "two").iterdir())) == 2


def test_which_files_are_one_scan(tmp_path: Path) -> None:
    channels = ("T1w", "FLAIR")
    names = ("a_0000", "a_0001", "b-flair", "b-t1w", "c", "d_2", "._a_0000")
    for name in names:
        (tmp_path / f"{name}.nii.gz").touch()
    (tmp_path / "notes.txt").touch()
    found = {
        scan.name: [path.name.removesuffix(".nii.gz") for path in scan.files]
        for scan in find_inputs(str(tmp_path), channels)
    }
    assert found == {"a": ["a_0000", "a_0001"], "b": ["b-t1w", "b-flair"], "c": ["c"], "d_2": ["d_2"]}
    one = find_inputs(str(tmp_path / "a_*.nii.gz"), ("t1",))
    assert [scan.name for scan in one] == ["a_0000", "a_0001"]
    (tmp_path / "b-t1w.nii.gz").unlink()
    with pytest.raises(DataError, match=r"the channel T1w beside .*b-flair"):
        find_inputs(str(tmp_path), channels)
    with pytest.raises(DataError, match=r"no NIfTI file at .*nowhere"):
        find_inputs(str(tmp_path / "nowhere"), channels)
    for folder in "xy":
        (tmp_path / "twice" / folder).mkdir(parents=True)
        (tmp_path / "twice" / folder / "scan.nii").touch()
    with pytest.raises(DataError, match="several called scan"):
        find_inputs(str(tmp_path / "twice"), ("t1",))


def test_several_modalities_in_one_file(phantoms: Any, trained: Path, tmp_path: Path) -> None:
    module = Segmentation.load(trained)
    files = brats_images(phantoms.root / "BraTS_0003")
    four = np.stack([np.asarray(nibabel.load(path).dataobj) for path in files], axis=-1)
    write_nifti(tmp_path / "imagesTs" / "case.nii.gz", four, np.eye(4))
    for number, channel in enumerate(np.moveaxis(four, -1, 0)):
        write_nifti(tmp_path / "numbered" / f"case_000{number}.nii.gz", channel, np.eye(4))
    # As a network that was trained on such a data set.
    checkpoint = _with_layout(trained, tmp_path / "decathlon.ckpt", "decathlon")
    wanted = np.array([0, 1, 2, 4])[predict(module, load_image(files)[0]).numpy()]
    for name in ("imagesTs", "numbered"):
        run(checkpoint, tmp_path / name, tmp_path / f"{name}-labels")
        assert np.array_equal(np.asarray(nibabel.load(tmp_path / f"{name}-labels" / "case.nii.gz").dataobj), wanted)


def _with_layout(checkpoint: Path, path: Path, layout: str) -> Path:
    import torch

    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["data"]["name"] = layout
    torch.save(content, path)
    return path


def test_broken_scans_stop_or_are_listed(
    phantoms: Any, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(phantoms.root, tmp_path / "scans")
    broken = root / "BraTS_0001" / "BraTS_0001_t2.nii.gz"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(SystemExit, match="2"):
        run(trained, root, tmp_path / "a")
    assert "BraTS_0001_t2.nii.gz" in capsys.readouterr().err
    run(trained, root, tmp_path / "b", "--skip_bad", "true")
    assert len(list((tmp_path / "b").glob("*.nii.gz"))) == 3
    assert "BraTS_0001_t2.nii.gz" in (tmp_path / "b" / "skipped.csv").read_text()
    assert "BraTS_0001" in capsys.readouterr().out


def test_scans_are_not_replaced(
    phantoms: Any, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    four = np.zeros((8, 8, 8, 4), np.float32)
    write_nifti(tmp_path / "case.nii.gz", four, np.eye(4))
    checkpoint = _with_layout(trained, tmp_path / "decathlon.ckpt", "decathlon")
    with pytest.raises(SystemExit, match="2"):
        run(checkpoint, tmp_path, tmp_path)
    assert "give another --out" in capsys.readouterr().err
    assert nibabel.load(tmp_path / "case.nii.gz").shape == four.shape


def _half(volume: Any, path: Any, end: Any) -> None:
    content = volume.to_bytes()
    Path(path).write_bytes(content[: len(content) // 2])
    end()


def _fail() -> None:
    raise OSError("no space left on device")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("old", [False, True])
def test_a_failed_write_leaves_no_half_file(
    phantoms: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    target = tmp_path / "BraTS_0002.nii.gz"
    if old:
        target.write_bytes(b"the old one")
    monkeypatch.setattr(nibabel, "save", lambda volume, path: _half(volume, path, _fail))
    with pytest.raises(OSError, match="no space"):
        run(trained, phantoms.root / "BraTS_0002", tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the old one"] * old


def test_a_kill_leaves_no_half_file(phantoms: Any, trained: Path, tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:  # killed in the middle of the second file
        done: list[int] = []
        save = nibabel.save
        nibabel.save = lambda volume, path: _half(volume, path, _kill) if done else (save(volume, path), done.append(1))
        try:
            run(trained, phantoms.root, tmp_path / "out")
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    written = list((tmp_path / "out").glob("*.nii.gz"))
    assert [path.name for path in written] == ["BraTS_0001.nii.gz"]
    nibabel.load(written[0]).get_fdata()
    run(trained, phantoms.root, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 4
