"""Training on a run of neighbouring scales, another one in each step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.nn.module import group_of


class ScaleRuns(torch.nn.Module):
    """Mixin of networks with `train_scales`: which scales the next step of training sees.

    Run by Python, the start is drawn by torch's generator. A compiled graph holds no numbers that are drawn while it
    runs and decide on shapes; there the runs take turns, with one graph for each, from the finest on.
    """

    train_scales: int | None = None
    _turn = 0

    def on_run(self, layers: nn.EquivariantModule, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """`function(x)`; in training with `layers` on one run of `train_scales` scales."""
        if not self.training or self.train_scales is None:
            return function(x)
        window = group_of(layers.in_type).num_scales
        count = min(self.train_scales, window)
        with nn.run_of_scales(layers, self._start(window - count + 1), count):
            return function(x)

    def _start(self, runs: int) -> int:
        if not torch.compiler.is_compiling():
            return int(torch.randint(runs, ()))
        start = self._turn % runs
        self._turn = (start + 1) % runs
        return start
