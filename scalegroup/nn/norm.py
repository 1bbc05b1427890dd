"""Normalisation: batch statistics that all scales of a field share, or those of each sample and scale."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, Samples, grids
from scalegroup.representations import Regular, Scalar


class _Norm(EquivariantModule):
    """What the norms share: fields of numbers, one weight and one bias for each field."""

    weight: torch.nn.Parameter

    def __init__(self, field: FieldType, eps: float, affine: bool) -> None:
        super().__init__(field, field)
        for _, rep in field.blocks:
            if not isinstance(rep, Scalar | Regular):
                hint = "subtracting a mean would break the others; leave them out of this layer"
                raise FieldTypeError("scalar and regular fields", str(field), hint)
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not eps > 0:
            raise ScaleGroupError("eps, a positive number", repr(eps), "1e-5 is common")
        self.eps = float(eps)
        self.affine = bool(affine)
        fields = field.num_fields
        self.register_parameter("weight", torch.nn.Parameter(torch.ones(fields)) if affine else None)
        self.register_parameter("bias", torch.nn.Parameter(torch.zeros(fields)) if affine else None)

    def _on_blocks(self, x: Samples, function: Callable[[list[Tensor], slice], list[Tensor]]) -> Samples:
        """`function` of each block, as a list of `(batch, fields, scales, *space)` for each grid, and of its place."""
        x = self.check(x)
        split = [self.split(grid, self.in_type) for grid in grids(x)]
        results: list[list[Tensor]] = [[] for _ in split]
        start = 0
        for b, (count, _) in enumerate(self.in_type.blocks):
            normalised = function([grid[b] for grid in split], slice(start, start + count))
            for result, part in zip(results, normalised, strict=True):
                result.append(part)
            start += count
        joined = [self.join(result) for result in results]
        return joined[0] if isinstance(x, Tensor) else tuple(joined)

    def _scale(self, place: slice) -> tuple[Tensor | None, Tensor | None]:
        return (None, None) if self.bias is None else (self.weight[place], self.bias[place])

    def extra_repr(self) -> str:
        """The type and what differs from the defaults."""
        own = {"momentum": 0.1, "track_running_stats": True} if isinstance(self, BatchNorm) else {}
        affine = not isinstance(self, InstanceNorm)  # torch's defaults
        return ", ".join([str(self.in_type), *self.unusual(eps=1e-5, affine=affine, **own)])


class BatchNorm(_Norm):
    """Batch normalisation with statistics over batch, scales and space, one pair for each field.

    `y = (x - mean) / sqrt(var + eps) * weight + bias`; in eval mode with running statistics, where it is exactly
    equivariant. Batch statistics at test time would make the output depend on the share of background.

    Args:
        field: type of the input and the output: scalar and regular fields.
        eps: added to the variance. Default 1e-5.
        momentum: weight of a new batch in the running statistics. Default 0.1.
        affine: learn a weight and a bias for each field. Default True.
        track_running_stats: keep running statistics and use them in eval mode. Default True; False, as in torch, takes
            those of the batch in eval mode as well, as some published networks do: without a bound on the error.

    Shape:
        `(batch, field.size, *space)` to the same.

    Raises:
        FieldTypeError: for characters and irreps.

    Source: Ioffe and Szegedy 2015; shared by the scales as in Sosnovik et al. 2019.

    Example:
        >>> import torch, scalegroup as sg
        >>> norm = sg.nn.BatchNorm(2 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular)
        >>> norm(3 + torch.randn(2, 8, 6, 6, 6)).mean().abs() < 1e-5, sorted(norm.state_dict())
        (tensor(True), ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight'])
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        field: FieldType,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(field, eps, affine)
        if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 < momentum <= 1:
            raise ScaleGroupError("momentum in (0, 1]", repr(momentum), "0.1 is common")
        self.momentum = float(momentum)
        self.track_running_stats = bool(track_running_stats)
        tracked = self.track_running_stats
        self.register_buffer("running_mean", torch.zeros(field.num_fields) if tracked else None)
        self.register_buffer("running_var", torch.ones(field.num_fields) if tracked else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long) if tracked else None)

    @property
    def declared_error(self) -> float:
        """Zero with running statistics; those of a batch depend on the share of background: no bound."""
        return 0.0 if self.track_running_stats else float("inf")

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to the same."""
        x = self.check(x)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return self._on_blocks(x, self._together)

    def _together(self, parts: list[Tensor], place: slice) -> list[Tensor]:
        """All points of all scales and grids as one axis."""
        points = [part.flatten(2) for part in parts]
        mean = None if self.running_mean is None else self.running_mean[place]
        var = None if self.running_var is None else self.running_var[place]
        x = torch.cat(points, dim=2) if len(points) > 1 else points[0]
        y = F.batch_norm(x, mean, var, *self._scale(place), self.training or mean is None, self.momentum, self.eps)
        pieces = y.split([p.shape[2] for p in points], dim=2)
        return [piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)]


class _SampleNorm(_Norm):
    """A norm with statistics of each sample and scale by itself: dilation moves them along with the scales."""

    @property
    def declared_error(self) -> float:
        """No bound: the statistics depend on the share of background, which changes with the size of the content."""
        return float("inf")

    def _by_scale(self, x: Samples, function: Callable[[Tensor, Tensor | None, Tensor | None], Tensor]) -> Samples:
        """`function` of `(samples and scales, fields, points)`, weight and bias."""

        def on_grid(part: Tensor, place: slice) -> Tensor:
            by_scale = part.transpose(1, 2)  # (batch, scales, fields, *space): samples and scales are alike
            y = function(by_scale.flatten(0, 1).flatten(2), *self._scale(place))
            return y.reshape(by_scale.shape).transpose(1, 2)

        return self._on_blocks(x, lambda parts, place: [on_grid(part, place) for part in parts])


class InstanceNorm(_SampleNorm):
    """Instance normalisation with statistics over space, one pair for each field of each sample at each scale.

    No scale knows of the others, nor of the window. The layer is exact where the volume grows with its content; where
    it does not, the share of background changes, and the statistics with it. `BatchNorm` in eval mode is always exact.

    Args:
        field: type of the input and the output: scalar and regular fields.
        eps: added to the variance. Default 1e-5.
        affine: learn a weight and a bias for each field. Default False, as in torch.

    Shape:
        `(batch, field.size, *space)` to the same.

    Raises:
        FieldTypeError: for characters and irreps.

    Source: Ulyanov et al. 2016, "Instance Normalization".

    Example:
        >>> import torch, scalegroup as sg
        >>> norm = sg.nn.InstanceNorm(2 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular)
        >>> norm(3 + torch.randn(2, 8, 6, 6, 6)).mean().abs() < 1e-5
        tensor(True)
    """

    def __init__(self, field: FieldType, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__(field, eps, affine)

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to the same."""
        return self._by_scale(x, lambda x, weight, bias: F.instance_norm(x, weight=weight, bias=bias, eps=self.eps))


