"""What every data set has, and how its cases are dealt out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalegroup.data.nifti import DataError
from scalegroup.data.scans import Case


@dataclass(frozen=True)
class Split:
    """Three disjoint lists of cases: to learn from, to select with, to report on.

    Attributes:
        train: the cases to learn from.
        validation: those that choose the checkpoint.
        test: those to report on.

    Example:
        >>> cases = [Case(f"{i}", (), Path("label.nii"), (0, 1)) for i in range(3)]
        >>> part = Split(tuple(cases[:1]), tuple(cases[1:2]), tuple(cases[2:]))
        >>> [case.name for case in part.test]
        ['2']
    """

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


class Dataset:
    """A set of labelled scans on disk: a layout of files is a subclass that finds the cases.

    Args:
        root: the folder or file that was opened.
        name: what it is called in tables.
        channels: the names of the image channels.
        values: the label value of each class, by name; the value 0 is background, with or without a name.
        cases: the labelled cases, in any order.
        regions: unions of classes to report on, by name: class indices 1, 2, …; default none.

    Attributes:
        classes: the names of the classes 1, 2, …, in ascending order of their values.
        label_values: the value in the files of class 0 (background), 1, …
        cases: sorted by name. Their files are read by `scalegroup.data.load` or `load_all`.

    Raises:
        DataError: if there is no case, no class, or a name twice.

    Example:
        >>> cases = [Case(name, (Path(f"{name}.nii"),), Path(f"{name}_label.nii"), (0, 4)) for name in "ba"]
        >>> data = Dataset("scans", "Cysts", ("t1",), {"cyst": 4}, cases)
        >>> data, data.label_values
        (Dataset('scans'): Cysts, 2 cases, classes ('cyst',), (0, 4))
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        name: str,
        channels: Sequence[str],
        values: Mapping[str, int],
        cases: Sequence[Case],
        regions: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.root, self.name = Path(root), name
        self.channels = tuple(channels)
        self.label_values = label_values(values)
        by_value = {value: name for name, value in values.items()}
        self.classes = tuple(by_value[value] for value in self.label_values[1:])
        self.cases = tuple(sorted(cases, key=lambda case: case.name))
        self.regions = dict(regions or {})
        if not self.cases:
            raise DataError("at least one labelled case", f"none in {self.root}", "check the path")
        name, times = Counter(case.name for case in self.cases).most_common(1)[0]
        if times > 1:
            raise DataError("one case of each name", f"{times} called {name} in {self.root}", "name them apart")

    def __repr__(self) -> str:
        found = f"{self.name}, {len(self.cases)} cases, classes {self.classes}"
        return f"{type(self).__name__}({str(self.root)!r}): {found}"

    def split(
        self, train: int | None = None, validation: int | None = None, test: int | None = None, seed: int = 0
    ) -> Split:
        """Three disjoint lists of cases; see `scalegroup.data.split`.

        Raises:
            DataError: if there are fewer cases than asked for, or numbers are missing.
        """
        if train is None or validation is None:
            hint = "only a table with a column `part` says them itself"
            raise DataError("numbers of training and validation cases", None, hint)
        return split(self.cases, train, validation, test, seed)


def split(cases: Sequence[Case], train: int, validation: int, test: int | None = None, seed: int = 0) -> Split:
    """Shuffles the cases by `seed` and deals them out; the test set is dealt first.

    The test cases therefore depend on the seed and their own number only: they stay the same when the
    number of training cases is varied.

    Args:
        cases: all cases; their order does not matter, they are sorted by name.
        train: number of training cases.
        validation: number of cases that choose the checkpoint.
        test: number of cases to report on; None = all that remain.
        seed: of the shuffle.

    Raises:
        DataError: if there are fewer cases than asked for.

    Example:
        >>> cases = [Case(f"{i}", (), Path("label.nii"), (0, 1)) for i in range(6)]
        >>> [len(part) for part in vars(split(cases, train=3, validation=1)).values()]
        [3, 1, 2]
    """
    rest = len(cases) - train - validation
    test = rest if test is None else test
    if min(train, validation, test) < 0 or test > rest:
        wanted = f"{train} training, {validation} validation and {max(test, 0)} test cases"
        raise DataError(f"at least {wanted}", f"{len(cases)} cases", "ask for fewer, or add data")
    by_name = sorted(cases, key=lambda case: case.name)
    order = np.random.default_rng(seed).permutation(len(by_name))
    dealt = [by_name[i] for i in order]
    ends = (test, test + validation, test + validation + train)
    return Split(tuple(dealt[ends[1] : ends[2]]), tuple(dealt[ends[0] : ends[1]]), tuple(dealt[: ends[0]]))


def label_values(classes: Mapping[str, int]) -> tuple[int, ...]:
    """The label value of class 0 (background), 1, …, in ascending order.

    Raises:
        DataError: if there is no class but the background, or two have one value, or one is not in 1 … 255.
    """
    values = tuple(sorted(value for value in classes.values() if value != 0))
    if not values or len(set(values)) < len(values) or not 0 < values[0] <= values[-1] <= 255:
        raise DataError("one value in 1 … 255 for each class", dict(classes), "declare the values that the files hold")
    return (0, *values)
