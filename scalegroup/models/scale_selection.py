"""Which window of scales suits a scan: chosen from the predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.checks import as_integer
from scalegroup.models.projection import foreground_confidence
from scalegroup.nn.grid import choice

SELECT = ("none", "spacing", "confidence")

Project = Callable[[Tensor], Tensor]  # (batch, classes, scales, *space) to (batch, classes, *space)
Score = Callable[[Tensor], Tensor]  # (batch, classes, *space) to (batch,)


def as_select(value: object, projection: object) -> str:
    """One of `SELECT`, for a network that has what it needs.

    Example:
        >>> as_select("spacing", None)
        'spacing'
    """
    select = choice(value, SELECT, "select")  # type: ignore[arg-type]
    if select == "confidence" and projection is None:
        hint = "without one there is no prediction to score"
        raise ScaleGroupError("a projection for select='confidence'", None, hint)
    return select


def as_shifts(value: object) -> tuple[int, ...]:
    """Shifts of the window in steps of the base, ascending; 0 must be one of them.

    Example:
        >>> as_shifts([1, 0, -1])
        (-1, 0, 1)
    """
    expected, hint = "shifts, integers with 0 among them", "they count steps of the base, negative ones are finer"
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ScaleGroupError(expected, repr(value), hint)
    shifts = sorted({as_integer(shift, expected, hint) for shift in value})
    if 0 not in shifts:
        raise ScaleGroupError(expected, repr(value), hint)
    return tuple(shifts)


def window_scores(logits: Tensor, count: int, projection: Project, score: Score = foreground_confidence) -> Tensor:
    """The score of every window of `count` neighbouring scales.

    Args:
        logits: scores of all scales on the voxels, `(batch, classes, scales, *space)`, finest first.
        count: scales in a window.
        projection: such as `models.Projection("mean")`.
        score: of a prediction `(batch, classes, *space)`. Default `foreground_confidence`.

    Returns:
        `(batch, scales - count + 1)`, finest window first.

    Raises:
        ScaleGroupError: for a count that is not from 1 to the number of scales.

    Example:
        >>> import torch
        >>> logits = torch.tensor([0.0, 9.0, 0.0, -9.0]).reshape(1, 1, 4, 1)  # one class, 4 scales, 1 voxel
        >>> window_scores(logits, 2, lambda x: x.mean(dim=2))
        tensor([[0.9890, 0.9890, 0.0000]])
    """
    scales = logits.shape[2]
    count = as_integer(count, f"count from 1 to {scales}", "it is the length of a window", 1, scales)
    windows = [logits.narrow(2, start, count) for start in range(scales - count + 1)]
    return torch.stack([score(projection(window)) for window in windows], dim=1)


def select_window(
    logits_of: Callable[[int], Tensor],
    count: int,
    projection: Project,
    shifts: Sequence[int],
    climb: bool = False,
    score: Score = foreground_confidence,
) -> tuple[Tensor, Tensor]:
    """The prediction of the window with the highest score, for each volume of a batch.

    Shift 0 is looked at first, then coarser windows, which are cheap, then finer ones. A volume for which no window
    scores above 0 keeps shift 0.

    Args:
        logits_of: scores of scale k on the voxels, `(batch, classes, *space)`; scale 0 is the first of the window at
            shift 0. Each is asked for once.
        count: scales in a window.
        projection: such as `models.Projection("mean")`.
        shifts: candidates, in steps of the base; negative ones are finer.
        climb: give up finer windows of a volume as soon as one is not better for it, and all of them when no volume is
            left; a volume's result does not depend on the others of its batch. Default False.
        score: of a prediction. Default `foreground_confidence`.

    Returns:
        Predictions `(batch, classes, *space)`, and the shifts `(batch,)`.

    Example:
        >>> import torch
        >>> seen = {-1: 5.0, 0: 1.0, 1: 2.0, 2: 1.0}
        >>> logits_of = lambda k: torch.full((1, 1, 1), seen[k])
        >>> select_window(logits_of, 2, lambda x: x.mean(dim=2), (-1, 0, 1))
        (tensor([[[3.]]]), tensor([-1]))
    """
    known: dict[int, Tensor] = {}

    def prediction(shift: int) -> Tensor:
        for k in range(shift, shift + count):
            if k not in known:
                known[k] = logits_of(k)
        return projection(torch.stack([known[k] for k in range(shift, shift + count)], dim=2))

    best = prediction(0)
    highest = score(best)
    chosen = torch.zeros(best.shape[0], dtype=torch.int64, device=best.device)
    coarser = sorted(shift for shift in shifts if shift > 0)
    finer = sorted((shift for shift in shifts if shift < 0), reverse=True)
    climbing = torch.ones_like(chosen, dtype=torch.bool)
    for shift in (*coarser, *finer):
        other = prediction(shift)
        value = score(other)
        better = (value > highest) & climbing
        highest = torch.where(better, value, highest)
        chosen = torch.where(better, shift, chosen)
        best = torch.where(better.reshape(-1, *[1] * (best.ndim - 1)), other, best)
        if climb and shift < 0:
            climbing = better
            if not bool(climbing.any()):
                break
    return best, chosen
