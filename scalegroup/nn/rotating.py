"""What layers for fields that turn with the volume share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.module import check_types, group_of
from scalegroup.representations import Regular, Representation, Rotational, Scalar


def check_weightless(layer: torch.nn.Module, field: FieldType, hint: str) -> None:
    """Raise unless dilations leave the values of the field as they are, and rotations keep the lengths of vectors."""
    check_types(layer, field=field)
    for _, rep in field.blocks:
        if rep.weight not in (None, 0.0):
            raise FieldTypeError("scalar and regular fields, irreps and quotients without a weight", str(field), hint)


def check_isotropic(layer: torch.nn.Module, field: FieldType, values: Sequence[float], name: str) -> None:
    """Raise if a rotation of the group leads from one axis to another for which the layer has another value."""
    different = np.subtract.outer(values, values) != 0
    for k in group_of(field).rotations.generators:
        if (different & (np.abs(k.matrix) > 1e-9)).any():
            expected = f"the same {name} of {type(layer).__name__} along all axes that the rotations of the group mix"
            raise ScaleGroupError(expected, tuple(values), "give one number, or a group with fewer rotations")


def without_scales(rep: Representation) -> Representation:
    """The representation with the same action of the rotations, on space alone."""
    if isinstance(rep, Rotational):
        return type(rep)(**{**rep._arguments(), "weight": 0.0})
    return Scalar(rep.group)


def with_scales(rep: Representation) -> Representation:
    """The representation with the same action of the rotations, on every scale of the window."""
    if isinstance(rep, Rotational):
        return type(rep)(**{**rep._arguments(), "weight": None})
    return Regular(rep.group)


def as_vectors(x: Tensor, components: int) -> Tensor:
    """`(batch, multiplicity * components, …)` as `(batch, multiplicity, components, …)`."""
    return x.reshape(x.shape[0], x.shape[1] // components, components, *x.shape[2:])


def soft_length(v: Tensor) -> Tensor:
    """`sqrt(1 + |v|²)` of `(batch, multiplicity, components, …)`: smooth everywhere, |v| where that is large."""
    return (1 + v.square().sum(dim=2)).sqrt()
