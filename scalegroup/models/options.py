"""Activations, norms and dropout as MONAI's users write them: a name, a pair of name and options, or a class."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType

Option = str | tuple[Any, Mapping[str, Any]] | type | Callable[..., Any] | None

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "elu": torch.nn.ELU,
    "gelu": torch.nn.GELU,
    "hardswish": torch.nn.Hardswish,
    "leakyrelu": torch.nn.LeakyReLU,
    "memswish": torch.nn.SiLU,
    "mish": torch.nn.Mish,
    "prelu": torch.nn.PReLU,
    "relu": torch.nn.ReLU,
    "relu6": torch.nn.ReLU6,
    "selu": torch.nn.SELU,
    "sigmoid": torch.nn.Sigmoid,
    "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
    "swish": torch.nn.SiLU,
    "tanh": torch.nn.Tanh,
}
NORMS: dict[str, Callable[..., nn.EquivariantModule]] = {
    "batch": nn.BatchNorm,
    "group": nn.GroupNorm,
    "instance": nn.InstanceNorm,
    "instance_nvfuser": nn.InstanceNorm,
}
MIXING = (torch.nn.Softmax, torch.nn.LogSoftmax, torch.nn.Softmin, torch.nn.Softmax2d, torch.nn.GLU)
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d")


def _name_and_options(value: Any, what: str) -> tuple[Any, dict[str, Any]]:
    if isinstance(value, tuple | list):
        if len(value) != 2 or not isinstance(value[1], Mapping):
            hint = f"write for example ({value[0]!r}, {{}})" if value else "give a name"
            raise ScaleGroupError(f"{what}: a name, a class, or a pair of it and a dict of options", value, hint)
        return value[0], dict(value[1])
    return value, {}


def _made(kind: Callable[..., Any], what: str, options: Mapping[str, Any], *args: Any) -> Any:
    """`kind(*args, **options)`, or an error that names the options it does not take."""
    name = getattr(kind, "__name__", str(kind))
    try:
        signature = inspect.signature(kind)
    except ValueError:  # functions written in C have none
        raise ScaleGroupError(f"{what}: a name or a class", name, "a function is no class of modules") from None
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        known = list(signature.parameters)[len(args) :]
        unknown = [repr(option) for option in options if option not in known]
        expected = f"{what}: options of {name} out of ({', '.join(known)})"
        raise ScaleGroupError(expected, ", ".join(unknown) or error, "correct it or leave it out") from None
    return kind(*args, **options)


def activation(value: Option) -> torch.nn.Module | None:
    """A new activation module, or None; a module is copied, so that no two layers share its weights."""
    name, options = _name_and_options(value, "act")
    if name is None or name == "":
        return None
    kind: Any = name
    if isinstance(name, str):
        kind = ACTIVATIONS.get(name.lower())
        if kind is None:
            raise ScaleGroupError(f"act out of {', '.join(sorted(ACTIVATIONS))}", repr(name), "or give a class")
    if not callable(kind):
        raise ScaleGroupError("act: a name, a class, or a pair of it and options", repr(name), "such as 'silu'")
    if isinstance(kind, torch.nn.Module):
        if options:
            raise ScaleGroupError("act: a module without options", repr(value), "give its class and options")
        act: Any = copy.deepcopy(kind)
    else:
        act = _made(kind, "act", options)
    if not isinstance(act, torch.nn.Module):
        raise ScaleGroupError("act: something that makes modules", repr(name), "such as torch.nn.SiLU")
    if isinstance(act, MIXING) or (isinstance(act, torch.nn.PReLU) and act.num_parameters != 1):
        hint = "weights for each channel and sums over channels would treat the scales of a field differently"
        raise ScaleGroupError("act: a function of each number alone", repr(act), hint)
    return act


def norm(value: Option, field: FieldType) -> nn.EquivariantModule | None:
    """A new norm for the field, or None; torch's own classes stand for the ones that share the scales."""
    name, options = _name_and_options(value, "norm")
    if name is None or name == "":
        return None
    kind: Any = name
    if isinstance(name, str) or (isinstance(name, type) and name.__module__.startswith("torch.")):
        text = name if isinstance(name, str) else name.__name__.removesuffix("d").rstrip("123").removesuffix("Norm")
        kind = NORMS.get(text.lower())
        if kind is None:
            hint = "other norms are not equivariant"
            if text.lower() == "syncbatch":
                hint = "statistics over processes are not implemented; use 'batch'"
            raise ScaleGroupError(f"norm out of {', '.join(sorted(NORMS))}", repr(name), hint)
    if isinstance(kind, torch.nn.Module) or not callable(kind):
        raise ScaleGroupError("norm: a name, a class, or a pair of it and options", repr(name), "such as 'batch'")
    options.pop("num_features", None)
    options.pop("num_channels", None)
    if kind is nn.InstanceNorm and options.pop("track_running_stats", False) is not False:
        hint = "instance norms keep no running statistics; batch norms do"
        raise ScaleGroupError("track_running_stats=False of InstanceNorm", repr(True), hint)
    return _made(kind, "norm", options, field)  # type: ignore[no-any-return]


def dropout(value: Any, field: FieldType) -> nn.Dropout | None:
    """A new dropout of whole fields, or None for 0."""
    name, options = _name_and_options(value, "dropout")
    if name is None or name == "":
        return None
    if isinstance(name, str | type):
        text = name if isinstance(name, str) else name.__name__
        if text.lower() not in DROPOUTS:
            raise ScaleGroupError("dropout: a probability or 'dropout'", repr(name), "whole fields are dropped")
        options.pop("inplace", None)  # torch's option; it changes no value
        layer: nn.Dropout = _made(nn.Dropout, "dropout", options, field)
    elif options:
        raise ScaleGroupError("dropout: a probability without options", repr(value), "or ('dropout', {'p': 0.2})")
    else:
        layer = nn.Dropout(field, name)
    return layer if layer.p > 0 else None
