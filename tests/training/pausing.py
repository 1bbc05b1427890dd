"""A callback for processes that are to be killed: it says where they are and waits there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback


class Pause(Callback):
    """Waits in the middle of an epoch, after its first step.

    Args:
        epoch: which one.
        sign: the file that appears when it is reached.
    """

    def __init__(self, epoch: int, sign: str) -> None:
        self.epoch, self.sign = epoch, Path(sign)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Called by Lightning."""
        if trainer.current_epoch == self.epoch and batch_idx == 0:
            self.sign.touch()
            time.sleep(600)
