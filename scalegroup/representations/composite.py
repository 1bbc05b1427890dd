"""Representations made of others: direct sums and tensor products."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import FieldTypeError
from scalegroup.groups.base import Element, Group
from scalegroup.groups.registry import register_representation
from scalegroup.representations.base import Representation


@final
class DirectSum(Representation):
    """The direct sum ``rho_1 ⊕ rho_2 ⊕ …``: the channels one after the other, a block-diagonal matrix.

    Args:
        parts: representations of one group, at least one.

    Raises:
        FieldTypeError: if there are none, or their groups differ.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
        >>> DirectSum((group.scalar, group.regular))(group.element(s=2.0)).astype(int).tolist()
        [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    """

    def __init__(self, parts: tuple[Representation, ...]) -> None:
        self.parts = tuple(parts)
        self.group = _common_group(self.parts)
        self.size = sum(part.size for part in self.parts)
        lengths = {part.num_scales for part in self.parts}
        self.num_scales = lengths.pop() if len(lengths) == 1 else 1

    def matrix(self, g: Any) -> NDArray[np.float64]:
        result = np.zeros((self.size, self.size))
        start = 0
        for part in self.parts:
            stop = start + part.size
            result[start:stop, start:stop] = part.matrix(g)
            start = stop
        return result

    def overlap(self, g: Element) -> NDArray[np.bool_]:
        return np.concatenate([part.overlap(g) for part in self.parts])

    def with_group(self, group: Group) -> Self:
        return type(self)(tuple(part.with_group(group) for part in self.parts))

    def __str__(self) -> str:
        return f"direct_sum({', '.join(map(str, self.parts))})"

    def __repr__(self) -> str:
        return f"DirectSum(({', '.join(map(repr, self.parts))},))"


@final
class TensorProduct(Representation):
    """The tensor product ``rho_1 ⊗ rho_2``: how products of two fields' channels transform, point by point.

    At most one factor may live on the window of scales. That one is taken as the second, faster factor, so
    that the scale stays the fastest index.

    Args:
        left: a representation.
        right: a representation of the same group.

    Raises:
        FieldTypeError: if the groups differ, or both factors live on the window. (Products of two fields on
            the window are taken scale by scale, which gives a field of the product's irreps on the window.)

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=3)
        >>> TensorProduct(group.character(1.0), group.regular).size
        3
    """

    def __init__(self, left: Representation, right: Representation) -> None:
        self.group = _common_group((left, right))
        if left.num_scales > 1 and right.num_scales > 1:
            raise FieldTypeError(
                "at most one factor on the window of scales",
                f"{left} and {right}",
                "multiply them scale by scale",
            )
        # The factor on the window comes second: its index, the scale, is the fastest.
        self.left, self.right = (right, left) if left.num_scales > 1 else (left, right)
        self.size = left.size * right.size
        self.num_scales = self.right.num_scales

    def matrix(self, g: Any) -> NDArray[np.float64]:
        return np.kron(self.left.matrix(g), self.right.matrix(g))

    def overlap(self, g: Element) -> NDArray[np.bool_]:
        return np.kron(self.left.overlap(g), self.right.overlap(g))

    def with_group(self, group: Group) -> Self:
        return type(self)(self.left.with_group(group), self.right.with_group(group))

    def __str__(self) -> str:
        return f"tensor_product({self.left}, {self.right})"

    def __repr__(self) -> str:
        return f"TensorProduct({self.left!r}, {self.right!r})"


def _common_group(parts: tuple[Representation, ...]) -> Group:
    if not parts or not all(isinstance(part, Representation) for part in parts):
        raise FieldTypeError("representations, at least one", repr(parts), "give representations such as group.regular")
    group = parts[0].group
    for part in parts[1:]:
        if part.group != group:
            raise FieldTypeError(f"representations of {group!r}", f"one of {part.group!r}", "use one group for all")
    return group


register_representation("direct_sum", lambda group, *parts: DirectSum(parts))
register_representation("tensor_product", lambda group, left, right: TensorProduct(left, right))
