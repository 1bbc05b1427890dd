"""The layout of the Medical Segmentation Decathlon: `dataset.json`, `imagesTr/`, `labelsTr/`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from scalegroup.data.scans import Case, DataError, Split, label_values, split


class Decathlon:
    """The labelled cases of one task of the Medical Segmentation Decathlon.

    Args:
        root: the folder that holds `dataset.json`.

    Attributes:
        name: the task's name.
        channels: the names of the image channels.
        classes: the names of the classes 1, 2, …
        cases: the labelled cases, sorted by name.

    Raises:
        DataError: if `dataset.json` is missing, broken or incomplete; the text names the path.

    Source: M. Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 13 (2022).
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        index = self._read_index()
        try:
            values = {name: int(value) for value, name in index["labels"].items()}
            self.name = str(index["name"])
            self.channels = tuple(str(index["modality"][key]) for key in sorted(index["modality"], key=int))
            files = [(self.root / row["image"], self.root / row["label"]) for row in index["training"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                "the entries name, labels, modality and training as the Decathlon writes them",
                f"{type(error).__name__} {error} in {self._index_path}",
                "compare it with the dataset.json of a task from medicaldecathlon.com",
            ) from error
        self.label_values = label_values(values)
        by_value = {value: name for name, value in values.items()}
        self.classes = tuple(by_value[value] for value in self.label_values[1:])
        self.cases = tuple(
            sorted(
                (
                    Case(
                        image.name.removesuffix(".gz").removesuffix(".nii"),
                        (image,),
                        label,
                        self.label_values,
                    )
                    for image, label in files
                ),
                key=lambda case: case.name,
            )
        )

    def __repr__(self) -> str:
        return f"Decathlon({str(self.root)!r}): {self.name}, {len(self.cases)} cases, classes {self.classes}"

    def split(self, train: int, validation: int, test: int | None = None, seed: int = 0) -> Split:
        """Three disjoint lists of cases; see `scalegroup.data.split`."""
        return split(self.cases, train, validation, test, seed)

    @property
    def _index_path(self) -> Path:
        return self.root / "dataset.json"

    def _read_index(self) -> dict[str, Any]:
        if not self._index_path.is_file():
            hint = "give the folder of one task, such as Task04_Hippocampus"
            raise DataError("a Decathlon task", f"no file {self._index_path}", hint)
        try:
            index = json.loads(self._index_path.read_text())
        except json.JSONDecodeError as error:
            raise DataError("valid JSON", f"{self._index_path} ({error})", "download it again") from error
        if not isinstance(index, dict):
            raise DataError("a JSON object", f"{type(index).__name__} in {self._index_path}", "download it again")
        return index
