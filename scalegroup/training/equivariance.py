"""How equivariant the network is while it learns."""

from __future__ import annotations

import copy
import math
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng

from scalegroup import check_equivariance
from scalegroup.errors import ScaleGroupError


class EquivarianceError(Callback):
    """Logs the equivariance error of the network that is being trained, by `scalegroup.check_equivariance`.

    `equivariance_error` is that of the worst scale channel before the projection, where the law holds up to kernels,
    nonlinearities and strides; `equivariance_error_projected` is that of the output, which also has what enters and
    leaves the truncated window. Plain networks have the second only. Both are columns of `metrics.csv`.

    A copy in eval mode is measured, on the CPU, and all random states are put back: a run with this callback ends with
    the same weights as one without. On the command line: `--trainer.callbacks+=EquivarianceError`.

    Args:
        every: epochs between two measurements; default 1. The last epoch is always measured.
        scale: the factor; default: the base of the network's group, and 2**0.5 for plain networks.
        size: voxels per axis of the analytic input; default 32.
        seed: of the input; default 0.

    Raises:
        ScaleGroupError: if `every` is not an integer of at least 1.

    Example:
        >>> EquivarianceError(every=5)
        EquivarianceError(every=5, scale=None, size=32, seed=0)
    """

    def __init__(self, every: int = 1, scale: float | None = None, size: int = 32, seed: int = 0) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ScaleGroupError("every, an integer >= 1", every, "1 measures after each epoch")
        self.every, self.scale, self.size, self.seed = every, scale, size, seed

    def __repr__(self) -> str:
        return f"EquivarianceError(every={self.every}, scale={self.scale}, size={self.size}, seed={self.seed})"

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Measures, and logs."""
        epoch = trainer.current_epoch + 1
        due = epoch % self.every == 0 or epoch == trainer.max_epochs or trainer.should_stop
        if due and trainer.is_global_zero:
            pl_module.log_dict(self.measure(pl_module.network, pl_module.hparams["in_channels"]), rank_zero_only=True)

    def measure(self, network: torch.nn.Module, channels: int) -> dict[str, float]:
        """The errors of a network under the names that are logged.

        Args:
            network: ours or any other; it is not touched.
            channels: its image channels.
        """
        known: dict[str, Any] = {} if hasattr(network, "in_type") else {"dim": 3, "channels": channels}
        scale = self.scale or (2**0.5 if known else None)
        with isolate_rng():
            twin = copy.deepcopy(network).cpu()
            report = check_equivariance(twin, scale, size=self.size, seed=self.seed, dtype=torch.float32, **known)
        found = {"equivariance_error": report.per_scale, "equivariance_error_projected": report.projected}
        return {name: value for name, value in found.items() if not math.isnan(value)}
