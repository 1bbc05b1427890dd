"""In which order functions and channels are mixed, so that nothing is computed that no product needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

T = TypeVar("T", int, tuple[int, int])


class Axes(NamedTuple):
    """One operator along X, Y and Z.

    Attributes:
        matrices: `(F1, rows, columns)`.
        bands: from which column to which each row is not zero, `(2, rows)`, on the CPU.
    """

    matrices: tuple[Tensor, Tensor, Tensor]
    bands: tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Layout:
    """The order of the work for a list of products `h_i(x) h_j(y) h_k(z)`.

    Either two axes are applied before the mix of the channels and one after it, or, the mirror image (`late`), one
    before and two after. A *pair* is the product of the two functions that stand on one side of the mix, a *single*
    the function on the other. Both are sorted so that each row of the mix needs a leading part of its columns.

    Attributes:
        late: whether the two axes are applied after the mix.
        functions: for each axis the functions in use, in the order of the work.
        pairs: positions in `functions` of the two functions, X and Y; late: Y and Z, sorted by Z.
        prefix: for each single (Z) how many leading pairs it needs; late: for each pair how many leading singles (X).
        slots: for each product the positions of its single and of its pair.
    """

    late: bool
    functions: tuple[tuple[int, ...], ...]
    pairs: tuple[tuple[int, int], ...]
    prefix: tuple[int, ...]
    slots: tuple[tuple[int, int], ...]

    def select(self, axes: Axes) -> Axes:
        """The axes, their functions in the order of the work."""
        chosen = []
        for axis, used in zip(axes.matrices, self.functions, strict=True):
            chosen.append(axis if used == tuple(range(len(axis))) else torch.stack([axis[f] for f in used]))
        return Axes((chosen[0], chosen[1], chosen[2]), axes.bands)

    def mix(self, weight: Tensor) -> Tensor:
        """Weights `(O, C, T, F)` as matrices `(T, singles, O, pairs * C)`; late: `(T, pairs, O, singles * C)`."""
        out_channels, in_channels, taps, _ = weight.shape
        rows, columns = len(self.prefix), len(self.functions[0]) if self.late else len(self.pairs)
        mix = weight.new_zeros(taps, rows, out_channels, columns, in_channels)
        for f, (single, pair) in enumerate(self.slots):
            row, column = (pair, single) if self.late else (single, pair)
            mix[:, row, :, column] = weight[..., f].permute(2, 0, 1)
        return mix.flatten(3)

    def unmix(self, mix: Tensor, in_channels: int) -> Tensor:
        """The adjoint of `mix` where it is not late: weights `(O, C, T, F)`."""
        mix = mix.unflatten(3, (len(self.pairs), in_channels))
        return torch.stack([mix[:, single, :, pair] for single, pair in self.slots], dim=-1).permute(1, 2, 0, 3)

    def price(self, channels: tuple[int, int], inner: Sequence[int], outer: Sequence[int], width: int) -> int:
        """Multiply-adds of one volume, as many as are carried out by tiles of 4 rows, along Z of 16 columns.

        Args:
            channels: of the input and of the output.
            inner: samples of the input along X, Y and Z.
            outer: samples of the output.
            width: samples of a band.
        """
        (c, o), (ix, iy, iz), (ox, oy, oz) = channels, inner, outer
        x, y, z = ox * iy * iz, ox * oy * iz, ox * oy * oz  # samples after each axis
        mix = sum(self.prefix) * c * o * (x if self.late else y)
        first, pairs = len(self.functions[0]) * c * x, len(self.pairs) * (o if self.late else c) * y
        bands = min(width + 3, ix) * first + min(width + 3, iy) * pairs
        return mix + bands + min(width + 15, iz) * len(self.functions[2]) * o * z


def order_of_work(products: tuple[tuple[int, ...], ...], late: bool = False) -> Layout:
    """The layout of products of one to three functions; missing axes stand first and have one function."""
    full = [(0,) * (3 - len(product)) + product for product in products]
    used = [_by_use([product[axis] for product in full]) for axis in range(3)]
    first, second, alone = (1, 2, 0) if late else (0, 1, 2)
    couples = [(product[first], product[second]) for product in full]
    pairs = _by_use(couples)
    if late:
        pairs = sorted(pairs, key=lambda pair: used[second].index(pair[1]))
    slots = [
        (used[alone].index(product[alone]), pairs.index(couple)) for product, couple in zip(full, couples, strict=True)
    ]
    cells = [(pair, single) if late else (single, pair) for single, pair in slots]
    rows = len(pairs) if late else len(used[alone])
    return Layout(
        late,
        functions=tuple(map(tuple, used)),
        pairs=tuple((used[first].index(a), used[second].index(b)) for a, b in pairs),
        prefix=tuple(1 + max(column for row, column in cells if row == i) for i in range(rows)),
        slots=tuple(slots),
    )


layout = lru_cache(maxsize=256)(order_of_work)  # torch.compile wants the one without a cache


def _by_use(items: list[T]) -> list[T]:
    """The different items, the one used most often first."""
    return sorted(set(items), key=lambda item: (-items.count(item), item))
