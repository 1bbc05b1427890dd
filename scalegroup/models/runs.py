"""Training on a run of neighbouring scales, another one in each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of

T = TypeVar("T")
RUN_WEIGHTS = ("uniform", "cheap")


class ScaleRuns(torch.nn.Module):
    """Mixin of networks with `train_scales`: which scales the next step of training sees.

    Run by Python, the start is drawn by torch's generator. A compiled graph holds no numbers that are drawn while it
    runs and decide on shapes; there the runs take turns, with one graph for each, from the finest on.

    Attributes:
        train_scales: number of neighbouring scales in a step of training; None for all.
        run_weights: how often each run is drawn, finest first: "uniform"; "cheap", which gives the run from scale s on
            the weight `s^(dim/2)`: one over the root of its cost on Haar grids, which is what has the least variance
            for a given time if all runs are equally noisy (J. Neyman, 1934); or a number for each run.
    """

    train_scales: int | None = None
    run_weights: str | tuple[float, ...] = "uniform"
    _turn = 0

    def on_run(self, layers: nn.EquivariantModule, function: Callable[[Tensor], T], x: Tensor) -> T:
        """`function(x)`; in training with `layers` on one run of `train_scales` scales."""
        if not self.training or self.train_scales is None:
            return function(x)
        window = group_of(layers.in_type).num_scales
        count = min(self.train_scales, window)
        with nn.run_of_scales(layers, self._start(layers, window - count + 1), count):
            return function(x)

    def _start(self, layers: nn.EquivariantModule, runs: int) -> int:
        if torch.compiler.is_compiling():
            start = self._turn % runs
            self._turn = (start + 1) % runs
            return start
        if self.run_weights == "uniform":
            return int(torch.randint(runs, ()))
        return int(torch.multinomial(torch.tensor(self.run_chances(group_of(layers.in_type), runs)), 1))

    def run_chances(self, group: ScaleTranslationGroup, runs: int) -> tuple[float, ...]:
        """The probability of each run, finest first."""
        weights = self.run_weights
        if isinstance(weights, str):
            power = group.dim / 2 if weights == "cheap" else 0.0
            weights = tuple(group.base ** (power * start) for start in range(runs))
        if len(weights) != runs:
            hint = "there is one run for each scale at which it can begin"
            raise ScaleGroupError(f"run_weights for {runs} runs", weights, hint)
        return tuple(weight / sum(weights) for weight in weights)


def as_run_weights(value: object) -> str | tuple[float, ...]:
    """A name out of `RUN_WEIGHTS`, or weights that are not negative and not all 0.

    Example:
        >>> as_run_weights([3, 1])
        (3.0, 1.0)
    """
    expected, hint = f"run_weights out of {RUN_WEIGHTS}, or a number >= 0 for each run", "give finer runs less weight"
    if isinstance(value, str):
        if value in RUN_WEIGHTS:
            return value
    elif isinstance(value, Sequence):
        weights = tuple(float(weight) for weight in value if isinstance(weight, int | float) and 0 <= weight < 1e30)
        if len(weights) == len(value) and sum(weights) > 0:
            return weights
    raise ScaleGroupError(expected, repr(value), hint)
