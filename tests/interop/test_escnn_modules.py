"""Our layers among escnn's modules, and the other way round."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("escnn")

import scalegroup as sg
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.interop.escnn import EscnnGroup, as_escnn, channel_order, escnn_field_type, field_type, from_escnn
from scalegroup.interop.escnn.library import gspaces
from scalegroup.interop.escnn.library import nn as escnn
from scalegroup.testing import check_equivariance, rotation_error

# escnn leaves a file open where it solves for a basis numerically
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

SO3 = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="so3")
CUBE = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations="octahedral")
ESCNN_CUBE = sg.ScaleTranslationGroup(dim=3, num_scales=2, rotations=EscnnGroup("octahedral"))
OCTA = gspaces.octaOnR3()
PLANE = sg.ScaleTranslationGroup(dim=2, num_scales=3, rotations="d4")
SCALES = sg.ScaleTranslationGroup(dim=2, num_scales=3)
TURNS = 1 * SO3.irrep(0) + 2 * SO3.irrep(1) + 1 * SO3.irrep(2)

LAYERS: dict[str, tuple[int, Callable[[], Any]]] = {  # how many elements the check goes through, and the layer
    "conv": (24, lambda: sg.nn.GroupConv(TURNS, 1 * SO3.irrep(0) + 1 * SO3.irrep(2), scale_extent=2)),
    "lift": (24, lambda: sg.nn.GroupConv(2 * SO3.scalar, TURNS)),
    "strided conv": (24, lambda: sg.nn.GroupConv(TURNS, 1 * SO3.irrep(2), stride=2)),
    "linear": (60, lambda: sg.nn.Linear(TURNS, TURNS)),
    "gate": (60, lambda: sg.nn.Gate(TURNS)),
    "batch norm": (60, lambda: sg.nn.BatchNorm(TURNS)),
    "conv of the cube": (
        24,
        lambda: sg.nn.GroupConv(CUBE.quotient() + CUBE.scalar, CUBE.irrep("T1") + CUBE.quotient()),
    ),
    "batch norm of the cube": (24, lambda: sg.nn.BatchNorm(2 * CUBE.irrep("T2"))),
    "conv of escnn's cube": (
        24,
        lambda: sg.nn.GroupConv(2 * ESCNN_CUBE.irrep(1), 1 * ESCNN_CUBE.representation("escnn", "regular")),
    ),
    "conv in the plane": (8, lambda: sg.nn.GroupConv(1 * PLANE.scalar, 2 * PLANE.irrep("E") + PLANE.quotient())),
    "conv without rotations": (1, lambda: sg.nn.GroupConv(1 * SCALES.scalar, 2 * SCALES.regular)),
}


@pytest.mark.parametrize("name", list(LAYERS))
def test_layers_pass_the_check(name: str) -> None:
    torch.manual_seed(0)
    count, make = LAYERS[name]
    errors = as_escnn(make()).check_equivariance()
    assert len(errors) == count
    assert max(error for _, error in errors) < 2e-7


def test_layers_pass_the_check_of_escnns_base_class(capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty random elements on white noise, in float64: `escnn.nn.EquivariantModule.check_equivariance` as it is."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        conv = as_escnn(sg.nn.GroupConv(CUBE.quotient() + CUBE.scalar, CUBE.irrep("T1") + CUBE.quotient()))
        errors = escnn.EquivariantModule.check_equivariance(conv)
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(errors) == 20
    assert max(error for _, error in errors) < 1e-14
    assert capsys.readouterr().out  # it tells what it tests


class Broken(sg.nn.EquivariantModule):
    """A plain convolution that says it is equivariant."""

    def __init__(self, field: Any) -> None:
        super().__init__(field, field)
        self.conv = torch.nn.Conv3d(field.size, field.size, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)  # type: ignore[no-any-return]


def test_the_check_finds_what_is_not_equivariant() -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="not equivariant under"):
        as_escnn(Broken(TURNS)).check_equivariance()
    norm = as_escnn(sg.nn.BatchNorm(TURNS))
    norm.layer.forward = lambda x: x + 1.0  # also to components of vectors
    with pytest.raises(AssertionError, match="not equivariant under"):
        norm.check_equivariance()


def blobs(count: int, size: int, seed: int = 0) -> Callable[[np.ndarray], torch.Tensor]:
    """Smooth channels, given as a function of points in the order of the tensor's axes."""
    rng = np.random.default_rng(seed)
    centres, weights = rng.uniform(-3.5, 3.5, (6, 3)), rng.standard_normal((count, 6))
    axis = np.arange(size) - (size - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)

    def sample(matrix: np.ndarray) -> torch.Tensor:
        points = grid @ matrix  # the inverse rotation of each point
        distances = ((points[..., None, :] - centres) ** 2).sum(axis=-1)
        return torch.tensor(np.einsum("cn,xyzn->cxyz", weights, np.exp(-distances / (2 * 2.0**2))))[None]

    return sample


