"""Contracts that every group and every representation keeps: inherit one, say what to test, and run pytest.

A contract is a class of pytest tests over random elements (fixed seeds). The functions `check_group` and
`check_representation` run the same tests on one object outside pytest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np

import scalegroup.fields
import scalegroup.groups
import scalegroup.representations
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import Element, Group
from scalegroup.representations import Representation
from scalegroup.testing.contract import Contract, require, round_trips


class _ValueContract(Contract):
    """What groups, elements and representations share: they are immutable values."""

    samples: int = 8

    def names(self) -> dict[str, Any]:
        """The names with which ``repr`` evaluates back; extend it if yours prints others than its class."""
        modules = (scalegroup.groups, scalegroup.representations, scalegroup.fields)
        return {name: getattr(module, name) for module in modules for name in module.__all__}

    def _check_value(self, value: Any, group: Group) -> None:
        for law, twin, hint in round_trips(value, {type(group).__name__: type(group), **self.names()}):
            require(twin == value and hash(twin) == hash(value), law, f"another value, {twin!r}", hint, value)


class GroupContract(_ValueContract):
    """The laws of a group, its action and its values, as inheritable pytest tests.

    `(f g) h = f (g h)`, `g e = g = e g`, `g g⁻¹ = e`, `(g h) x = g (h x)`, on random elements. You write
    `make_group`; you may write `make_twin`, a group broken on purpose, which the tests must reject (`Contract`).

    Attributes:
        samples: how many random elements (and pairs and triples of them) each law is tested on. Default 8.

    Raises:
        BrokenLaw: by each test; it names the law, the elements, and the method to look at.

    Example:
        >>> from scalegroup.groups import ScaleGroup
        >>> class TestDyadic(GroupContract):
        ...     def make_group(self):
        ...         return ScaleGroup(base=2.0)
        >>> TestDyadic().run()
    """

    maker: ClassVar[str] = "make_group"

    @abstractmethod
    def make_group(self) -> Group:
        """The group to test."""

    @classmethod
    def of(cls, group: Group, **attributes: Any) -> Self:
        """The contract of this group, without writing a class.

        Args:
            group: the group to test.
            **attributes: other values of the class attributes, such as `samples=100`.

        Example:
            >>> from scalegroup.groups import SignedPermutations
            >>> GroupContract.of(SignedPermutations.c4(), samples=4).run()
        """
        return cls._made_by(lambda: group, attributes)

    def _elements(self, number: int) -> Iterator[tuple[Element, ...]]:
        group, rng = self.make_group(), np.random.default_rng(0)
        for _ in range(self.samples):
            yield tuple(group.sample(rng) for _ in range(number))

    def test_products_and_inverses_belong_to_the_group(self) -> None:
        """g @ h and ~g are elements."""
        for g, h in self._elements(2):
            for name, result in {"g @ h": g @ h, "~g": ~g}.items():
                received = f"{name} = {result!r} of g = {g!r}, h = {h!r}"
                hint = "look at `multiply`, `invert` and, if you wrote one, `contains`"
                require(
                    g.group.contains(result.value), f"closure, {name} belongs to the group", received, hint, g.group
                )

    def test_product_is_associative(self) -> None:
        """(f @ g) @ h is f @ (g @ h)."""
        for f, g, h in self._elements(3):
            left, right = (f @ g) @ h, f @ (g @ h)
            received = f"{left!r} and {right!r} of f = {f!r}, g = {g!r}, h = {h!r}"
            require(left == right, "(f @ g) @ h == f @ (g @ h)", received, "look at `multiply`", f.group)

    def test_identity_changes_nothing(self) -> None:
        """g @ e and e @ g are g."""
        for (g,) in self._elements(1):
            e = g.group.identity
            received, hint = f"{g @ e!r} and {e @ g!r} of g = {g!r}", "look at `unit` and `multiply`"
            require(g @ e == g and e @ g == g, "g @ e == g == e @ g", received, hint, g.group)

    def test_inverse_undoes(self) -> None:
        """g @ ~g and ~g @ g are the identity."""
        for (g,) in self._elements(1):
            e = g.group.identity
            received, hint = f"{g @ ~g!r} and {~g @ g!r} of g = {g!r}", "look at `invert`, then at `multiply`"
            require(g @ ~g == e and ~g @ g == e, "g @ ~g == e == ~g @ g", received, hint, g.group)

    def test_action_follows_the_product(self) -> None:
        """(g @ h) moves points as h and then g do; the identity leaves them, and their shape stays."""
        group = self.make_group()
        points = np.random.default_rng(1).standard_normal((5, group.dim))
        hint = "look at `transform`: in a product the right factor acts first"
        for g, h in self._elements(2):
            one_by_one, at_once = g.act(h.act(points)), (g @ h).act(points)
            law = "the shape of the action is the shape of the points"
            require(one_by_one.shape == points.shape, law, one_by_one.shape, "look at `transform`", group)
            received = f"{at_once[0]} and {one_by_one[0]} of x = {points[0]}, g = {g!r}, h = {h!r}"
            require(np.allclose(at_once, one_by_one), "(g @ h).act(x) == g.act(h.act(x))", received, hint, group)
        unmoved = group.identity.act(points)
        received = f"{unmoved[0]} of x = {points[0]}"
        require(np.allclose(unmoved, points), "identity.act(x) == x", received, "look at `unit` and `transform`", group)

    def test_samples_generate_more_than_the_identity(self) -> None:
        """`draw` gives other elements than the identity, for which all laws hold trivially."""
        group = self.make_group()
        if getattr(group, "order", 0) != 1:
            moved = [g for (g,) in self._elements(1) if g != group.identity]
            hint = "let `draw` use its generator; a group with one element says so by the attribute order = 1"
            require(moved, "draw gives elements other than the identity", f"{self.samples} identities", hint, group)

    def test_values_survive_repr_pickle_and_copy(self) -> None:
        """The group and its elements are equal to what repr, pickle and deepcopy give back."""
        group = self.make_group()
        self._check_value(group, group)
        for (g,) in self._elements(1):
            self._check_value(g, group)

    def test_equal_elements_have_equal_hashes(self) -> None:
        """~~g equals g and has its hash, though it may differ by rounding."""
        for (g,) in self._elements(1):
            twin = ~~g
            same, hint = twin == g and hash(twin) == hash(g), "keep `__eq__` and `__hash__` as the base class has them"
            require(same, "~~g == g with one hash", f"~~g = {twin!r} of g = {g!r}", hint, g.group)


class RepresentationContract(_ValueContract):
    """The laws of a representation and its values, as inheritable pytest tests.

    `ρ(e) = 1` and `ρ(g) ρ(h) = ρ(g h)`; on a truncated window of scales in the rows of `Representation.overlap`. You
    write `make_representation`; you may write `make_twin`, which the tests must reject (`Contract`).

    Attributes:
        samples: how many random elements (and pairs of them) each law is tested on. Default 8.

    Raises:
        BrokenLaw: by each test; it names the law, the elements, and what to look at.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> class TestGradient(RepresentationContract):
        ...     def make_representation(self):
        ...         return ScaleTranslationGroup(dim=2, rotations="d4").irrep("E", weight=-1.0)
        >>> TestGradient().run()
    """

    maker: ClassVar[str] = "make_representation"

    @abstractmethod
    def make_representation(self) -> Representation:
        """The representation to test."""

    @classmethod
    def of(cls, representation: Representation, **attributes: Any) -> Self:
        """The contract of this representation, without writing a class.

        Args:
            representation: the representation to test.
            **attributes: other values of the class attributes, such as `samples=100`.

        Example:
            >>> from scalegroup.groups import ScaleTranslationGroup
            >>> RepresentationContract.of(ScaleTranslationGroup(dim=1).regular, samples=4).run()
        """
        return cls._made_by(lambda: representation, attributes)

    def test_identity_is_the_identity_matrix(self) -> None:
        """rho(e) is the identity matrix, and nothing leaves the window."""
        rho = self.make_representation()
        e = rho.group.identity
        matrix = rho(e)
        same = matrix.shape == (rho.size,) * 2 and np.allclose(matrix, np.eye(rho.size))
        require(same, "rho(e) == 1", matrix.tolist(), "look at `matrix` and `size`", rho)
        kept = rho.overlap(e)
        require(kept.all(), "overlap(e) is everything", kept.tolist(), "look at `overlap`", rho)

    def test_homomorphism(self) -> None:
        """rho(g) rho(h) is rho(g @ h), in the rows of overlap(g); matrices are finite and float64."""
        rho, rng = self.make_representation(), np.random.default_rng(0)
        for _ in range(self.samples):
            g, h = rho.group.sample(rng), rho.group.sample(rng)
            rows = rho.overlap(g)
            product, matrix = rho(g) @ rho(h), rho(g @ h)
            double = matrix.dtype == np.float64 and np.isfinite(matrix).all()
            hint = "return an array of finite floats from `matrix`"
            require(double, "matrices are finite float64", f"{matrix.dtype}, {matrix.tolist()}", hint, rho)
            received = f"{product[rows].round(4).tolist()} and {matrix[rows].round(4).tolist()} of g = {g!r}, h = {h!r}"
            hint = "look at `matrix`; if content leaves a window, `overlap` says in which rows the law holds"
            same = np.allclose(product[rows], matrix[rows])
            require(same, "rho(g) rho(h) == rho(g @ h)", received, hint, rho)

    def test_the_scale_is_the_fastest_index(self) -> None:
        """The size is a multiple of the number of scales."""
        rho = self.make_representation()
        received, hint = f"size {rho.size}, num_scales {rho.num_scales}", "num_scales is 1 unless you set it"
        require(rho.size % rho.num_scales == 0, "size is a multiple of num_scales", received, hint, rho)

    def test_values_survive_repr_pickle_and_copy(self) -> None:
        """The representation is equal to what repr, pickle, deepcopy and with_group give back."""
        rho = self.make_representation()
        self._check_value(rho, rho.group)
        same, hint = rho.with_group(rho.group), "store each constructor argument under its own name"
        require(same == rho, "with_group(group) == itself", repr(same), hint, rho)

    def test_elements_of_another_group_are_refused(self) -> None:
        """rho(g) raises ScaleGroupError for an element of another group."""
        rho = self.make_representation()
        stranger = scalegroup.groups.ScaleGroup(base=2.0, dim=rho.group.dim + 1).identity
        try:
            matrix = rho(stranger)
        except ScaleGroupError:
            return
        received, hint = f"{matrix.tolist()} of {stranger!r}", "write `matrix`, and leave `__call__` as it is"
        require(False, "refusing the elements of another group", received, hint, rho)


def check_group(group: Group) -> None:
    """Run `GroupContract` on one group.

    Args:
        group: the group to test.

    Raises:
        BrokenLaw: naming the law and the elements for which it does not hold.

    Example:
        >>> check_group(scalegroup.groups.SignedPermutations.octahedral())
    """
    GroupContract.of(group).run()


def check_representation(representation: Representation) -> None:
    """Run `RepresentationContract` on one representation.

    Args:
        representation: the representation to test.

    Raises:
        BrokenLaw: naming the law and the elements for which it does not hold.

    Example:
        >>> check_representation(scalegroup.groups.ScaleTranslationGroup(dim=1).regular)
    """
    RepresentationContract.of(representation).run()
