"""Functions that torch.compile and torch.export do not look into: numpy makes their constants."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., torch.Tensor])
_WAITING: list[Callable[..., torch.Tensor]] = []


def opaque(function: F) -> F:
    """Mark a function of plain values that makes a constant tensor; the compiler is told by `tell_compiler`.

    Constants are kept, the last 256 of each function: they need not be made again, and a CUDA graph can be captured
    after a first pass, since nothing is copied to the device then. Sizes that the compiler keeps symbolic become
    numbers here: such a constant holds for one size.
    """
    kept = lru_cache(maxsize=256)(_for_ever(function))

    @wraps(function)
    def plain(*values: Any) -> torch.Tensor:
        numbers = [_PLAIN.get(type(value), _same)(value) for value in values]
        tracing = type(torch.empty(0)) is not torch.Tensor  # the compiler's tensors without numbers are not for keeping
        return function(*numbers) if tracing else kept(*numbers)

    _WAITING.append(plain)
    return plain  # type: ignore[return-value]


_PLAIN: dict[type, Callable[[Any], Any]] = {torch.SymInt: int, torch.SymFloat: float}


def _for_ever(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Makes a tensor that gradients may pass, even if it is first needed in inference mode."""

    def make(*values: Any) -> torch.Tensor:
        with torch.inference_mode(False):
            return function(*values)

    return make


def _same(value: Any) -> Any:
    return value


def tell_compiler() -> None:
    """Make the marked functions known to torch's compiler: not at import, because that loads it, and SymPy with it.

    Every layer calls it when it is made, so that only those who call the engine's functions in compiled code of their
    own have to.

    Example:
        >>> tell_compiler()  # now torch.compile leaves such functions as they are
        >>> tell_compiler()  # a second time does nothing
    """
    while _WAITING:
        torch.compiler.allow_in_graph(_WAITING.pop())
