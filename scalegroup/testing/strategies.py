"""Hypothesis strategies for groups, elements, representations and field types.

They need the package `hypothesis`, and they shrink to the simplest case: one spatial axis, one scale, the
identity, a scalar, a single Gaussian. So what Hypothesis reports is the simplest example that breaks a law.

Example:
    >>> from hypothesis import given
    >>> from hypothesis import strategies as st
    >>> @given(st.data())
    ... def product_with_the_inverse_is_the_identity(data):
    ...     g = data.draw(elements(data.draw(groups())))
    ...     assert g @ ~g == g.group.identity
    >>> product_with_the_inverse_is_the_identity()
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, Element, Group, ScaleGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.representations import Character, DirectSum, Irrep, Quotient, Regular, Representation, Scalar
from scalegroup.symbolic import Basis, HermiteBasis, SymbolicBasis

__all__ = ["bases", "compact_groups", "elements", "field_types", "groups", "representations"]

_RATIOS = (2.0, 2**0.5, 1.25, 3.0, 0.5, 0.9)


def compact_groups(dim: int, escnn: bool = False) -> SearchStrategy[CompactGroup]:
    """Groups of symmetries of the grid: the named ones in this dimension, a mirror, and a cyclic one.

    Args:
        dim: number of spatial axes, 1 to 3.
        escnn: whether groups that need escnn may come, finite and infinite ones: "c8", "o2"; "icosahedral", "so3".

    Example:
        >>> from hypothesis import find
        >>> find(compact_groups(dim=2), lambda group: group.order > 2)
        SignedPermutations.c4()
    """
    trivial = SignedPermutations.trivial(dim)
    mirror = SignedPermutations([(-1, *range(2, dim + 1))])
    named = {
        1: (SignedPermutations.reflection(),),
        2: (SignedPermutations.c4(), SignedPermutations.d4()),
        3: (SignedPermutations([(2, 3, 1)]), SignedPermutations.octahedral(), SignedPermutations.full_octahedral()),
    }
    others = {1: (), 2: ("c8", "o2"), 3: ("icosahedral", "so3")}[dim] if escnn else ()
    return st.sampled_from((trivial, mirror, *named[dim], *(CompactGroup.named(name, dim) for name in others)))


@st.composite
def groups(
    draw: st.DrawFn,
    dims: tuple[int, ...] = (1, 2, 3),
    max_scales: int = 5,
    rotations: bool = True,
    samplings: tuple[str, ...] = ("uniform", "haar"),
) -> ScaleTranslationGroup:
    """Scale-translation groups of all kinds.

    Args:
        dims: the numbers of spatial axes to choose from.
        max_scales: the largest window of scales.
        rotations: whether the compact part may be other than trivial.
        samplings: how functions on the group may be sampled.

    Example:
        >>> from hypothesis import find
        >>> find(groups(dims=(2, 3)), lambda group: group.num_scales > 1)
        ScaleTranslationGroup(dim=2, base=2.0, num_scales=2)
    """
    dim = draw(st.sampled_from(dims))
    return ScaleTranslationGroup(
        dim=dim,
        base=draw(st.sampled_from(_RATIOS)),
        num_scales=draw(st.integers(1, max_scales)),
        rotations=draw(compact_groups(dim)) if rotations else None,
        first=draw(st.sampled_from((0, 1, -1, -2))),
        sampling=draw(st.sampled_from(samplings)),
    )


def elements(group: Group, max_exponent: int = 4, max_translation: float = 8.0) -> SearchStrategy[Element]:
    """Elements of any group; those of the library's own groups shrink to the identity.

    Args:
        group: a group of the library, or one of your own (then elements come from its `sample`).
        max_exponent: the largest number of steps of the base, up or down.
        max_translation: the largest translation along an axis.

    Example:
        >>> from hypothesis import find
        >>> find(elements(ScaleTranslationGroup(dim=1, base=2.0, num_scales=1)), lambda g: g.s < 1)
        ScaleTranslationGroup(dim=1, base=2.0, num_scales=1).element(t=(0.0,), s=0.5)
    """
    steps = st.integers(0, 2 * max_exponent).map(lambda n: (n + 1) // 2 * (1 if n % 2 else -1))
    if isinstance(group, ScaleTranslationGroup):
        shift = st.lists(st.floats(-max_translation, max_translation, width=32), min_size=group.dim, max_size=group.dim)
        rotation = elements(group.rotations)
        return _moves(group, shift, steps, rotation)
    if isinstance(group, CompactGroup) and group.order is not None:
        return st.sampled_from(group.elements)
    if isinstance(group, ScaleGroup) and group.base is not None:
        return steps.map(group.element)
    return st.integers(0, 2**32 - 1).map(lambda seed: group.sample(np.random.default_rng(seed)))


@st.composite  # Hypothesis then prints the elements, not how they were drawn
def _moves(
    draw: st.DrawFn,
    group: ScaleTranslationGroup,
    shift: SearchStrategy[list[float]],
    steps: SearchStrategy[int],
    rotation: SearchStrategy[Element],
) -> Element:
    return group.element(draw(shift), group.base ** draw(steps), draw(rotation))


def representations(
    group: ScaleTranslationGroup, composite: bool = True, quotients: bool = False
) -> SearchStrategy[Representation]:
    """Representations of a scale-translation group.

    Args:
        group: the group that is represented.
        composite: whether direct sums may come, too.
        quotients: whether functions on small sets of directions may come, too.

    Example:
        >>> from hypothesis import find
        >>> group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
        >>> print(find(representations(group), lambda rho: rho.size > 1))
        regular
    """
    weights = st.sampled_from((0.0, 1.0, -1.0, 0.5, 3.0))
    names = st.sampled_from(group.rotations.irreps)
    simple = st.one_of(
        st.just(Scalar(group)),
        st.just(Regular(group)),
        weights.map(lambda weight: Character(group, weight)),
        st.builds(lambda name, weight: Irrep(group, name, weight), names, st.none() | weights),
        *(_quotients(group, st.none() | weights) if quotients else ()),
    )
    if not composite:
        return simple
    return simple | st.lists(simple, min_size=1, max_size=3).map(lambda parts: DirectSum(tuple(parts)))


def _quotients(
    group: ScaleTranslationGroup, weights: SearchStrategy[float | None]
) -> Iterator[SearchStrategy[Representation]]:
    """Functions on K, if it is small, and, for symmetries of the grid, on the cosets of what a generator makes."""
    rotations = group.rotations
    if rotations.order is not None and rotations.order <= 8:
        yield weights.map(lambda weight: Quotient(group, weight=weight))
    if isinstance(rotations, SignedPermutations):
        subgroup = SignedPermutations([rotations.generators[0].value])
        yield weights.map(lambda weight: Quotient(group, subgroup, weight))


def field_types(
    group: ScaleTranslationGroup, max_multiplicity: int = 3, max_blocks: int = 3
) -> SearchStrategy[FieldType]:
    """Field types of a scale-translation group.

    Args:
        group: the group that acts.
        max_multiplicity: the largest multiplicity of a block.
        max_blocks: the largest number of blocks.

    Example:
        >>> from hypothesis import find
        >>> group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
        >>> print(find(field_types(group), lambda field: field.size >= 3))
        2*regular
    """
    block = st.tuples(st.integers(1, max_multiplicity), representations(group))
    return st.lists(block, min_size=1, max_size=max_blocks).map(lambda blocks: FieldType(group, tuple(blocks)))


def bases(dim: int, max_order: int = 3) -> SearchStrategy[Basis]:
    """Kernel bases: Hermite functions, and a few other expressions.

    Args:
        dim: number of spatial axes.
        max_order: the largest total degree.

    Example:
        >>> from hypothesis import find
        >>> find(bases(dim=2), lambda basis: len(basis) > 1)
        HermiteBasis(order=1, dim=2, truncation='total')
    """
    hermite = st.integers(0, max_order).map(lambda order: HermiteBasis(order, dim))
    others = st.sampled_from((["exp(-x**4)"], ["exp(-x**2)", "x*exp(-x**2)"], ["1/cosh(2*x)"]))
    return hermite | others.map(lambda functions: SymbolicBasis(functions, dim=dim))
