"""Normalisation: batch statistics that all scales of a field share, or those of each sample and scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.engine.autocast import at_least_float32
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, Samples, grids
from scalegroup.nn.rotating import as_vectors, check_weightless
from scalegroup.representations import invariants


class _Block(NamedTuple):
    """A block of the field's type, and where its numbers are."""

    components: int
    turns: bool  # and so has no mean
    fields: slice  # of the weights and variances
    means: slice  # of the biases and means


class _Norm(EquivariantModule):
    """What the norms share: one weight for each field, one bias for each field that has a mean."""

    weight: torch.nn.Parameter

    def __init__(self, field: FieldType, eps: float, affine: bool) -> None:
        check_weightless(self, field, "a norm would undo the dilation of the others; leave them out of this layer")
        super().__init__(field, field)
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not eps > 0:
            raise ScaleGroupError("eps, a positive number", repr(eps), "1e-5 is common")
        self.eps = float(eps)
        self.affine = bool(affine)
        self._blocks: list[_Block] = []
        fields = means = 0
        for count, rep in field.blocks:
            constants = invariants(rep)
            if constants.shape[1] > 1 or not np.allclose(constants, 1):
                hint = "normalise the parts that they consist of"
                raise FieldTypeError("fields whose components have one mean, or none", str(field), hint)
            turns = constants.shape[1] == 0
            stops = fields + count, means + (0 if turns else count)
            self._blocks.append(_Block(len(constants), turns, slice(fields, stops[0]), slice(means, stops[1])))
            fields, means = stops
        self._means = means
        self.register_parameter("weight", torch.nn.Parameter(torch.ones(fields)) if affine else None)
        self.register_parameter("bias", torch.nn.Parameter(torch.zeros(means)) if affine and means else None)

    def _on_blocks(self, x: Samples, function: Callable[[list[Tensor], int], list[Tensor]]) -> Samples:
        """`function` of each block, a list of `(batch, fields * components, scales, *space)` by grid, and its index."""
        x = self.check(x)
        split = [self.split(grid, self.in_type) for grid in grids(x)]
        results: list[list[Tensor]] = [[] for _ in split]
        for b in range(len(self._blocks)):
            for result, part in zip(results, function([grid[b] for grid in split], b), strict=True):
                result.append(part)
        joined = [self.join(result) for result in results]
        return joined[0] if isinstance(x, Tensor) else tuple(joined)

    def _weighted(self, y: Tensor, b: int) -> Tensor:
        return y * self.weight[self._blocks[b].fields].to(y.dtype).unsqueeze(1) if self.affine else y

    def _scale(self, b: int) -> tuple[Tensor | None, Tensor | None]:
        """Weight and bias of a block."""
        block = self._blocks[b]
        return self.weight[block.fields] if self.affine else None, None if self.bias is None else self.bias[block.means]

    def extra_repr(self) -> str:
        """The type and what differs from the defaults."""
        own = {"momentum": 0.1, "track_running_stats": True} if isinstance(self, BatchNorm) else {}
        affine = not isinstance(self, InstanceNorm)  # torch's defaults
        return ", ".join([str(self.in_type), *self.unusual(eps=1e-5, affine=affine, **own)])


class BatchNorm(_Norm):
    """Batch normalisation with statistics over batch, scales and space, one pair for each field.

    `y = (x - mean) / sqrt(var + eps) * weight + bias`; in eval mode with running statistics, where it is exactly
    equivariant. Batch statistics at test time would make the output depend on the share of background.

    Statistics are over the components of a field, too. A mean and a bias have only those that rotations leave as they
    are: of a quotient the mean of all components, of a vector none: it is divided by the root mean square.

    Args:
        field: type of the input and the output: any fields without a weight.
        eps: added to the variance. Default 1e-5.
        momentum: weight of a new batch in the running statistics. Default 0.1.
        affine: learn a weight and a bias for each field. Default True.
        track_running_stats: keep running statistics and use them in eval mode. Default True; False, as in torch, takes
            those of the batch in eval mode as well, as some published networks do: without a bound on the error.

    Shape:
        `(batch, field.size, *space)` to the same; or `(points, field.size)`.

    Raises:
        FieldTypeError: for fields that dilations multiply by a power of the scale.

    Source: Ioffe and Szegedy 2015; shared by the scales as in Sosnovik et al. 2019.

    Example:
        >>> import torch, scalegroup as sg
        >>> norm = sg.nn.BatchNorm(2 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular)
        >>> norm(3 + torch.randn(2, 8, 6, 6, 6)).mean().abs() < 1e-5, sorted(norm.state_dict())
        (tensor(True), ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight'])
    """

    pointwise = True
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
        self.register_buffer("running_mean", torch.zeros(self._means) if tracked and self._means else None)
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

    def _together(self, parts: list[Tensor], b: int) -> list[Tensor]:
        """All points of all components, scales and grids as one axis."""
        points = [as_vectors(part, self._blocks[b].components).flatten(2) for part in parts]
        x = torch.cat(points, dim=2) if len(points) > 1 else points[0]
        y = self._vectors(x, b) if self._blocks[b].turns else self._numbers(x, b)
        pieces = y.split([p.shape[2] for p in points], dim=2)
        return [piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)]

    def _numbers(self, x: Tensor, b: int) -> Tensor:
        """torch's norm of `(batch, fields, points)`."""
        mean = None if self.running_mean is None else self.running_mean[self._blocks[b].means]
        var = None if self.running_var is None else self.running_var[self._blocks[b].fields]
        scale, training = self._scale(b), self.training or var is None
        if mean is None or var is None or not training or not any(block.turns for block in self._blocks):
            return F.batch_norm(x, mean, var, *scale, training, self.momentum, self.eps)
        # torch keeps them for its backward pass, where a block of vectors, or a second pass, may have changed them.
        new_mean, new_var = mean.clone(), var.clone()
        y = F.batch_norm(x, new_mean, new_var, *scale, training, self.momentum, self.eps)
        mean.copy_(new_mean)
        var.copy_(new_var)
        return y

    def _vectors(self, x: Tensor, b: int) -> Tensor:
        """The same without a mean, which would have a direction."""
        values = x.to(at_least_float32(x.dtype))
        running = None if self.running_var is None else self.running_var[self._blocks[b].fields]
        if self.training or running is None:
            square = values.square().mean(dim=(0, 2))
            if running is not None:
                running.lerp_(square.detach().to(running.dtype), self.momentum)
        else:
            square = running.to(values.dtype)
        return self._weighted(values * (square + self.eps).rsqrt().unsqueeze(1), b).to(x.dtype)


