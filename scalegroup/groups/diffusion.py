"""The group of diffusion MRI: dilations that act on positions, on q-space, or on both in opposite ways."""

from __future__ import annotations

from typing import Any, ClassVar, cast, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.compact import CompactGroup
from scalegroup.groups.scale_translation import ScaleTranslationElement, ScaleTranslationGroup

_POWERS = {"p": (1, 0), "q": (0, 1), "joint": (1, -1)}  # of the scale that multiplies p and q


@final
class DiffusionElement(ScaleTranslationElement):
    """A map ``p -> s**p_power k p + t`` of positions that takes q-space along, ``q -> s**q_power k q``.

    Example:
        >>> g = DiffusionGroup("joint", dim=1, base=2.0).element(t=(1,), s=2.0)
        >>> g.act([3.0]).tolist(), g.act_q([3.0]).tolist()
        ([7.0], [1.5])
    """

    def act_q(self, q: ArrayLike) -> NDArray[np.float64]:
        """Where the samples ``(..., dim)`` of q-space go: turned and scaled; translations leave them."""
        group = cast(DiffusionGroup, self.group)
        value = (0.0,) * group.dim, self.value[1] * group.q_power, self.value[2]
        return ScaleTranslationElement(group.p_group, value).act(q)


@final
class DiffusionGroup(ScaleTranslationGroup):
    """Translations, dilations and rotations of the six dimensions of diffusion MRI, positions p and q-space.

    A dilation by s multiplies positions by ``s**p_power`` and q-vectors by ``s**q_power``; rotations turn both,
    translations move positions alone. On functions ``(L_g f)(p, q) = f(g⁻¹ p, g⁻¹ q)``.

    ======== ======= ======= ============================================================================
    acts_on  p_power q_power what a dilation is
    ======== ======= ======= ============================================================================
    "p"      1       0       a larger object whose tissue is the same
    "q"      0       1       another diffusivity or diffusion time: the signal of a faster one is narrower
    "joint"  1       -1      a magnified tissue: its propagator is the Fourier transform of the signal
    ======== ======= ======= ============================================================================

    Args:
        acts_on: "p", "q" or "joint" (default).
        dim, base, num_scales, rotations, first: as in `ScaleTranslationGroup`; p and q have `dim` axes each.
        sampling: "uniform", the only one.

    Attributes:
        p_power: power of the scale that multiplies positions.
        q_power: power of the scale that multiplies q-vectors.
        p_group: the `ScaleTranslationGroup` of the fields on positions alone.

    Raises:
        ScaleGroupError: for another `acts_on` or `sampling`, and for what `ScaleTranslationGroup` refuses.

    Source: In the narrow-pulse limit the signal E(q) is the Fourier transform of the density of displacements
        (Callaghan 1991, "Principles of Nuclear Magnetic Resonance Microscopy"), so a structure magnified by a has the
        signal E(a q). Rotations and translations of both spaces: Müller et al. 2021, arXiv 2102.06942.

    Example:
        >>> group = DiffusionGroup("q", num_scales=2, rotations="octahedral")
        >>> group.p_power, group.q_power, group.window(num_scales=3).acts_on
        (0, 1, 'q')
    """

    element_type: ClassVar[type[ScaleTranslationElement]] = DiffusionElement

    def __init__(
        self,
        acts_on: str = "joint",
        dim: int = 3,
        base: float = 2**0.5,
        num_scales: int = 4,
        rotations: CompactGroup | str | None = None,
        first: int = 0,
        sampling: str = "uniform",
    ) -> None:
        if not isinstance(acts_on, str) or acts_on not in _POWERS:
            hint = "'joint' magnifies p and shrinks q"
            raise ScaleGroupError(f"acts_on out of {tuple(_POWERS)}", repr(acts_on), hint)
        if sampling != "uniform":
            hint = "all scales of a field on positions and q-space lie on the grid of the voxels"
            raise ScaleGroupError("sampling='uniform' for a DiffusionGroup", repr(sampling), hint)
        self.acts_on = acts_on
        self.p_power, self.q_power = _POWERS[acts_on]
        super().__init__(dim, base, num_scales, rotations, first, sampling)

    def transform(self, a: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return super().transform((a[0], a[1] * self.p_power, a[2]), points)

    def element(self, t: Any = None, s: float = 1.0, k: Any = None) -> DiffusionElement:
        """The map ``p -> s**p_power k p + t`` with ``q -> s**q_power k q``; the arguments are as in the base class."""
        return cast(DiffusionElement, super().element(t, s, k))

    def sample(self, rng: np.random.Generator | int | None = None) -> DiffusionElement:
        """A random element: translation within ±4, scale within the window's extent, uniform rotation."""
        return cast(DiffusionElement, super().sample(rng))

    def haar_weight(self, g: ScaleTranslationElement) -> float:
        """Density ``s**-(dim p_power)`` of the left-invariant measure at `g`."""
        return float(self.own(g).s ** -(self.dim * self.p_power))

    @property
    def p_group(self) -> ScaleTranslationGroup:
        """The group of the fields on positions alone, the same but for q-space."""
        return ScaleTranslationGroup(self.dim, self.base, self.num_scales, self.rotations, self.first)

    def __repr__(self) -> str:
        rest = super().__repr__().removeprefix("ScaleTranslationGroup(")
        return f"DiffusionGroup(acts_on={self.acts_on!r}, {rest}"
