"""Random fields that are known everywhere, so that a transformed input is exact and not itself an interpolation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.base import Element
from scalegroup.representations import DirectSum, Phase, Representation, TensorProduct

Array = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
ALL_SCALES = (0.0, math.inf)


class Line(NamedTuple):
    """A part of the channel axis that dilations do not mix with the rest, but for pairs that turn.

    Attributes:
        start: its first channel.
        weight: values are multiplied by `s**weight`.
        scales: the scales of its channels, ascending; `None` for one channel that has no scale.
        rate: of the components of a vector that turns by `rate ln s`. Default 0.
        partner: 1 if the other component is the next line, -1 if it is the one before. Default 0: there is none.
    """

    start: int
    weight: float
    scales: tuple[float, ...] | None
    rate: float = 0.0
    partner: int = 0

    @property
    def channels(self) -> slice:
        """The channels of this line."""
        return slice(self.start, self.start + (1 if self.scales is None else len(self.scales)))


def lines(field_type: FieldType) -> list[Line]:
    """The channel axis of a field type, cut into lines: one channel each, or one per scale of the window.

    Raises:
        FieldTypeError: for a representation of which neither its weight nor its window is known.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=2, base=2.0, num_scales=2)
        >>> for line in lines(1 * group.character(-1) + 1 * group.regular):
        ...     print(line)
        Line(start=0, weight=-1.0, scales=None, rate=0.0, partner=0)
        Line(start=1, weight=0.0, scales=(1.0, 2.0), rate=0.0, partner=0)
    """
    scales = tuple(getattr(field_type.group, "scales", ()))
    result, start = [], 0
    for multiplicity, representation in field_type.blocks:
        if isinstance(representation, Phase):
            pair = [(representation.rate, 1), (representation.rate, -1)] * multiplicity
            result += [Line(start + n, 0.0, None, *turn) for n, turn in enumerate(pair)]
            start += len(pair)
            continue
        for weight, on_window in _behaviours(representation) * multiplicity:
            result.append(Line(start, weight, scales if on_window else None))
            start = result[-1].channels.stop
    return result


def dilation_matrix(parts: Sequence[Line], factor: float) -> Array:
    """What a dilation by any factor does to the values of these lines; those of a vector come together.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=1)
        >>> field = 1 * group.phase(math.pi / 6 / math.log(2)) + 1 * group.character(2)
        >>> dilation_matrix(lines(field), 2.0).round(3)
        array([[ 0.866, -0.5  ,  0.   ],
               [ 0.5  ,  0.866,  0.   ],
               [ 0.   ,  0.   ,  4.   ]])
    """
    matrix = np.zeros((len(parts), len(parts)))
    for n, line in enumerate(parts):
        gain, angle = factor**line.weight, line.rate * math.log(factor)
        matrix[n, n] = gain * math.cos(angle)
        if line.partner:
            matrix[n, n + line.partner] = -line.partner * gain * math.sin(angle)
    return matrix


def _behaviours(representation: Representation) -> list[tuple[float, bool]]:
    """Weight, and whether it lives on the window, of each line of one representation."""
    if isinstance(representation, DirectSum):
        return [line for part in representation.parts for line in _behaviours(part)]
    if isinstance(representation, TensorProduct):
        left, right = _behaviours(representation.left), _behaviours(representation.right)
        return [(v + w, a or b) for v, a in left for w, b in right]
    weight = representation.weight
    if weight is None:
        return [(0.0, True)] * (representation.size // representation.num_scales)
    if math.isnan(weight):
        raise FieldTypeError(
            "a representation that is regular on the scales or has a weight",
            str(representation),
            "give your representation the attribute `weight`, the power of the scale factor",
        )
    return [(float(weight), False)] * representation.size


def centred(size: int, spacing: float = 1.0) -> Array:
    """Positions `(i - (size - 1) / 2) spacing` of the voxel centres about the middle of the volume.

    Args:
        size: voxels along the axis.
        spacing: their distance. Default 1.

    Example:
        >>> centred(4, spacing=2.0)
        array([-3., -1.,  1.,  3.])
    """
    return (np.arange(size) - (size - 1) / 2) * spacing


@dataclass(frozen=True, kw_only=True)
class AnalyticField(ABC):
    """Sums of atoms `A p(s) φ(x)` whose profile over the scales, `p(s) = exp(i (ω ln s + θ))`, is smooth and random.

    Acting by a factor a turns `p(s) φ(x)` into `p(s/a) φ(x/a)`, which is an atom again: `act` is exact.

    Attributes:
        field_type: the type of the field.
        amplitudes: shape `(batch, lines, atoms)`.
        rates: ω of each atom, shape `(atoms,)`.
        phases: θ of each atom, shape `(atoms,)`.
        extent: the smallest and the largest scale with any content. Default: all scales.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> field: AnalyticField = Blobs.random(1 * ScaleTranslationGroup(dim=1).scalar, radius=3.0)
        >>> grid = centred(9)
        >>> moved = field.act(1.7)  # known everywhere, so nothing is interpolated
        >>> torch.allclose(moved.sample([1.7 * grid]), field.sample([grid]))
        True
    """

    field_type: FieldType
    amplitudes: Array | ComplexArray
    rates: Array
    phases: Array
    extent: tuple[float, float] = ALL_SCALES

    @abstractmethod
    def sample(self, positions: Sequence[Array]) -> Tensor:
        """The values on the grid with these positions along each axis: float64, shape `(batch, size, *space)`."""

    @abstractmethod
    def _move(self, element: Any) -> Self:
        """The atoms turned and translated, their values unchanged."""

    def act(self, g: float | Element) -> Self:
        """The field `L_g f`, exactly: for any factor g > 0 (about the origin), or an element of the field's group.

        Raises:
            ScaleGroupError: if g is neither.
        """
        if not isinstance(g, Element):
            return self._dilate(_factor(g))
        element: Any = self.field_type.group.own(g)
        turned = replace(self, amplitudes=np.einsum("kl,bla->bka", self._mixing(element), self.amplitudes))
        return turned._dilate(element.s)._move(element)

    def at_scale(self, index: int) -> Self:
        """The same field at one scale of its window only.

        Example:
            >>> from scalegroup.groups import ScaleTranslationGroup
            >>> blobs = Blobs.random(2 * ScaleTranslationGroup(dim=1, num_scales=3).regular, radius=3.0)
            >>> x, grid = blobs.sample([centred(9)]), [centred(9)]
            >>> torch.equal(blobs.at_scale(1).sample(grid), x[:, 1::3])
            True
        """
        group: Any = self.field_type.group
        return replace(self, field_type=self.field_type.with_group(group.window(1, group.first + index)))

    def _dilate(self, factor: float) -> Self:
        amplitudes = np.einsum("kl,bla->bka", dilation_matrix(lines(self.field_type), factor), self.amplitudes)
        phases = self.phases - self.rates * math.log(factor)
        extent = (factor * self.extent[0], factor * self.extent[1])
        return replace(self, amplitudes=amplitudes, phases=phases, extent=extent)

    def _mixing(self, element: Any) -> Array:
        """How the compact part of an element mixes the lines: the first channel of each stands for all."""
        pure = element.group.element(k=element.k)
        starts = [line.start for line in lines(self.field_type)]
        return self.field_type.representation(pure)[np.ix_(starts, starts)]

    def _coefficients(self) -> ComplexArray:
        """The factor of every atom in every channel: shape `(batch, channels, atoms)`."""
        rows = []
        for index, line in enumerate(lines(self.field_type)):
            amplitude = self.amplitudes[:, index, None].astype(np.complex128)  # (batch, 1, atoms)
            if line.scales is not None:
                scales = np.array(line.scales)
                inside = (scales >= self.extent[0] * (1 - 1e-9)) & (scales <= self.extent[1] * (1 + 1e-9))
                turns = np.log(scales)[:, None] * self.rates + self.phases  # (scales, atoms)
                amplitude = amplitude * np.exp(1j * turns) * inside[:, None]
            rows.append(amplitude)
        return np.concatenate(rows, axis=1)


@dataclass(frozen=True, kw_only=True)
class Blobs(AnalyticField):
    """Gaussian blobs of both signs, each with its own random profile over the scales.

    On a scalar field `f(x) = Σ_j A_j exp(-|x - c_j|² / 2τ_j²)`; on a regular one the j-th blob is multiplied by
    `cos(ω_j ln s + θ_j)`; a character of weight w is a scalar that gets the factor `a^w` when acted on. Positions are
    in voxels about the centre of the volume.

    Attributes:
        centres: c, shape `(atoms, dim)`.
        widths: τ, shape `(atoms,)`.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3)
        >>> blobs = Blobs.random(2 * group.regular, radius=3.0)
        >>> x, moved = blobs.sample([centred(9)] * 2), blobs.act(2.0).sample([centred(17)] * 2)
        >>> x.shape, moved.shape
        (torch.Size([1, 6, 9, 9]), torch.Size([1, 6, 17, 17]))
        >>> torch.allclose(moved[:, 1:3, ::2, ::2], x[:, 0:2])  # one step up the window, twice as large
        True
    """

    centres: Array
    widths: Array

    @classmethod
    def random(
        cls,
        field_type: FieldType,
        radius: float,
        width: tuple[float, float] = (2.0, 3.0),
        count: int = 6,
        batch: int = 1,
        seed: int = 0,
        extent: tuple[float, float] = ALL_SCALES,
    ) -> Self:
        """Random blobs.

        Args:
            field_type: the type of the field.
            radius: centres lie in the cube of this half-width about the origin, in voxels.
            width: smallest and largest standard deviation, in voxels. Default 2 to 3.
            count: number of blobs. Default 6.
            batch: number of fields. Default 1.
            seed: seed of the generator. Default 0.
            extent: the smallest and the largest scale with any content. Default: all scales.
        """
        rng = np.random.default_rng(seed)
        shape = (batch, len(lines(field_type)), count)
        return cls(
            field_type=field_type,
            amplitudes=rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape),
            rates=rng.uniform(1.0, 2.0, count),
            phases=rng.uniform(0.0, 2 * math.pi, count),
            extent=extent,
            centres=rng.uniform(-radius, radius, (count, _dim(field_type))),
            widths=rng.uniform(*width, count),
        )

    def sample(self, positions: Sequence[Array]) -> Tensor:
        bumps = np.ones((len(self.widths), 1))  # (atoms, points so far)
        for axis, points in enumerate(positions):
            offset = (np.asarray(points) - self.centres[:, axis, None]) / self.widths[:, None]
            bumps = (bumps[:, :, None] * np.exp(-0.5 * offset**2)[:, None]).reshape(len(bumps), -1)
        values = self._coefficients().real @ bumps
        return torch.from_numpy(values.reshape(*values.shape[:2], *map(len, positions)))

    def _dilate(self, factor: float) -> Self:
        return replace(super()._dilate(factor), centres=factor * self.centres, widths=factor * self.widths)

    def _move(self, element: Any) -> Self:
        pure = element.group.element(t=element.t, k=element.k)
        return replace(self, centres=pure.act(self.centres))


@dataclass(frozen=True, kw_only=True)
class Waves(AnalyticField):
    """Band-limited periodic fields: all waves of the torus with `|w| ≤ w_max`, random and of unit variance.

    `f(x) = Σ_k A_k cos(2π k·x / period + …)`. Acting by a factor keeps the integers k and multiplies the period, so a
    field on N voxels and its copy on aN voxels have the same waves.

    Attributes:
        modes: the integers k, shape `(atoms, dim)`.
        period: side of the torus, in voxels.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> waves = Waves.random(1 * ScaleTranslationGroup(dim=2).scalar, period=18)
        >>> waves.act(1 / 0.9).period
        20.0
        >>> x = waves.sample([centred(18)] * 2)
        >>> x.shape, torch.allclose(x, waves.sample([centred(18) + 18] * 2))
        (torch.Size([1, 1, 18, 18]), True)
    """

    modes: npt.NDArray[np.int64]
    period: float

    @classmethod
    def random(
        cls,
        field_type: FieldType,
        period: int,
        wmax: float = math.pi / 2,
        batch: int = 1,
        seed: int = 0,
        extent: tuple[float, float] = ALL_SCALES,
    ) -> Self:
        """Random waves.

        Args:
            field_type: the type of the field.
            period: side of the torus, in voxels.
            wmax: the highest frequency, in radians per voxel. Default π/2.
            batch: number of fields. Default 1.
            seed: seed of the generator. Default 0.
            extent: the smallest and the largest scale with any content. Default: all scales.
        """
        rng = np.random.default_rng(seed)
        top = int(wmax * period / (2 * math.pi) + 1e-9)
        grids = np.meshgrid(*[np.arange(-top, top + 1)] * _dim(field_type), indexing="ij")
        modes = np.stack([grid.ravel() for grid in grids], axis=1)
        modes = modes[np.linalg.norm(modes, axis=1) * 2 * math.pi / period <= wmax + 1e-9]
        shape = (batch, len(lines(field_type)), len(modes))
        amplitudes = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        return cls(
            field_type=field_type,
            amplitudes=amplitudes / math.sqrt(len(modes)),
            rates=rng.uniform(1.0, 2.0, len(modes)),
            phases=rng.uniform(0.0, 2 * math.pi, len(modes)),
            extent=extent,
            modes=modes,
            period=float(period),
        )

    def sample(self, positions: Sequence[Array]) -> Tensor:
        top = int(np.abs(self.modes).max(initial=0))
        side, dim = 2 * top + 1, self.modes.shape[1]
        spectrum = self._coefficients()
        cube = np.zeros((*spectrum.shape[:2], *[side] * dim), dtype=np.complex128)
        cube[(..., *(self.modes + top).T)] = spectrum
        for points in positions:  # each product takes the first frequency axis and puts its positions last
            turns = np.outer(np.arange(-top, top + 1), np.asarray(points)) * (2 * math.pi / self.period)
            cube = np.tensordot(cube, np.exp(1j * turns), axes=(2, 0))
        return torch.from_numpy(np.ascontiguousarray(cube.real))

    def _dilate(self, factor: float) -> Self:
        return replace(super()._dilate(factor), period=factor * self.period)

    def _move(self, element: Any) -> Self:
        modes = np.rint(element.group.element(k=element.k).act(self.modes)).astype(np.int64)
        shift = np.exp(-2j * math.pi / self.period * (modes @ np.array(element.t)))
        return replace(self, modes=modes, amplitudes=self.amplitudes * shift)


def _dim(field_type: FieldType) -> int:
    return int(field_type.group.dim)


def _factor(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ScaleGroupError("a finite factor > 0, or an element of the group", repr(value), "such as group.base")
    return float(value)
