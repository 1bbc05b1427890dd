"""Laws that layers on grids and layers on point clouds share: `BrokenLaw` unless they hold."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from scalegroup.nn.module import Samples
from scalegroup.testing import hints
from scalegroup.testing.contract import BrokenLaw, must_run, require
from scalegroup.testing.errors import largest_error
from scalegroup.testing.samples import flat


def require_close(value: Samples, wanted: Samples, tolerance: float, law: str, hint: str, layer: object) -> None:
    """The largest difference is within the tolerance, relative to the largest number."""
    __tracebackhide__ = True
    value, wanted = flat(value), flat(wanted)
    law = f"{law}, with an error within {tolerance:.1e}"
    require(value.shape == wanted.shape, law, f"{len(value)} numbers instead of {len(wanted)}", hint, layer)
    error = largest_error(value, wanted)
    require(error <= tolerance, law, f"an error of {error:.1e}", hint, layer)


def require_gradients(function: Callable[..., Samples], arguments: tuple[Tensor, ...], layer: object) -> None:
    """The gradients of this function of the layer are those of finite differences."""
    __tracebackhide__ = True
    try:
        torch.autograd.gradcheck(function, arguments, fast_mode=True)
    except GradcheckError as error:
        raise BrokenLaw("gradients equal to finite differences", error, hints.GRADIENT, layer) from None


def require_use(layer: torch.nn.Module, y: Samples) -> None:
    """Every parameter that learns gets a gradient from the output."""
    __tracebackhide__ = True
    numbers = flat(y)
    (numbers * torch.linspace(-1, 1, len(numbers), dtype=numbers.dtype).cos()).sum().backward()
    for name, parameter in layer.named_parameters():
        used = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        law = f"the parameter {name!r} gets a gradient"
        require(used or not parameter.requires_grad, law, "none, or zeros", hints.UNUSED, layer)


def require_refusal(
    attempt: Callable[[], object], case: str, wanted: type[Exception], hint: str, layer: torch.nn.Module
) -> None:
    """An input that the layer cannot take raises the error that is wanted."""
    __tracebackhide__ = True
    law = f"{wanted.__name__} for {case}"
    try:
        attempt()
    except wanted:
        return
    except Exception as error:
        raise BrokenLaw(law, f"{type(error).__name__}: {error}", hint, layer) from error
    raise BrokenLaw(law, "no error", hint, layer)


def copies(layer: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """What deepcopy and pickle make of a layer; they must not fail."""
    trips: dict[str, Callable[[], torch.nn.Module]] = {
        "deepcopy": lambda: copy.deepcopy(layer),
        "pickle": lambda: pickle.loads(pickle.dumps(layer)),
    }
    for name, copied in trips.items():
        with must_run(f"{name} works", hints.PLAIN, layer):
            twin = copied()
        yield name, twin


def trained_values(layer: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of the parameters that learn, by their names, of which gradients are asked."""
    return {
        name: parameter.detach().clone().requires_grad_()
        for name, parameter in layer.named_parameters()
        if parameter.requires_grad
    }
