"""MedMNIST's volumes: the published layout at both sizes, and what a file that is not so is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import DataError, MedMnist3D
from scalegroup.data.medmnist import CLASSES
from scalegroup.errors import ScaleGroupError


def write(path: Path, size: int = 28, splits: tuple[str, ...] = ("train", "val", "test"), classes: int = 2) -> Path:
    """A file as MedMNIST publishes them, with 4 random volumes in each split."""
    rng = np.random.default_rng(0)
    parts = {}
    for split in splits:
        parts[f"{split}_images"] = rng.integers(0, 256, (4, size, size, size)).astype(np.uint8)
        parts[f"{split}_labels"] = np.array([[0], [classes - 1], [0], [1]], np.uint8)
    np.savez_compressed(path, **parts)
    return path


def test_both_sizes_are_read_from_one_folder(tmp_path: Path) -> None:
    write(tmp_path / "adrenalmnist3d.npz")
    write(tmp_path / "adrenalmnist3d_64.npz", 64)
    coarse, fine = MedMnist3D(tmp_path), MedMnist3D(tmp_path, size=64)
    assert (coarse.spacing, fine.spacing) == (1.0, 28 / 64)
    assert coarse.splits == ("train", "val", "test")
    assert coarse.classes == ("normal", "hyperplasia")
    images, labels = fine.split("test")
    assert images.shape == (4, 1, 64, 64, 64)
    assert images.dtype == np.float32
    with np.load(fine.path) as file:
        np.testing.assert_array_equal(np.rint(images[:, 0] * 255), file["test_images"])
    np.testing.assert_array_equal(labels, [0, 1, 0, 1])
    assert "adrenalmnist3d, 64³ voxels, splits train, val, test" in repr(fine)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_set_is_known_by_its_name(name: str, tmp_path: Path) -> None:
    write(tmp_path / f"{name}.npz", splits=("train",), classes=len(CLASSES[name]))
    assert MedMnist3D(tmp_path, name).split("train").labels.max() == len(CLASSES[name]) - 1


def test_the_whole_file_is_preferred_to_its_part(tmp_path: Path) -> None:
    part = write(tmp_path / "adrenalmnist3d_train_val.npz", splits=("train", "val"))
    assert MedMnist3D(tmp_path).path == part
    assert MedMnist3D(part).splits == ("train", "val")
    whole = write(tmp_path / "adrenalmnist3d.npz")
    assert MedMnist3D(tmp_path).path == whole


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a file of MedMNIST, received no .*adrenalmnist3d_64\.npz"):
        MedMnist3D(tmp_path, size=64)
    data = MedMnist3D(write(tmp_path / "adrenalmnist3d_train_val.npz", splits=("train", "val")))
    with pytest.raises(DataError, match=r"the split 'test', received .*_train_val\.npz with train, val only"):
        data.split("test")
    with pytest.raises(ScaleGroupError, match=r"a split of .*'val', 'test'.*, received 'validation'"):
        data.split("validation")
    with pytest.raises(ScaleGroupError, match=r"a set of .*, received 'pathmnist'"):
        MedMnist3D(tmp_path, "pathmnist")
    with pytest.raises(ScaleGroupError, match=r"a size of \(28, 64\), received 40"):
        MedMnist3D(tmp_path, size=40)


def test_what_is_no_npz_is_named(tmp_path: Path) -> None:
    path = tmp_path / "adrenalmnist3d.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a readable npz file, received .*adrenalmnist3d\.npz"):
        MedMnist3D(tmp_path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"a readable npz file, received .*array\.npy"):
        MedMnist3D(tmp_path / "array.npy")
    write(path)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a readable npz file, received .*adrenalmnist3d\.npz"):
        MedMnist3D(tmp_path)
    content[1000:1400] = bytes(400)  # the list of contents is whole, the contents are not
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a readable npz file, received .*adrenalmnist3d\.npz"):
        MedMnist3D(tmp_path).split("train")


def test_another_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adrenalmnist3d.npz"
    images, labels = np.zeros((2, 28, 28, 28), np.uint8), np.zeros((2, 1), np.uint8)
    np.savez(path, images=images)
    with pytest.raises(DataError, match=r"keys as train_images and train_labels, received \('images',\)"):
        MedMnist3D(tmp_path)
    np.savez(path, train_images=images)
    with pytest.raises(DataError, match=r"the key train_labels, received .*adrenalmnist3d\.npz without it"):
        MedMnist3D(tmp_path).split("train")
    np.savez(path, train_images=images, train_labels=labels[:1])
    with pytest.raises(DataError, match=r"train_labels of the shape \(2, 1\), received \(1, 1\)"):
        MedMnist3D(tmp_path).split("train")
    np.savez(path, train_images=images, train_labels=labels + 2)
    with pytest.raises(DataError, match=r"labels from 0 to 1, received \[2\]"):
        MedMnist3D(tmp_path).split("train")
    np.savez(path, train_images=images[:, 0], train_labels=labels)
    with pytest.raises(DataError, match=r"train_images of the shape \(n, 28, 28, 28\), received \(2, 28, 28\)"):
        MedMnist3D(tmp_path).split("train")
    write(path, 64)
    with pytest.raises(DataError, match=r"received \(4, 64, 64, 64\) of uint8 .*; it is the file for size=64"):
        MedMnist3D(path).split("train")


def test_adrenal(data_dir: Path) -> None:
    data = MedMnist3D(data_dir / "medmnist")
    assert data.splits == ("train", "val")
    counts = {split: np.bincount(data.split(split).labels).tolist() for split in data.splits}
    assert counts == {"train": [929, 259], "val": [76, 22]}
    assert set(np.unique(data.split("val").images)) == {0.0, 1.0}
