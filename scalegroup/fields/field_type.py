"""Field types: what the channels of a feature field are, and how they transform."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import accumulate
from numbers import Integral
from typing import Any, final

from scalegroup.errors import FieldTypeError
from scalegroup.groups.base import Group
from scalegroup.groups.registry import (
    build_representation,
    register_field_type,
    representation_call,
    representation_names,
)
from scalegroup.groups.value import Value
from scalegroup.representations.base import Representation
from scalegroup.representations.composite import DirectSum

Block = tuple[int, Representation]


@final
class FieldType(Value):
    """A list of multiplicities and representations, such as ``16*regular + 4*scalar``.

    It describes the channel axis of a tensor ``(batch, size, *space)``: the blocks one after the other,
    within a block the multiplicity slowest, then the component of the representation, and the scale fastest.
    A block of ``16 * group.regular`` is therefore ``x[:, block].unflatten(1, (16, num_scales))``.

    Args:
        group: the group that acts.
        blocks: pairs of a multiplicity (at least 1) and a representation of `group`; at least one pair.

    Attributes:
        size: number of channels.
        num_fields: number of fields, the sum of the multiplicities.
        slices: the channels of each block.
        representation: the direct sum of all fields, as one `Representation`.

    Raises:
        FieldTypeError: if there are no blocks, a multiplicity is not a positive integer, or a representation
            is of another group.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=3, num_scales=4)
        >>> field = 16 * group.regular + 4 * group.scalar
        >>> print(field, field.size, field.num_fields, field.slices)
        16*regular + 4*scalar 68 20 (slice(0, 64, None), slice(64, 68, None))
        >>> FieldType.parse("16*regular + 4*scalar", group) == field
        True
    """

    def __init__(self, group: Group, blocks: tuple[Block, ...]) -> None:
        self.group = _checked_group(group)
        if not isinstance(blocks, tuple | list):
            hint = "an example is ((16, group.regular), (4, group.scalar))"
            raise FieldTypeError("a tuple of blocks, each of a multiplicity and a representation", repr(blocks), hint)
        self.blocks: tuple[Block, ...] = tuple(_checked_block(group, block) for block in blocks)
        if not self.blocks:
            raise FieldTypeError("at least one block", "none", "an example is 16 * group.regular")
        self.num_fields = sum(multiplicity for multiplicity, _ in self.blocks)
        stops = tuple(accumulate(count * part.size for count, part in self.blocks))
        self.slices = tuple(map(slice, (0, *stops), stops))
        self.size = stops[-1]

    @classmethod
    def parse(cls, text: str, group: Group) -> FieldType:
        """The field type that `str` writes as `text`, for configuration files.

        Args:
            text: what Python reads with ``group.`` before each name: terms joined by ``+``, each a representation
                with an optional multiplicity, as in ``"16*regular + 2*character(-1.0) + 4*irrep('T1') + scalar"``
                or ``"2*(regular + scalar)"``.
            group: the group that acts.

        Raises:
            FieldTypeError: if the text is not of this form, with the part that is wrong; if `group` is no group.

        Example:
            >>> from scalegroup.groups import ScaleTranslationGroup
            >>> FieldType.parse("2*character(-1) + scalar", ScaleTranslationGroup(dim=2)).size
            3
        """
        _checked_group(group)
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, AttributeError, ValueError):
            raise _text_error(repr(text)) from None
        return cls(group, tuple(_parse_blocks(tree, group)))

    @property
    def representation(self) -> Representation:
        """The direct sum of all fields: its matrices act on the whole channel axis."""
        return DirectSum(tuple(part for multiplicity, part in self.blocks for _ in range(multiplicity)))

    def with_group(self, group: Group) -> FieldType:
        """The field type of the same text on another group, for instance on a wider window of scales."""
        return FieldType(group, tuple((count, part.with_group(group)) for count, part in self.blocks))

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def __add__(self, other: FieldType | Representation) -> FieldType:
        summand = 1 * other if isinstance(other, Representation) else other
        if not isinstance(summand, FieldType):
            raise _not_a_summand(other)
        if summand.group != self.group:
            raise FieldTypeError(
                f"a field type of {self.group!r}",
                f"one of {summand.group!r}",
                "use with_group(...) on one of them",
            )
        return FieldType(self.group, self.blocks + summand.blocks)

    def __radd__(self, other: object) -> FieldType:
        if isinstance(other, int) and not isinstance(other, bool) and other == 0:
            return self  # sum([...]) starts with 0
        raise _not_a_summand(other)

    def __mul__(self, factor: int) -> FieldType:
        """Every multiplicity times `factor`."""
        factor = _checked_multiplicity(factor)
        return FieldType(self.group, tuple((factor * count, part) for count, part in self.blocks))

    __rmul__ = __mul__

    def __str__(self) -> str:
        return " + ".join(f"{multiplicity}*{part}" for multiplicity, part in self.blocks)

    def __repr__(self) -> str:
        return f"FieldType.parse({str(self)!r}, {self.group!r})"


def _not_a_summand(other: object) -> FieldTypeError:
    return FieldTypeError("a field type or a representation to add", repr(other), "such as 4 * group.scalar")


def _checked_group(group: object) -> Group:
    if not isinstance(group, Group):
        raise FieldTypeError("the group that acts", repr(group), "an example is ScaleTranslationGroup(dim=3)")
    return group


def _checked_block(group: Group, block: Any) -> Block:
    example = "an example is (16, group.regular)"
    if not isinstance(block, tuple) or len(block) != 2 or not isinstance(block[1], Representation):
        raise FieldTypeError("blocks of a multiplicity and a representation", repr(block), example)
    multiplicity, representation = block
    if representation.group != group:
        raise FieldTypeError(
            f"a representation of {group!r}", f"one of {representation.group!r}", "use with_group(...) on it"
        )
    return _checked_multiplicity(multiplicity), representation


def _checked_multiplicity(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise FieldTypeError("a multiplicity, an integer >= 1", repr(value), "an example is 16 * group.regular")
    return int(value)


def _parse_blocks(tree: ast.expr, group: Group) -> Iterator[Block]:
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        yield from _parse_blocks(tree.left, group)
        yield from _parse_blocks(tree.right, group)
    elif isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Mult):
        number, rest = (tree.left, tree.right) if _is_number(tree.left) else (tree.right, tree.left)
        if not _is_number(number):
            raise _text_error(repr(ast.unparse(tree)))
        factor = _checked_multiplicity(ast.literal_eval(number))
        yield from ((factor * count, part) for count, part in _parse_blocks(rest, group))
    else:
        yield 1, _parse_representation(tree, group)


def _is_number(tree: ast.expr) -> bool:
    """Whether it is a constant, or a number with a sign; that it is a multiplicity is checked later."""
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub | ast.UAdd):
        return isinstance(tree.operand, ast.Constant) and isinstance(tree.operand.value, int | float)
    return isinstance(tree, ast.Constant)


def _parse_representation(tree: ast.expr, group: Group) -> Representation:
    call = tree if isinstance(tree, ast.Call) else ast.Call(func=tree, args=[], keywords=[])
    if not isinstance(call.func, ast.Name) or call.func.id not in representation_names():
        raise _text_error(repr(ast.unparse(tree)))
    arguments = [_parse_argument(item, group) for item in call.args]
    options = {str(item.arg): _parse_argument(item.value, group) for item in call.keywords}
    try:
        result = build_representation(call.func.id, group, *arguments, **options)
    except TypeError as error:
        call_text = representation_call(call.func.id)
        raise _text_error(f"{ast.unparse(tree)!r}, where {call_text!r} is wanted") from error
    if not isinstance(result, Representation):
        raise _text_error(repr(ast.unparse(tree)))
    return result


def _parse_argument(tree: ast.expr, group: Group) -> Any:
    try:
        return ast.literal_eval(tree)
    except (ValueError, TypeError):  # not a literal
        return _parse_representation(tree, group)


def _text_error(received: str) -> FieldTypeError:
    names = ", ".join(representation_names())
    return FieldTypeError(
        "text such as '16*regular + 4*scalar'",
        received,
        f"the representations are {names}; arguments go in parentheses",
    )


register_field_type(FieldType)
