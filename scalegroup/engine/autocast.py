"""Whether torch's autocast is on, how to keep out of it, and what is precise enough to compute with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def autocasts(device: torch.device) -> bool:
    """Whether operations on this device run under autocast now.

    Args:
        device: its kind counts.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     autocasts(torch.device("cpu"))
        True
        >>> autocasts(torch.device("cpu"))
        False
    """
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """A context in which operations on this device keep the dtype of their inputs.

    Args:
        device: its kind counts.

    Example:
        >>> x = torch.ones(2, 2)
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     print((x @ x).dtype)
        ...     with without_autocast(x.device):
        ...         print((x @ x).dtype)
        torch.bfloat16
        torch.float32
    """
    return torch.autocast(device.type, enabled=False) if autocasts(device) else nullcontext()


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """float32 for half precision, else the dtype itself: what sums are kept in."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
