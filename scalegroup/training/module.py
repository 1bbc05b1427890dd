"""A segmentation network with its loss, optimiser and validation measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from monai.inferers import sliding_window_inference

from scalegroup.errors import ScaleGroupError
from scalegroup.training.config import ModelConfig, TrainerConfig
from scalegroup.training.loss import DiceCE
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
        label_values: the values in files of the background and of each class; default 0, 1, 2, …

    Shape:
        in `(batch, in_channels, *space)`, out `(batch, 1 + len(classes), *space)`, logits. With
        `model.use_spacing` each call also takes the voxel sizes in mm, `(batch, 3)`.

    Example:
        >>> model = ModelConfig("plain", channels=(4, 8), strides=(2,))
        >>> module = Segmentation(model, TrainerConfig(), classes=("liver", "tumour"), in_channels=1)
        >>> module(torch.zeros(1, 1, 9, 8, 7)).shape
        torch.Size([1, 3, 9, 8, 7])
    """

    def __init__(
        self,
        model: ModelConfig | dict[str, Any],
        trainer: TrainerConfig | dict[str, Any],
        classes: Sequence[str],
        in_channels: int,
        data: dict[str, Any] | None = None,
        label_values: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        # Plain values, so that a checkpoint can be read without trusting it to run code.
        self.model_config = ModelConfig(**model) if isinstance(model, dict) else model
        self.trainer_config = TrainerConfig(**trainer) if isinstance(trainer, dict) else trainer
        self.classes = tuple(classes)
        self.label_values = tuple(label_values or range(1 + len(self.classes)))
        self.network = build_model(self.model_config, in_channels, 1 + len(self.classes))
        self.save_hyperparameters(
            {
                "model": asdict(self.model_config),
                "trainer": asdict(replace(self.trainer_config, lightning=_plain(self.trainer_config.lightning))),
                "classes": list(classes),
                "in_channels": in_channels,
                "data": data,
                "label_values": list(self.label_values),
            }
        )
        self.loss = DiceCE()
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

    def forward(self, image: torch.Tensor, spacing: torch.Tensor | None = None) -> torch.Tensor:
        """Logits on the grid of the image, whatever its size.

        Raises:
            ScaleGroupError: if the network wants to know the voxel size and it is missing, or differs in the batch.
        """
        size = image.shape[2:]
        multiple = size_multiple(self.model_config)
        missing = [-n % multiple for n in size]
        # Half of the padding on either side keeps the centre of the scan in the centre.
        before = [m // 2 for m in missing]
        pads = [pad for b, m in zip(reversed(before), reversed(missing), strict=True) for pad in (b, m - b)]
        padded = torch.nn.functional.pad(image, pads, mode="replicate") if any(missing) else image
        logits: torch.Tensor = self.network(padded, **self.told(spacing))
        for axis, (start, length) in enumerate(zip(before, size, strict=True), start=2):
            logits = logits.narrow(axis, start, length)
        return logits

    def told(self, spacing: torch.Tensor | None) -> dict[str, Any]:
        """What the network is told besides the image: the voxel size, if it was trained so."""
        return {"spacing": _common(spacing)} if self.model_config.use_spacing else {}

    def window(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape `(batch, channel, *space)` of what the network is given of images of a shape, at once."""
        patch = self.trainer_config.patch
        # Windows larger than the patches: more context, fewer seams, and small scans in one piece.
        return tuple(shape) if patch is None else (1, shape[1], *(2 * n for n in patch))

    def predict(self, image: torch.Tensor, spacing: torch.Tensor | None = None) -> torch.Tensor:
        """Class indices `(batch, *space)` of whole scans; by overlapping windows if it was trained on patches."""
        if self.trainer_config.patch is None:
            logits = self(image, spacing)
        else:
            window = self.window(image.shape)[2:]
            logits = sliding_window_inference(image, window, 1, partial(self, spacing=spacing), 0.5, mode="gaussian")
        return torch.as_tensor(logits).argmax(dim=1)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """The loss of one batch."""
        loss: torch.Tensor = self.loss(self(batch["image"], batch["spacing"]), batch["label"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["image"]), sync_dist=True)
        return loss

    def dice(self, batch: Batch) -> list[list[float]]:
        """The hard Dice of each class in each scan of a batch; NaN where a class is in neither truth nor prediction."""
        found = self.predict(batch["image"], batch["spacing"])
        return [hard_dice(p, label[0], 1 + len(self.classes)) for p, label in zip(found, batch["label"], strict=True)]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Notes the hard Dice of one scan."""
        self._dice += self.dice(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, list[list[float]]]:
        """The hard Dice of one scan, for who collects it."""
        return {"dice": self.dice(batch)}

    def predict_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """The values that files hold, `(batch, *space)`, of one scan."""
        found = self.predict(batch["image"], batch["spacing"])
        return torch.tensor(self.label_values, dtype=torch.uint8, device=found.device)[found]

    def on_validation_epoch_end(self) -> None:
        """Logs the mean hard Dice of each class and of all."""
        table = np.array(self._dice)
        self._dice.clear()
        means = [mean_of_present(column) for column in table.T]
        named = {f"val_dice/{name}": mean for name, mean in zip(self.classes, means, strict=True)}
        mean = mean_of_present(means)
        named["val_dice"] = mean if np.isfinite(mean) else 0.0  # a number, or no checkpoint could be chosen
        self.log_dict(named, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule over all steps."""
        config = self.trainer_config
        rate = config.learning_rate
        optimiser = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=config.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.2)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a checkpoint may hold them: objects, such as loggers, by the name of their class."""
    return {
        name: value if isinstance(value, bool | int | float | str | None) else type(value).__name__
        for name, value in settings.items()
    }


def _common(spacing: torch.Tensor | None) -> tuple[float, ...]:
    """The voxel size that all scans of a batch share."""
    if spacing is None:
        raise ScaleGroupError("the voxel size of the scan", None, "the network was trained with use_spacing")
    first = spacing[0]
    if not torch.allclose(spacing, first.expand_as(spacing), rtol=1e-3, atol=0):
        hint = "take --trainer.batch_size 1, or resample the scans to one"
        raise ScaleGroupError("scans of one voxel size in a batch", spacing.tolist(), hint)
    # Headers are rounded: one set of kernels for what is meant to be one voxel size.
    return tuple(float(f"{size:.4g}") for size in first.tolist())
