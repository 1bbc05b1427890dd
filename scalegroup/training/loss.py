"""Dice plus cross entropy of a batch, also of one that several processes share."""

from __future__ import annotations

import torch
from monai.losses import DiceCELoss
from monai.networks import one_hot
from torch import distributed
from torch.distributed.nn.functional import all_reduce


class DiceCE(DiceCELoss):
    """MONAI's soft Dice plus cross entropy, of the whole batch whether or not it is split over processes.

    `1 - mean_c 2 Σ p_c t_c / (Σ p_c + Σ t_c) + CE`, the sums over batch and space, without the background. The Dice of
    a batch is not the mean of the Dice of its parts: under data-parallel training the sums run over all processes, so
    that two processes with one volume each learn what one process with two volumes does.

    Shape:
        logits `(batch, class, *space)` and class indices `(batch, 1, *space)` to a scalar.

    Example:
        >>> logits = torch.zeros(2, 2, 4, 4, 4)
        >>> label = torch.ones(2, 1, 4, 4, 4)
        >>> round(float(DiceCE()(logits, label)), 4)  # 1/3 + log 2
        1.0265
    """

    def __init__(self) -> None:
        super().__init__(softmax=True, to_onehot_y=True, include_background=False, batch=True)

    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The loss of the batch of all processes; its gradient is right once it is averaged over them, as DDP does."""
        if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
            return torch.as_tensor(super().forward(logits, label))
        probability = logits.float().softmax(dim=1)[:, 1:]
        truth = one_hot(label, logits.shape[1])[:, 1:]
        over = [0, *range(2, logits.ndim)]
        both, total = (probability * truth).sum(over), (probability + truth).sum(over)
        both, total = all_reduce(torch.stack([both, total]))
        dice = (2 * both + self.dice.smooth_nr) / (total + self.dice.smooth_dr)
        return torch.as_tensor(1 - dice.mean() + self.ce(logits, label))
