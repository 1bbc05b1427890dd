"""U-Net and classifier with rotations: equivariant to scale, rotation and translation, end to end."""

from __future__ import annotations

import copy
import pickle
import time
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.models import Classifier, UNet, turning_fields
from scalegroup.models.fields import side_by_side
from scalegroup.testing import Blobs, centred, equivariance_error, rotation_error

# What docs/concepts/haar_grids.md and DESIGN.md section 5 ask for: statistics of their own know the background,
# zeros the border.
EXACT: dict[str, Any] = {"norm": "batch", "padding_mode": "replicate", "num_scales": 2, "first": 0}
QUARTER = (-2, 1, 3)  # by 90 degrees about the third axis
THIRD = (2, 3, 1)  # about a diagonal of the cube
MIRROR = (-1, 2, 3)


def calibrated(net: torch.nn.Module, dim: int, size: int = 13) -> torch.nn.Module:
    """The network in eval mode, with the statistics of one pass over blobs."""
    for module in net.modules():
        if hasattr(module, "momentum"):
            module.momentum = 1.0
    scans = Blobs.random(1 * ScaleTranslationGroup(dim, num_scales=1).scalar, radius=0.3 * size, batch=4, seed=5)
    with torch.no_grad():
        net.train()(scans.sample([centred(size)] * dim).float())
    return net.eval()


def unet(rotations: Any, dim: int = 3, seed: int = 0, **options: Any) -> UNet:
    """Two levels with random weights."""
    torch.manual_seed(seed)
    net = UNet(dim, 1, 2, (4, 4), (2,), rotations=rotations, **{**EXACT, **options})
    return calibrated(net, dim)  # type: ignore[return-value]


def rotations_of(name: str, dim: int = 3) -> CompactGroup | str:
    """A name, or the group of escnn that has it."""
    if name in ("reflection", "c4", "d4", "octahedral", "full_octahedral"):
        return name
    pytest.importorskip("escnn")
    found: CompactGroup = import_module("scalegroup.interop.escnn").compact_group(name, dim)
    return found


