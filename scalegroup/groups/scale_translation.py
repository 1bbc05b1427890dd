"""The semidirect product of translations with dilations and a compact group."""

from __future__ import annotations

import math
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.base import Element, Group
from scalegroup.groups.checks import as_base, as_generator, as_integer, as_like
from scalegroup.groups.compact import CompactElement, CompactGroup
from scalegroup.groups.scale import exponent_of
from scalegroup.groups.signed_permutations import SignedPermutations

SAMPLINGS = ("uniform", "haar")


class ScaleTranslationElement(Element):
    """A map ``x -> s k x + t``: rotate (k), dilate (s), translate (t).

    Example:
        >>> g = ScaleTranslationGroup(dim=2, base=2.0).element(t=(1, 0), s=4)
        >>> g.t, g.s, g.exponent
        ((1.0, 0.0), 4.0, 2)
        >>> ~g
        ScaleTranslationGroup(dim=2, base=2.0, num_scales=4).element(t=(-0.25, 0.0), s=0.25)
    """

    @property
    def _group(self) -> ScaleTranslationGroup:
        return cast("ScaleTranslationGroup", self.group)

    @property
    def t(self) -> tuple[float, ...]:
        """The translation, one number per axis."""
        return cast("tuple[float, ...]", self.value[0])

    @property
    def s(self) -> float:
        """The scale factor, ``base**exponent``."""
        return float(self._group.base**self.exponent)

    @property
    def scale(self) -> float:
        """The scale factor (the same as `s`)."""
        return self.s

    @property
    def exponent(self) -> int:
        """The number of steps of the base."""
        return int(self.value[1])

    @property
    def k(self) -> CompactElement:
        """The element of the compact group."""
        return CompactElement(self._group.rotations, self.value[2])

    def __repr__(self) -> str:
        k = "" if self._group.rotations.is_trivial else f", k={self.value[2]!r}"
        return f"{self.group!r}.element(t={self.t!r}, s={self.s!r}{k})"


