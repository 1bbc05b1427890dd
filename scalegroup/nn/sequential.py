"""Layers in a row."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.nn.module import EquivariantModule, Samples, group_of, on_grids
from scalegroup.nn.spacing import Spacing, spacing_of


class Sequential(EquivariantModule):
    """Applies layers one after the other; their types are checked when it is built.

    Args:
        *layers: equivariant modules; the `out_type` of each is the `in_type` of the next.

    Shape:
        As the first layer's input and the last one's output.

    Raises:
        FieldTypeError: if two neighbours do not fit, or there is no layer.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, num_scales=3)
        >>> hidden = 2 * group.regular
        >>> net = sg.nn.Sequential(sg.nn.GroupConv(1 * group.scalar, hidden), sg.nn.ScalePool(hidden))
        >>> net(torch.randn(1, 1, 8, 8)).shape
        torch.Size([1, 2, 8, 8])
        >>> sg.nn.Sequential(sg.nn.ScalePool(hidden), sg.nn.BatchNorm(hidden))
        Traceback (most recent call last):
        ...
        scalegroup.errors.FieldTypeError: expected 2*scalar as in_type of layer 1 (BatchNorm), ...
    """

    def __init__(self, *layers: EquivariantModule) -> None:
        if not layers:
            raise FieldTypeError("at least one layer", "none", "pass the layers as arguments")
        for n, layer in enumerate(layers):
            if not isinstance(layer, EquivariantModule):
                hint = "wrap activations as nn.Pointwise(field, activation)"
                raise FieldTypeError(f"an EquivariantModule as layer {n}", type(layer).__name__, hint)
            before = layers[n - 1].out_type if n else layer.in_type
            if layer.in_type != before:
                wanted, got = str(before), str(layer.in_type)
                if got == wanted:  # then the windows differ
                    wanted, got = repr(before), repr(layer.in_type)
                hint = "use the out_type of the layer before it"
                raise FieldTypeError(f"{wanted} as in_type of layer {n} ({type(layer).__name__})", got, hint)
        super().__init__(layers[0].in_type, layers[-1].out_type)
        for n, layer in enumerate(layers):
            self.add_module(str(n), layer)
        self._reads = "spacing" in signature(type(layers[0]).forward).parameters

    def forward(self, x: Samples, output_size: Sequence[int] | None = None, spacing: Spacing | None = None) -> Samples:
        """The output of the last layer.

        `spacing`, the voxel size of a scan, is for the first layer, which reads it. `output_size`, a number of voxels,
        is for the layer that leads from a grid for each scale to the voxels, which is told both, also the voxel size of
        a MONAI `MetaTensor`; without it the output stays on the network's own grid.

        Raises:
            ScaleGroupError: for an `output_size` if there is no such layer; for a `spacing` that the first layer does
                not take.
        """
        if spacing is not None and not self._reads and isinstance(x, Tensor):
            expected = "a first layer that reads at a spacing, such as nn.GroupConv or nn.HaarLift"
            raise ScaleGroupError(expected, type(self[0]).__name__, "bring the scan onto a grid of spacing 1 before")
        scan, written = x, False
        for n, layer in enumerate(self._modules.values()):  # not children(), which names a layer used twice once
            places: dict[str, Any] = {}
            whole = n == 0 and isinstance(layer, Sequential) and isinstance(x, Tensor)  # reads the scan, then writes it
            writes = output_size is not None and not on_grids(layer.out_type) and (whole or not isinstance(x, Tensor))  # type: ignore
            if writes:
                places["output_size"], written = output_size, True
            if writes and not whole:
                places["spacing"] = spacing_of(scan, spacing, group_of(self.in_type).dim)
            elif n == 0 and (isinstance(x, Tensor) or output_size is None):
                places["spacing"] = spacing
            if places.get("spacing") is None:  # few layers take one
                places.pop("spacing", None)
            x = layer(x, **places)  # type: ignore[misc]
        if output_size is not None and not written:
            expected = "a layer from a grid for each scale to the voxels, for output_size"
            raise ScaleGroupError(expected, output_size, "leave it out; the output lies on the network's own grid")
        return x

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, index: int | slice) -> EquivariantModule:
        layers = list(self._modules.values())
        if isinstance(index, slice):
            return Sequential(*layers[index])  # type: ignore[arg-type]
        return layers[index]  # type: ignore[return-value]

    def extra_repr(self) -> str:
        """Nothing: the layers show their types."""
        return ""
