"""NIfTI files anywhere, listed in a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from scalegroup.data.dataset import Dataset, Split, label_values, split
from scalegroup.data.nifti import DataError, read_nifti, stem
from scalegroup.data.scans import Case

PARTS = ("train", "validation", "test")
_ENOUGH = 100  # values in one file; more make it an image, not a label map


class NiftiTable(Dataset):
    """Labelled scans listed in a CSV file, one per row.

    The columns:

    - `image`: the image, three axes, or four with the channels last
    - `image_t1`, `image_t2`, …: instead of `image`, one file per channel, named by the column
    - `label`: the label map, on the image's grid
    - `name`: optional; default: the name of the (first) image file
    - `part`: optional: train, validation or test

    Relative paths start at the folder of the CSV file. Cells are separated by commas, or by semicolons as some
    spreadsheets do.

    Args:
        table: the CSV file.
        classes: the label value of each class by name, for example `{"liver": 1, "tumour": 2}`. Default None: every
            label file is read, and each value other than 0 is a class, called "label 1" and so on.
        channels: the names of the channels of four-axis images; default None: images have three axes, and the
            channel is called "image", or as the columns say.
        empty_ok: whether labels without foreground are healthy scans; default False: they are errors.

    Attributes:
        parts: the cases of each part, by its name; nothing without a column `part`.

    The other attributes are those of `Dataset`.

    Raises:
        DataError: if the file is missing, a column or a cell is, a row is of an unknown part, names are not unique, or
            there is no class; the text names the file and the line.

    Example:
        >>> import tempfile
        >>> rows = ["image_t1,image_t2,label,part", "a_t1.nii,a_t2.nii,a.nii,train", "b_t1.nii,b_t2.nii,b.nii,test"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = Path(folder, "livers.csv")
        ...     _ = table.write_text("\\n".join(rows))
        ...     data = NiftiTable(table, classes={"liver": 1, "tumour": 2})
        >>> data.channels, data.classes, [case.name for case in data.split().test]
        (('t1', 't2'), ('liver', 'tumour'), ['b_t1'])
    """

    def __init__(
        self,
        table: str | os.PathLike[str],
        classes: Mapping[str, int] | None = None,
        channels: Sequence[str] | None = None,
        empty_ok: bool = False,
    ) -> None:
        table = Path(table)
        columns, rows = _read(table)
        images = _image_columns(columns, table)
        names = tuple(name.removeprefix("image_") for name in images)
        if channels is not None:
            if len(images) > 1:
                received = f"the channels {tuple(channels)} and {len(images)} image columns in {table}"
                raise DataError("the channels' names once", received, "leave out channels=: the columns name them")
            names = tuple(channels)
        labels = [table.parent / row["label"] for row in rows.values()]
        values = _discover(labels) if classes is None else classes
        wanted, cases, parts = label_values(values), [], dict[str, list[Case]]()
        for label, (line, row) in zip(labels, rows.items(), strict=True):
            files = tuple(table.parent / row[name] for name in images)
            name = row.get("name") or stem(files[0]) or files[0].name
            cases.append(Case(name, files, label, wanted, len(names), None, empty_ok))
            if "part" in columns:
                if row["part"] not in PARTS:
                    received = f"{row['part']!r} in line {line} of {table}"
                    raise DataError(f"a part out of {', '.join(PARTS)}", received, "or leave out the column")
                parts.setdefault(row["part"], []).append(cases[-1])
        super().__init__(table, table.stem, names, values, cases)
        self.parts = {part: tuple(members) for part, members in parts.items()}

    def split(
        self, train: int | None = None, validation: int | None = None, test: int | None = None, seed: int = 0
    ) -> Split:
        """Three disjoint lists of cases.

        With a column `part`, each list is drawn from its own part, and None takes the part whole. Without, this is
        `scalegroup.data.split`, where only `test` may be None.

        Raises:
            DataError: if there are fewer cases than asked for.
        """
        if self.parts:
            numbers = zip(PARTS, (train, validation, test), strict=True)
            return Split(*(_some(self.parts.get(part, ()), part, number, seed, self.root) for part, number in numbers))
        if train is None or validation is None:
            received = f"none, and no column part in {self.root}"
            raise DataError("numbers of training and validation cases", received, "give the numbers or the column")
        return split(self.cases, train, validation, test, seed)


def _some(cases: Sequence[Case], part: str, number: int | None, seed: int, table: Path) -> tuple[Case, ...]:
    number = len(cases) if number is None else number
    if not 0 <= number <= len(cases):
        received = f"{len(cases)} in {table}"
        raise DataError(f"{number} cases of the part {part!r}", received, "ask for fewer, or add rows")
    return split(cases, number, 0, 0, seed).train


def _read(table: Path) -> tuple[tuple[str, ...], dict[int, dict[str, str]]]:
    """The columns, and the rows by their line in the file; empty rows are left out."""
    if not table.is_file():
        raise DataError("a CSV file", f"none at {table}", "give the path of the table itself")
    try:
        text = table.read_text(encoding="utf-8-sig")  # spreadsheets begin with a byte order mark
    except UnicodeDecodeError as error:
        raise DataError("a CSV file in UTF-8", f"{table} ({error})", "save it as UTF-8") from error
    header = text.split("\n", 1)[0]
    reader = csv.DictReader(text.splitlines(), delimiter=";" if ";" in header and "," not in header else ",")
    columns = tuple(name.strip() for name in reader.fieldnames or ())
    reader.fieldnames = list(columns)
    rows: dict[int, dict[str, str]] = {}
    for row in reader:
        cells = {name: (cell or "").strip() for name, cell in row.items() if name in columns}
        if any(cells.values()):
            rows[reader.line_num] = cells
    if "label" not in columns or len(set(columns)) < len(columns):
        received = f"{columns} in {table}"
        raise DataError("the column label, and each column once", received, "name them in the first line")
    if not rows:
        raise DataError("one row per scan", f"none in {table}", "list the files")
    for line, cells in rows.items():
        for name, cell in cells.items():
            if not cell and name.startswith(("image", "label")):
                raise DataError(f"a path in the column {name}", f"none in line {line} of {table}", "fill the cell")
    return columns, rows


def _image_columns(columns: Sequence[str], table: Path) -> tuple[str, ...]:
    several = tuple(name for name in columns if name.startswith("image_"))
    if ("image" in columns) == bool(several):
        received = f"{tuple(columns)} in {table}"
        raise DataError("a column image, or columns image_…", received, "name them in the first line")
    return several or ("image",)


def _discover(labels: Sequence[Path]) -> dict[str, int]:
    """The values in these files, each as a class. Files that cannot be read are told when their case is loaded."""
    found: set[int] = set()
    errors: list[DataError] = []
    for path in labels:
        try:
            state = path.stat() if path.is_file() else None
            found |= _values(path, state and (state.st_mtime_ns, state.st_size))
        except DataError as error:
            errors.append(error)
    if len(errors) == len(labels):
        raise errors[0]
    return {f"label {value}": value for value in found - {0}}


@lru_cache(maxsize=65536)
def _values(path: Path, state: tuple[int, int] | None) -> frozenset[int]:
    """The values in one file, read once as long as its time and size stay the same."""
    values = np.unique(read_nifti(path).data)
    if len(values) > _ENOUGH or values[0] < 0 or values[-1] > 255 or (values != np.round(values)).any():
        received = f"{len(values)} values from {values[0]:g} to {values[-1]:g} in {path}"
        raise DataError("whole label values in 0 … 255, a hundred at most", received, "is this an image?")
    return frozenset(int(value) for value in values)
