"""From the scores of all scales to one: projections of `(batch, classes, scales, *space)`."""

from __future__ import annotations

from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.nn.grid import choice, positive
from scalegroup.nn.scale_pool import MODES as POOL_MODES
from scalegroup.nn.scale_pool import pool_scales

LEAST = 1e-6  # confidence of a scale that sees nothing; its logarithm stays finite


class Projection(torch.nn.Module):
    """Projects the scores `z_s(c, x)` of a network on all scales s to one score for each class.

    With the probabilities `p_s = softmax_c z_s`, of which `p̂_s(x)` is the largest, that of the scale's own class:

    - "mean": `mean_s z_s`,
    - "taper": the mean with weights `sin²(π (i + 1/2) / scales)`, which fade at both ends of the window,
    - "logsumexp": `log mean_s exp z_s`: a scale abstains by low scores for all classes,
    - "max": `max_s z_s`,
    - "mixture": `log mean_s p_s`, the mean probability; no scale can abstain,
    - "voxel_confidence": `Σ_s w_s z_s` with `w_s(x) ∝ p̂_s(x)^sharpness`,
    - "volume_confidence": the same with one weight for the volume, `w_s ∝ q_s^sharpness`, where q_s is
      `foreground_confidence`: the mean of p̂_s where it is not class 0; in training mode "mean", so that no scale
      is left without a teacher,
    - "attention": the same with `w_s(x) = softmax_s(Σ_i a_i · e_{s+i}(x))`, i = -1, 0, 1, so that a scale sees its
      neighbours. The features e are p̂, the entropy of p and the margin between the two largest p, whatever the
      number of classes; a is learned, 9 numbers, and starts at 0, the mean.

    Class 0 is the background. One class alone is the foreground against a background of score 0 (a sigmoid).

    Args:
        mode: one of the above. Default "mean".
        sharpness: exponent of the confidence; 0 is the mean, large ones take the surest scale. Default 8.

    Shape:
        `(batch, classes, scales, *space)` to `(batch, classes, *space)`; scores of images have no space.

    Raises:
        ScaleGroupError: for another mode, and a sharpness that is not positive.

    Source: the first four as in `nn.ScalePool`; linear and logarithmic pools of opinions in Genest and Zidek, 1986.

    Example:
        >>> import torch
        >>> scores = torch.randn(1, 3, 6, 8, 8)
        >>> Projection("attention")(scores).shape
        torch.Size([1, 3, 8, 8])
    """

    weight: torch.nn.Parameter | None

    def __init__(self, mode: str = "mean", sharpness: float = 8.0) -> None:
        super().__init__()
        self.mode = choice(mode, MODES, "projection")
        self.sharpness = positive(sharpness, "sharpness")
        weight = torch.nn.Parameter(torch.zeros(1, 3, 3)) if mode == "attention" else None
        self.register_parameter("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, classes, scales, *space)` to `(batch, classes, *space)`."""
        if self.mode in PLAIN:
            return pool_scales(x, self.mode)
        if self.mode == "volume_confidence" and self.training:
            return pool_scales(x, "mean")
        if self.mode == "mixture":
            return _mixture(x)
        return (x * self.scale_weights(x).unsqueeze(1)).sum(dim=2)

    def scale_weights(self, x: Tensor) -> Tensor:
        """The weights of the scales, of sum 1, that the last three modes give: `(batch, scales, *space)`."""
        if self.weight is not None:
            features = confidence_features(x)
            flat = F.pad(features.flatten(3) if x.ndim > 3 else features.unsqueeze(3), (0, 0, 1, 1), "replicate")
            scores = F.conv2d(flat, self.weight.to(x.dtype).unsqueeze(3))[:, 0]
            return scores.reshape(features[:, 0].shape).softmax(dim=1)
        if self.mode == "voxel_confidence":
            return (self.sharpness * log_probabilities(x).amax(dim=1)).softmax(dim=1)
        sure = foreground_confidence(x.movedim(2, 1).flatten(0, 1)).reshape(x.shape[0], x.shape[2])
        weights = (self.sharpness * sure.clamp(min=LEAST).log()).softmax(dim=1)
        return weights.reshape(*weights.shape, *[1] * (x.ndim - 3))

    def extra_repr(self) -> str:
        """The mode."""
        return f"mode={self.mode!r}"


def as_projection(value: object) -> torch.nn.Module | None:
    """A `Projection` from the name of its mode; other modules and None stay as they are.

    Example:
        >>> as_projection("max"), as_projection(None)
        (Projection(mode='max'), None)
    """
    if value is None or isinstance(value, torch.nn.Module):
        return value
    if not isinstance(value, str):
        hint = "give a module itself, not its class"
        raise ScaleGroupError(f"projection out of {MODES}, a torch.nn.Module, or None", repr(value), hint)
    return Projection(value)


def as_scale_pool(value: object) -> Any:
    """What `nn.ScalePool` takes: its own modes as they are, other names as a `Projection`.

    Example:
        >>> as_scale_pool("max"), as_scale_pool("volume_confidence")
        ('max', Projection(mode='volume_confidence'))
    """
    if not isinstance(value, str) or value in POOL_MODES:
        return value
    choice(value, tuple(dict.fromkeys((*POOL_MODES, *MODES))), "scale_pool")
    return Projection(value)


def log_probabilities(scores: Tensor) -> Tensor:
    """Logarithms of the classes' probabilities along axis 1, with a background added to a single class.

    Example:
        >>> import torch
        >>> log_probabilities(torch.zeros(1, 1)).exp()
        tensor([[0.5000, 0.5000]])
    """
    if scores.shape[1] == 1:
        return torch.cat([F.logsigmoid(-scores), F.logsigmoid(scores)], dim=1)
    return scores.log_softmax(dim=1)


def foreground_confidence(scores: Tensor) -> Tensor:
    """How sure a prediction is of its objects: the mean, where the likeliest class is not 0, of its probability.

    Args:
        scores: `(batch, classes, *space)`; for scores of images, without space, every class counts.

    Returns:
        `(batch,)`, from 0 to 1; 0 where nothing is found.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[[5.0, 0.0], [0.0, 3.0]], [[1.0, 1.0], [0.0, 0.0]]])  # 2 volumes, 2 classes
        >>> foreground_confidence(scores)
        tensor([0.9526, 0.0000])
    """
    best, label = log_probabilities(scores).max(dim=1)
    if scores.ndim == 2:
        return best.exp()
    found = (label > 0).flatten(1)
    return (best.exp().flatten(1) * found).sum(dim=1) / found.sum(dim=1).clamp(min=1)


def confidence_features(scores: Tensor) -> Tensor:
    """Largest probability, entropy over its largest value, margin to the second class: `(batch, 3, …)`.

    Example:
        >>> import torch
        >>> confidence_features(torch.zeros(1, 4))
        tensor([[0.2500, 1.0000, 0.0000]])
    """
    logs = log_probabilities(scores)
    chances = logs.exp()
    first, second = chances.topk(2, dim=1).values.unbind(dim=1)
    entropy = -(chances * logs).sum(dim=1) / log(logs.shape[1])
    return torch.stack([first, entropy, first - second], dim=1)


def _mixture(x: Tensor) -> Tensor:
    mixed = pool_scales(log_probabilities(x), "logsumexp")
    return mixed[:, 1:] - mixed[:, :1] if x.shape[1] == 1 else mixed


PLAIN = ("mean", "taper", "logsumexp", "max")
MODES = (*PLAIN, "mixture", "voxel_confidence", "volume_confidence", "attention")
