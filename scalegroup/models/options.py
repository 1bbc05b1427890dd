"""Activations, norms and dropout as MONAI's users write them: a name, a pair of name and options, or a class."""

from __future__ import annotations

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
    "leakyrelu": torch.nn.LeakyReLU,
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
}


def _name_and_options(value: Any, what: str) -> tuple[Any, dict[str, Any]]:
    if isinstance(value, tuple | list):
        if len(value) != 2 or not isinstance(value[1], Mapping):
            hint = f"write for example ({value[0]!r}, {{}})" if value else "give a name"
            raise ScaleGroupError(f"{what}: a name, a class, or a pair of it and a dict of options", value, hint)
        return value[0], dict(value[1])
    return value, {}


def activation(value: Option) -> torch.nn.Module | None:
    """A new activation module, or None."""
    name, options = _name_and_options(value, "act")
    if name is None or name == "":
        return None
    if isinstance(name, str):
        kind = ACTIVATIONS.get(name.lower())
        if kind is None:
            raise ScaleGroupError(f"act out of {', '.join(sorted(ACTIVATIONS))}", repr(name), "or give a class")
        return kind(**options)
    if isinstance(name, torch.nn.Module):
        return name
    if not callable(name):
        raise ScaleGroupError("act: a name, a class, or a pair of it and options", repr(name), "such as 'silu'")
    return name(**options)  # type: ignore[no-any-return]


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
            raise ScaleGroupError(f"norm out of {', '.join(sorted(NORMS))}", repr(name), hint)
    options.pop("num_features", None)
    options.pop("num_channels", None)
    return kind(field, **options)  # type: ignore[no-any-return]


def dropout(value: Any, field: FieldType) -> nn.Dropout | None:
    """A new dropout of whole fields, or None for 0."""
    name, options = _name_and_options(value, "dropout")
    if isinstance(name, str):
        if name.lower() != "dropout":
            raise ScaleGroupError("dropout: a probability or 'dropout'", repr(name), "whole fields are dropped")
        p = options.get("p", 0.5)
    else:
        p = name
    return nn.Dropout(field, p) if p is not None and p != 0 else None