def test_any_rotation_in_escnns_convention() -> None:
    """Random rotations of smooth fields: `f(L_k x)` against escnn's own transform of `f(x)`.

    escnn interpolates by quadratic splines; its own tolerance for convolutions is 0.1. `rotation_error`, which
    interpolates better, asks for 5e-3.
    """
    torch.manual_seed(0)
    out = 1 * SO3.irrep(1) + 1 * SO3.irrep(2)
    conv = sg.nn.GroupConv(1 * SO3.scalar + 1 * SO3.irrep(1, weight=0.0), out, sigma=1.4).double()
    module = as_escnn(conv)
    sample = blobs(4, 27)
    known = EscnnGroup("so3")
    whole = conv.in_type.representation
    for seed in range(2):
        k = known.sample(seed)
        rho = torch.tensor(whole(SO3.element(k=k)))
        with torch.no_grad():
            y = module(module.in_type(sample(np.eye(3)))).transform(known.to_escnn(k)).tensor
            moved = module(module.in_type(torch.einsum("ij,bjxyz->bixyz", rho, sample(k.matrix)))).tensor
        inside = (..., *[slice(7, -7)] * 3)
        assert float((moved - y)[inside].norm() / y[inside].norm()) < 0.02
        assert rotation_error(conv, k, "blobs", size=27).error < 5e-3
        # The negative twin: the components do not turn.
        still = module(module.in_type(sample(k.matrix))).tensor.detach()
        assert float((still - y)[inside].norm() / y[inside].norm()) > 0.2


def test_ours_and_theirs_in_one_network() -> None:
    """Lifting by our layer, activations and a convolution of escnn, a convolution and a batch norm of ours."""
    torch.manual_seed(0)
    space = EscnnGroup("d4").space
    scalars = space.type(*[space.trivial_repr] * 2)
    features = space.type(*[space.regular_repr] * 2)
    field = field_type(features, num_scales=2)
    net = escnn.SequentialModule(
        as_escnn(sg.nn.GroupConv(field_type(scalars, num_scales=2, weight=0.0), field)),
        escnn.ReLU(features),
        as_escnn(sg.nn.GroupConv(field, field)),
        escnn.R2Conv(features, features, kernel_size=3, padding=1),
        as_escnn(sg.nn.BatchNorm(field)),
        escnn.ELU(features),
    )
    x = escnn.GeometricTensor(torch.randn(1, 2, 9, 9), scalars)
    y = net(x)
    assert y.type == features
    y.tensor.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
    net.eval()
    for k in space.fibergroup.elements:
        with torch.no_grad():
            torch.testing.assert_close(net(x).transform(k).tensor, net(x.transform(k)).tensor, rtol=1e-4, atol=1e-5)
    net.check_equivariance(atol=1e-5)  # that of escnn's SequentialModule
    exported = net.export()
    assert not any(isinstance(part, escnn.EquivariantModule) for part in exported.modules())
    torch.testing.assert_close(exported(x.tensor), net(x).tensor, rtol=1e-5, atol=1e-6)


def test_output_shapes_are_found_without_a_trace() -> None:
    strided = as_escnn(sg.nn.GroupConv(1 * SO3.scalar, TURNS, stride=2))
    assert strided.evaluate_output_shape((3, 1, 9, 11, 13)) == (3, TURNS.size, 5, 6, 7)
    norm = sg.nn.BatchNorm(TURNS)
    before = copy.deepcopy(norm.state_dict())
    assert as_escnn(norm).evaluate_output_shape((2, TURNS.size, 5, 5, 5)) == (2, TURNS.size, 5, 5, 5)
    assert all(torch.equal(before[key], value) for key, value in norm.state_dict().items())
    assert norm.training


