"""Blocks of networks: convolution with activation, norm and dropout; residual units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.models.options import activation, dropout, norm
from scalegroup.nn.module import Samples
from scalegroup.representations import permutes


@dataclass(frozen=True)
class Recipe:
    """What all blocks of a network have in common.

    Args:
        act: activation, as in MONAI. Default "silu". Vectors, which it would not respect number by number, have gates
            instead (`nn.Gate`), further scalars that the convolution before makes.
        norm: norm, as in MONAI. Default "batch".
        dropout: probability that a field is dropped in training. Default 0.
        adn_ordering: order of activation (A), dropout (D) and norm (N). Default "NDA".
        oversample: factor of the finer grid on which activations act. Default 1.
        conv: further options of every convolution, such as `order`, `sigma`, `scale_extent`, `bias`.
    """

    act: Any = "silu"
    norm: Any = "batch"
    dropout: Any = 0.0
    adn_ordering: str = "NDA"
    oversample: int = 1
    conv: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.adn_ordering, str) or not set(self.adn_ordering.upper()) <= set("ADN"):
            hint = "A is the activation, D the dropout, N the norm"
            raise ScaleGroupError("adn_ordering of the letters A, D and N", repr(self.adn_ordering), hint)

    def adn(self, out_type: FieldType) -> list[nn.EquivariantModule]:
        """New activation, dropout and norm layers in the recipe's order, from `before_adn(out_type)` to `out_type`."""
        layers: list[nn.EquivariantModule | None] = []
        type_ = self.before_adn(out_type)
        for letter in dict.fromkeys(self.adn_ordering.upper()):  # as in MONAI, each letter counts once
            if letter == "A":
                layers.append(self._activation(out_type))
                type_ = out_type
            elif letter == "D":
                layers.append(dropout(self.dropout, type_))
            else:
                layers.append(norm(self.norm, type_))
        return [layer for layer in layers if layer is not None]

    def before_adn(self, out_type: FieldType) -> FieldType:
        """What a convolution gives to the layers of `adn`: `out_type` and, for vectors that turn, their gates."""
        act = self._activation(out_type) if "A" in self.adn_ordering.upper() else None
        return out_type if act is None else act.in_type

    def _activation(self, out_type: FieldType) -> nn.EquivariantModule | None:
        act = activation(self.act)
        if act is None or all(permutes(rep) for _, rep in out_type):
            return None if act is None else nn.Pointwise(out_type, act, self.oversample)
        if self.oversample > 1:
            hint = "gates do not act on finer grids; a larger sigma lowers the error too"
            raise ScaleGroupError(f"oversample=1 for {out_type}", self.oversample, hint)
        return nn.Gate(out_type, act)

    def convolution(
        self, in_type: FieldType, out_type: FieldType, stride: int | Sequence[int] = 1, **options: Any
    ) -> nn.GroupConv:
        """A convolution of the network."""
        return nn.GroupConv(in_type, out_type, stride=stride, **{**self.conv, **options})

    def unit(
        self,
        in_type: FieldType,
        out_type: FieldType,
        stride: int | Sequence[int] = 1,
        conv_only: bool = False,
        **options: Any,
    ) -> nn.Sequential:
        """A convolution, followed by activation, dropout and norm unless `conv_only`."""
        if conv_only:
            return nn.Sequential(self.convolution(in_type, out_type, stride, **options))
        conv = self.convolution(in_type, self.before_adn(out_type), stride, **options)
        return nn.Sequential(conv, *self.adn(out_type.with_group(conv.out_type.group)))


class ResidualUnit(nn.EquivariantModule):
    """`x -> shortcut(x) + units(x)`; the first unit and the shortcut have the stride.

    Args:
        recipe: what the units are made of.
        in_type: type of the input.
        out_type: type of the output.
        stride: input samples per output sample. Default 1.
        subunits: number of units. Default 2.
        last_conv_only: the last unit is a convolution alone. Default False.
        **options: of every convolution, such as `admissible`.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *ceil(space / stride))`.

    Source: He et al. 2016; MONAI's residual unit, with 1×1 shortcuts where nothing is strided or lifted.

    Example:
        >>> import torch, scalegroup as sg
        >>> from scalegroup.models.blocks import Recipe, ResidualUnit
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> ResidualUnit(Recipe(), field, field, stride=2)(torch.randn(1, 6, 8, 8)).shape
        torch.Size([1, 6, 4, 4])
    """

    def __init__(
        self,
        recipe: Recipe,
        in_type: FieldType,
        out_type: FieldType,
        stride: int | Sequence[int] = 1,
        subunits: int = 2,
        last_conv_only: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(in_type, out_type)
        units: list[nn.EquivariantModule] = []
        for n in range(max(1, subunits)):
            conv_only = last_conv_only and n == subunits - 1
            first = n == 0
            units.append(
                recipe.unit(in_type if first else out_type, out_type, stride if first else 1, conv_only, **options)
            )
        self.units = nn.Sequential(*units)
        strided = any(s != 1 for s in (stride if isinstance(stride, Sequence) else [stride]))
        self.shortcut: nn.EquivariantModule | None = None
        if strided or {r for _, r in in_type} != {r for _, r in out_type}:
            self.shortcut = recipe.convolution(in_type, out_type, stride, **options)
        elif in_type != out_type:
            self.shortcut = nn.Linear(in_type, out_type)

    def forward(self, x: Samples) -> Samples:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space')`."""
        short: Samples = x if self.shortcut is None else self.shortcut(x)
        return nn.each(torch.add, short, self.units(x))  # type: ignore[no-any-return]
