"""Pointwise mixing of fields."""

from __future__ import annotations

import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, Samples, each
from scalegroup.representations import Representation


class Linear(EquivariantModule):
    """Mixes fields of the same representation at each point, with one weight for all scales (a 1×1 convolution).

    `y_o(s,x) = Σ_c W[o,c] x_c(s,x) + b_o`. It commutes with every group element exactly. All components of a vector are
    mixed alike; `nn.GroupConv` also mixes components, and leads from one representation to another.

    Args:
        in_type: type of the input field.
        out_type: type of the output field; each of its representations must occur in `in_type`.
        bias: add a constant to each output field that may have one: scalars, regular fields, and along all components
            of a quotient. Default True.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`; or `(points, …)`.

    Raises:
        FieldTypeError: if an output representation does not occur in the input.

    Source: Schur's lemma for the representations of the group, restricted to maps without spatial extent.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, num_scales=3)
        >>> layer = sg.nn.Linear(4 * group.regular, 2 * group.regular)
        >>> layer(torch.randn(1, 12, 5, 5)).shape, layer
        (torch.Size([1, 6, 5, 5]), Linear(4*regular -> 2*regular, bias=True))
    """

    pointwise = True

    def __init__(self, in_type: FieldType, out_type: FieldType, bias: bool = True) -> None:
        super().__init__(in_type, out_type)
        shapes = []
        for count, rep in out_type.blocks:
            sources = sum(m for m, other in in_type.blocks if _alike(other, rep))
            if not sources:
                hint = "use nn.GroupConv between different representations"
                raise FieldTypeError(f"{rep} among the input fields", f"{in_type} -> {out_type}", hint)
            shapes.append((count, sources))
        self.add_weights(shapes)
        self.add_bias(bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New random weights that keep the variance; biases are zero."""
        for weight in self.weights:
            torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(self, x: Samples) -> Samples:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space)`."""
        return each(self._on_grid, self.check(x))  # type: ignore[no-any-return]

    def _on_grid(self, x: Tensor) -> Tensor:
        parts = self.split(x, self.in_type)
        results = []
        for (_, rep), weight in zip(self.out_type.blocks, self.weights, strict=True):
            sources = [
                part.reshape(part.shape[0], m, self.components_of(rep), *part.shape[2:])
                for part, (m, other) in zip(parts, self.in_type.blocks, strict=True)
                if _alike(other, rep)
            ]
            source = torch.cat(sources, dim=1) if len(sources) > 1 else sources[0]
            mixed = torch.matmul(weight, source.flatten(2))
            results.append(mixed.reshape(mixed.shape[0], len(weight) * source.shape[2], *source.shape[3:]))
        return self.join(self.apply_bias(results))

    def extra_repr(self) -> str:
        """Types and whether there is a bias."""
        return f"{super().extra_repr()}, bias={self.bias is not None}"


def _alike(a: Representation, b: Representation) -> bool:
    return str(a) == str(b) and a.num_scales == b.num_scales
