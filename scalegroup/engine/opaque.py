"""Functions that torch.compile and torch.export do not look into: numpy makes their constants."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., torch.Tensor])
_WAITING: list[Callable[..., torch.Tensor]] = []


def opaque(function: F) -> F:
    """Mark a function of plain values that makes a constant tensor; the compiler is told by `tell_compiler`.

    Sizes that the compiler keeps symbolic become numbers here: such a constant holds for one size.
    """

    @wraps(function)
    def plain(*values: Any) -> torch.Tensor:
        return function(*(_PLAIN.get(type(value), _same)(value) for value in values))

    _WAITING.append(plain)
    return plain  # type: ignore[return-value]


_PLAIN: dict[type, Callable[[Any], Any]] = {torch.SymInt: int, torch.SymFloat: float}


def _same(value: Any) -> Any:
    return value


def tell_compiler() -> None:
    """Make the marked functions known to torch's compiler: not at import, because that loads it, and SymPy with it."""
    while _WAITING:
        torch.compiler.allow_in_graph(_WAITING.pop())
