"""Tables of NIfTI files: columns, classes, parts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import DataError, NiftiTable, load, load_all, read_nifti, write_nifti

AFFINE = np.diag([1.0, 2, 3, 1])


@pytest.fixture
def folder(tmp_path: Path, write_scan: Callable[..., tuple[Path, Path]]) -> Path:
    """Six scans: `imagesTr/h_0.nii.gz`, `labelsTr/h_0.nii.gz`, …; the values 0, 2, 5, and 7 in the last alone."""
    for i in range(6):
        write_scan(tmp_path, f"h_{i}", values=(0, 2, 5, 7) if i == 5 else (0, 2, 5))
    return tmp_path


def table(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "scans.csv"
    path.write_text("\n".join(lines), encoding=encoding)
    return path


def row(i: int, separator: str = ",") -> str:
    return f"imagesTr/h_{i}.nii.gz{separator}labelsTr/h_{i}.nii.gz"


def test_images_and_labels(folder: Path) -> None:
    data = NiftiTable(table(folder, "image,label", *(row(i) for i in range(6))))
    assert repr(data) == f"NiftiTable('{folder}/scans.csv'): scans, 6 cases, classes ('label 2', 'label 5', 'label 7')"
    assert data.channels == ("image",)
    assert data.label_values == (0, 2, 5, 7)
    scan = load(data.cases[5])
    assert scan.name == "h_5"
    assert set(np.unique(scan.label)) == {0, 1, 2, 3}
    assert scan.spacing == (1.0, 2.0, 3.0)
    assert len(data.split(3, 1).test) == 2


def test_given_classes(folder: Path) -> None:
    path = table(folder, "image,label", row(0), row(5))
    data = NiftiTable(path, classes={"tumour": 5, "organ": 2})
    assert data.classes == ("organ", "tumour")
    load(data.cases[0])
    with pytest.raises(DataError, match=r"the label values \(0, 2, 5\), received \[0, 2, 5, 7\] in .*h_5"):
        load(data.cases[1])


def test_one_file_per_channel(folder: Path) -> None:
    lines = [
        "name,image_t1,image_t2,label",
        f"Ann,imagesTr/h_0.nii.gz,{folder}/imagesTr/h_1.nii.gz,labelsTr/h_0.nii.gz",
    ]
    data = NiftiTable(table(folder, *lines))
    assert data.channels == ("t1", "t2")
    scan = load(data.cases[0])
    assert scan.name == "Ann"
    assert scan.image.shape == (2, 9, 10, 11)
    with pytest.raises(
        DataError, match=r"channels' names once, received the channels \('a', 'b'\) and 2 image columns"
    ):
        NiftiTable(table(folder, *lines), channels=("a", "b"))


def test_channels_in_the_fourth_axis(folder: Path) -> None:
    write_nifti(folder / "both.nii", np.random.default_rng(0).normal(size=(9, 10, 11, 2)), AFFINE)
    path = table(folder, "image,label", "both.nii,labelsTr/h_0.nii.gz")
    data = NiftiTable(path, channels=("t1", "t2"))
    assert data.channels == ("t1", "t2")
    assert load(data.cases[0]).image.shape == (2, 9, 10, 11)
    with pytest.raises(DataError, match="an image of three axes"):
        load(NiftiTable(path).cases[0])
    with pytest.raises(DataError, match="3 image channels, received 2"):
        load(NiftiTable(path, channels=("t1", "t2", "t3")).cases[0])


def test_as_spreadsheets_write_it(folder: Path) -> None:
    path = table(folder, "image; label ;remark", f"{row(0, ';')};good, sharp", ";;", "", encoding="utf-8-sig")
    assert [case.name for case in NiftiTable(path).cases] == ["h_0"]


def test_parts(folder: Path) -> None:
    parts = ("test", "train", "train", "validation", "train", "test")
    data = NiftiTable(table(folder, "image,label,part", *(f"{row(i)},{part}" for i, part in enumerate(parts))))
    whole = data.split()
    assert [{case.name for case in part} for part in (whole.train, whole.validation, whole.test)] == [
        {"h_1", "h_2", "h_4"},
        {"h_3"},
        {"h_0", "h_5"},
    ]
    some = data.split(2, 1, 1, seed=3)
    assert set(some.train) < set(whole.train)
    assert (len(some.train), len(some.test)) == (2, 1)
    assert len({data.split(1, 1, 1, seed).train[0].name for seed in range(20)}) == 3
    with pytest.raises(DataError, match=r"4 cases of the part 'train', received 3 in .*scans\.csv"):
        data.split(4, 1)
    without = NiftiTable(table(folder, "image,label", row(0)))
    with pytest.raises(DataError, match="numbers of training and validation cases, received none, and no column part"):
        without.split()


REFUSED = {
    "no label": (["image", "a.nii"], r"the column label, and each column once, received \('image',\) in .*scans\.csv"),
    "a column twice": (["image,label,label", "a,b,c"], r"each column once, received"),
    "no image": (["picture,label", "a,b"], r"a column image, or columns image_…, received \('picture', 'label'\)"),
    "both kinds of image": (["image,image_t1,label", "a,b,c"], "a column image, or columns image_…, received"),
    "no rows": (["image,label"], r"one row per scan, received none in .*scans\.csv"),
    "nothing": ([], "the column label"),
    "an empty cell": (
        ["image,label", row(0), "a.nii,"],
        r"a path in the column label, received none in line 3 of .*csv",
    ),
    "a short row": (["image,label", "a.nii"], "a path in the column label, received none in line 2"),
    "an unknown part": (
        ["image,label,part", f"{row(0)},holdout"],
        "a part out of train, validation, test, received 'holdout' in line 2",
    ),
    "a name twice": (["image,label,name", f"{row(0)},a", f"{row(1)},a"], "one case of each name, received 2 called a"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(folder: Path, kind: str) -> None:
    lines, text = REFUSED[kind]
    path = table(folder, *lines)
    with pytest.raises(DataError, match=text):
        NiftiTable(path)
    NiftiTable(table(folder, "image,label,part,name", f"{row(0)},train,a", f"{row(1)},test,b"))  # the sound twin


def test_no_table(folder: Path) -> None:
    for path in (folder, folder / "none.csv"):
        with pytest.raises(DataError, match=f"a CSV file, received none at {path}"):
            NiftiTable(path)
    with pytest.raises(DataError, match=r"a CSV file in UTF-8, received .*scans\.csv"):
        NiftiTable(table(folder, "image,label,müde", encoding="latin-1"))


def test_broken_labels_are_left_to_the_loading(folder: Path) -> None:
    content = (folder / "labelsTr/h_0.nii.gz").read_bytes()
    (folder / "labelsTr/h_0.nii.gz").write_bytes(content[:50])
    (folder / "labelsTr/h_1.nii.gz").unlink()
    intensities, affine, _ = read_nifti(folder / "imagesTr/h_2.nii.gz")
    write_nifti(folder / "labelsTr/h_2.nii.gz", intensities, affine)
    data = NiftiTable(table(folder, "image,label", *(row(i) for i in range(4))))
    assert data.label_values == (0, 2, 5)
    scans, skipped = load_all(data.cases, skip_bad=True)
    assert [scan.name for scan in scans] == ["h_3"]
    for (_, error), text in zip(skipped, ("a readable NIfTI", "nothing at", "the label values"), strict=True):
        with pytest.raises(DataError, match=text):
            raise error
    with pytest.raises(DataError, match="a readable NIfTI file"):
        NiftiTable(table(folder, "image,label", row(0), row(1)))
    with pytest.raises(DataError, match=r"whole label values in 0 … 255, a hundred at most, received 990 values from"):
        NiftiTable(table(folder, "image,label", row(2)))


def test_labels_that_changed_are_read_again(folder: Path) -> None:
    path = table(folder, "image,label", row(0))
    assert NiftiTable(path).label_values == (0, 2, 5)
    write_nifti(folder / "labelsTr/h_0.nii.gz", np.ones((9, 10, 11), np.uint8), AFFINE)
    assert NiftiTable(path).label_values == (0, 1)


def test_healthy_scans(folder: Path) -> None:
    write_nifti(folder / "labelsTr/h_1.nii.gz", np.zeros((9, 10, 11), np.uint8), AFFINE)
    path = table(folder, "image,label", row(0), row(1))
    with pytest.raises(DataError, match=r"a label with foreground, received background alone in .*h_1"):
        load_all(NiftiTable(path).cases)
    assert not load(NiftiTable(path, empty_ok=True).cases[1]).label.any()
