"""Our layers among escnn's modules, and the other way round."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("escnn")

import scalegroup as sg
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.interop.escnn import EscnnGroup, as_escnn, channel_order, escnn_field_type, field_type, from_escnn
from scalegroup.interop.escnn.library import nn as escnn
from scalegroup.testing import check_equivariance

SO3 = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="so3")
CUBE = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="octahedral")
ESCNN_CUBE = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations=EscnnGroup("octahedral"))
PLANE = sg.ScaleTranslationGroup(dim=2, num_scales=3, rotations="d4")
TURNS = 1 * SO3.irrep(0) + 2 * SO3.irrep(1) + 1 * SO3.irrep(2)


def layers() -> dict[str, Any]:
    gate = sg.nn.Gate(TURNS)
    return {
        "so3 conv": sg.nn.GroupConv(TURNS, TURNS, scale_extent=2),
        "so3 lift": sg.nn.GroupConv(2 * SO3.scalar, TURNS),
        "so3 strided": sg.nn.GroupConv(TURNS, 1 * SO3.irrep(2), stride=2),
        "so3 linear": sg.nn.Linear(TURNS, TURNS),
        "so3 gate": gate,
        "so3 batch norm": sg.nn.BatchNorm(TURNS),
        "cube conv": sg.nn.GroupConv(2 * CUBE.quotient(), 1 * CUBE.irrep("T1") + 1 * CUBE.quotient("c4" and None)),
        "cube batch norm": sg.nn.BatchNorm(2 * CUBE.irrep("T2")),
        "escnn's cube conv": sg.nn.GroupConv(2 * ESCNN_CUBE.irrep(1), 1 * ESCNN_CUBE.representation("escnn", "regular")),
        "plane conv": sg.nn.GroupConv(1 * PLANE.scalar, 2 * PLANE.irrep("E") + 1 * PLANE.quotient()),
        "no rotations": sg.nn.GroupConv(1 * sg.ScaleTranslationGroup(dim=2).scalar, 2 * sg.ScaleTranslationGroup(dim=2).regular),
    }


@pytest.mark.parametrize("name", list(layers()))
def test_layers_pass_escnns_check(name: str) -> None:
    torch.manual_seed(0)
    layer = layers()[name]
    errors = as_escnn(layer).check_equivariance()
    assert len(errors) == {"so3": 24, "cube": 24, "escnn's": 24, "plane": 8, "no": 1}[name.split()[0]] or layer.pointwise
    assert max(error for _, error in errors) < 2e-7