def test_parameters_are_shared_and_state_dicts_hold_weights_only() -> None:
    conv = sg.nn.GroupConv(1 * SO3.scalar, TURNS)
    module = as_escnn(conv)
    assert module.layer is conv
    assert list(module.state_dict()) == [f"layer.{key}" for key in conv.state_dict()]
    x = torch.randn(1, 1, 7, 7, 7)
    torch.testing.assert_close(module(module.in_type(x)).tensor, conv(x)[:, channel_order(TURNS)], rtol=0, atol=0)


def test_types_of_the_user_are_checked() -> None:
    vectors, field = EscnnGroup("so3").space.irrep(1), 1 * SO3.irrep(1)
    space = EscnnGroup("so3").space
    layer = sg.nn.BatchNorm(field)
    mine = space.type(vectors, vectors)
    assert as_escnn(layer, mine, mine).in_type is mine
    for wrong in (space.type(*[space.trivial_repr] * 6), space.type(vectors), OCTA.type(OCTA.trivial_repr), field):
        with pytest.raises(FieldTypeError, match="a type of escnn"):
            as_escnn(layer, wrong)
    with pytest.raises(FieldTypeError, match="a GeometricTensor of"):
        as_escnn(layer)(torch.randn(1, 6, 5, 5, 5))
    with pytest.raises(FieldTypeError, match="an EquivariantModule of this library"):
        as_escnn(torch.nn.ReLU())  # type: ignore[arg-type]
    haar = sg.ScaleTranslationGroup(dim=3, rotations="so3", sampling="haar")
    with pytest.raises(FieldTypeError, match="all scales on one grid"):
        as_escnn(sg.nn.Linear(1 * haar.regular, 1 * haar.regular))


def test_activations_of_escnn_among_our_layers() -> None:
    field = 2 * PLANE.quotient() + 1 * PLANE.regular
    layer = from_escnn(escnn.ReLU(escnn_field_type(field)), field, field)
    x = torch.randn(1, field.size, 5, 5)
    assert torch.equal(layer(x), torch.relu(x))
    assert layer.declared_error == float("inf")
    conv = sg.nn.GroupConv(field, field)
    assert check_equivariance(sg.nn.Sequential(conv, layer), 2**0.5).per_scale < 0.1
    assert rotation_error(sg.nn.Sequential(conv, layer), (-2, 1), size=9).error < 1e-12
    twin = copy.deepcopy(layer)
    assert twin.module.in_type is layer.module.in_type
    assert torch.equal(twin(x), layer(x))


def test_fourier_activations_and_pooling_of_escnn() -> None:
    activation = escnn.FourierELU(EscnnGroup("so2").space, channels=6, irreps=[(0,), (1,)], N=8)
    field = field_type(activation.in_type, num_scales=3)
    layer = from_escnn(activation, field, field)
    quarter = field.group.element(k=((0.0, -1.0), (1.0, 0.0))).k
    assert rotation_error(layer, quarter, size=9).error < 1e-6  # escnn's tables are in float32
    pool = from_escnn(
        escnn.PointwiseAvgPool2D(escnn_field_type(2 * PLANE.quotient()), 2, 2), *[2 * PLANE.quotient()] * 2
    )
    assert pool(torch.randn(1, pool.in_type.size, 6, 6)).shape == (1, pool.in_type.size, 3, 3)


def test_modules_with_parameters_or_other_types_are_refused() -> None:
    theirs = escnn_field_type(2 * CUBE.quotient())
    with pytest.raises(ScaleGroupError, match="a module without parameters"):
        from_escnn(escnn.InnerBatchNorm(theirs), 2 * CUBE.quotient(), 2 * CUBE.quotient())
    with pytest.raises(FieldTypeError, match="a type of escnn like"):
        from_escnn(escnn.ReLU(theirs), 1 * CUBE.quotient(), 1 * CUBE.quotient())
    with pytest.raises(FieldTypeError, match=r"an escnn.nn.EquivariantModule"):
        from_escnn(torch.nn.ReLU(), 1 * CUBE.quotient(), 1 * CUBE.quotient())