def rotation(seed: int = 0) -> NDArray[np.float64]:
    """A random one, by no special angle about no special axis."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


# Rotations of the grid are exact


CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("octahedral", QUARTER, {}),
    ("octahedral", THIRD, {"sampling": "uniform", "scale_pool": "max"}),
    ("octahedral", QUARTER, {"num_res_units": 1, "act": "relu"}),
    ("octahedral", THIRD, {"fields": lambda group, count: (count // 2) * group.irrep("T1") + 1 * group.irrep("E")}),
    ("full_octahedral", MIRROR, {}),
]


@pytest.mark.parametrize(("rotations", "k", "options"), CASES)
def test_rotations_of_the_grid_are_exact(rotations: str, k: Any, options: dict[str, Any]) -> None:
    found = rotation_error(unet(rotations, **options), k, size=13)
    assert found.error < 1e-12  # measured 1e-15
    assert found.trivial > 0.3


@pytest.mark.parametrize(("rotations", "k"), [("c4", (-2, 1)), ("d4", (1, -2))])
def test_in_the_plane(rotations: str, k: Any) -> None:
    found = rotation_error(unet(rotations, 2, num_res_units=2), k, size=17)
    assert found.error < 1e-12
    assert found.trivial > 0.3


def test_without_rotations_it_is_not() -> None:
    field = 1 * ScaleTranslationGroup(3, num_scales=1, rotations="octahedral").scalar
    found = rotation_error(unet(None), QUARTER, size=13, in_type=field, out_type=2 * field)
    assert found.error > 0.1


def test_statistics_of_each_volume_do_not_turn_either() -> None:
    assert rotation_error(unet("octahedral", norm="instance"), QUARTER, size=13).error < 1e-12


# All rotations


@pytest.mark.parametrize("rotations", ["so3", "o3"])
def test_all_rotations(rotations: str) -> None:
    net = unet(rotations_of(rotations), sigma=1.4)
    found = rotation_error(net, rotation().tolist(), "blobs")
    assert found.error < 2e-3  # measured 6e-4 and 1e-3; asked for 5e-3
    assert found.trivial > 0.3
    quarter = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert rotation_error(net, quarter, size=13).error < 1e-12


def test_rotations_of_the_cube_alone_leave_the_others() -> None:
    field = 1 * ScaleTranslationGroup(3, num_scales=1, rotations=rotations_of("so3")).scalar
    net = unet("octahedral", sigma=1.4)
    assert (
        rotation_error(net, rotation().tolist(), "blobs", in_type=field, out_type=2 * field).error > 0.1
    )  # measured 0.4


def test_mirror_images_are_the_same_to_o3_only() -> None:
    field = 1 * ScaleTranslationGroup(3, num_scales=1, rotations="full_octahedral").scalar
    errors = {
        name: rotation_error(
            unet(rotations_of(name), fields=rich), MIRROR, size=13, in_type=field, out_type=2 * field
        ).error
        for name in ("so3", "o3")
    }
    assert errors["o3"] < 1e-12
    assert errors["so3"] > 0.1  # measured 0.4


def rich(group: ScaleTranslationGroup, count: int) -> FieldType:
    """Vectors and tensors enough for kernels that tell left from right."""
    return 2 * group.regular + 2 * group.irrep(1) + 2 * group.irrep(2)  # type: ignore[no-any-return]


# Scale, as without rotations


@pytest.mark.parametrize("rotations", ["octahedral", "so3"])
def test_scale(rotations: str) -> None:
    net = unet(rotations_of(rotations), scale_pool=None)
    found = equivariance_error(net, 2**0.5, size=57, width=(2.0, 3.0))
    assert found.per_scale < 1e-4  # measured 2e-5, with and without rotations
    assert found.trivial > 0.3


# The modules


@pytest.mark.parametrize("rotations", ["octahedral", "so3"])
def test_gradients_reach_all_weights(rotations: str) -> None:
    torch.manual_seed(0)
    net = UNet(
        3,
        1,
        2,
        (4, 4, 4),
        (2, 2),
        rotations=rotations_of(rotations),
        num_scales=2,
        first=0,
        norm="batch",
        train_scales=None,
    )
    net(torch.randn(2, 1, 9, 9, 9)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("rotations", ["octahedral", "full_octahedral", "so3", "o3"])
def test_it_is_built_in_seconds(rotations: str) -> None:
    group = rotations_of(rotations)
    start = time.process_time()
    UNet(3, 1, 2, (8, 16, 32), (2, 2), rotations=group)
    assert time.process_time() - start < 5


def test_weights_do_not_depend_on_the_window() -> None:
    net = unet("octahedral", scale_pool=None)
    wide = nn.with_window(net, num_scales=3, first=0)
    assert {name: x.shape for name, x in wide.state_dict().items()} == {n: x.shape for n, x in net.state_dict().items()}
    x = torch.randn(1, 1, 13, 13, 13)
    with torch.no_grad():
        few, more = net(x), wide(x)
    assert len(more) == 3
    for one, two in zip(few, more[:2], strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_a_step_of_training_on_a_run_of_scales() -> None:
    torch.manual_seed(0)
    net = UNet(2, 1, 2, (4, 4), (2,), rotations="c4", num_scales=4, train_scales=2)
    net(torch.randn(1, 1, 12, 12)).sum().backward()
    assert net.eval()(torch.randn(1, 1, 12, 12)).shape == (1, 2, 12, 12)


def test_the_summary_names_the_rotations() -> None:
    options: dict[str, Any] = {"rotations": "d4", "num_scales": 2}
    for net in (UNet(2, 1, 2, (2, 2), (2,), **options), Classifier(2, 1, 2, (2, 2), (1, 2), **options)):
        assert "strides=" in net.summary()
        assert ", rotations=SignedPermutations.d4(), scales" in net.summary()
    assert "rotations" not in UNet(2, 1, 2, (2, 2), (2,)).summary()


def test_copies_and_pickles() -> None:
    net = unet("d4", 2)
    x = torch.randn(1, 1, 11, 12)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x), net(x))


def test_one_graph_without_breaks() -> None:
    """With gates, and two kinds of fields side by side; one scale, as each is traced by itself."""
    torch.manual_seed(0)
    fields = {"fields": lambda group, count: count * group.regular + 1 * group.irrep(1)}
    net = UNet(1, 1, 1, (1, 1), (2,), rotations="reflection", **fields, **{**EXACT, "num_scales": 1}).eval()
    x = torch.randn(1, 1, 9)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(x), net(x), atol=1e-6)


def test_zero_mean_kernels_that_turn() -> None:
    net = unet("d4", 2, admissible="encoder", scale_extent=2, norm=None, bias=False)
    assert rotation_error(net, (-2, 1), size=17).error < 1e-12
    with torch.no_grad():
        assert net(torch.ones(1, 1, 33, 33))[..., 16, 16].abs().max() < 1e-3
        assert unet("d4", 2, norm=None, bias=False)(torch.ones(1, 1, 33, 33))[..., 16, 16].abs().max() > 1e-2


# The classifier


def scores(net: torch.nn.Module, x: Tensor) -> Tensor:
    """The scores, relative to their deviation over the classes."""
    with torch.no_grad():
        y: Tensor = net(x)
    return y / (y - y.mean()).norm()


def classifier(rotations: str | None, **options: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return calibrated(Classifier(3, 1, 4, (4, 4, 4), (1, 2, 1), num_scales=2, rotations=rotations, **options), 3)


@pytest.mark.parametrize("sampling", ["uniform", "haar"])
def test_scores_do_not_turn(sampling: str) -> None:
    x = torch.randn(1, 1, 13, 13, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = x.transpose(2, 3).flip(2)
    still, turned = (classifier(name, sampling=sampling).double() for name in ("octahedral", None))
    assert torch.allclose(scores(still, x), scores(still, y), rtol=0, atol=1e-12)
    assert (scores(turned, x) - scores(turned, y)).norm() > 1e-2


def test_the_last_block_has_scalars_only() -> None:
    group_fields = [
        str(layer.in_type) for layer in classifier("octahedral").modules() if isinstance(layer, nn.ScalePool)
    ]
    assert group_fields == ["4*regular"]


# Field types


def test_fields_of_all_groups() -> None:
    expected = {None: (8,), "reflection": (4, 8), "c4": (4, 16), "d4": (4, 16), "octahedral": (4, 24)}
    dims = {None: 3, "reflection": 1, "c4": 2, "d4": 2, "octahedral": 3}
    for name, sizes in expected.items():
        field = turning_fields(ScaleTranslationGroup(dims[name], num_scales=1, rotations=name), 8)
        assert tuple(multiplicity * rep.size for multiplicity, rep in field) == sizes
    mirrored = ScaleTranslationGroup(3, num_scales=1, rotations=SignedPermutations([(-1, 2, 3)]))
    assert [rep.size for _, rep in turning_fields(mirrored, 2)] == [1, 2]
    assert str(turning_fields(mirrored, 1)) == "1*regular"


def test_fields_of_infinite_and_foreign_groups() -> None:
    for name, dim, sizes in (("so3", 3, (3, 6, 5)), ("o3", 3, (3, 6, 5)), ("so2", 2, (3, 4, 2)), ("c8", 2, (3, 24))):
        field = turning_fields(ScaleTranslationGroup(dim, num_scales=1, rotations=rotations_of(name, dim)), 6)
        assert tuple(multiplicity * rep.size for multiplicity, rep in field) == sizes
    assert str(turning_fields(ScaleTranslationGroup(3, num_scales=1, rotations=rotations_of("so3")), 2)).count("*") == 2


def test_a_skip_connection_keeps_fields_of_one_kind_together() -> None:
    group = ScaleTranslationGroup(3, num_scales=2, rotations="octahedral")
    merged = side_by_side(2 * group.regular + 1 * group.irrep("E"), 3 * group.irrep("E") + 1 * group.irrep("T1"))
    assert str(merged) == "2*regular + 4*irrep('E') + 1*irrep('T1')"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rotations": "cube"}, "the name of a compact group"),
        ({"rotations": "c4", "spatial_dims": 3}, "received"),
        ({"rotations": "octahedral", "fields": "regular"}, "fields, a function of a group and a number of channels"),
        ({"rotations": "octahedral", "fields": lambda group, count: count}, "fields that returns a FieldType"),
        ({"rotations": "octahedral", "fields": lambda group, n: n * group.scalar}, "on the scales, received 2.scalar"),
        ({"rotations": "octahedral", "fields": lambda g, n: n * g.irrep("T1"), "oversample": 2}, "oversample=1 for"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(sg.ScaleGroupError, match=text):
        UNet(**{"spatial_dims": 3, "channels": (2, 2), "strides": (2,), "num_scales": 2, **options})
