"""Contracts that every group and every representation keeps: inherit one, say what to test, and run pytest.

A contract is a class of pytest tests over random elements (fixed seeds). The functions `check_group` and
`check_representation` run the same tests on one object outside pytest.
"""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

import scalegroup.fields
import scalegroup.groups
import scalegroup.representations
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import Element, Group
from scalegroup.representations import Representation


def _require(law: str, holds: Any, *witnesses: object) -> None:
    # Not an assert statement: pytest does not explain those of installed packages, and -O removes them.
    if not holds:
        raise AssertionError(f"{law} does not hold for {', '.join(map(repr, witnesses))}")


class _ValueContract:
    """What groups, elements and representations share: they are immutable values."""

    samples: int = 8

    def names(self) -> dict[str, Any]:
        """The names with which ``repr`` evaluates back; extend it if yours prints others than its class."""
        modules = (scalegroup.groups, scalegroup.representations, scalegroup.fields)
        return {name: getattr(module, name) for module in modules for name in module.__all__}

    def _check_value(self, value: Any, group: Group) -> None:
        names = {cls.__name__: cls for cls in (type(group), type(value))} | self.names()
        twins = {
            "the round trip of repr": eval(repr(value), names),
            "the round trip of pickle": pickle.loads(pickle.dumps(value)),
            "the round trip of deepcopy": copy.deepcopy(value),
        }
        for law, twin in twins.items():
            _require(law, twin == value and hash(twin) == hash(value), value, twin)

    def run(self) -> None:
        """Run all tests of the contract, outside pytest; the first that fails raises `AssertionError`."""
        names = {name: None for cls in reversed(type(self).__mro__) for name in vars(cls)}  # as written
        for name in filter(lambda name: name.startswith("test_"), names):
            getattr(self, name)()


class GroupContract(_ValueContract, ABC):
    """The laws of a group, its action and its values, as inheritable pytest tests.

    Attributes:
        samples: how many random elements (and pairs and triples of them) each law is tested on.

    Example:
        >>> from scalegroup.groups import ScaleGroup
        >>> class TestDyadic(GroupContract):
        ...     def make_group(self):
        ...         return ScaleGroup(base=2.0)
        >>> TestDyadic().run()
    """

    @abstractmethod
    def make_group(self) -> Group:
        """The group to test."""

    def _elements(self, number: int) -> Iterator[tuple[Element, ...]]:
        group, rng = self.make_group(), np.random.default_rng(0)
        for _ in range(self.samples):
            yield tuple(group.sample(rng) for _ in range(number))

    def test_products_and_inverses_belong_to_the_group(self) -> None:
        for g, h in self._elements(2):
            for result in (g @ h, ~g):
                _require("closure", g.group.contains(result.value), g, h)

    def test_product_is_associative(self) -> None:
        for f, g, h in self._elements(3):
            _require("(f @ g) @ h == f @ (g @ h)", (f @ g) @ h == f @ (g @ h), f, g, h)

    def test_identity_changes_nothing(self) -> None:
        for (g,) in self._elements(1):
            e = g.group.identity
            _require("g @ e == g == e @ g", g @ e == g and e @ g == g, g)

    def test_inverse_undoes(self) -> None:
        for (g,) in self._elements(1):
            e = g.group.identity
            _require("g @ ~g == e == ~g @ g", g @ ~g == e and ~g @ g == e, g)

    def test_action_follows_the_product(self) -> None:
        points = np.random.default_rng(1).standard_normal((5, self.make_group().dim))
        for g, h in self._elements(2):
            one_by_one = g.act(h.act(points))
            _require("(g @ h).act(x) == g.act(h.act(x))", np.allclose((g @ h).act(points), one_by_one), g, h)
            _require("the shape of the action", one_by_one.shape == points.shape, g, h)
        unmoved = self.make_group().identity.act(points)
        _require("identity.act(x) == x", np.allclose(unmoved, points), self.make_group())

    def test_samples_generate_more_than_the_identity(self) -> None:
        """All laws hold trivially if `draw` gives the identity only; a group of one element is exempt."""
        group = self.make_group()
        if getattr(group, "order", 0) != 1:
            moved = [g for (g,) in self._elements(1) if g != group.identity]
            _require("draw gives elements other than the identity; it", moved, group)

    def test_values_survive_repr_pickle_and_copy(self) -> None:
        group = self.make_group()
        self._check_value(group, group)
        for (g,) in self._elements(1):
            self._check_value(g, group)

    def test_equal_elements_have_equal_hashes(self) -> None:
        for (g,) in self._elements(1):
            twin = ~~g  # differs from g by rounding only
            _require("~~g == g with one hash", twin == g and hash(twin) == hash(g), g)


