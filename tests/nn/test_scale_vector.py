"""The scale of the strongest response as an angle, and back: exact laws, and what the layers promise."""

from __future__ import annotations

from math import cos, log, pi, sin

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of
from scalegroup.nn.scale_vector import turned
from scalegroup.testing import LayerContract, equivariance_error

RATE = 0.5


def window(dim: int = 1, num_scales: int = 5, sampling: str = "uniform") -> ScaleTranslationGroup:
    return ScaleTranslationGroup(dim, base=2**0.5, num_scales=num_scales, first=-2, sampling=sampling)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class FromVectors(LayerContract):
    """For layers that read vectors."""

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.phase(RATE)


class TestVectorToScale(FromVectors):
    def make_layer(self, field: FieldType) -> nn.VectorToScale:
        return nn.VectorToScale(field)


class TestScaleToVector(LayerContract):
    """Exact for what stays inside the window, and only for that."""

    inside = True
    tolerance = 0.0

    def make_layer(self, field: FieldType) -> nn.ScaleToVector:
        return nn.ScaleToVector(field, RATE)

    def test_content_that_leaves_the_window_is_an_error(self) -> None:
        error = equivariance_error(self._layer(self.dims[0]), protocol="lattice").error
        assert 0.3 < error < 2  # measured 0.5

    def test_a_mean_over_the_window_depends_on_its_ends(self) -> None:
        field = self.make_field(self._group(1))
        error = equivariance_error(nn.ScaleToVector(field, RATE, sharpness=3.0), protocol="lattice", inside=True).error
        assert 1e-3 < error < 0.5  # measured 0.04


class TestVectorBatchNorm(FromVectors):
    def make_layer(self, field: FieldType) -> nn.VectorBatchNorm:
        return nn.VectorBatchNorm(field)


class TestVectorMagnitude(FromVectors):
    def make_layer(self, field: FieldType) -> nn.VectorMagnitude:
        return nn.VectorMagnitude(field)


class TestVectorMaxPool(FromVectors):
    def make_layer(self, field: FieldType) -> nn.VectorMaxPool:
        return nn.VectorMaxPool(field)

    def test_equivariance(self) -> None:
        """A regression value: the window is fixed."""
        assert 0.05 < equivariance_error(self._layer(1), protocol="lattice").error < 0.5  # measured 0.10

    def test_the_measurement_can_fail(self) -> None:
        assert nn.VectorMaxPool(self.make_field(window())).declared_error == float("inf")


# The laws of vectors


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, -2])
def test_turning_the_vectors_moves_their_fields_along_the_scales(dim: int, steps: int) -> None:
    """`F(s)` of vectors turned by `ω ln a` is `F(s / a)`: what dilation does at one point, exactly."""
    group = window(dim)
    layer, v = nn.VectorToScale(3 * group.phase(RATE)).double(), noise(2, 6, *(5, 4, 3)[:dim])
    angle = RATE * steps * log(group.base)
    before, after = (layer(x).unflatten(1, (6, 5)) for x in (v, turned(v, angle)))
    lower, upper = (slice(None, -2), slice(2, None)) if abs(steps) == 2 else (slice(None, -1), slice(1, None))
    source, target = (lower, upper) if steps > 0 else (upper, lower)
    torch.testing.assert_close(after[:, :, target], before[:, :, source], rtol=0, atol=1e-12)
    wrong = layer(turned(v, -angle)).unflatten(1, (6, 5))  # the negative twin
    assert float((wrong[:, :, target] - before[:, :, source]).abs().max()) > 0.1


@pytest.mark.parametrize("sharpness", [None, 5.0])
def test_a_response_one_scale_further_turns_the_vector(sharpness: float | None) -> None:
    group = window(num_scales=9)
    layer = nn.ScaleToVector(2 * group.regular, RATE, sharpness).double()
    x = torch.zeros(1, 2, 9, 7, dtype=torch.float64)
    x[:, :, 3:6] = 1.0 + noise(1, 2, 3, 7).square()
    before, after = layer(x.flatten(1, 2)), layer(x.roll(1, dims=2).flatten(1, 2))
    step = RATE * log(group.base)
    torch.testing.assert_close(after.norm(), before.norm())
    if sharpness is None:
        torch.testing.assert_close(after, turned(before, step))
    else:  # the mean over a window that ends is no mean over all scales: measured 1.2e-2
        assert float((after - turned(before, step)).norm() / before.norm()) < 0.02
    assert float((after - before).norm() / before.norm()) > 0.1


