"""Convolutions and networks of fields that turn commute with rotations: exactly on the lattice, and for any angle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import equivariance_error, rotation_error

EXACT = 1e-12
ANY_ANGLE = 5e-3  # of random rotations, for kernels of sigma >= 1.4
TURN = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))  # by 90 degrees about the third axis
CYCLE = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
FLIP = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
ON_GRID = {
    "octahedral": [(-2, 1, 3), (2, 3, 1)],
    "full_octahedral": [(-2, 1, 3), (1, -2, 3)],
    "so3": [TURN, CYCLE],
    "o3": [TURN, FLIP],
}
VECTORS = {  # of l = 0, 1 and 2 under all rotations; the cube splits l = 2
    "octahedral": ("A1", "T1", "E", "T2"),
    "full_octahedral": ("A1g", "T1u", "Eg", "T2g"),
    "so3": ("0", "1", "2"),
    "o3": ("0g", "1u", "2g"),
}
GROUPS = list(VECTORS)


def group_named(name: str, num_scales: int = 2, sampling: str = "uniform") -> ScaleTranslationGroup:
    if name not in ("octahedral", "full_octahedral"):
        pytest.importorskip("escnn")
    return ScaleTranslationGroup(3, 2.0, num_scales, name, sampling=sampling)


def vectors(group: ScaleTranslationGroup, weight: float | None = None) -> FieldType:
    names = next(names for names in VECTORS.values() if set(names) <= set(group.rotations.irreps))
    field: FieldType = sum(1 * group.irrep(name, weight) for name in names)
    return field


def network(group: ScaleTranslationGroup, act: Callable[[FieldType], Any], sigma: float = 1.0) -> nn.Sequential:
    """Two convolutions with norms and an activation of vectors."""
    activation = act(vectors(group))
    lift = nn.GroupConv(1 * group.scalar, activation.in_type, sigma=sigma)
    norm = nn.BatchNorm(lift.out_type)
    net = nn.Sequential(lift, norm, activation, nn.GroupConv(vectors(group), vectors(group), sigma=sigma))
    with torch.no_grad():
        net(torch.randn(1, 1, 16, 16, 16))  # statistics unlike the initial ones
    return net


LAYERS: dict[str, Callable[[ScaleTranslationGroup], torch.nn.Module]] = {
    "lifting": lambda group: nn.GroupConv(1 * group.scalar, vectors(group)),
    "convolution": lambda group: nn.GroupConv(vectors(group), vectors(group)),
    "strided": lambda group: nn.GroupConv(vectors(group), vectors(group), stride=2),
    "transposed": lambda group: nn.GroupConvTranspose(vectors(group), vectors(group), stride=2),
    "over scales": lambda group: nn.GroupConv(vectors(group), vectors(group), scale_extent=2, admissible=True),
    "projection": lambda group: nn.GroupConv(vectors(group), vectors(group, 0.0)),
    "gates": lambda group: network(group, nn.Gate),
    "norms": lambda group: network(group, nn.NormActivation),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", GROUPS)
def test_quarter_turns_and_flips_are_exact(name: str, layer: str) -> None:
    module = LAYERS[layer](group_named(name))
    for k in ON_GRID[name]:
        result = rotation_error(module, k, size=9)
        assert result.error < EXACT
        assert result.trivial > 0.5


def test_networks_of_functions_on_the_rotations_are_exact() -> None:
    """On quotients an activation may act on each number alone."""
    group = group_named("octahedral")
    field = 1 * group.quotient() + 1 * group.quotient("trivial")
    net = nn.Sequential(nn.GroupConv(1 * group.scalar, field), nn.Pointwise(field), nn.RotationPool(field, "max"))
    for k in ON_GRID["octahedral"]:
        assert rotation_error(net, k, size=9).error < EXACT


@pytest.mark.parametrize("layer", ["lifting", "convolution", "gates", "norms"])
@pytest.mark.parametrize("name", ["so3", "o3"])
def test_any_rotation_of_blobs(name: str, layer: str) -> None:
    group = group_named(name)
    makers: dict[str, Callable[[], torch.nn.Module]] = {
        "lifting": lambda: nn.GroupConv(1 * group.scalar, vectors(group), sigma=1.4),
        "convolution": lambda: nn.GroupConv(vectors(group), vectors(group), sigma=1.4),
        "gates": lambda: network(group, nn.Gate, 1.4),
        "norms": lambda: network(group, nn.NormActivation, 1.4),
    }
    module = makers[layer]()
    for seed in (0, 1):
        result = rotation_error(module, group.rotations.sample(seed), "blobs", size=33)
        assert result.floor < 1e-6
        assert result.error < ANY_ANGLE
        assert result.trivial > 0.2


# Negative twins


class Mixed(torch.nn.Module):
    """A layer, and a matrix on the three components of its vectors that no rotation leaves alone."""

    def __init__(self, layer: nn.EquivariantModule, matrix: list[list[float]]) -> None:
        super().__init__()
        self.layer, self.matrix = layer, torch.tensor(matrix)
        self.in_type, self.out_type = layer.in_type, layer.out_type

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return torch.einsum("ij,bjs...->bis...", self.matrix.to(y), y.unflatten(1, (3, -1))).flatten(1, 2)


class Relabelled(torch.nn.Module):
    """A convolution of nine numbers, free of the constraint, that calls them vectors."""

    def __init__(self, group: ScaleTranslationGroup) -> None:
        super().__init__()
        self.in_type = self.out_type = vectors(group)
        plain = ScaleTranslationGroup(3, 2.0, group.num_scales)
        self.conv = nn.GroupConv(9 * plain.regular, 9 * plain.regular, sigma=1.4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


@pytest.mark.parametrize("name", ["octahedral", "so3"])
@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],  # two components change places
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]],  # a sign
    ],
)
def test_components_in_another_order_or_of_another_sign_are_an_error(name: str, matrix: list[list[float]]) -> None:
    group = group_named(name)
    vector = 1 * group.irrep("T1" if name == "octahedral" else "1")
    layer = nn.GroupConv(1 * group.scalar, vector, sigma=1.4)
    k = ON_GRID[name][1]  # the one that moves all axes
    assert rotation_error(Mixed(layer, torch.eye(3).tolist()), k, size=9).error < EXACT
    assert rotation_error(Mixed(layer, matrix), k, size=9).error > 0.5


def test_kernels_without_the_constraint_are_an_error() -> None:
    module = Relabelled(group_named("so3"))
    assert rotation_error(module, TURN, size=9).error > 0.5
    assert rotation_error(module, group_named("so3").rotations.sample(0), "blobs", size=33).error > 0.5


def test_the_constraint_of_the_cube_is_not_enough_for_other_angles() -> None:
    """The kernels that its 24 rotations allow, measured by a rotation of another group."""
    cube, all_angles = group_named("octahedral"), group_named("so3")
    layer = nn.GroupConv(1 * cube.scalar, 1 * cube.irrep("A1"), order=4, sigma=1.4)
    types = {"in_type": 1 * all_angles.scalar, "out_type": 1 * all_angles.irrep("0")}
    k = all_angles.rotations.sample(0)
    assert rotation_error(layer, TURN, size=9, **types).error < EXACT
    assert rotation_error(layer, k, "blobs", size=33, **types).error > 0.02


def test_kernels_cut_off_too_early_turn_on_the_grid_only() -> None:
    """A cube of samples is not a ball: what it cuts off is no error of quarter turns, and one of all other angles."""
    group = group_named("so3")
    layer = nn.GroupConv(1 * group.scalar, vectors(group), sigma=1.4, support=1.5)
    assert rotation_error(layer, TURN, size=9).error < EXACT
    assert rotation_error(layer, group.rotations.sample(0), "blobs", size=33).error > 2 * ANY_ANGLE


# Scales


@pytest.mark.parametrize("name", ["octahedral", "so3"])
def test_the_scale_error_is_what_it_was(name: str) -> None:
    group = group_named(name)
    for layer in (
        nn.GroupConv(1 * group.scalar, vectors(group)),
        nn.GroupConv(vectors(group), vectors(group)),
    ):
        result = equivariance_error(layer, protocol="lattice")
        assert result.error <= layer.declared_error + 1e-6
        assert result.trivial > 0.1


# The plane


def test_eighths_of_a_turn_in_the_plane() -> None:
    pytest.importorskip("escnn")
    group = ScaleTranslationGroup(2, 2.0, 3, "c8")
    field = 2 * group.quotient()
    net = nn.Sequential(
        nn.GroupConv(1 * group.scalar, field, sigma=1.4), nn.Pointwise(field), nn.GroupConv(field, field, sigma=1.4)
    )
    result = rotation_error(net, group.rotations.elements[1], "blobs")
    assert result.error < ANY_ANGLE
    assert result.trivial > 0.2
