"""Functions that torch.compile and torch.export do not look into: numpy makes their constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

F = TypeVar("F", bound=Callable[..., torch.Tensor])
_WAITING: list[Callable[..., torch.Tensor]] = []


def opaque(function: F) -> F:
    """Mark a function of plain values that makes a constant tensor; the compiler is told by `tell_compiler`."""
    _WAITING.append(function)
    return function


def tell_compiler() -> None:
    """Make the marked functions known to torch's compiler: not at import, because that loads it, and SymPy with it."""
    while _WAITING:
        torch.compiler.allow_in_graph(_WAITING.pop())
