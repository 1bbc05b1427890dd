"""Checks of positions and of the vector that tells clouds apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError


def checked_pos(pos: Any) -> Tensor:
    """Positions in float32 or float64, or an error."""
    expected = "positions, a floating-point tensor (points, dim) with dim 1, 2 or 3"
    if not isinstance(pos, Tensor):
        raise ScaleGroupError(expected, type(pos).__name__, "convert it with torch.as_tensor")
    if pos.ndim != 2 or not 1 <= pos.shape[1] <= 3:
        raise ScaleGroupError(expected, tuple(pos.shape), "one row for each point; a `batch` vector says whose it is")
    if not pos.is_floating_point():
        raise ScaleGroupError(expected, pos.dtype, "convert it with pos.float()")
    if pos.requires_grad:
        raise ScaleGroupError("positions without gradient", "requires_grad=True", "give pos.detach(); none is computed")
    if not bool(pos.isfinite().all()):
        raise ScaleGroupError("finite positions", "NaN or infinity among them", "leave such points out")
    return pos.float() if pos.dtype in (torch.float16, torch.bfloat16) else pos


def checked_batch(batch: Any, pos: Tensor) -> Tensor | None:
    """The number of the cloud of each point as int64, or an error."""
    if batch is None:
        return None
    expected = f"batch, {len(pos)} integers >= 0, one for each point"
    hint = "it is the number of the cloud, as in torch_geometric.data.Batch"
    if not isinstance(batch, Tensor) or batch.is_floating_point() or batch.is_complex() or batch.dtype == torch.bool:
        raise ScaleGroupError(expected, getattr(batch, "dtype", type(batch).__name__), hint)
    if batch.shape != pos.shape[:1]:
        raise ScaleGroupError(expected, tuple(batch.shape), hint)
    if batch.device != pos.device:
        raise ScaleGroupError(f"batch on {pos.device}, like the positions", batch.device, "move one of them")
    if len(batch) and int(batch.min()) < 0:
        raise ScaleGroupError(expected, int(batch.min()), hint)
    return batch.long()


def owners(pos: Tensor, batch: Tensor | None) -> Tensor:
    """The number of the cloud of each point, zeros without a batch vector."""
    return torch.zeros(len(pos), dtype=torch.int64, device=pos.device) if batch is None else batch
