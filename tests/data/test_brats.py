"""BraTS folders as the challenge named them over the years."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import Brats, DataError, brats_images, load, load_all, read_nifti, write_nifti, write_phantoms

SHAPE = (6, 7, 8)
OLD = ("t1", "t1ce", "t2", "flair")
NEW = ("t1n", "t1c", "t2w", "t2f")


def write_patient(
    folder: Path, separator: str = "_", parts: Sequence[str] = OLD, enhancing: int = 4, ending: str = ".nii.gz"
) -> Path:
    """One patient; channel c has its largest value in voxel c, and voxel 0, 1, 2 are the three classes."""
    for index, part in enumerate(parts):
        image = np.random.default_rng(index).uniform(size=SHAPE).astype(np.float32)
        image.flat[index] = 1.5
        write_nifti(folder / f"{folder.name}{separator}{part}{ending}", image, np.eye(4))
    label = np.zeros(SHAPE, np.uint8)
    label.flat[:3] = 1, 2, enhancing
    write_nifti(folder / f"{folder.name}{separator}seg{ending}", label, np.eye(4))
    return folder


YEARS = {
    "2018": ("HGG/Brats18_2013_10_1", "_", OLD, 4, ".nii.gz"),
    "2019": ("LGG/BraTS19_TCIA10_639_1", "_", OLD, 4, ".nii.gz"),
    "2020": ("BraTS20_Training_001", "_", OLD, 4, ".nii"),
    "2021": ("BraTS2021_00000", "_", OLD, 4, ".nii.gz"),
    "2023": ("BraTS-GLI-00000-000", "-", NEW, 3, ".nii.gz"),
}


@pytest.mark.parametrize("year", YEARS)
def test_every_year(tmp_path: Path, year: str) -> None:
    name, *style = YEARS[year]
    write_patient(tmp_path / name, *style)
    data = Brats(tmp_path)
    assert data.channels == OLD
    assert data.classes == ("core", "oedema", "enhancing")
    assert data.label_values == (0, 1, 2, style[2])
    scan = load(data.cases[0])
    assert scan.name == Path(name).name
    assert [int(channel.argmax()) for channel in scan.image] == [0, 1, 2, 3], "the channels are in their order"
    assert scan.label.ravel()[:4].tolist() == [1, 2, 3, 0]


def test_regions(tmp_path: Path) -> None:
    write_patient(tmp_path / "BraTS2021_00000")
    data = Brats(tmp_path)
    label = load(data.cases[0]).label.ravel()
    found = {name: np.flatnonzero(np.isin(label, classes)).tolist() for name, classes in data.regions.items()}
    assert found == {"whole": [0, 1, 2], "core": [0, 2], "enhancing": [2]}


def test_grades_together(tmp_path: Path) -> None:
    for name in ("HGG/Brats18_b", "LGG/Brats18_a", "HGG/Brats18_c"):
        write_patient(tmp_path / name)
    (tmp_path / "name_mapping.csv").write_text("a,b")
    (tmp_path / "__MACOSX").mkdir()
    assert [case.name for case in Brats(tmp_path).cases] == ["Brats18_a", "Brats18_b", "Brats18_c"]
    assert [case.name for case in Brats(tmp_path / "HGG").cases] == ["Brats18_b", "Brats18_c"]
    write_patient(tmp_path / "LGG/Brats18_c")
    with pytest.raises(DataError, match="one case of each name, received 2 called Brats18_c in"):
        Brats(tmp_path)


def test_the_label_of_2020_with_another_name(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "BraTS20_Training_355", ending=".nii")
    (folder / "BraTS20_Training_355_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    assert load(Brats(tmp_path).cases[0]).label.ravel()[:3].tolist() == [1, 2, 3]


def test_the_value_of_enhancing_tumour(tmp_path: Path) -> None:
    write_patient(tmp_path / "BraTS20_Training_001", enhancing=3)  # renumbered, as many do
    assert load(Brats(tmp_path).cases[0]).label.ravel()[2] == 3
    assert Brats(tmp_path, enhancing=3).label_values == (0, 1, 2, 3)
    with pytest.raises(DataError, match=r"label values \(0, 1, 2, 4\), received \[0, 1, 2, 3\] in .*001_seg"):
        load(Brats(tmp_path, enhancing=4).cases[0])
    seg = tmp_path / "BraTS20_Training_001/BraTS20_Training_001_seg.nii.gz"
    label = read_nifti(seg).data
    label.flat[3] = 4
    write_nifti(seg, label, np.eye(4))
    with pytest.raises(DataError, match=r"\(0, 1, 2, 4\) or \(0, 1, 2, 3\), received \[0, 1, 2, 3, 4\]"):
        load(Brats(tmp_path).cases[0])
    with pytest.raises(DataError, match="enhancing=3, 4 or None, received 2"):
        Brats(tmp_path, enhancing=2)


def test_a_cavity_of_2024_is_not_taken_for_enhancing_tumour(tmp_path: Path) -> None:
    write_patient(tmp_path / "BraTS-GLI-00000-000", "-", NEW, enhancing=4)
    with pytest.raises(DataError, match=r"label values \(0, 1, 2, 3\), received \[0, 1, 2, 4\] in .*000-seg"):
        load(Brats(tmp_path).cases[0])
    assert load(Brats(tmp_path, enhancing=4).cases[0]).label.max() == 3


def test_years_side_by_side(tmp_path: Path) -> None:
    for name, *style in YEARS.values():
        write_patient(tmp_path / name, *style)
    scans, skipped = load_all(Brats(tmp_path).cases)
    assert len(scans) == 5
    assert not skipped
    assert all(scan.label.ravel()[:3].tolist() == [1, 2, 3] for scan in scans)


@pytest.mark.parametrize(
    ("name", "separator", "parts", "lost", "text"),
    [
        ("BraTS2021_1", "_", OLD, "BraTS2021_1_t2.nii.gz", r"BraTS2021_1_t2\.nii\.gz"),
        ("BraTS2021_1", "_", OLD, "BraTS2021_1_seg.nii.gz", r"BraTS2021_1_seg\.nii\.gz"),
        ("BraTS-GLI-1-000", "-", NEW, "BraTS-GLI-1-000-t2f.nii.gz", r"BraTS-GLI-1-000-t2f\.nii\.gz"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, name: str, separator: str, parts: Sequence[str], lost: str, text: str
) -> None:
    write_patient(tmp_path / name, separator, parts, 3)
    (tmp_path / name / lost).unlink()
    with pytest.raises(DataError, match=f"all files of a BraTS patient, received no file .*{text}"):
        Brats(tmp_path)
    write_patient(tmp_path / "BraTS2021_2")
    (tmp_path / "BraTS2021_3").mkdir()
    scans, skipped = load_all(Brats(tmp_path).cases, skip_bad=True)
    assert [scan.name for scan in scans] == ["BraTS2021_2"]
    assert {case for case, _ in skipped} == {name, "BraTS2021_3"}
    with pytest.raises(DataError, match=f"nothing at .*{text}"):
        load_all(Brats(tmp_path).cases)


def test_no_patients(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=f"one folder per patient, received none in {root}"):
            Brats(root)


def test_two_files_of_one_modality(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "BraTS2021_1")
    shutil.copy(folder / "BraTS2021_1_t1.nii.gz", folder / "BraTS2021_1_old_t1.nii.gz")
    with pytest.raises(DataError, match=r"one file of t1 in .*, received BraTS2021_1_old_t1\.nii\.gz and "):
        Brats(tmp_path)
    (folder / "BraTS2021_1_old_t1.nii.gz").rename(folder / "BraTS2021_1_t1.nii")  # once packed, once unpacked
    assert Brats(tmp_path).cases[0].images[0].name == "BraTS2021_1_t1.nii.gz"


def test_a_patient_without_label(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "BraTS-GLI-00000-000", "-", NEW)
    (folder / "BraTS-GLI-00000-000-seg.nii.gz").unlink()
    images = brats_images(folder)
    assert [path.name.rpartition("-")[2] for path in images] == [f"{part}.nii.gz" for part in NEW]
    with pytest.raises(DataError, match=r"the folder of a patient, received nothing at .*elsewhere"):
        brats_images(tmp_path / "elsewhere")


def test_phantoms_are_patients(tmp_path: Path) -> None:
    data = Brats(write_phantoms(tmp_path, seeds=(1, 2), size=20))
    assert [case.name for case in data.cases] == ["BraTS_0001", "BraTS_0002"]
    assert repr(data) == f"Brats('{tmp_path}'): BraTS, 2 cases, classes ('core', 'oedema', 'enhancing')"
    scan = load(data.cases[0])
    assert scan.image.shape == (4, 20, 20, 20)
    assert scan.spacing == (4.0, 4.0, 4.0)
    assert set(np.unique(scan.label)) <= {0, 1, 2, 3}
    assert set(np.unique(read_nifti(data.cases[0].label).data)) <= {0, 1, 2, 4}
