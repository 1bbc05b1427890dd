"""Training and testing of networks that give one class to a whole image or volume."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from monai.metrics import compute_roc_auc
from monai.networks.blocks import Convolution
from monai.networks.layers import Pool
from torch.utils.data import DataLoader, Dataset

from scalegroup.data import LabelledImages
from scalegroup.errors import ScaleGroupError
from scalegroup.training.metrics import mean_of_present
from scalegroup.training.run import quiet_lightning

Batch = dict[str, Any]
Spacing = float | tuple[float, ...]
MONITORS = {"val_loss": "min", "val_accuracy": "max", "val_auc": "max"}
OPTIMISERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}


class Classification(lightning.LightningModule):
    """A network that learns to tell images apart, with cross entropy as its loss.

    Logged: `train_loss` per epoch; on validation `val_loss`, `val_accuracy` and `val_auc`.

    Args:
        network: `(batch, channels, *space)` to `(batch, num_classes)`. If batches have a spacing it is called as
            `network(images, spacing=...)`, with the voxel size that all images of the batch have.
        num_classes: number of classes, with any background.
        learning_rate: highest rate of the schedule. Default 1e-3.
        weight_decay: of the optimiser. Default 1e-2.
        optimiser: "adamw" (default) or "adam".
        milestones: epochs at which the rate is multiplied by 0.1. Default None: a one-cycle schedule over all steps.
        mirror: mirror each training image along each axis with a chance of 1/2. Default False.

    Shape:
        A batch is a dictionary of "image" `(batch, channels, *space)`, "label" `(batch,)`, and, if wanted, "spacing",
        `(batch,)` or `(batch, dim)`.

    Raises:
        ScaleGroupError: for another optimiser, and for a batch of images with different spacings.

    Example:
        >>> net = plain_classifier(2, 1, 3, channels=(4, 8), strides=(1, 2))
        >>> module = Classification(net, num_classes=3)
        >>> batch = {"image": torch.randn(2, 1, 9, 9), "label": torch.tensor([0, 2])}
        >>> module(batch).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        network: torch.nn.Module,
        num_classes: int,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        optimiser: str = "adamw",
        milestones: Sequence[int] | None = None,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        if optimiser not in OPTIMISERS:
            raise ScaleGroupError(f"an optimiser of {sorted(OPTIMISERS)}", repr(optimiser), "'adamw' is the default")
        self.network = network
        self.num_classes = num_classes
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.optimiser = optimiser
        self.milestones = None if milestones is None else list(milestones)
        self.mirror = mirror
        self._seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, batch: Batch) -> torch.Tensor:
        """The scores `(batch, num_classes)` of a batch."""
        spacing = common_spacing(batch["spacing"]) if "spacing" in batch else None
        image = batch["image"]
        scores: torch.Tensor = self.network(image) if spacing is None else self.network(image, spacing=spacing)
        return scores

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """The loss of one batch."""
        if self.mirror:
            batch = {**batch, "image": mirrored(batch["image"])}
        loss = F.cross_entropy(self(batch), batch["label"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["label"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Notes the scores of one batch."""
        self._seen.append((self(batch).float().cpu(), batch["label"].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Logs loss, accuracy and AUC over all images."""
        scores, labels = (torch.cat(part) for part in zip(*self._seen, strict=True))
        self._seen.clear()
        chances = scores.softmax(dim=1)
        self.log("val_loss", F.cross_entropy(scores, labels))
        self.log("val_accuracy", accuracy(chances, labels))
        area = auc(chances, labels)
        self.log("val_auc", area if np.isfinite(area) else 0.0)  # a number, or no checkpoint could be chosen

    def configure_optimizers(self) -> Any:
        """The optimiser under its schedule."""
        rate = self.learning_rate
        optimiser = OPTIMISERS[self.optimiser](self.parameters(), lr=rate, weight_decay=self.weight_decay)
        if self.milestones is not None:
            return [optimiser], [torch.optim.lr_scheduler.MultiStepLR(optimiser, self.milestones, 0.1)]
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.2)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def mirrored(images: torch.Tensor) -> torch.Tensor:
    """Images `(batch, channels, *space)`, each mirrored along each axis with a chance of 1/2, by torch's generator."""
    for axis in range(2, images.ndim):
        drawn = torch.rand((len(images), *[1] * (images.ndim - 1)), device=images.device)
        images = torch.where(drawn < 0.5, images.flip(axis), images)
    return images


class ImageItems(Dataset[Batch]):
    """Labelled images as the items of a batch.

    Args:
        data: images and labels.
        spacing: voxel size of all of them, a number or one per axis; None leaves it out. Default None.
    """

    def __init__(self, data: LabelledImages, spacing: Spacing | None = None) -> None:
        self.images, self.labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        self.spacing = {} if spacing is None else {"spacing": torch.tensor(spacing, dtype=torch.float64)}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return {"image": self.images[index], "label": self.labels[index], **self.spacing}


def common_spacing(spacing: torch.Tensor) -> Spacing:
    """The voxel size that all images of a batch have.

    Args:
        spacing: `(batch,)` or `(batch, dim)`.

    Example:
        >>> common_spacing(torch.tensor([1.5, 1.5])), common_spacing(torch.tensor([[1.0, 2.0]]))
        (1.5, (1.0, 2.0))
    """
    if not bool((spacing == spacing[:1]).all()):
        hint = "batch images of the same spacing together, for example one at a time"
        raise ScaleGroupError("images of one spacing in a batch", spacing.tolist(), hint)
    first = spacing[0].tolist()
    return tuple(first) if isinstance(first, list) else float(first)


def plain_classifier(
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    channels: Sequence[int],
    strides: Sequence[int],
    kernel_size: int = 3,
    act: str = "swish",
    norm: str = "batch",
) -> torch.nn.Sequential:
    """The ordinary network beside `models.Classifier`: the same layers without scales.

    Convolution, norm and activation in each block, the maximum over space, a linear layer. With the same channels and
    `models.Classifier(basis="free", kernel_size=...)` it has as many weights.

    Args:
        spatial_dims, in_channels, num_classes, channels, strides, kernel_size: as in `models.Classifier`.
        act, norm: as in MONAI. Default "swish", which is SiLU, and "batch".

    Shape:
        `(batch, in_channels, *space)` to `(batch, num_classes)`.

    Example:
        >>> import scalegroup as sg
        >>> sizes = {"channels": (4, 8), "strides": (1, 2)}
        >>> count = lambda net: sum(p.numel() for p in net.parameters())
        >>> plain = plain_classifier(2, 1, 10, **sizes)
        >>> count(plain) == count(sg.models.Classifier(2, 1, 10, **sizes, sampling="haar", basis="free"))
        True
    """
    blocks: list[torch.nn.Module] = []
    for count, stride in zip(channels, strides, strict=True):
        blocks.append(Convolution(spatial_dims, in_channels, count, stride, kernel_size, "NDA", act, norm))
        in_channels = count
    pool = Pool["ADAPTIVEMAX", spatial_dims](1)
    return torch.nn.Sequential(*blocks, pool, torch.nn.Flatten(), torch.nn.Linear(in_channels, num_classes))


def fit_classifier(
    module: Classification,
    train: LabelledImages,
    validation: LabelledImages,
    out: str | os.PathLike[str],
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
    monitor: str = "val_loss",
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Trains a network and gives it the weights of the epoch that was best on the validation images.

    Args:
        module: the network with its loss and optimiser.
        train: images to learn from.
        validation: images that choose the epoch.
        out: folder of `best.ckpt`, which is replaced.
        epochs: passes over the training images.
        batch_size: images in a step. Default 32.
        seed: of the order of the images and of all that the network draws. Default 0.
        monitor: "val_loss" (default), "val_accuracy" or "val_auc".
        callbacks: further callbacks of Lightning.

    Returns:
        the path of `best.ckpt`.

    Raises:
        ScaleGroupError: for another `monitor`.

    Example:
        >>> import tempfile
        >>> rng = np.random.default_rng(0)
        >>> data = LabelledImages(rng.normal(size=(8, 1, 9, 9)).astype(np.float32), np.arange(8) % 2)
        >>> module = Classification(plain_classifier(2, 1, 2, channels=(4,), strides=(1,)), num_classes=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit_classifier(module, train=data, validation=data, out=folder, epochs=1).name
        'best.ckpt'
    """
    if monitor not in MONITORS:
        raise ScaleGroupError(f"monitor out of {sorted(MONITORS)}", repr(monitor), "these are logged")
    out = Path(out)
    lightning.seed_everything(seed, workers=True, verbose=False)
    keep = ModelCheckpoint(out, "best", monitor=monitor, mode=MONITORS[monitor], enable_version_counter=False)
    # A last batch of one image would leave batch norm without a variance, where maps have one sample.
    order = DataLoader(ImageItems(train), batch_size, shuffle=True, drop_last=len(train.labels) > batch_size)
    with quiet_lightning():
        lightning.Trainer(
            accelerator="auto",
            devices=1,
            max_epochs=epochs,
            num_sanity_val_steps=0,
            logger=False,
            callbacks=[keep, *callbacks],
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(module, order, DataLoader(ImageItems(validation), batch_size))
    best = Path(keep.best_model_path)
    module.load_state_dict(torch.load(best, map_location=module.device, weights_only=True)["state_dict"])
    return best


@torch.inference_mode()
def probabilities(
    network: torch.nn.Module, images: npt.NDArray[np.float32], spacing: Spacing | None = None, batch_size: int = 32
) -> torch.Tensor:
    """The probability of each class for each image, in eval mode.

    Args:
        network: `(batch, channels, *space)` to scores `(batch, classes)`.
        images: `(n, channels, *space)`.
        spacing: voxel size, given to the network as `spacing=`; None leaves it out. Default None.
        batch_size: images at a time. Default 32.

    Returns:
        `(n, classes)`, on the CPU.

    Example:
        >>> net = plain_classifier(2, 1, 3, channels=(4,), strides=(1,))
        >>> chances = probabilities(net, np.zeros((5, 1, 9, 9), np.float32))
        >>> chances.shape, round(float(chances[0].sum()), 4)
        (torch.Size([5, 3]), 1.0)
    """
    mode, device = network.training, next(network.parameters()).device
    network.eval()
    options = {} if spacing is None else {"spacing": spacing}
    parts = [part.to(device) for part in torch.from_numpy(images).split(batch_size)]
    chances = torch.cat([network(part, **options).float().softmax(dim=1).cpu() for part in parts])
    network.train(mode)
    return chances


def accuracy(chances: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of images whose likeliest class is theirs.

    Example:
        >>> accuracy(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([0, 1]))
        0.5
    """
    return float((chances.argmax(dim=1) == labels).double().mean())


def auc(chances: torch.Tensor, labels: torch.Tensor) -> float:
    """The area under the receiver operating characteristic, by MONAI.

    It is the chance that an image of the class is given a higher probability of it than another image. For two classes
    that of class 1, for more the mean over the classes, each against all others; NaN where only one class is there.

    Args:
        chances: `(n, classes)`.
        labels: `(n,)`.

    Example:
        >>> auc(torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]]), torch.tensor([0, 1, 1]))
        1.0
    """
    classes = range(chances.shape[1]) if chances.shape[1] > 2 else range(1, 2)
    present = [index for index in classes if 0 < int((labels == index).sum()) < len(labels)]
    areas = [float(compute_roc_auc(chances[:, index], (labels == index).int())) for index in present]  # type: ignore[arg-type]
    return mean_of_present(areas)


def bootstrap_interval(
    statistic: Callable[[npt.NDArray[np.int64]], float],
    labels: npt.NDArray[np.int64],
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval of a statistic over images that are drawn again with replacement.

    Every class keeps its number of images, so that an AUC is always defined.

    Args:
        statistic: from the indices of the drawn images to a number.
        labels: `(n,)`, the class of each image.
        draws: how often. Default 1000.
        seed: of the draws; with the same one two statistics see the same images. Default 0.
        level: share of the draws inside. Default 0.95.

    Returns:
        the lower and the upper end.

    Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.

    Example:
        >>> values = np.arange(100.0)
        >>> low, high = bootstrap_interval(lambda drawn: values[drawn].mean(), np.zeros(100, np.int64))
        >>> 42 < low < 46 < 53 < high < 57
        True
    """
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    found = [statistic(np.concatenate([rng.choice(group, len(group)) for group in groups])) for _ in range(draws)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
