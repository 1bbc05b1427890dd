"""The groups that come from escnn."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("escnn")

import scalegroup.interop.escnn
from scalegroup.errors import MissingExtraError, ScaleGroupError
from scalegroup.groups import CompactGroup, Group, ScaleTranslationGroup
from scalegroup.interop.escnn import EscnnGroup, compact_group
from scalegroup.interop.escnn.library import nn as escnn_nn
from scalegroup.representations import Representation
from scalegroup.testing import GroupContract, RepresentationContract

INFINITE = ("so3", "o3", "so2", "o2")
FINITE = ("icosahedral", "full_icosahedral", "octahedral", "full_octahedral", "c2", "c5", "c8", "d2", "d5", "d8")
# For the contracts; pytest collects classes, and a class for each would be many lines
NAMES = (*INFINITE, "icosahedral", "full_icosahedral", "octahedral", "c8", "d6")


def names_of(self: object) -> dict[str, object]:
    return {"CompactGroup": CompactGroup, "EscnnGroup": EscnnGroup, "ScaleTranslationGroup": ScaleTranslationGroup}


for _name in NAMES:

    class _TestGroup(GroupContract):
        group = EscnnGroup(_name)
        names = names_of  # type: ignore[assignment]

        def make_group(self) -> Group:
            return self.group

    class _TestWithScales(_TestGroup):
        group = ScaleTranslationGroup(dim=EscnnGroup(_name).dim, base=2.0, rotations=EscnnGroup(_name))

    class _TestIrrep(RepresentationContract):
        whole = ScaleTranslationGroup(dim=EscnnGroup(_name).dim, base=2.0, num_scales=3, rotations=EscnnGroup(_name))
        names = names_of  # type: ignore[assignment]

        def make_representation(self) -> Representation:
            return self.whole.irrep(2)

    globals()[f"TestGroup_{_name}"] = _TestGroup
    globals()[f"TestWithScales_{_name}"] = _TestWithScales
    globals()[f"TestIrrep_{_name}"] = _TestIrrep
del _TestGroup, _TestWithScales, _TestIrrep


@pytest.mark.parametrize("name", [*INFINITE, *FINITE])
def test_irreps_are_orthogonal_homomorphisms(name: str) -> None:
    group, rng = EscnnGroup(name), np.random.default_rng(0)
    quarter_turns = [k for k in CompactGroup.named("octahedral").elements if group.dim == 3]
    for irrep in group.irreps:
        for trial in range(6):
            g, h = group.sample(rng), group.sample(rng)
            if group.dim == 3 and group.order is None and trial % 2:  # where Euler angles are not unique
                g = group.element(quarter_turns[4 * trial + 1].matrix)
            a, b, product = (group.irrep_matrix(irrep, k) for k in (g, h, g @ h))
            np.testing.assert_allclose(a @ b, product, rtol=0, atol=1e-12)
            np.testing.assert_allclose(a @ a.T, np.eye(len(a)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", FINITE)
def test_finite_groups_are_complete(name: str) -> None:
    group = EscnnGroup(name)
    elements = group.elements
    assert len(elements) == group.order
    assert elements[0] == group.identity
    assert len({k.value for k in elements}) == group.order
    # The squares of the sizes, over the number that commutes with an irrep, sum to the order.
    total = 0.0
    for irrep in group.irreps:
        characters = np.array([np.trace(group.irrep_matrix(irrep, k)) for k in elements])
        norm = np.mean(characters**2)  # 1 for real irreps, 2 for pairs of complex ones
        assert round(norm, 9) in (1, 2), irrep
        total += characters[0] ** 2 / norm
    assert round(total, 9) == group.order


@pytest.mark.parametrize("name", FINITE)
def test_generators_generate(name: str) -> None:
    group = EscnnGroup(name)
    found = {group.identity.value}
    while True:
        products = {group.multiply(a, b.value) for a, b in itertools.product(found, group.generators)}
        if products <= found:
            break
        found |= products
    assert len(found) == group.order


@pytest.mark.parametrize("name", INFINITE)
def test_generators_of_infinite_groups_fix_only_what_all_elements_fix(name: str) -> None:
    group = EscnnGroup(name)
    for irrep in group.irreps:
        stacked = np.concatenate([group.irrep_matrix(irrep, k) for k in group.generators])
        size = stacked.shape[1]
        fixed = np.linalg.svd(stacked - np.tile(np.eye(size), (len(group.generators), 1)))[1]
        assert (fixed.min() < 1e-12) == (irrep == group.irreps[0]), irrep
        assert irrep == group.irreps[0] or fixed.min() > 0.1


@pytest.mark.parametrize("name", [*INFINITE, *FINITE])
def test_elements_match_those_of_escnn_on_sampled_fields(name: str) -> None:
    """escnn's own transform of a field on the grid is ours, for all symmetries of the grid."""
    import torch

    from scalegroup.fields import act

    group = EscnnGroup(name)
    whole = ScaleTranslationGroup(dim=group.dim, num_scales=1, rotations=group)
    vectors = group.space.type(group.space.fibergroup.irrep(*group.irrep_id(1)))
    field = 1 * whole.irrep(1, weight=0.0)
    x = torch.randn(1, field.size, *[5] * group.dim, dtype=torch.float64)
    on_grid = "full_octahedral" if group.dim == 3 else "d4"
    tested = 0
    for k in CompactGroup.named(on_grid).elements:
        if group.contains(tuple(map(tuple, k.matrix.tolist()))):
            ours = group.element(k.matrix)
            theirs = escnn_nn.GeometricTensor(x, vectors).transform(group.to_escnn(ours)).tensor
            torch.testing.assert_close(act(field, whole.element(k=ours), x), theirs, rtol=0, atol=1e-12)
            tested += 1
    assert tested > (1 if group.dim == 3 else 0)


