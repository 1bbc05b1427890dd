"""The layout of the Medical Segmentation Decathlon: `dataset.json`, `imagesTr/`, `labelsTr/`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from scalegroup.data.dataset import Dataset, label_values
from scalegroup.data.nifti import DataError, stem
from scalegroup.data.scans import Case

# The brain tumours of task 1 are those of BraTS; the index says what its values 1, 2, 3 are.
_TUMOUR = ("edema", "non-enhancing tumor", "enhancing tumour")
_TUMOUR_REGIONS = {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}


class Decathlon(Dataset):
    """The labelled cases of one task of the Medical Segmentation Decathlon.

    All channels of a scan are in one file, whose fourth axis has as many entries as `dataset.json` names.

    Args:
        root: the folder that holds `dataset.json`.

    Attributes:
        unlabelled: the images of the task's own test set, which come without labels.

    For the brain tumours of task 1, `regions` holds the unions that BraTS reports: whole, core, enhancing. The other
    attributes are those of `Dataset`.

    Raises:
        DataError: if `dataset.json` is missing, broken or incomplete; the text names the path.

    Source: M. Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 13 (2022).

    Example:
        >>> index = {
        ...     "name": "Liver",
        ...     "modality": {"0": "CT"},
        ...     "labels": {"0": "background", "1": "liver", "2": "tumour"},
        ...     "training": [{"image": "imagesTr/liver_1.nii.gz", "label": "labelsTr/liver_1.nii.gz"}],
        ... }
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "dataset.json").write_text(json.dumps(index))
        ...     data = Decathlon(folder)
        >>> data.channels, data.classes, data.cases[0].name
        (('CT',), ('liver', 'tumour'), 'liver_1')
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        root = Path(root)
        index_path = root / "dataset.json"
        index = _read_index(index_path)
        try:
            values = {str(name): int(value) for value, name in index["labels"].items()}
            name = str(index["name"])
            channels = tuple(str(index["modality"][key]) for key in sorted(index["modality"], key=int))
            files = [(root / row["image"], root / row["label"]) for row in index["training"]]
            self.unlabelled = tuple(root / image for image in index.get("test", ()))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                "the entries name, labels, modality and training as the Decathlon writes them",
                f"{type(error).__name__} {error} in {index_path}",
                "compare it with the dataset.json of a task from medicaldecathlon.com",
            ) from error
        wanted = label_values(values)
        cases = [Case(stem(image) or image.name, (image,), label, wanted, len(channels)) for image, label in files]
        super().__init__(root, name, channels, values, cases)
        if self.classes == _TUMOUR:
            self.regions = _TUMOUR_REGIONS

    @classmethod
    def download(cls, task: str, root: str | os.PathLike[str], progress: bool = True) -> Decathlon:
        """Downloads a task with MONAI's downloader, unless it is there, and opens it.

        The archive is checked against its MD5 sum and unpacked beside its final place: an interrupted download is
        never taken for a data set. It stays in `root`, as `TASK.tar`, and may be deleted.

        Args:
            task: such as "Task04_Hippocampus" (27 MB) or "Task01_BrainTumour" (7 GB).
            root: the folder above the task's.
            progress: show a progress bar.

        Raises:
            DataError: if there is no such task, or it cannot be downloaded.
        """
        from monai.apps import DecathlonDataset, download_url, extractall  # slow to import, and rarely needed

        root = Path(root)
        if task not in DecathlonDataset.resource:
            raise DataError(f"a task out of {', '.join(DecathlonDataset.resource)}", task, "write it as listed")
        folder, archive = root / task, root / f"{task}.tar"
        if not folder.exists():
            root.mkdir(parents=True, exist_ok=True)
            try:
                url, checksum = DecathlonDataset.resource[task], DecathlonDataset.md5[task]
                download_url(url, archive, checksum, "md5", progress)
                with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as part:
                    extractall(archive, part)
                    os.replace(Path(part) / task, folder)
            except (OSError, RuntimeError, ValueError) as error:
                hint = f"check the connection, delete {archive} if it is there, and try again"
                raise DataError(f"a download of {task}", f"{type(error).__name__}: {error}", hint) from error
        return cls(folder)


def _read_index(path: Path) -> dict[str, Any]:
    if not path.is_file():
        hint = "give the folder of one task, such as Task04_Hippocampus"
        raise DataError("a Decathlon task", f"no file {path}", hint)
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError("valid JSON", f"{path} ({error})", "download it again") from error
    if not isinstance(index, dict):
        raise DataError("a JSON object", f"{type(index).__name__} in {path}", "download it again")
    return index
