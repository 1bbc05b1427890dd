"""A contraction as what a custom operator of torch can take: lists of tensors and flat lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def register_gradient(forward: Any, backward: Any) -> None:
    """Make one custom operator the gradient of another: of input and weight, as far as they are asked for.

    Args:
        forward: `(xs, weight, *constants, outputs) -> ys`; the constants are lists of tensors or of numbers.
        backward: `(grads, xs, weight, *constants, needs_xs, needs_weight) -> (grad_xs, grad_weight)`; what is not
            needed is empty.
    """

    def setup(ctx: Any, inputs: Sequence[Any], output: Any) -> None:
        lists = [[given] if isinstance(given, Tensor) else given for given in inputs[:-1]]
        ctx.kept = [len(given) if isinstance(given[0], Tensor) else given for given in lists]
        ctx.save_for_backward(*(tensor for given in lists if isinstance(given[0], Tensor) for tensor in given))

    def gradient(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
        saved = iter(ctx.saved_tensors)
        lists = [[next(saved) for _ in range(kept)] if isinstance(kept, int) else kept for kept in ctx.kept]
        xs, (weight,), *constants = lists
        needs_xs, needs_weight = any(ctx.needs_input_grad[0]), ctx.needs_input_grad[1]
        grad_xs, grad_weight = backward(list(grads), xs, weight, *constants, needs_xs, needs_weight)
        none = [[None] * len(given) if isinstance(given[0], Tensor) else None for given in constants]
        return grad_xs if needs_xs else [None] * len(xs), grad_weight if needs_weight else None, *none, None

    def empty(grads: Any, xs: Sequence[Tensor], weight: Tensor, *others: Any) -> tuple[list[Tensor], Tensor]:
        needs_xs, needs_weight = others[-2:]
        grad_xs = [x.new_empty(x.shape if needs_xs else 0) for x in xs]
        return grad_xs, weight.new_empty(weight.shape if needs_weight else 0)

    backward.register_fake(empty)
    forward.register_autograd(gradient, setup_context=setup)
