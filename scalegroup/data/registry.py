"""Data sets by name, for the command line and configuration files."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from scalegroup.data.brats import Brats
from scalegroup.data.dataset import Dataset
from scalegroup.data.decathlon import Decathlon
from scalegroup.data.nifti import DataError
from scalegroup.data.table import NiftiTable

DATASETS: Mapping[str, Callable[..., Dataset]] = MappingProxyType(
    {"hippocampus": Decathlon, "decathlon": Decathlon, "brats": Brats, "table": NiftiTable}
)


def open_data(name: str, root: str | os.PathLike[str], **options: Any) -> Dataset:
    """Opens a data set by the name of its layout.

    Args:
        name: "decathlon" (or "hippocampus", one of its tasks), "brats" or "table".
        root: the folder of the data; for "table" the CSV file.
        options: further arguments of `Decathlon`, `Brats` or `NiftiTable`.

    Raises:
        DataError: if the name or an option is unknown, or the data are not as their layout promises.

    Example:
        >>> open_data("dicom", "scans")
        Traceback (most recent call last):
        scalegroup.data.nifti.DataError: expected a data set out of hippocampus, decathlon, brats, table, received
        dicom; convert other layouts to NIfTI files and list them in a table.
    """
    if name not in DATASETS:
        hint = "convert other layouts to NIfTI files and list them in a table"
        raise DataError(f"a data set out of {', '.join(DATASETS)}", name, hint)
    known = list(inspect.signature(DATASETS[name]).parameters)[1:]
    unknown = [option for option in options if option not in known]
    if unknown:
        expected = f"options of {name!r} out of {', '.join(known)}" if known else f"no options of {name!r}"
        raise DataError(expected, unknown[0], "leave it out")
    return DATASETS[name](root, **options)
