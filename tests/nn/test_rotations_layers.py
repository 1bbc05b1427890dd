"""What the layers for fields that turn compute, number by number."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup, SignedPermutations
from scalegroup.nn.rotating import soft_length
from scalegroup.representations import Rotational
from scalegroup.testing import rotation_error

CUBE = ScaleTranslationGroup(3, 2.0, 2, "octahedral")
VECTOR = CUBE.irrep("T1")
MIXED = 2 * CUBE.regular + 3 * VECTOR + 1 * CUBE.scalar + 2 * CUBE.irrep("E", weight=0.0)
SQUARE = ScaleTranslationGroup(2, 2.0, 3, "d4")
AXES = SQUARE.quotient(SignedPermutations([(1, -2)]))  # functions on the four directions of the axes


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def vectors(x: Tensor, start: int, count: int) -> Tensor:
    """`(batch, count, 3, 2, *space)` of three vectors on two scales."""
    return x[:, start : start + 6 * count].unflatten(1, (count, 3, 2))


# Norms


def test_vectors_are_divided_by_their_root_mean_square() -> None:
    field = 2 * CUBE.regular + 3 * VECTOR
    x = 5 + 2 * noise(4, field.size, 4, 5, 6)  # a mean that stays
    norm = nn.BatchNorm(field, eps=0.1, momentum=0.25).double()
    y = norm(x)
    v = vectors(x, 4, 3)
    squares = v.square().mean(dim=(0, 2, 3, 4, 5, 6))
    torch.testing.assert_close(vectors(y, 4, 3), v / (squares + 0.1).sqrt().view(3, 1, 1, 1, 1, 1))
    assert norm.running_mean is not None
    assert norm.running_mean.shape == norm.bias.shape == (2,)
    torch.testing.assert_close(norm.running_var[2:], 0.75 + 0.25 * squares)
    plain = nn.BatchNorm(2 * CUBE.regular, eps=0.1, momentum=0.25).double()
    torch.testing.assert_close(y[:, :4], plain(x[:, :4]))
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var[:2], plain.running_var)
    wanted = v / (norm.running_var[2:] + 0.1).sqrt().view(3, 1, 1, 1, 1, 1)
    torch.testing.assert_close(vectors(norm.eval()(x), 4, 3), wanted)


def test_norms_of_numbers_keep_their_state() -> None:
    norm = nn.BatchNorm(2 * CUBE.regular + 1 * CUBE.scalar)
    shapes = {name: tuple(value.shape) for name, value in norm.state_dict().items()}
    fields = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (3,))
    assert shapes == {**fields, "num_batches_tracked": ()}
    only_vectors = nn.BatchNorm(3 * VECTOR).state_dict()
    assert set(only_vectors) == {"weight", "running_var", "num_batches_tracked"}


def test_quotients_have_one_mean_for_all_components() -> None:
    norm = nn.BatchNorm(2 * AXES, eps=0.1).double()
    x = 3 + noise(5, norm.in_type.size, 6, 7)
    wanted = F.batch_norm(x.unflatten(1, (2, 12)).flatten(2), None, None, training=True, eps=0.1)
    torch.testing.assert_close(norm(x), wanted.unflatten(2, (12, 6, 7)).flatten(1, 2))


@pytest.mark.parametrize("groups", [1, 3])
def test_norms_of_samples_divide_vectors_at_each_scale(groups: int) -> None:
    x = 1 + noise(2, 3 * VECTOR.size, 4, 4, 4)
    v = vectors(x, 0, 3)
    dims = (1, 2, 4, 5, 6) if groups == 1 else (2, 4, 5, 6)
    wanted = v / (v.square().mean(dim=dims, keepdim=True) + 0.1).sqrt()
    torch.testing.assert_close(vectors(nn.GroupNorm(3 * VECTOR, groups, eps=0.1).double()(x), 0, 3), wanted)
    if groups == 3:
        torch.testing.assert_close(vectors(nn.InstanceNorm(3 * VECTOR, eps=0.1)(x), 0, 3), wanted)


def test_two_passes_before_one_backward_pass() -> None:
    norm = nn.BatchNorm(1 * CUBE.regular + 1 * VECTOR)
    x = torch.randn(2, norm.in_type.size, 3, 3, 3)
    (norm(x) + norm(2 * x)).square().sum().backward()
    assert norm.weight.grad is not None
    assert bool((norm.weight.grad != 0).all())


# Activations


def test_norm_activations_change_lengths_alone() -> None:
    act = nn.NormActivation(MIXED, torch.nn.Tanh()).double()
    x = noise(2, MIXED.size, 3, 3, 3)
    with torch.no_grad():
        act.bias.copy_(torch.linspace(-1, 1, 5))
    y = act(x)
    numbers = [*range(4), 4 + 18]
    torch.testing.assert_close(y[:, numbers], x[:, numbers].tanh())
    v = vectors(x, 4, 3)
    n = (1 + v.square().sum(2)).sqrt()
    factor = (n + act.bias[:3].view(3, 1, 1, 1, 1)).tanh() / n
    torch.testing.assert_close(vectors(y, 4, 3), v * factor.unsqueeze(2))
    plane = x[:, 23:].unflatten(1, (2, 2))
    n = (1 + plane.square().sum(2)).sqrt()
    factor = (n + act.bias[3:].view(2, 1, 1, 1)).tanh() / n
    torch.testing.assert_close(y[:, 23:].unflatten(1, (2, 2)), plane * factor.unsqueeze(2))


def test_gates_come_behind_the_fields() -> None:
    gate = nn.Gate(MIXED)
    assert str(gate.in_type) == f"{MIXED} + 3*regular + 2*scalar"
    assert gate.out_type == MIXED
    x = noise(2, gate.in_type.size, 3, 3, 3)
    y, gates = gate(x), x[:, MIXED.size :].sigmoid()
    numbers = [*range(4), 22]
    torch.testing.assert_close(y[:, numbers], F.silu(x[:, numbers]))
    torch.testing.assert_close(vectors(y, 4, 3), vectors(x, 4, 3) * gates[:, :6].unflatten(1, (3, 1, 2)))
    turned, plane = (t[:, 23:27].unflatten(1, (2, 2)) for t in (y, x))
    torch.testing.assert_close(turned, plane * gates[:, 6:].unsqueeze(2))


def test_gates_are_for_fields_that_turn() -> None:
    field = 2 * CUBE.regular + 1 * CUBE.quotient()
    assert nn.Gate(field).in_type == field
    x = torch.randn(1, field.size, 2, 2, 2)
    torch.testing.assert_close(nn.Gate(field)(x), nn.Pointwise(field)(x))


@pytest.mark.parametrize("make", [nn.NormActivation, nn.Gate, nn.RotationPool, nn.BatchNorm, nn.InstanceNorm])
def test_vectors_of_length_zero_have_finite_gradients(make: Callable[[FieldType], nn.EquivariantModule]) -> None:
    layer = make(1 * CUBE.irrep("T1"))
    x = torch.zeros(2, layer.in_type.size, 3, 3, 3, requires_grad=True)
    y = layer(x)
    y.square().sum().add(y.sum()).backward()
    assert x.grad is not None
    assert bool(torch.isfinite(y).all())
    assert bool(torch.isfinite(x.grad).all())


def test_activations_of_vectors_are_smooth_at_zero() -> None:
    """Third differences of a length would not fall with the step; those of a smooth function fall with its cube."""
    step = torch.tensor([-1.5, -0.5, 0.5, 1.5], dtype=torch.float64)
    differences = []
    for size in (0.1, 0.01):
        v = torch.stack([size * step, torch.zeros(4), torch.zeros(4)]).T.reshape(4, 3)
        y = nn.RotationPool(1 * CUBE.irrep("T1", weight=0.0))(v)[:, 0]
        differences.append(float((y[3] - 3 * y[2] + 3 * y[1] - y[0]).abs() + (y[2] + y[1] - y[3] - y[0]).abs()))
    assert differences[1] < 0.02 * differences[0]
    lengths = [(size * step).abs() for size in (0.1, 0.01)]
    kinks = [float((y[2] + y[1] - y[3] - y[0]).abs()) for y in lengths]
    assert kinks[1] > 0.05 * kinks[0]


# Pooling


def test_rotation_pool_takes_lengths_maxima_and_means() -> None:
    field = 1 * SQUARE.regular + 2 * SQUARE.irrep("E") + 1 * AXES + 1 * SQUARE.irrep("B1")
    x = noise(2, field.size, 4, 4)
    parts = x.split([3, 12, 12, 3], dim=1)
    length = (1 + parts[1].unflatten(1, (2, 2, 3)).square().sum(2)).sqrt().flatten(1, 2) - 1
    sign = (1 + parts[3].square()).sqrt() - 1
    axes = parts[2].unflatten(1, (4, 3))
    of_axes = {"norm": (1 + axes.square().sum(1)).sqrt() - 1, "max": axes.amax(1), "mean": axes.mean(1)}
    for mode, value in of_axes.items():
        pool = nn.RotationPool(field, mode)
        assert str(pool.out_type) == "1*regular + 2*regular + 1*regular + 1*regular"
        torch.testing.assert_close(pool(x), torch.cat([parts[0], length, value, sign], dim=1))


def test_rotation_pool_of_fields_without_scales_gives_scalars() -> None:
    pool = nn.RotationPool(MIXED)
    assert str(pool.out_type) == "2*regular + 3*regular + 1*scalar + 2*scalar"


def test_projections_keep_vectors() -> None:
    field = 1 * CUBE.regular + 2 * VECTOR
    x = noise(2, field.size, 3, 3, 3)
    v = vectors(x, 2, 2)  # (batch, 2, 3, scales, *space)
    longer = v.square().sum(2).argmax(2)
    chosen = torch.where(longer[:, :, None] == 1, v[:, :, :, 1], v[:, :, :, 0]).flatten(1, 2)
    for mode, wanted in {"max": chosen, "mean": v.mean(3).flatten(1, 2)}.items():
        pool = nn.ScalePool(field, mode)
        assert str(pool.out_type) == "1*scalar + 2*irrep('T1', weight=0.0)"
        torch.testing.assert_close(pool(x)[:, 1:], wanted)
    attention = nn.ScalePool(field, "attention").double()
    with torch.no_grad():
        attention.scorer.copy_(torch.tensor([0.0, 1e6, 0.0]))  # the first vector's length says which scale it is
    chosen = torch.where(longer[:, :1, None] == 1, v[:, :, :, 1], v[:, :, :, 0]).flatten(1, 2)
    torch.testing.assert_close(attention(x)[:, 1:], chosen)


def test_dropout_takes_vectors_as_a_whole() -> None:
    torch.manual_seed(0)
    y = nn.Dropout(3 * VECTOR, p=0.5)(torch.ones(50, 3 * VECTOR.size, 2, 2, 2)).unflatten(1, (3, 6)).flatten(2)
    assert bool(((y == 0).all(2) | (y == 2).all(2)).all())
    assert 0.3 < float((y > 0).float().mean()) < 0.7


def test_linear_mixes_vectors_and_adds_no_constant_to_them() -> None:
    linear = nn.Linear(2 * CUBE.regular + 2 * VECTOR, 3 * VECTOR + 1 * CUBE.regular).double()
    assert linear.bias is not None
    assert linear.bias.shape == (1,)
    x = noise(1, linear.in_type.size, 2, 2, 2)
    wanted = torch.einsum("oc,bcisxyz->boisxyz", linear.weights[0], vectors(x, 4, 2))
    torch.testing.assert_close(vectors(linear(x), 0, 3), wanted)


# Points and grids


@pytest.mark.parametrize(
    "make",
    [
        nn.BatchNorm,
        nn.NormActivation,
        nn.Gate,
        nn.RotationPool,
        nn.Dropout,
        lambda field: nn.Linear(field, field),
        lambda field: nn.ScalePool(field, "max"),
        lambda field: nn.ScalePool(field, "attention"),
    ],
)
def test_points_are_like_voxels(make: Callable[[FieldType], nn.EquivariantModule]) -> None:
    """`(points, size)` is what the same numbers give as voxels."""
    layer = make(2 * CUBE.regular + 1 * VECTOR).double().eval()
    points = noise(24, layer.in_type.size)
    voxels = points.T.reshape(1, -1, 2, 3, 4)
    torch.testing.assert_close(layer(points), layer(voxels).flatten(2)[0].T)


def test_activations_on_a_finer_grid_need_a_grid() -> None:
    field = 1 * CUBE.regular
    assert nn.Pointwise(field)(torch.ones(5, 2)).shape == (5, 2)
    with pytest.raises(ScaleGroupError, match="5 axes"):
        nn.Pointwise(field, oversample=2)(torch.ones(5, 2))


@pytest.mark.parametrize(
    "make",
    [
        nn.BatchNorm,
        nn.InstanceNorm,
        nn.NormActivation,
        nn.Gate,
        nn.RotationPool,
        nn.ScaleBlurPool,
        lambda field: nn.Upsample(field),
        lambda field: nn.Downsample(field),
        lambda field: nn.Linear(field, field),
        lambda field: nn.ScalePool(field, "max"),
    ],
)
def test_fields_with_a_grid_for_each_scale_turn_too(make: Callable[[FieldType], nn.EquivariantModule]) -> None:
    group = ScaleTranslationGroup(2, 2.0, 3, "d4", sampling="haar")
    layer = make(1 * group.regular + 2 * group.irrep("E"))
    for k in group.rotations.generators:
        assert rotation_error(layer, k).error < 1e-12


def test_vectors_go_to_grids_of_their_own_and_back() -> None:
    here = SQUARE.window(num_scales=2)
    field = 2 * here.irrep("E") + 1 * here.regular
    there = nn.ToHaar(field)
    lift = nn.HaarLift(1 * here.scalar + 2 * here.irrep("E", weight=0.0))
    assert str(lift.out_type) == "1*regular + 2*irrep('E')"
    for layer in (there, nn.ToUniform(there.out_type), lift):
        for k in SQUARE.rotations.generators:
            result = rotation_error(layer, k)
            assert result.error < 1e-12
            assert result.trivial > 0.1
    parts = lift(noise(1, 5, 9, 9))
    assert [tuple(part.shape) for part in parts] == [(1, 5, 9, 9), (1, 5, 5, 5)]
    with pytest.raises(FieldTypeError, match="scalar fields, received"):
        nn.HaarLift(1 * here.irrep("E", weight=1.0))


def test_maxima_over_cubes_turn() -> None:
    field = 1 * SQUARE.regular + 1 * AXES
    for k in SQUARE.rotations.generators:
        assert rotation_error(nn.ScaleMaxPool(field), k).error < 1e-12


def test_grids_that_are_coarser_and_finer_turn() -> None:
    field = 1 * CUBE.regular + 1 * VECTOR
    for layer in (nn.Upsample(field), nn.Downsample(field), nn.ScaleBlurPool(field, stride=3)):
        for k in CUBE.rotations.generators:
            assert rotation_error(layer, k, size=9).error < 1e-12


def test_soft_lengths_are_lengths_where_they_are_long() -> None:
    v = torch.tensor([[[[3e3], [4e3]]]], dtype=torch.float64)
    assert float(soft_length(v)) == pytest.approx(5e3, rel=1e-6)
    assert float(soft_length(torch.zeros(1, 1, 2, 1))) == 1
    assert math.isclose(float(soft_length(torch.ones(1, 1, 3, 1))), 2)


# Errors


class NumberAndVector(Rotational):
    """A number and a vector in one."""

    def __init__(self, group: ScaleTranslationGroup, weight: float | None = None) -> None:
        super().__init__(group, 4, weight)

    def tau(self, k):  # type: ignore[no-untyped-def]
        matrix = torch.eye(4).numpy().astype(float)
        matrix[1:, 1:] = k.matrix
        return matrix

    def __str__(self) -> str:
        return "number_and_vector"


DISPLACEMENT = 1 * CUBE.irrep("T1", weight=1.0)
VECTORS = 1 * VECTOR


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.BatchNorm(DISPLACEMENT), r"without a weight, received 1\*irrep\('T1', weight=1.0\)"),
        (lambda: nn.InstanceNorm(DISPLACEMENT), "a norm would undo the dilation"),
        (lambda: nn.NormActivation(DISPLACEMENT), "without a weight, .*a function of the length"),
        (lambda: nn.Gate(DISPLACEMENT), "without a weight"),
        (lambda: nn.RotationPool(DISPLACEMENT), "without a weight"),
        (lambda: nn.BatchNorm(1 * NumberAndVector(CUBE)), "one mean, or none, .*normalise the parts"),
        (lambda: nn.Pointwise(VECTORS), r"quotients, received 1\*irrep\('T1'\); .*nn.NormActivation or nn.Gate"),
        (lambda: nn.ScaleMaxPool(VECTORS), "and quotients, .*nn.ScaleBlurPool takes vectors"),
        (lambda: nn.ScalePool(VECTORS, "logsumexp"), "mode='logsumexp', .*'attention' take vectors"),
        (lambda: nn.ScalePool(VECTORS, torch.nn.Identity()), "regular fields for a mode that is a module"),
        (lambda: nn.ScalePool(DISPLACEMENT), "irreps and quotients on the scales"),
        (lambda: nn.Linear(VECTORS, 1 * CUBE.irrep("T2")), "among the input fields, .*use nn.GroupConv"),
    ],
)
def test_fields_that_a_layer_does_not_take(make: Callable[[], object], text: str) -> None:
    with pytest.raises(FieldTypeError, match=text):
        make()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.RotationPool(VECTORS, "median"), "mode out of .*'norm', 'max', 'mean'"),
        (lambda: nn.NormActivation(VECTORS, torch.nn.Softmax(1)), "acts on every number alike"),
        (lambda: nn.Gate(VECTORS, torch.nn.SiLU), "an activation module or function"),
        (lambda: nn.ScaleBlurPool(VECTORS, stride=(1, 2, 2)), r"the same stride of ScaleBlurPool .* \(1, 2, 2\)"),
    ],
)
def test_wrong_arguments(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        make()


def test_axes_that_no_rotation_mixes_may_have_strides_of_their_own() -> None:
    about_the_last = ScaleTranslationGroup(3, 2.0, 2, SignedPermutations([(-2, 1, 3)]))
    field = 1 * about_the_last.regular + 1 * about_the_last.irrep(2)
    for layer in (nn.ScaleBlurPool(field, stride=(2, 2, 1)), nn.GroupConv(field, field, (2, 2, 1), stride=(2, 2, 1))):
        assert rotation_error(layer, (-2, 1, 3), size=9).error < 1e-12
