"""How far a module is from `f(L_k x) = L_k f(x)` for a rotation k, measured with inputs that are turned exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_finite, as_integer
from scalegroup.nn.module import Samples, each, grids, on_grids
from scalegroup.testing.errors import check_output, relative_error, run_copy, worst
from scalegroup.testing.experiment import group_of
from scalegroup.testing.inputs import Array, Blobs, lines
from scalegroup.testing.places import Axes, input_places, output_places, product_of_strides, sampled
from scalegroup.testing.sampling import at_points

RotationProtocol = Literal["lattice", "blobs"]
DEFAULT_SIZE = {"lattice": {1: 17, 2: 17, 3: 17}, "blobs": {1: 65, 2: 49, 3: 41}}
POINTS = 400  # of each grid, where outputs are compared: interpolation at points in no order costs much


@dataclass(frozen=True)
class RotationErrors:
    """Relative rotation errors of one module: `‖f(L_k x) - L_k f(x)‖ / ‖f(x)‖` in the L2 norm.

    Attributes:
        protocol: how it was measured, see `rotation_error`.
        blocks: for each block of the output type the error of each scale, finest first; of a block without scales one.
        trivial: the negative twin, the error if nothing had to be done to the output: it must be large, or the rotation
            changes nothing in this output.
        floor: error of the comparison itself: the same figure for the inputs; 0 on the lattice.

    Example:
        >>> import scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, num_scales=3, rotations="c4")
        >>> errors = rotation_error(sg.nn.ScaleBlurPool(1 * group.regular + 1 * group.scalar), k=(-2, 1))
        >>> [len(block) for block in errors.blocks]  # an error for each scale; scalars have none
        [3, 1]
        >>> errors.error < 1e-12, errors.floor
        (True, 0.0)
    """

    protocol: RotationProtocol
    blocks: tuple[tuple[float, ...], ...]
    trivial: float
    floor: float

    @property
    def error(self) -> float:
        """The worst block and scale; nan if one of them is zero everywhere, which tells nothing."""
        return worst([error for block in self.blocks for error in block])


def rotation_error(
    module: torch.nn.Module,
    k: Any,
    protocol: RotationProtocol = "lattice",
    *,
    size: int | None = None,
    seed: int = 0,
    batch: int = 1,
    width: tuple[float, float] = (2.0, 2.5),
    interior: float = 0.6,
    in_type: FieldType | None = None,
    out_type: FieldType | None = None,
    divisor: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> RotationErrors:
    """Measure the equivariance of a module under one rotation or reflection.

    Compares `f(L_k x)` with `L_k f(x)`, where `(L_k x)(p) = ρ(k) x(k⁻¹ p)` and ρ mixes the components of each field as
    its representation says. The module is copied, in eval mode; itself it is not changed. Two protocols:

    - "lattice": k maps the grid to itself; white noise is turned by transposing and flipping its axes. Nothing is
      interpolated: an equivariant module is exact up to rounding.
    - "blobs": any k. Inputs are Gaussian blobs, turned exactly; outputs are compared at random points of a ball, by
      interpolation (`floor` says how well).

    Args:
        module: an `EquivariantModule`, or any module that takes and returns one tensor `(batch, channels, *space)`.
        k: an element of the rotations of the module's group, or its value.
        protocol: "lattice" or "blobs". Default "lattice".
        size: voxels per axis, at least 3. Default 17 (lattice), or 65, 49, 41 in 1, 2, 3-D (blobs).
        seed: seed of the inputs. Default 0.
        batch: number of inputs. Default 1.
        width: blobs only: range of the blobs' standard deviations in voxels. Default (2, 2.5).
        interior: blobs only: radius of the ball in half-widths of the volume. Default 0.6.
        in_type: type of the input; default: the module's own.
        out_type: type of the output; default: the module's own.
        divisor: of an input with a grid for each scale: product of the strides, see `nn.HaarLift`. Default: of all
            strides in the module.
        dtype: what the copy computes in. Default float64.

    Returns:
        The errors, see `RotationErrors`.

    Raises:
        ScaleGroupError: for a rotation that is not in the group or, on the lattice, does not map the grid to itself;
            for modules whose types are unknown; for numbers out of range.

    Example:
        >>> import scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, num_scales=3, rotations="c4")
        >>> blur = sg.nn.ScaleBlurPool(2 * group.irrep("E"))
        >>> quarter = rotation_error(blur, k=(-2, 1))
        >>> quarter.error < 1e-12, quarter.trivial > 1
        (True, True)
    """
    field = _type(module, "in_type", in_type)
    out_field = _type(module, "out_type", out_type)
    group = group_of(field)
    element = group.element(k=k)
    if protocol not in get_args(RotationProtocol):
        raise ScaleGroupError(f"a protocol of {get_args(RotationProtocol)}", repr(protocol), "'blobs' suits every k")
    hint = "it is the number of voxels per axis; leave it out for one that suits the protocol"
    default = DEFAULT_SIZE[protocol][group.dim]
    n = default if size is None else as_integer(size, "size, an integer >= 3", hint, minimum=3)
    strides = product_of_strides(module) if divisor is None else divisor
    places = input_places(field, n, strides)
    if protocol == "lattice":
        shapes = [tuple(map(len, axes)) for axes in places]
        generator = torch.Generator().manual_seed(seed)
        channels = len(lines(field)) if on_grids(field) else field.size
        noise = [torch.randn(batch, channels, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
        x: Samples = tuple(noise) if on_grids(field) else noise[0]
        y, moved = (_output(module, x, out_field, dtype) for x in (x, turned(x, field, element)))
        wanted = grids(turned(tuple(y) if on_grids(out_field) else y[0], out_field, element))
        pairs = list(zip(moved, wanted, y, strict=True))
        return RotationErrors(protocol, _by_block(pairs, out_field), _total([(m, s) for m, _, s in pairs]), 0.0)

    reach = as_finite(interior, "interior, a number > 0", "it is a share of the volume", positive=True) * (n - 1) / 2
    blobs = Blobs.random(field, 0.1 * n, width, batch=batch, seed=seed)
    x_f, x_g = sampled(blobs, places), sampled(blobs.act(element), places)
    y_f, y_g = (_output(module, x, out_field, dtype) for x in (x_f, x_g))
    axes = output_places(n, places, field, [part.shape[2:] for part in y_f], out_field)
    triples = _at_points(y_f, y_g, axes, out_field, element, reach, seed)
    inputs = _at_points(grids(x_f), grids(x_g), places, field, element, reach, seed)
    floor = _total([(moved, wanted) for moved, wanted, _ in inputs])
    return RotationErrors(protocol, _by_block(triples, out_field), _total([(m, s) for m, _, s in triples]), floor)


def turned(x: Samples, field: FieldType, element: Any) -> Samples:
    """`L_k x` of a sampled field by transposing and flipping the axes of space: no interpolation.

    Args:
        x: the field, on cubic grids.
        field: its type.
        element: an element of the group without translation and dilation, whose rotation maps the grid to itself.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=2, num_scales=1, rotations="c4")
        >>> x = torch.tensor([[[[1, 2], [3, 4]]]])
        >>> turned(x, 1 * group.scalar, group.element(k=(-2, 1)))
        tensor([[[[2, 4],
                  [1, 3]]]])
    """
    matrix = np.asarray(element.k.matrix)
    axes = np.abs(matrix).argmax(axis=1)
    if not np.allclose(np.abs(matrix), np.eye(len(matrix))[axes], atol=1e-12):
        hint = "protocol='blobs' measures any rotation"
        raise ScaleGroupError("a rotation that maps the grid to itself", matrix.round(3).tolist(), hint)
    signs = matrix[np.arange(len(axes)), axes]
    flips = [axis + 2 for axis in range(len(axes)) if signs[axis] < 0]

    def turn(part: Tensor) -> Tensor:
        moved = part.permute(0, 1, *(int(axis) + 2 for axis in axes)).flip(flips)
        return torch.einsum("ij,bj...->bi...", torch.from_numpy(_mixing(field, element)).to(moved), moved)

    result: Samples = each(turn, x)
    return result


def _type(module: torch.nn.Module, name: str, given: FieldType | None) -> FieldType:
    found = getattr(module, name, None) if given is None else given
    if not isinstance(found, FieldType):
        hint = "the types say how rotations mix the channels"
        raise ScaleGroupError("a module with in_type and out_type, or both as arguments", type(module).__name__, hint)
    return found


def _output(module: torch.nn.Module, x: Samples, field: FieldType, dtype: torch.dtype) -> list[Tensor]:
    y = run_copy(module, x, dtype)
    check_output(y, field)
    return y


def _mixing(field: FieldType, element: Any) -> Array:
    """How a rotation mixes the channels of one tensor of the field."""
    matrix = field.representation(group_of(field).element(k=element.k))
    starts = [line.start for line in lines(field)]
    return matrix[np.ix_(starts, starts)] if on_grids(field) else matrix


def _at_points(
    y_f: list[Tensor],
    y_g: list[Tensor],
    places: list[Axes],
    field: FieldType,
    element: Any,
    reach: float,
    seed: int,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of each grid at random points of the ball `f(L_k x)`, `L_k f(x)`, `f(x)`: each `(batch, channels, points)`."""
    results = []
    for before, after, axes in zip(y_f, y_g, places, strict=True):
        grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
        inside = np.flatnonzero((grid**2).sum(axis=1) <= reach**2 + 1e-9)
        chosen = np.random.default_rng(seed).permutation(inside)[:POINTS]
        points = grid[chosen]
        moved, still = (part.flatten(2)[:, :, torch.from_numpy(chosen)] for part in (after, before))
        source = at_points(before, axes, (~element).act(points))
        mixing = torch.from_numpy(_mixing(field, element)).to(source)
        results.append((moved, torch.einsum("ij,bjp->bip", mixing, source), still))
    return results


def _by_block(triples: Sequence[tuple[Tensor, Tensor, Tensor]], field: FieldType) -> tuple[tuple[float, ...], ...]:
    """The error of each block and scale."""
    return tuple(
        tuple(relative_error(moved[:, channels], wanted[:, channels]) for moved, wanted, channels in parts)
        for parts in _parts(triples, field)
    )


def _parts(
    triples: Sequence[tuple[Tensor, Tensor, Tensor]], field: FieldType
) -> Iterator[list[tuple[Tensor, Tensor, slice]]]:
    """For each block its scales: two tensors, and the channels of the block at this scale in them."""
    start = 0
    for multiplicity, rep in field.blocks:
        stop = start + multiplicity * rep.size // (rep.num_scales if on_grids(field) else 1)
        if on_grids(field):
            yield [(moved, wanted, slice(start, stop)) for moved, wanted, _ in triples]
        else:
            moved, wanted, _ = triples[0]
            yield [(moved, wanted, slice(start + s, stop, rep.num_scales)) for s in range(rep.num_scales)]
        start = stop


def _total(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The error of all channels together, of the worst grid."""
    return max((relative_error(moved, wanted) for moved, wanted in pairs), default=math.nan)
