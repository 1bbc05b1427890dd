"""A segmentation network with its loss, optimiser and validation measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss

from scalegroup.errors import ScaleGroupError
from scalegroup.training.config import ModelConfig, TrainerConfig
from scalegroup.training.metrics import hard_dice, mean_of_present
from scalegroup.training.models import build_model, size_multiple

Batch = dict[str, torch.Tensor]
PARTS = ("train", "validation", "test")


def stored_cases(parameters: Any, path: str | Path) -> dict[str, list[str]]:
    """The names of the cases in each part of a checkpoint's split.

    Raises:
        ScaleGroupError: if the checkpoint was written before names were stored.
    """
    cases: dict[str, list[str]] | None = (parameters["data"] or {}).get("cases")
    if cases is None:
        hint = "train it again, with --resume false; an older version did not store them"
        raise ScaleGroupError("a checkpoint with the names of its cases", f"none in {path}", hint)
    return cases


class Segmentation(lightning.LightningModule):
    """A U-Net that learns to tell classes apart, with soft Dice plus cross entropy as its loss.

    Logged: `train_loss` per epoch; on validation `val_dice/<class>` and their mean `val_dice`, which chooses the
    checkpoint. Classes that no scan holds are left out of the mean. Dice is hard (from class indices),
    per scan and then averaged.

    Args:
        model: the network's configuration; it is stored in every checkpoint.
        trainer: learning rate, weight decay and patch size.
        classes: the names of the classes without the background.
        in_channels: image channels.
        data: what the cases came from, stored so that a test finds the same split again.

    Shapes:
        in `(batch, in_channels, *space)`, out `(batch, 1 + len(classes), *space)`, logits.
    """

    def __init__(
        self,
        model: ModelConfig | dict[str, Any],
        trainer: TrainerConfig | dict[str, Any],
        classes: Sequence[str],
        in_channels: int,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        # Plain values, so that a checkpoint can be read without trusting it to run code.
        self.model_config = ModelConfig(**model) if isinstance(model, dict) else model
        self.trainer_config = TrainerConfig(**trainer) if isinstance(trainer, dict) else trainer
        self.classes = tuple(classes)
        self.save_hyperparameters(
            {
                "model": asdict(self.model_config),
                "trainer": asdict(self.trainer_config),
                "classes": list(classes),
                "in_channels": in_channels,
                "data": data,
            }
        )
        self.network = build_model(self.model_config, in_channels, 1 + len(self.classes))
        self.loss = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
        self._dice: list[list[float]] = []

    @classmethod
    def load(cls, path: str | Path) -> Segmentation:
        """The module of a checkpoint, in eval mode.

        Raises:
            ScaleGroupError: if the file is missing or no checkpoint of this class.
        """
        hint = "give the best.ckpt or last.ckpt of a run of `scalegroup fit`"
        if not Path(path).is_file():
            raise ScaleGroupError("a checkpoint", f"nothing at {path}", hint)
        try:  # our own errors, such as an unknown option, speak for themselves
            module = cls.load_from_checkpoint(path, map_location="cpu", weights_only=True)
        except ScaleGroupError:
            raise
        except Exception as error:  # torch, zipfile and pickle each raise their own kinds on a broken file
            cause = f"{path} ({type(error).__name__})"
            hint = f"{hint}; a broken file has to be trained or copied again"
            raise ScaleGroupError("a checkpoint of scalegroup", cause, hint) from error
        return module.eval()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits on the grid of the image, whatever its size."""
        size = image.shape[2:]
        multiple = size_multiple(self.model_config)
        missing = [-n % multiple for n in size]
        # Half of the padding on either side keeps the centre of the scan in the centre.
        before = [m // 2 for m in missing]
        pads = [pad for b, m in zip(reversed(before), reversed(missing), strict=True) for pad in (b, m - b)]
        padded = torch.nn.functional.pad(image, pads, mode="replicate") if any(missing) else image
        logits: torch.Tensor = self.network(padded)
        for axis, (start, length) in enumerate(zip(before, size, strict=True), start=2):
            logits = logits.narrow(axis, start, length)
        return logits

    def predict(self, image: torch.Tensor) -> torch.Tensor:
        """Class indices `(batch, *space)` of whole scans; by overlapping windows if it was trained on patches."""
        patch = self.trainer_config.patch
        if patch is None:
            logits = self(image)
        else:
            # Windows larger than the patches: more context, fewer seams, and small scans in one piece.
            logits = sliding_window_inference(image, [2 * n for n in patch], 1, self, 0.5, mode="gaussian")
        return torch.as_tensor(logits).argmax(dim=1)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """The loss of one batch."""
        loss: torch.Tensor = self.loss(self(batch["image"]), batch["label"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["image"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Notes the hard Dice of one scan."""
        for predicted, label in zip(self.predict(batch["image"]), batch["label"], strict=True):
            self._dice.append(hard_dice(predicted, label[0], 1 + len(self.classes)))

    def on_validation_epoch_end(self) -> None:
        """Logs the mean hard Dice of each class and of all."""
        table = np.array(self._dice)
        self._dice.clear()
        means = [mean_of_present(column) for column in table.T]
        self.log_dict({f"val_dice/{name}": mean for name, mean in zip(self.classes, means, strict=True)})
        mean = mean_of_present(means)
        self.log("val_dice", mean if np.isfinite(mean) else 0.0)  # a number, or no checkpoint could be chosen

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule over all steps."""
        config = self.trainer_config
        rate = config.learning_rate
        optimiser = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=config.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.2)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
