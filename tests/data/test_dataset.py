"""What all data sets share: names, values, splits, and opening them by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import Brats, Case, DataError, Dataset, Decathlon, NiftiTable, open_data, split, write_phantoms
from scalegroup.data.dataset import label_values


def cases(number: int) -> list[Case]:
    return [Case(f"case_{i:02d}", (), Path("x.nii"), (0, 1)) for i in range(number)]


def names(part: tuple[Case, ...]) -> set[str]:
    return {case.name for case in part}


@given(st.integers(0, 10), st.integers(0, 5), st.integers(0, 8), st.integers(0, 99))
def test_split_is_disjoint_and_repeatable(train: int, validation: int, test: int, seed: int) -> None:
    given = cases(30)
    parts = split(given, train, validation, test, seed)
    dealt = [names(part) for part in (parts.train, parts.validation, parts.test)]
    assert [len(part) for part in dealt] == [train, validation, test]
    assert len(set.union(*dealt)) == train + validation + test
    assert split(given[::-1], train, validation, test, seed) == parts
    assert split(given, 2, validation, test, seed).test == parts.test
    assert len(split(given, train, validation, None, seed).test) == 30 - train - validation


def test_split_depends_on_the_seed() -> None:
    assert split(cases(30), 10, 5, 8, seed=0) != split(cases(30), 10, 5, 8, seed=1)


def test_split_refuses_too_much() -> None:
    with pytest.raises(DataError, match="at least 4 training, 1 validation and 1 test cases, received 5 cases"):
        split(cases(5), train=4, validation=1, test=1)
    with pytest.raises(DataError, match="received 5 cases"):
        split(cases(5), train=9, validation=1)


def test_a_data_set_has_cases_of_different_names() -> None:
    with pytest.raises(DataError, match=r"at least one labelled case, received none in scans"):
        Dataset("scans", "x", ("t1",), {"cyst": 1}, [])
    with pytest.raises(DataError, match=r"one case of each name, received 2 called case_01 in scans"):
        Dataset("scans", "x", ("t1",), {"cyst": 1}, cases(3) + cases(2)[1:])


def test_classes_are_in_the_order_of_their_values() -> None:
    data = Dataset("scans", "x", ("t1",), {"late": 9, "background": 0, "early": 2}, cases(1))
    assert (data.classes, data.label_values, data.regions) == (("early", "late"), (0, 2, 9), {})
    assert label_values({"cyst": 3}) == (0, 3)


@pytest.mark.parametrize("classes", [{}, {"background": 0}, {"a": 1, "b": 1}, {"a": -1}, {"a": 256}])
def test_values_that_are_refused(classes: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"one value in 1 … 255 for each class, received \{"):
        label_values(classes)


def test_open_data(tmp_path: Path, write_scan: Callable[..., tuple[Path, Path]]) -> None:
    write_scan(tmp_path, "h_0")
    index = {"name": "tiny", "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "a", "2": "b"}}
    rows = [{"image": "./imagesTr/h_0.nii.gz", "label": "./labelsTr/h_0.nii.gz"}]
    (tmp_path / "dataset.json").write_text(json.dumps({**index, "training": rows}))
    (tmp_path / "scans.csv").write_text("image,label\nimagesTr/h_0.nii.gz,labelsTr/h_0.nii.gz\n")
    for name in ("hippocampus", "decathlon"):
        assert isinstance(open_data(name, tmp_path), Decathlon)
    table = open_data("table", tmp_path / "scans.csv", classes={"a": 1, "b": 2})
    assert isinstance(table, NiftiTable)
    assert table.classes == ("a", "b")
    brats = open_data("brats", write_phantoms(tmp_path / "heads", seeds=(1,), size=16), enhancing=4)
    assert isinstance(brats, Brats)
    for data in (table, brats):
        assert len(data.split(train=1, validation=0).train) == 1


def test_open_data_refuses(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a data set out of hippocampus, decathlon, brats, table, received dicom"):
        open_data("dicom", tmp_path)
    with pytest.raises(DataError, match="options of 'brats' out of enhancing, received classes"):
        open_data("brats", tmp_path, classes={"a": 1})
    with pytest.raises(DataError, match="no options of 'decathlon', received enhancing"):
        open_data("decathlon", tmp_path, enhancing=3)