def test_the_vector_names_the_strongest_scale() -> None:
    group = window(num_scales=3)
    layer = nn.ScaleToVector(1 * group.regular, RATE).double()
    y = layer(torch.tensor([[[0.5], [2.0], [1.0]]], dtype=torch.float64))[0, :, 0]
    angle = RATE * log(group.scales[1])
    torch.testing.assert_close(y, 2 * torch.tensor([cos(angle), sin(angle)], dtype=torch.float64))
    m, kappa = layer.maximum(torch.tensor([[[-0.5], [-2.0], [-1.0]]], dtype=torch.float64))
    assert float(m) == -0.5
    assert float(kappa) == pytest.approx(log(group.scales[0]))
    assert layer(-torch.ones(1, 3, 1, dtype=torch.float64)).abs().max() == 0  # negative responses are no vectors


def test_a_sharp_mean_is_the_scale_of_the_maximum() -> None:
    field, x = 2 * window().regular, noise(1, 10, 30).abs()
    hard, soft, softer = (nn.ScaleToVector(field, RATE, beta).double().maximum(x)[1] for beta in (None, 1e5, 1.0))
    torch.testing.assert_close(soft, hard, rtol=0, atol=1e-9)
    assert float((softer - hard).abs().max()) > 0.1


def test_the_mean_scale_does_not_depend_on_the_size_of_the_responses() -> None:
    layer, x = nn.ScaleToVector(2 * window().regular, RATE, 4.0).double(), noise(1, 10, 30).abs() + 0.1
    torch.testing.assert_close(layer(100 * x), 100 * layer(x))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_there_and_back_finds_the_scale_of_a_vector(dim: int) -> None:
    """A vector points along the first axis at its own scale: there its first field is largest."""
    group = window(dim)
    step = RATE * log(group.base)
    v = torch.stack([torch.cos(step * torch.arange(-2.0, 3.0)), torch.sin(step * torch.arange(-2.0, 3.0))])[None]
    fields = nn.VectorToScale(1 * group.phase(RATE))(v.view(1, 2, 5, *[1] * (dim - 1))).unflatten(1, (2, 5))
    assert fields[0, 0].flatten(1).argmax(0).tolist() == [0, 1, 2, 3, 4]
    back = nn.ScaleToVector(1 * group.regular, RATE)(fields[:, 0])
    torch.testing.assert_close(back, v.view(back.shape))


def test_grids_of_their_own_see_the_same_vectors() -> None:
    smooth = torch.cos(0.1 * torch.arange(41.0, dtype=torch.float64) + torch.tensor([[0.0], [1.0]]))[None]
    uniform = nn.VectorToScale(1 * window().phase(RATE))(smooth).unflatten(1, (2, 5))
    haar = nn.VectorToScale(1 * window(sampling="haar").phase(RATE))(smooth)
    assert [part.shape[2] for part in haar] == [83, 59, 41, 29, 21]
    for k, part in enumerate(haar):
        middle = part.shape[2] // 2
        torch.testing.assert_close(part[..., middle], uniform[:, :, k, 20], rtol=0, atol=2e-3)
    back = nn.ScaleToVector(1 * window(sampling="haar").regular, RATE)
    alone = tuple(torch.full_like(part[:, :1], 1.0 + (k == 3)) for k, part in enumerate(haar))
    y = back(alone, output_size=(41,))
    angle = RATE * log(window().scales[3])
    torch.testing.assert_close(y[0, :, 20], 2 * torch.tensor([cos(angle), sin(angle)], dtype=torch.float64))


@pytest.mark.parametrize(
    "layer", [nn.VectorBatchNorm(3 * window().phase(RATE)), nn.VectorMaxPool(3 * window().phase(RATE))]
)
def test_lengths_alone_count(layer: torch.nn.Module) -> None:
    """What acts on lengths commutes with turning all vectors."""
    v, layer = noise(2, 6, 9), layer.double()
    torch.testing.assert_close(layer(turned(v, 0.7)), turned(layer(v), 0.7))
    plain = torch.nn.BatchNorm1d(6, affine=False).double()  # the negative twin: a norm of the components
    assert float((plain(turned(v, 0.7)) - turned(plain(v), 0.7)).abs().max()) > 1e-3