class GroupNorm(_SampleNorm):
    """Group normalisation with statistics over the fields of a group and space of each sample at each scale.

    Args:
        field: type of the input and the output: fields of one representation, scalar or regular.
        num_groups: number of groups; divides the number of fields. Default 1.
        eps: added to the variance. Default 1e-5.
        affine: learn a weight and a bias for each field. Default True.

    Shape:
        `(batch, field.size, *space)` to the same.

    Raises:
        FieldTypeError: for characters, irreps, and sums of different representations.
        ScaleGroupError: if `num_groups` does not divide the number of fields.

    Source: Wu and He 2018, "Group Normalization". Equivariant as `InstanceNorm` is.

    Example:
        >>> import torch, scalegroup as sg
        >>> norm = sg.nn.GroupNorm(4 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular, num_groups=2)
        >>> norm(3 + torch.randn(2, 16, 6, 6, 6)).mean().abs() < 1e-5
        tensor(True)
    """

    def __init__(self, field: FieldType, num_groups: int = 1, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(field, eps, affine)
        if len(field.blocks) != 1:
            hint = "normalise the blocks one by one"
            raise FieldTypeError("fields of one representation", str(field), hint)
        if not isinstance(num_groups, int) or num_groups < 1 or field.num_fields % num_groups:
            hint = "choose a divisor"
            raise ScaleGroupError(f"num_groups that divides {field.num_fields} fields", repr(num_groups), hint)
        self.num_groups = num_groups

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to the same."""
        return self._by_scale(x, lambda x, weight, bias: F.group_norm(x, self.num_groups, weight, bias, self.eps))

    def extra_repr(self) -> str:
        """The type, the groups, and what differs from the defaults."""
        return f"{super().extra_repr()}, num_groups={self.num_groups}"