class ScaleTranslationGroup(Group):
    """The group ``R^dim ⋊ (H × K)`` of translations, dilations ``H = {base**k}`` and a compact group K.

    The law is ``(t, s, k)(t', s', k') = (t + s k t', s s', k k')``; on points ``x -> s k x + t``; on
    functions ``(L_g f)(x) = f(g⁻¹ x)``. The group knows all integer powers of the base. A computer holds a
    finite *window* of them, the exponents ``first … first + num_scales - 1``; the window is part of the
    group's identity, because the size of a field depends on it.

    Args:
        dim: number of spatial axes, 1 to 3.
        base: ratio of neighbouring scales, any positive number but 1; below 1 it is replaced by its inverse,
            which generates the same group, so that scales always ascend.
        num_scales: number of scales in the window, at least 1.
        rotations: the compact group K: a `CompactGroup`, or a name: ``"octahedral"``, ``"full_octahedral"``, in 2-D
            ``"c4"``, ``"d4"``; with escnn also ``"icosahedral"``, ``"so3"``, ``"o3"``, in 2-D ``"c8"``, ``"so2"``,
            ``"o2"``, …; ``None`` for trivial.
        first: exponent of the first scale of the window; 0 (default) starts it at the scale 1.0. Negative exponents
            are scales finer than the voxel.
        sampling: where functions on the group are sampled. "uniform" (default): every scale on the grid of the
            voxels, so that a regular field is one tensor. "haar": scale s on a grid of spacing s, as the measure
            ``ds dx / s**(dim + 1)`` of the group suggests; a regular field is then a tuple of tensors, one per scale.

    Attributes:
        scales: the factors ``base**(first + i)`` of the window, ascending.
        p_power: power of the scale that multiplies positions: 1, but see `DiffusionGroup`.

    Raises:
        ScaleGroupError: for an argument of the wrong type or out of range, or if K acts on another dimension.

    Source:
        Wimmer et al., "Scale-Equivariant Deep Learning for 3D Data".

    Example:
        >>> group = ScaleTranslationGroup(dim=3, base=2.0, num_scales=3, rotations="octahedral")
        >>> group.scales
        (1.0, 2.0, 4.0)
        >>> group.window(num_scales=4, first=-1).scales
        (0.5, 1.0, 2.0, 4.0)
    """

    element_type: ClassVar[type[ScaleTranslationElement]] = ScaleTranslationElement
    p_power: int = 1

    def __init__(
        self,
        dim: int = 3,
        base: float = 2**0.5,
        num_scales: int = 4,
        rotations: CompactGroup | str | None = None,
        first: int = 0,
        sampling: str = "uniform",
    ) -> None:
        self.dim = as_integer(dim, "dim 1, 2 or 3", "it is the number of spatial axes", minimum=1, maximum=3)
        self.base = as_base(base)
        self.num_scales = as_integer(
            num_scales, "num_scales, an integer >= 1", "it is the number of scales in the window", minimum=1
        )
        self.first = as_integer(first, "first, an integer", "0 starts the window at scale 1.0")
        self.rotations = self._compact(rotations)
        if sampling not in SAMPLINGS:
            hint = "'haar' puts each scale on a grid of its own spacing"
            raise ScaleGroupError(f"sampling out of {SAMPLINGS}", repr(sampling), hint)
        self.sampling = sampling
        try:
            self.scales = tuple(self.base ** (self.first + i) for i in range(self.num_scales))
        except OverflowError:
            self.scales = (math.inf,)
        if not 0 < self.scales[0] <= self.scales[-1] < math.inf:
            raise ScaleGroupError(
                "scales that a float can hold",
                f"base {self.base:g} with exponents {self.first} to {self.first + self.num_scales - 1}",
                "choose a base nearer to 1 or fewer scales",
            )

    def _compact(self, rotations: object) -> CompactGroup:
        if rotations is None:
            return SignedPermutations.trivial(self.dim)
        group = CompactGroup.named(rotations, self.dim) if isinstance(rotations, str) else rotations
        if not isinstance(group, CompactGroup):
            raise ScaleGroupError(
                "rotations: a CompactGroup, its name, or None",
                repr(rotations),
                "'octahedral' has the cube's rotations",
            )
        if group.dim != self.dim:
            raise ScaleGroupError(
                f"rotations of {self.dim}-dimensional space",
                f"{group!r} of dim {group.dim}",
                "choose the same dim",
            )
        return group

    def unit(self) -> Any:
        return (0.0,) * self.dim, 0, self.rotations.unit()

    def multiply(self, a: Any, b: Any) -> Any:
        moved = self.transform(a, np.array(b[0]))
        return tuple(map(float, moved)), a[1] + b[1], self.rotations.multiply(a[2], b[2])

    def invert(self, a: Any) -> Any:
        k = self.rotations.invert(a[2])
        back = self.transform(((0.0,) * self.dim, -a[1], k), -np.array(a[0]))
        return tuple(map(float, back)), -a[1], k

    def draw(self, rng: np.random.Generator) -> Any:
        exponent = int(rng.integers(1 - self.num_scales, self.num_scales))
        return tuple(rng.uniform(-4, 4, self.dim).tolist()), exponent, self.rotations.draw(rng)

    def transform(self, a: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
        linear = self.base ** a[1] * self.rotations.matrix(a[2])
        return np.asarray(points @ linear.T + np.array(a[0]))

    def contains(self, a: Any) -> bool:
        return self.rotations.contains(a[2])

    @property
    def identity(self) -> ScaleTranslationElement:
        """The map that leaves all points where they are."""
        return self.element()

    def element(self, t: Any = None, s: float = 1.0, k: Any = None) -> ScaleTranslationElement:
        """The map ``x -> s k x + t``.

        Args:
            t: translation, `dim` numbers; zero by default.
            s: scale factor, a power of the base (inside or outside the window).
            k: an element of `rotations`, or its value; the identity by default.

        Raises:
            ScaleGroupError: if `t` has another length, `s` is no power of the base, or `k` is not in
                `rotations`.
        """
        zero = (0.0,) * self.dim
        shift = zero if t is None else as_like(zero, t, "t is the translation, one number per axis")
        value = self.rotations.unit() if k is None else k
        rotation = self.rotations.own(k) if isinstance(k, Element) else self.rotations.element(value)
        return self.element_type(self, (shift, exponent_of(s, self.base), rotation.value))

    def sample(self, rng: np.random.Generator | int | None = None) -> ScaleTranslationElement:
        """A random element: translation within ±4, scale within the window's extent, uniform rotation.

        Args:
            rng: a NumPy generator, or the seed of one; by default another element each time.
        """
        return self.element_type(self, self.draw(as_generator(rng)))

    def haar_weight(self, g: ScaleTranslationElement) -> float:
        """Density ``s**-dim`` of the left-invariant measure at `g` (Lebesgue in t, counting in s and k)."""
        return float(self.own(g).s ** -self.dim)

    def window(
        self, num_scales: int | None = None, first: int | None = None, sampling: str | None = None
    ) -> ScaleTranslationGroup:
        """The same group on another window of scales, or sampled in another way; what is not given stays."""
        changed = {"num_scales": num_scales, "first": first, "sampling": sampling}
        given = {name: value for name, value in changed.items() if value is not None}
        return type(self)(**{**self._arguments(), **given})

    @property
    def scalar(self) -> Any:
        """The representation of a plain intensity: one number per point, unchanged by the group."""
        return self.representation("scalar")

    @property
    def regular(self) -> Any:
        """The regular representation of the scales on the (truncated) window: one number per point and scale.

        It is regular over the scales only: over the rotations K it is trivial, as over the translations. For fields
        that turn with the volume use `irrep`.
        """
        return self.representation("regular")

    def character(self, weight: float) -> Any:
        """The representation of one number per point that is multiplied by ``s**weight``."""
        return self.representation("character", weight)

    def phase(self, rate: float) -> Any:
        """The representation of plane vectors that turn by the angle ``rate * ln(s)``, in radians."""
        return self.representation("phase", rate)

    def irrep(self, name: str | int, weight: float | None = None) -> Any:
        """An irreducible representation of K, on every scale of the window, or (with a weight) on space
        alone."""
        return self.representation("irrep", name, weight)

    def quotient(self, subgroup: Any = None, weight: float | None = None) -> Any:
        """Functions on the cosets of a subgroup of K, by default on K itself, on every scale of the window."""
        return self.representation("quotient", subgroup, weight)

    def __repr__(self) -> str:
        parts = [f"dim={self.dim}", f"base={self.base!r}", f"num_scales={self.num_scales}"]
        if not self.rotations.is_trivial:
            parts.append(f"rotations={self.rotations!r}")
        if self.first:
            parts.append(f"first={self.first}")
        if self.sampling != "uniform":
            parts.append(f"sampling={self.sampling!r}")
        return f"ScaleTranslationGroup({', '.join(parts)})"