def test_magnitudes_do_not_turn() -> None:
    layer, v = nn.VectorMagnitude(3 * window().phase(RATE)), noise(2, 6, 9)
    torch.testing.assert_close(layer(turned(v, 0.7)), layer(v))
    zero = torch.zeros(1, 6, 2, requires_grad=True)
    layer(zero).sum().backward()
    assert zero.grad is not None
    assert bool(torch.isfinite(zero.grad).all())


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_longest_vector_of_each_window(dim: int) -> None:
    v = noise(2, 4, *(5, 4, 3)[:dim])
    y = nn.VectorMaxPool(2 * window(dim).phase(RATE))(v)
    assert y.shape[2:] == (3, 2, 2)[:dim]
    corner = v[(..., *[slice(0, 2)] * dim)].unflatten(1, (2, 2)).flatten(3)
    longest = corner.norm(dim=2).argmax(dim=2)[:, :, None, None].expand(-1, -1, 2, 1)
    torch.testing.assert_close(y[(..., *[0] * dim)].unflatten(1, (2, 2)), corner.gather(3, longest)[..., 0])


def test_the_norm_is_the_root_mean_square_of_the_lengths() -> None:
    norm, v = nn.VectorBatchNorm(2 * window().phase(RATE), momentum=1.0).double(), 5 * noise(3, 4, 50)
    y = norm.train()(v)
    torch.testing.assert_close(
        y.unflatten(1, (2, 2)).square().sum(2).mean((0, 2)), torch.ones(2).double(), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(norm.eval()(v), y)
    assert float((norm(2 * v) - y).abs().max()) > 0.1  # running statistics do not follow


def test_scales_are_as_many_angles() -> None:
    """All scales of a window have angles of their own below a full turn; beyond it two of them look alike."""
    group = window(num_scales=4)
    step = log(group.base)
    slow, full = (nn.ScaleToVector(1 * group.regular, rate) for rate in (2 * pi / 3 / (4 * step), 2 * pi / (3 * step)))
    ends = torch.eye(4)[None]
    distance = [float((layer(ends[..., :1]) - layer(ends[..., 3:])).norm()) for layer in (slow, full)]
    assert distance[0] > 1
    assert distance[1] < 1e-5


# Errors


def test_fields_of_another_kind_are_refused() -> None:
    group = window()
    with pytest.raises(FieldTypeError, match="expected regular fields"):
        nn.ScaleToVector(1 * group.scalar, RATE)
    for layer in (nn.VectorToScale, nn.VectorMagnitude, nn.VectorBatchNorm, nn.VectorMaxPool):
        with pytest.raises(FieldTypeError, match="fields of one phase"):
            layer(2 * group.regular)
        with pytest.raises(FieldTypeError, match="fields of one phase"):
            layer(1 * group.phase(1.0) + 1 * group.phase(2.0))


def test_bad_numbers_are_refused() -> None:
    group = window()
    with pytest.raises(ScaleGroupError, match="sharpness: a positive number"):
        nn.ScaleToVector(1 * group.regular, RATE, sharpness=0.0)
    with pytest.raises(ScaleGroupError, match="a rate, a finite number"):
        nn.ScaleToVector(1 * group.regular, float("nan"))
    with pytest.raises(ScaleGroupError, match=r"momentum in \(0, 1\]"):
        nn.VectorBatchNorm(1 * group.phase(RATE), momentum=2.0)
    with pytest.raises(ScaleGroupError, match="stride, an integer >= 1"):
        nn.VectorMaxPool(1 * group.phase(RATE), stride=0)


def test_the_types_say_what_comes_out() -> None:
    group = window()
    assert nn.VectorToScale(3 * group.phase(RATE)).out_type == 6 * group.regular
    assert nn.ScaleToVector(3 * group.regular, RATE).out_type == 3 * group.phase(RATE)
    assert group_of(nn.VectorMagnitude(3 * group.phase(RATE)).out_type) == group
