"""Label maps as files on the grids of their scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from scalegroup.data import DataError, write_nifti
from scalegroup.training.inputs import Scans


class WriteLabels(Callback):
    """Writes what is predicted with the affine matrix and the header of the scan, each file in one step.

    Args:
        scans: the scans that are predicted.
        out: the folder for the files, which take the names of the scans.

    Attributes:
        written: the files written so far.

    Raises:
        DataError: if a file would replace a scan.
    """

    def __init__(self, scans: Scans, out: str | Path) -> None:
        self.scans, self.out = scans, Path(out)
        self.written: list[Path] = []
        targets = {self._path(index).resolve() for index in range(len(scans.inputs))}
        lost = [file for found in scans.inputs for file in found.files if file.resolve() in targets]
        if lost:
            raise DataError("a folder without the scans themselves", f"{lost[0]} in it", "give another --out")

    def on_predict_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Writes one label map."""
        affine, header = self.scans.places.pop(batch["index"])
        values: torch.Tensor = outputs[0]
        write_nifti(self._path(batch["index"]), values.cpu().numpy(), affine, header)
        self.written.append(self._path(batch["index"]))

    def _path(self, index: int) -> Path:
        return self.out / f"{self.scans.inputs[index].name}.nii.gz"