def test_other_axes_would_be_noticed() -> None:
    """The negative twin: escnn's points (x, y, z) taken as the tensor's axes move the field to another place."""
    import torch

    from scalegroup.fields import act

    group = EscnnGroup("so3")
    whole = ScaleTranslationGroup(dim=3, num_scales=1, rotations=group)
    k = group.element([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    points = np.asarray(group.space.basespace_action(group.to_escnn(k)))
    x = torch.randn(1, 1, 5, 5, 5, dtype=torch.float64)
    right, wrong = (act(1 * whole.scalar, whole.element(k=group.element(m)), x) for m in (k.matrix, points))
    assert (right - wrong).norm() > 0.1 * right.norm()


@pytest.mark.parametrize("name", [*INFINITE, *FINITE])
def test_elements_go_to_escnn_and_back(name: str) -> None:
    group = EscnnGroup(name)
    for seed in range(5):
        g, h = group.sample(seed), group.sample(seed + 50)
        assert group.from_escnn(group.to_escnn(g)) == g
        assert group.from_escnn(group.to_escnn(g) @ group.to_escnn(h)) == g @ h


@pytest.mark.parametrize("name", ["so3", "so2", "o3", "o2"])
def test_samples_of_infinite_groups_are_uniform(name: str) -> None:
    group, rng = EscnnGroup(name), np.random.default_rng(0)
    matrices = np.stack([group.sample(rng).matrix for _ in range(2000)])
    # By Schur's lemma the mean of a non-trivial irrep is zero; the mean of squares of an entry is 1 / size.
    assert np.abs(matrices.mean(axis=0)).max() < 4 / np.sqrt(2000)
    np.testing.assert_allclose((matrices**2).mean(axis=0), 1 / group.dim, atol=0.05)
    signs = np.sign(np.linalg.det(matrices))
    assert abs(signs.mean()) < 0.1 if name.startswith("o") else (signs == 1).all()


def test_vectors_are_the_irrep_of_number_one() -> None:
    """The matrices of irrep 1 and those on points are the same up to a change of basis: they have the same trace."""
    for name in ("so3", "o3", "so2", "o2", "icosahedral", "full_icosahedral", "full_octahedral", "c8", "d8"):
        group = EscnnGroup(name)
        for seed in range(4):
            k = group.sample(seed)
            assert np.trace(group.irrep_matrix(1, k)) == pytest.approx(np.trace(k.matrix), abs=1e-12), name


def test_names_and_numbers_of_irreps() -> None:
    so3, o3, o2 = EscnnGroup("so3"), EscnnGroup("o3"), EscnnGroup("o2")
    assert so3.irrep_name(7) == so3.irrep_name("7") == so3.irrep_name((7,)) == "7"
    assert [o3.irrep_name(degree) for degree in range(3)] == ["0g", "1u", "2g"]
    assert o3.irrep_name((0, 1)) == "1g"
    assert o2.irrep_name(0) == "A1"
    assert o2.irrep_name((1, 0)) == "A2"
    assert o2.irrep_name("E12") == "E12"
    assert EscnnGroup("d8").irreps == ("A1", "E1", "E2", "E3", "B1", "B2", "A2")
    assert EscnnGroup("c5").irreps == ("A", "E1", "E2")
    assert EscnnGroup("d4").irreps == ("A1", "E", "B1", "B2", "A2")
    assert so3.irrep_matrix(7, so3.sample(0)).shape == (15, 15)
    for group, wrong in ((so3, "1u"), (so3, -1), (o3, "1"), (o3, (2, 1)), (o2, "B1"), (EscnnGroup("c8"), 5)):
        with pytest.raises(ScaleGroupError, match="an irreducible representation of"):
            group.irrep_name(wrong)


def test_parity_is_what_the_inversion_does() -> None:
    for name in ("o3", "full_icosahedral", "full_octahedral"):
        group = EscnnGroup(name)
        inversion = group.element((-np.eye(3)).tolist())
        for irrep in group.irreps:
            matrix = group.irrep_matrix(irrep, inversion)
            np.testing.assert_allclose(matrix, np.eye(len(matrix)) * (1 if irrep.endswith("g") else -1), atol=1e-12)


def test_natural_parity_is_that_of_harmonic_polynomials() -> None:
    """T2u and Gu are in the cubic polynomials, Hg in the quadratic ones: by characters over the group."""
    group = EscnnGroup("full_icosahedral")
    o3 = EscnnGroup("o3")
    for irrep, degree in (("T1u", 1), ("Hg", 2), ("T2u", 3), ("Gu", 3)):
        products = [
            np.trace(group.irrep_matrix(irrep, k)) * np.trace(o3.irrep_matrix(degree, o3.element(k.matrix)))
            for k in group.elements
        ]
        assert round(np.mean(products), 9) == 1, irrep


def test_groups_are_found_by_name() -> None:
    assert CompactGroup.named("so3") == CompactGroup.named("SO3", 3) == EscnnGroup("so3")
    assert repr(CompactGroup.named("so3")) == "CompactGroup.named('so3')"
    assert repr(EscnnGroup("octahedral")) == "EscnnGroup('octahedral')"
    assert CompactGroup.named("octahedral") != EscnnGroup("octahedral")
    assert ScaleTranslationGroup(dim=2, rotations="c8").rotations.order == 8
    assert compact_group("octahedron") is None
    with pytest.raises(ScaleGroupError, match="rotations of 2-dimensional space"):
        ScaleTranslationGroup(dim=2, rotations="so3")


@pytest.mark.parametrize("wrong", ["SO3", "so4", "c1", "d1", "c", "full_so3", "c08", "", 3, None])
def test_other_names_are_refused(wrong: object) -> None:
    with pytest.raises(ScaleGroupError, match="the name of a group that escnn has"):
        EscnnGroup(wrong)  # type: ignore[arg-type]


def test_values_outside_of_the_group_are_refused() -> None:
    for name, wrong in (("so3", -np.eye(3)), ("so3", 2 * np.eye(3)), ("o3", np.ones((3, 3))), ("c8", np.diag([1, -1]))):
        with pytest.raises(ScaleGroupError, match="it has the form but is not in it"):
            EscnnGroup(name).element(wrong)
    with pytest.raises(ScaleGroupError, match="a value like"):
        EscnnGroup("so3").element(np.eye(2))
    with pytest.raises(ScaleGroupError, match="a finite group to list the elements of"):
        _ = EscnnGroup("o2").elements


def test_without_escnn_the_names_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "scalegroup.interop.escnn.groups")
    with pytest.raises(MissingExtraError, match=r"scalegroup\[escnn\].*--no-deps escnn==1.0.11"):
        compact_group("so3")
    assert compact_group("octahedron") is None


def test_looking_up_a_name_imports_neither_torch_nor_escnn() -> None:
    # The top of the library imports torch, so a bare package stands in for it.
    code = f"""
import sys, types
sys.modules["scalegroup"] = top = types.ModuleType("scalegroup")
top.__path__ = {list(scalegroup.__path__)!r}
from scalegroup.interop.escnn import compact_group
group = compact_group("so3")
group.sample(0) @ ~group.sample(1)
print(sorted({{"torch", "escnn"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = scalegroup.interop.escnn.nonsense
