"""Files that are there as a whole or not at all, however a process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

PART = ".part"  # the end of the name of a file that is being written


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """The name to write to; what was written takes the place of `path` at the end, and only if there was no error.

    The name is in the folder of `path`, because only within one file system a file is replaced in one step; and the
    contents reach the disk before the name does.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(f"{folder}/new/a.txt") as part:
        ...         _ = part.write_text("all of it")
        ...     os.listdir(f"{folder}/new")
        ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{PART}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints beside their place and moves them there.

    Lightning writes to the folder for temporary files first, and what comes from another file system is copied, not
    moved: a kill meanwhile would leave half a checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Writes the checkpoint to `path` in one step."""
        with replacing(path) as part:
            torch.save(checkpoint, part)
