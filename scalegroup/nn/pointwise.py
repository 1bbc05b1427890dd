"""Activations, applied to every number of a field."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scalegroup.engine import AxisOperator, along_axes
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import interpolation_taps
from scalegroup.nn.grid import PADDING_MODES, choice, interpolation_error, keep_interpolation
from scalegroup.nn.module import EquivariantModule, Samples, each
from scalegroup.representations import permutes

_MIXING = (torch.nn.Softmax, torch.nn.Softmax2d, torch.nn.Softmin, torch.nn.LogSoftmax, torch.nn.GLU)


class Pointwise(EquivariantModule):
    """An activation, applied to every number: `y(s,x) = φ(x(s,x))`.

    It commutes with the group at the sample points exactly; between them it makes frequencies that the grid cannot
    hold, which is what limits networks with ReLU. Smooth activations make few of them; with `oversample=2` the
    activation acts on a grid twice as fine, and what the grid cannot hold is removed.

    Args:
        field: type of the input and the output: scalar and regular fields, and quotients, whose components rotations
            only permute.
        activation: a module or function of a tensor that acts on each number. Default `torch.nn.SiLU()`.
        oversample: factor of the finer grid, 1 or more. Default 1.
        padding_mode: what lies outside the volume, for `oversample > 1`. Default "replicate".

    Shape:
        `(batch, field.size, *space)` to the same; or `(points, field.size)`, if `oversample` is 1.

    Raises:
        FieldTypeError: for fields that an activation does not respect (characters, irreps); see `NormActivation`.

    Source: `docs/accuracy.md`; Karras et al. 2021, "Alias-Free Generative Adversarial Networks", section 3.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> sg.nn.Pointwise(field, torch.nn.SiLU(), oversample=2)(torch.randn(1, 6, 8, 9)).shape
        torch.Size([1, 6, 8, 9])
    """

    activation: Callable[[Tensor], Tensor]
    up: Tensor
    down: Tensor

    def __init__(
        self,
        field: FieldType,
        activation: Callable[[Tensor], Tensor] | None = None,
        oversample: int = 1,
        padding_mode: str = "replicate",
    ) -> None:
        super().__init__(field, field)
        for _, rep in field.blocks:
            if not permutes(rep):
                hint = "an activation would break the others; use nn.NormActivation or nn.Gate for vectors"
                raise FieldTypeError("scalar and regular fields, and quotients", str(field), hint)
        oversample = as_integer(oversample, "oversample, an integer >= 1", "2 is usually enough", minimum=1)
        self.activation = as_activation(activation)
        self.oversample = oversample
        self.pointwise = oversample == 1
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        if oversample > 1:
            self._first = keep_interpolation(self, "up", oversample, 0)
            down = interpolation_taps(oversample, 0.5 * ((oversample - 1) % 2))
            self.register_constant("down", down.values.copy())
            self._down_first = down.first

    @property
    def declared_error(self) -> float:
        """At the sample points an activation is exact; on a finer grid, the errors of going there and back."""
        return 0.0 if self.oversample == 1 else 2 * interpolation_error(self.in_type.group.dim)

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to the same."""
        return each(self._on_grid, self.check(x))  # type: ignore[no-any-return]

    def _on_grid(self, x: Tensor) -> Tensor:
        if self.oversample == 1:
            return self.activation(x)
        q = self.oversample
        up, down = [], []
        for n in x.shape[2:]:
            rows = AxisOperator(self.up, self._first, 1, n, n, self.padding_mode).matrix()
            up.append(rows.transpose(0, 1).reshape(q * n, n))
            start = (q - 1) // 2 + self._down_first
            down.append(AxisOperator(self.down, start, q, q * n, n, self.padding_mode).matrix()[0])
        return along_axes(self.activation(along_axes(x, up)), down)

    def extra_repr(self) -> str:
        """The type, a function that is no module, and what differs from the defaults."""
        unusual = self.unusual(oversample=1, padding_mode="replicate")
        return ", ".join([str(self.in_type), *name_of(self.activation), *unusual])


def as_activation(value: Callable[[Tensor], Tensor] | None) -> Callable[[Tensor], Tensor]:
    """An activation that acts on every number alike; `None` stands for SiLU.

    Raises:
        ScaleGroupError: for what is no function, or mixes channels.
    """
    activation = torch.nn.SiLU() if value is None else value
    if not callable(activation) or isinstance(activation, type):
        raise ScaleGroupError("an activation module or function", repr(activation), "such as torch.nn.SiLU()")
    if isinstance(activation, _MIXING) or getattr(activation, "num_parameters", 1) != 1:
        hint = "channels are scales too, and one function has to act on all of them"
        raise ScaleGroupError("an activation that acts on every number alike", repr(activation), hint)
    return activation


def name_of(activation: Callable[[Tensor], Tensor]) -> list[str]:
    """The name of a function, for `repr`; nothing for a module, which shows itself."""
    return [] if isinstance(activation, torch.nn.Module) else [getattr(activation, "__name__", "function")]