class _SampleNorm(_Norm):
    """A norm with statistics of each sample and scale by itself: dilation moves them along with the scales."""

    @property
    def declared_error(self) -> float:
        """No bound: the statistics depend on the share of background, which changes with the size of the content."""
        return float("inf")

    def _by_scale(
        self, x: Samples, numbers: Callable[[Tensor, Tensor | None, Tensor | None], Tensor], groups: int | None = None
    ) -> Samples:
        """`numbers` of `(samples and scales, fields, points)`, weight and bias; vectors by groups, or one by one."""

        def on_grid(part: Tensor, b: int) -> Tensor:
            by_scale = part.transpose(1, 2)  # (batch, scales, fields * components, *space): samples, scales are alike
            x = as_vectors(by_scale.flatten(0, 1), self._blocks[b].components).flatten(2)
            turns = self._blocks[b].turns
            y = self._vectors(x, b, groups or x.shape[1]) if turns else numbers(x, *self._scale(b))
            return y.reshape(by_scale.shape).transpose(1, 2)

        return self._on_blocks(x, lambda parts, b: [on_grid(part, b) for part in parts])

    def _vectors(self, x: Tensor, b: int, groups: int) -> Tensor:
        values = x.to(at_least_float32(x.dtype)).unflatten(1, (groups, -1))
        y = values * (values.square().mean(dim=(2, 3), keepdim=True) + self.eps).rsqrt()
        return self._weighted(y.flatten(1, 2), b).to(x.dtype)


class InstanceNorm(_SampleNorm):
    """Instance normalisation with statistics over space, one pair for each field of each sample at each scale.

    No scale knows of the others, nor of the window. The layer is exact where the volume grows with its content; where
    it does not, the share of background changes, and the statistics with it. `BatchNorm` in eval mode is always exact.

    Args:
        field: type of the input and the output: any fields without a weight. As in `BatchNorm`, vectors have no mean.
        eps: added to the variance. Default 1e-5.
        affine: learn a weight and a bias for each field. Default False, as in torch.

    Shape:
        `(batch, field.size, *space)` to the same.

    Raises:
        FieldTypeError: for fields that dilations multiply by a power of the scale.

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
        return self._by_scale(
            x, lambda x, weight, bias: F.instance_norm(x, weight=weight, bias=bias, eps=self.eps), None
        )


class GroupNorm(_SampleNorm):
    """Group normalisation with statistics over the fields of a group and space of each sample at each scale.

    Args:
        field: type of the input and the output: fields of one representation, without a weight.
        num_groups: number of groups; divides the number of fields. Default 1.
        eps: added to the variance. Default 1e-5.
        affine: learn a weight and a bias for each field. Default True.

    Shape:
        `(batch, field.size, *space)` to the same.

    Raises:
        FieldTypeError: for sums of different representations, and fields that dilations multiply by a power of the
            scale.
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
            hint = "nn.BatchNorm and nn.InstanceNorm take sums; or normalise the blocks one by one"
            raise FieldTypeError("fields of one representation", str(field), hint)
        if not isinstance(num_groups, int) or num_groups < 1 or field.num_fields % num_groups:
            hint = "choose a divisor"
            raise ScaleGroupError(f"num_groups that divides {field.num_fields} fields", repr(num_groups), hint)
        self.num_groups = num_groups

    def forward(self, x: Samples) -> Samples:
        """`(batch, field.size, *space)` to the same."""
        return self._by_scale(
            x, lambda x, weight, bias: F.group_norm(x, self.num_groups, weight, bias, self.eps), self.num_groups
        )

    def extra_repr(self) -> str:
        """The type, the groups, and what differs from the defaults."""
        return f"{super().extra_repr()}, num_groups={self.num_groups}"
