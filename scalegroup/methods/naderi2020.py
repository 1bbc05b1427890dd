"""Steerable filters with a map of the strongest scale.

Naderi, Goli, Kasaei, "Scale Equivariant CNNs with Scale Steerable Filters", Machine Vision and Image Processing, 2020.

The log-radial filters of `ghosh2019`, steered to every scale: `R(s,x) = ∫ f(x+u) s^-d ψ(u/s) du`, of which the maximum
`m(x) = max_s R(s,x)` goes on, and with it the scale of the maximum: `κ(x) = Σ_s w_s ln s`, a mean with weights
`w_s ∝ exp(β R(s,x) / m(x))`. If the image is dilated by a, κ grows by ln a.

The next layer must not take that number for a feature. As in `marcos2018`, both leave the layer as a vector
`m (cos ωκ, sin ωκ)`, which the next one turns by `-ω ln s` at its scale s: relative scales count.

Exact: dilation turns the vectors by `ω ln a` (`group.phase`). Approximate: log-radial filters on a grid (see there);
the finite window, whose ends pull the mean of the scales inwards, and cut off the maximum.

Only the abstract could be read. That the scale is a mean, that it goes on as an angle, and β = 20 (a response of 90 %
of the maximum counts 0.14 times) are choices of ours.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.methods.ghosh2019 import RADIUS
from scalegroup.methods.marcos2018 import VectorLayers
from scalegroup.methods.method import Method
from scalegroup.nn.module import check_types, group_of
from scalegroup.nn.scale_vector import rate_of
from scalegroup.representations import Phase
from scalegroup.symbolic import LogRadialBasis


class SteerableMaxConv(nn.EquivariantModule):
    """A convolution with steerable filters at all scales; the strongest response and its scale, as a vector.

    `m (cos ωκ, sin ωκ)` with `m(x) = max_s R(s,x)`, and κ the mean of ln s with weights `∝ exp(β R(s,x) / m(x))`.

    Args:
        in_type: scalar fields, or vectors `group.phase(ω)`, which every scale sees turned by its own angle.
        out_type: vectors `group.phase(ω)`; the scales are those of their group.
        basis: of the filters. Default `LogRadialBasis` with a radius of 3.5 voxels at scale 1.
        sharpness: β. Default 20.
        return_scale: return m and κ in place of the vectors. Default False.
        options: of `nn.GroupConv`, such as `sigma` and `padding_mode`.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`, component fastest; or to two tensors
        `(batch, out_type.num_fields, *space)`.

    Raises:
        FieldTypeError: for other fields.

    Source: Naderi et al. 2020; the vectors after Marcos et al. 2018.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, base=2**0.5, num_scales=3)
        >>> conv = SteerableMaxConv(1 * group.scalar, 4 * group.phase(1.0), return_scale=True)
        >>> [tuple(part.shape) for part in conv(torch.randn(1, 1, 9, 8))]
        [(1, 4, 9, 8), (1, 4, 9, 8)]
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        basis: Any = None,
        *,
        sharpness: float = 20.0,
        return_scale: bool = False,
        **options: Any,
    ) -> None:
        check_types(self, in_type=in_type, out_type=out_type)
        rate = rate_of(out_type)
        super().__init__(in_type, out_type)
        vectors = any(isinstance(rep, Phase) for _, rep in in_type.blocks)
        self.spread = nn.VectorToScale(in_type) if vectors else None
        source = in_type if self.spread is None else self.spread.out_type
        basis = LogRadialBasis(group_of(in_type).dim, support=RADIUS) if basis is None else basis
        self.conv = nn.GroupConv(source, out_type.num_fields * group_of(in_type).regular, basis=basis, **options)
        self.vector = nn.ScaleToVector(self.conv.out_type, rate, sharpness)
        self.return_scale = bool(return_scale)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """`(batch, in_type.size, *space)` to vectors, or to m and κ."""
        spread = self.check(x) if self.spread is None else self.spread(x)
        responses = self.conv(spread)
        return self.vector.maximum(responses) if self.return_scale else self.vector(responses)


class ScaleMapLayers(VectorLayers):
    """The layers of steerable filters with a map of the scale.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scales. Default 3: filters of 7, 11 and 15 voxels along each axis.
    """

    num_scales = 3

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """From an image to vectors."""
        return SteerableMaxConv(in_channels * self.group.scalar, self.field(out_channels))

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """From vectors to vectors."""
        return SteerableMaxConv(self.field(in_channels), self.field(out_channels))


METHOD = Method(
    name="naderi2020",
    title="steerable, scale map",
    source="Naderi, Goli, Kasaei, Scale Equivariant CNNs with Scale Steerable Filters, 2020",
    kind="steerable",
    interscale=True,
    scales="all",
    equivariance="global",
    layers=ScaleMapLayers,
)
