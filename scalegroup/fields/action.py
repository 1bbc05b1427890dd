"""The action of a group element on a sampled feature field."""

from __future__ import annotations

import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields.field_type import FieldType
from scalegroup.groups.scale_translation import ScaleTranslationElement, ScaleTranslationGroup


def act(field_type: FieldType, g: ScaleTranslationElement, x: Tensor) -> Tensor:
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

    Args:
        field_type: what the channels are; its group is a `ScaleTranslationGroup`.
        g: an element of that group.
        x: the field, ``(batch, field_type.size, *space)`` with as many spatial axes as the group's `dim`.

    Returns:
        The transformed field, of the shape and dtype of `x`; gradients flow to `x`.

    Raises:
        FieldTypeError: if `x` has another number of channels or axes, or is not of floating point.
        ScaleGroupError: if `g` belongs to another group.

    Example:
        >>> group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
        >>> x = torch.tensor([[[0., 1., 2., 3.], [4., 5., 6., 7.]]])
        >>> act(1 * group.regular, group.element(t=(1,)), x)[0, 0]
        tensor([0., 0., 1., 2.])
        >>> act(1 * group.regular, group.element(s=2), x)[0, 1]
        tensor([0.7500, 1.2500, 1.7500, 2.2500])
    """
    group = field_type.group
    if not isinstance(group, ScaleTranslationGroup):
        raise ScaleGroupError("a field type of a ScaleTranslationGroup", repr(group), "use one")
    group.own(g)
    if x.dim() != 2 + group.dim or x.shape[1] != field_type.size or not x.is_floating_point():
        raise FieldTypeError(
            f"a floating-point tensor (batch, {field_type.size}, {group.dim} spatial axes) for {field_type}",
            f"{x.dtype} of shape {tuple(x.shape)}",
            "the channels are those of the field type",
        )
    moved = _resample(x, ~g)
    parts = []
    for (multiplicity, representation), channels in zip(field_type.blocks, field_type.slices, strict=True):
        rho = torch.as_tensor(representation(g), dtype=x.dtype, device=x.device)
        fields = moved[:, channels].reshape(len(x), multiplicity, representation.size, *x.shape[2:])
        parts.append(torch.einsum("ij,bmj...->bmi...", rho, fields).flatten(1, 2))
    return torch.cat(parts, dim=1)


def _resample(x: Tensor, pull: ScaleTranslationElement) -> Tensor:
    """The field ``p -> x(pull p)``, by linear interpolation, zero outside."""
    sizes = x.shape[2:]
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in sizes]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)  # (*space, dim)
    sources = torch.as_tensor(pull.act(points.numpy()))
    # grid_sample counts from -1 to 1 between the outer faces of the voxels, and lists the last axis first.
    grid = (2 * sources / torch.tensor(sizes)).flip(-1)
    if len(sizes) == 1:  # grid_sample wants two axes or three: add one of a single voxel
        grid = torch.stack([grid[:, 0], torch.zeros(sizes[0], dtype=grid.dtype)], dim=-1)[None]
        return _resample_grid(x[:, :, None], grid)[:, :, 0]
    return _resample_grid(x, grid)


def _resample_grid(x: Tensor, grid: Tensor) -> Tensor:
    batched = grid.to(x).expand(x.shape[0], *grid.shape)
    return torch.nn.functional.grid_sample(x, batched, padding_mode="zeros", align_corners=False)
