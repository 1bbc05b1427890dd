"""A contraction as what a custom operator of torch can take: lists of tensors and flat lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scalegroup.engine.contraction import Contraction, Term


def packed(contraction: Contraction) -> tuple[list[int], list[int], list[int]]:
    """Products, terms and outputs, flat."""
    products = [i for product in contraction.products for i in product]
    return products, [i for term in contraction.terms for i in term], list(contraction.outputs)


def products_of(flat: Sequence[int], dim: int) -> tuple[tuple[int, ...], ...]:
    """The products again."""
    return tuple(tuple(flat[i : i + dim]) for i in range(0, len(flat), dim))


def terms_of(flat: Sequence[int]) -> list[Term]:
    """The terms again, those of one target side by side, and among these those of one operator."""
    terms = [Term(*flat[i : i + 4]) for i in range(0, len(flat), 4)]
    return sorted(terms, key=lambda term: (term.target, term.operator, term.source, term.tap))


def writers(terms: Sequence[int], outputs: Sequence[int]) -> list[int]:
    """For each output stack the operator that writes its first scale, and so knows its size."""
    operators = {terms[i]: terms[i + 2] for i in range(0, len(terms), 4)}
    return [operators[sum(outputs[:stack])] for stack in range(len(outputs))]


def empty_stacks(
    like: Tensor, channels: int, counts: Sequence[int], spaces: Sequence[Sequence[int]], dtype: torch.dtype
) -> list[Tensor]:
    """Output stacks `(B, channels, count, *space)` without values."""
    pairs = zip(counts, spaces, strict=True)
    return [like.new_empty((like.shape[0], channels, count, *space), dtype=dtype) for count, space in pairs]


def plain(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors without a subclass, such as MONAI's MetaTensor, that looks at every operation."""
    return [tensor.as_subclass(Tensor) for tensor in tensors]
