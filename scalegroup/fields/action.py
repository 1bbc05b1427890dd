"""The action of a group element on a sampled feature field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields.field_type import FieldType
from scalegroup.groups.scale_translation import ScaleTranslationElement, ScaleTranslationGroup
from scalegroup.representations import on_scales


@overload
def act(field_type: FieldType, g: ScaleTranslationElement, x: Tensor) -> Tensor: ...
@overload
def act(field_type: FieldType, g: ScaleTranslationElement, x: tuple[Tensor, ...]) -> tuple[Tensor, ...]: ...
def act(
    field_type: FieldType, g: ScaleTranslationElement, x: Tensor | tuple[Tensor, ...]
) -> Tensor | tuple[Tensor, ...]:
    """Transform a sampled field by a group element: ``(L_g f)(p) = rho(g) f(g⁻¹ p)``.

    Positions p are in voxels from the centre of the volume, so dilations and rotations keep the centre in
    place; the first coordinate belongs to the first spatial axis. The result is on the same grid; outside the
    volume the field is taken as zero. Content that leaves the window of scales is lost ("truncated").

    Between voxels the field is interpolated linearly. That is exact for symmetries of the grid (rotations of
    K with translations by whole voxels, if the rotated axes are equally long) and a picture otherwise: of a
    wave with w radians per voxel it keeps between ``cos(w / 2)`` (half-way between voxels) and 1 along each
    axis, an error of at most ``w²/8``. Shrinking (s < 1) does not blur first, so content above ``s π``
    aliases. To measure equivariance use the analytic inputs of `scalegroup.testing`, which need no
    interpolation.

    A field with a grid for each scale (``sampling="haar"``) is a tuple of tensors. Grid k has the spacing of scale k in
    voxels, so that a dilation hands the arrays from scale to scale as they are, cut or filled up with zeros around
    the centre where sizes differ, and a translation by t moves array k by ``t / s_k`` samples.

    Args:
        field_type: what the channels are; its group is a `ScaleTranslationGroup`.
        g: an element of that group.
        x: the field, ``(batch, field_type.size, *space)`` with as many spatial axes as the group's `dim`; or a tuple
            of ``(batch, field_type.size / num_scales, *space_s)``, one for each scale, finest first.

    Returns:
        The transformed field, of the shape and dtype of `x`; gradients flow to `x`.

    Raises:
        FieldTypeError: if `x` has another number of tensors, channels or axes, or is not of floating point, or if
            fields with and without scales are mixed that live on different grids.
        ScaleGroupError: if `g` belongs to another group.

    Example:
        >>> group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
        >>> x = torch.tensor([[[0., 1., 2., 3.], [4., 5., 6., 7.]]])
        >>> act(1 * group.regular, group.element(t=(1,)), x)[0, 0]
        tensor([0., 0., 1., 2.])
        >>> act(1 * group.regular, group.element(s=2), x)[0, 1]
        tensor([0.7500, 1.2500, 1.7500, 2.2500])
        >>> haar = group.window(sampling="haar")
        >>> fine, coarse = torch.tensor([[[1., 2., 3., 4., 5.]]]), torch.tensor([[[6., 7., 8.]]])
        >>> act(1 * haar.regular, haar.element(s=2), (fine, coarse))
        (tensor([[[0., 0., 0., 0., 0.]]]), tensor([[[2., 3., 4.]]]))
    """
    group = field_type.group
    if not isinstance(group, ScaleTranslationGroup):
        raise ScaleGroupError("a field type of a ScaleTranslationGroup", repr(group), "use one")
    group.own(g)
    if group.sampling == "haar" and any(on_scales(rep) for _, rep in field_type.blocks):
        return _act_on_grids(field_type, group, g, x)
    x = _checked(x, field_type, group, field_type.size)
    moved = _resample(x, ~g, x.shape[2:])
    return _mixed(moved, [(m, rep(g)) for m, rep in field_type.blocks])


def _act_on_grids(
    field_type: FieldType, group: ScaleTranslationGroup, g: ScaleTranslationElement, x: Any
) -> tuple[Tensor, ...]:
    """Each array is read from the scale that the dilation comes from, at positions in its own samples."""
    count = group.num_scales
    if not all(on_scales(rep) for _, rep in field_type.blocks):
        hint = "they live on different grids; act on the two parts one by one"
        raise FieldTypeError("fields with scales only, or without, sampled as 'haar'", str(field_type), hint)
    if not isinstance(x, tuple | list) or len(x) != count:
        received = str(len(x)) if isinstance(x, tuple | list) else type(x).__name__
        raise FieldTypeError(f"a tuple of {count} tensors, one for each scale", received, "finest first")
    blocks = [(m, rep(g)) for m, rep in field_type.blocks]
    grids = [_checked(grid, field_type, group, field_type.size // count) for grid in x]
    results = []
    for k, (grid, scale) in enumerate(zip(grids, group.scales, strict=True)):
        source = k - g.exponent
        if not 0 <= source < count:
            results.append(torch.zeros_like(grid))
            continue
        in_samples = group.element(t=[t / scale for t in g.t], k=g.k)
        moved = _resample(grids[source], ~in_samples, grid.shape[2:])
        results.append(_mixed(moved, [(m, rho[k::count, source::count]) for m, rho in blocks]))
    return tuple(results)


def _checked(x: Any, field_type: FieldType, group: ScaleTranslationGroup, size: int) -> Tensor:
    if not isinstance(x, Tensor) or x.dim() != 2 + group.dim or x.shape[1] != size or not x.is_floating_point():
        raise FieldTypeError(
            f"a floating-point tensor (batch, {size}, {group.dim} spatial axes) for {field_type}",
            f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__,
            "the channels are those of the field type",
        )
    return x


def _mixed(x: Tensor, blocks: Sequence[tuple[int, Any]]) -> Tensor:
    """Multiply the channels of each block, a multiplicity and a matrix, by that matrix."""
    parts, start = [], 0
    for multiplicity, matrix in blocks:
        rho = torch.as_tensor(matrix, dtype=x.dtype, device=x.device)
        channels = x[:, start : start + multiplicity * len(rho)]
        start += channels.shape[1]
        fields = channels.reshape(len(x), multiplicity, len(rho), *x.shape[2:])
        parts.append(torch.einsum("ij,bmj...->bmi...", rho, fields).flatten(1, 2))
    return torch.cat(parts, dim=1)


def _resample(x: Tensor, pull: ScaleTranslationElement, sizes: Sequence[int]) -> Tensor:
    """The field ``p -> x(pull p)`` on a centred grid of these sizes, by linear interpolation, zero outside."""
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in sizes]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)  # (*space, dim)
    sources = torch.as_tensor(pull.act(points.numpy()))
    # grid_sample counts from -1 to 1 between the outer faces of the voxels, and lists the last axis first.
    grid = (2 * sources / torch.tensor(x.shape[2:])).flip(-1)
    if len(sizes) == 1:  # grid_sample wants two axes or three: add one of a single voxel
        grid = torch.stack([grid[:, 0], torch.zeros(sizes[0], dtype=grid.dtype)], dim=-1)[None]
        return _resample_grid(x[:, :, None], grid)[:, :, 0]
    return _resample_grid(x, grid)


def _resample_grid(x: Tensor, grid: Tensor) -> Tensor:
    batched = grid.to(x).expand(x.shape[0], *grid.shape)
    return torch.nn.functional.grid_sample(x, batched, padding_mode="zeros", align_corners=False)
