"""The scans to predict: which files belong together, and where they are."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import IterableDataset

from scalegroup.data import DataError, brats_images, load_image
from scalegroup.data.nifti import stem, voxel_size

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Input:
    """The files of one scan without a label, one per channel or one whose fourth axis is the channel."""

    name: str
    files: tuple[Path, ...]


def find_inputs(where: str, channels: Sequence[str], layout: str = "decathlon") -> list[Input]:
    """The scans that a path stands for.

    - a file: one scan; several files of one scan are found beside each other if their names end in the channel's name
      or, as nnU-Net writes them, in its number: `brain_flair.nii.gz`, `brain_0001.nii.gz`
    - a folder: all NIfTI files in it, as above; if there are none, those of its folders
    - a pattern with `*` or `?`: all that matches
    - in the layout "brats" a folder with NIfTI files is one patient, whatever year it is from

    Args:
        where: file, folder or pattern.
        channels: the names of the network's image channels.
        layout: of the data set of the training.

    Raises:
        DataError: if there is nothing, a channel is missing, or two scans have one name.
    """
    paths = [Path(where)] if Path(where).exists() else sorted(Path(found) for found in glob(where, recursive=True))
    if layout == "brats":
        folders = dict.fromkeys(folder for path in paths for folder in _patients(path))
        inputs = [Input(folder.name, brats_images(folder)) for folder in folders]
    else:
        inputs = _grouped([file for path in paths for file in _files(path)], channels)
    if not inputs:
        hint = "give a NIfTI file, a folder with some, or a pattern in quotes"
        raise DataError("scans to predict", f"no NIfTI file at {where}", hint)
    names = [found.name for found in inputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError("one scan of each name", f"several called {twice[0]}", "predict them into folders of their own")
    return inputs


class Scans(IterableDataset[dict[str, Any]]):
    """Scans without labels, read one by one: batches of one `image`, its `spacing`, and its `index`.

    Args:
        inputs: their files.
        channels: how many channels they have to have.
        skip_bad: leave broken ones out instead of raising an error.

    Attributes:
        places: affine matrix and header of the scans read so far, by their index.
        skipped: the broken ones.
    """

    def __init__(self, inputs: Sequence[Input], channels: int, skip_bad: bool = False) -> None:
        self.inputs, self.channels, self.skip_bad = inputs, channels, skip_bad
        self.share = (0, 1)  # which process of how many
        self.places: dict[int, tuple[Any, Any]] = {}
        self.skipped: list[tuple[str, DataError]] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rank, count = self.share
        for index in range(rank, len(self.inputs), count):
            found = self.inputs[index]
            try:
                image, affine, header = load_image(found.files, self.channels)
            except DataError as error:
                if not self.skip_bad:
                    raise
                logger.warning("left out %s: %s", found.name, error)
                self.skipped.append((found.name, error))
                continue
            self.places[index] = affine, header
            spacing = torch.from_numpy(voxel_size(affine))
            yield {"image": torch.from_numpy(image)[None], "spacing": spacing[None].float(), "index": index}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    inside = sorted(path.iterdir())
    files = [file for file in inside if stem(file)]
    return files or [file for folder in inside if _is_open(folder) for file in _files(folder)]


def _patients(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path.parent]
    inside = sorted(path.iterdir())
    if any(stem(file) for file in inside):
        return [path]
    return [patient for folder in inside if _is_open(folder) for patient in _patients(folder)]


def _is_open(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _grouped(files: Sequence[Path], channels: Sequence[str]) -> list[Input]:
    """Files whose names differ in the channel alone are one scan."""
    groups: dict[Path, dict[int, Path]] = {}
    for file in files:
        case, channel = _channel_of(file, channels)
        groups.setdefault(file.with_name(case), {})[channel] = file
    for group in groups.values():
        missing = set(range(len(channels))) - set(group)
        if missing and group.keys() != {-1}:
            expected = f"a file of the channel {channels[min(missing)]} beside {next(iter(group.values()))}"
            raise DataError(expected, "none", f"the network needs {', '.join(channels)}")
    return [Input(case.name, tuple(group[key] for key in sorted(group))) for case, group in groups.items()]


def _channel_of(file: Path, channels: Sequence[str]) -> tuple[str, int]:
    """The name of the scan and the number of the channel; -1 for a file that holds all of them."""
    name = stem(file) or file.name
    case, _, word = name.replace("-", "_").rpartition("_")
    named = [channel.lower() for channel in channels]
    if len(channels) == 1 or not case:
        return name, -1
    if word.lower() in named:
        return name[: len(case)], named.index(word.lower())
    if word.isdigit() and len(word) == 4 and int(word) < len(channels):
        return name[: len(case)], int(word)
    return name, -1