class RepresentationContract(_ValueContract, ABC):
    """The laws of a representation and its values, as inheritable pytest tests.

    On a truncated window of scales the homomorphism law is tested in the rows of `Representation.overlap`.

    Attributes:
        samples: how many random elements (and pairs of them) each law is tested on.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> class TestGradient(RepresentationContract):
        ...     def make_representation(self):
        ...         return ScaleTranslationGroup(dim=2, rotations="d4").irrep("E", weight=-1.0)
        >>> TestGradient().run()
    """

    @abstractmethod
    def make_representation(self) -> Representation:
        """The representation to test."""

    def test_identity_is_the_identity_matrix(self) -> None:
        rho = self.make_representation()
        matrix = rho(rho.group.identity)
        _require("rho(e) == 1", matrix.shape == (rho.size,) * 2 and np.allclose(matrix, np.eye(rho.size)), rho)
        _require("overlap(e) is everything", rho.overlap(rho.group.identity).all(), rho)

    def test_homomorphism(self) -> None:
        rho, rng = self.make_representation(), np.random.default_rng(0)
        for _ in range(self.samples):
            g, h = rho.group.sample(rng), rho.group.sample(rng)
            rows = rho.overlap(g)
            product, matrix = rho(g) @ rho(h), rho(g @ h)
            _require("matrices are finite float64", matrix.dtype == np.float64 and np.isfinite(matrix).all(), g, h)
            _require("rho(g) rho(h) == rho(g @ h)", np.allclose(product[rows], matrix[rows]), rho, g, h)

    def test_the_scale_is_the_fastest_index(self) -> None:
        rho = self.make_representation()
        _require("size is a multiple of num_scales", rho.size % rho.num_scales == 0, rho, rho.num_scales)

    def test_values_survive_repr_pickle_and_copy(self) -> None:
        rho = self.make_representation()
        self._check_value(rho, rho.group)
        _require("with_group(group) == itself", rho.with_group(rho.group) == rho, rho)

    def test_elements_of_another_group_are_refused(self) -> None:
        rho = self.make_representation()
        stranger = scalegroup.groups.ScaleGroup(base=2.0, dim=rho.group.dim + 1).identity
        try:
            rho(stranger)
        except ScaleGroupError:
            return
        _require("refusing the elements of another group", False, rho, stranger)


def check_group(group: Group) -> None:
    """Run `GroupContract` on one group.

    Args:
        group: the group to test.

    Raises:
        AssertionError: naming the law and the elements for which it does not hold.

    Example:
        >>> check_group(scalegroup.groups.SignedPermutations.octahedral())
    """

    class Check(GroupContract):
        def make_group(self) -> Group:
            return group

    Check().run()


def check_representation(representation: Representation) -> None:
    """Run `RepresentationContract` on one representation.

    Args:
        representation: the representation to test.

    Raises:
        AssertionError: naming the law and the elements for which it does not hold.

    Example:
        >>> check_representation(scalegroup.groups.ScaleTranslationGroup(dim=1).regular)
    """

    class Check(RepresentationContract):
        def make_representation(self) -> Representation:
            return representation

    Check().run()
