"""Whether torch's autocast is on, and how to keep out of it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def autocasts(device: torch.device) -> bool:
    """Whether operations on this device run under autocast now."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """A context in which operations on this device keep the dtype of their inputs."""
    return torch.autocast(device.type, enabled=False) if autocasts(device) else nullcontext()
