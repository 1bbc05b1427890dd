"""From the scores of all scales to one: projections of `(batch, classes, scales, *space)`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scalegroup.nn.grid import choice

Project = Callable[[Tensor], Tensor]


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=2)


def _logsumexp(x: Tensor) -> Tensor:
    return x.logsumexp(dim=2) - torch.log(x.new_tensor(float(x.shape[2])))


PLAIN: dict[str, Project] = {"mean": _mean, "logsumexp": _logsumexp}
MODES = tuple(PLAIN)


class Projection(torch.nn.Module):
    """Projects the scores of all scales to one."""

    def __init__(self, mode: str = "mean") -> None:
        super().__init__()
        self.mode = choice(mode, MODES, "projection")

    def forward(self, x: Tensor) -> Tensor:
        return PLAIN[self.mode](x)
