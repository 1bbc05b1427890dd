"""Names of the irreducible representations of escnn's groups, and escnn's own identifiers for them."""

from __future__ import annotations

import re

from scalegroup.errors import MissingExtraError

EscnnId = tuple[object, ...]

# Mulliken symbol: escnn's number, and the parity of the first harmonic functions that transform like it.
_POLYHEDRAL = {
    "icosahedral": {"A": (0, "g"), "T1": (1, "u"), "H": (2, "g"), "T2": (3, "u"), "G": (4, "u")},
    "octahedral": {"A1": (0, "g"), "T1": (1, "u"), "E": (2, "g"), "T2": (-1, "g"), "A2": (3, "u")},
}
_INFINITE = ("so2", "o2", "so3", "o3")
FIRST_FEW = 4  # degrees that a list of infinitely many irreps goes up to: those of a basis of order 4


def missing_escnn() -> MissingExtraError:
    """The error for an environment without escnn, which the extra cannot install by itself."""
    hint = "install it with: pip install 'scalegroup[escnn]', then pip install --no-deps escnn==1.0.11"
    return MissingExtraError("the package 'escnn'", "an environment without it", hint)


def is_known(group: str) -> bool:
    """Whether this is the name of a group: ``so2``, ``o2``, ``so3``, ``o3``, ``c8``, ``d5``, ``icosahedral``, …

    Example:
        >>> [is_known(name) for name in ("so3", "c12", "c1", "full_icosahedral", "so4")]
        [True, True, False, True, False]
    """
    return group in _INFINITE or is_polyhedral(group) or _planar(group) is not None


def is_polyhedral(group: str) -> bool:
    """Whether this is the name of the symmetries of a solid."""
    return group.removeprefix("full_") in _POLYHEDRAL


def order_of(group: str) -> int | None:
    """The number of elements of a group with this name; None for infinitely many.

    Example:
        >>> [order_of(name) for name in ("so3", "c12", "d5", "full_icosahedral")]
        [None, 12, 10, 120]
    """
    if group in _INFINITE:
        return None
    if not is_polyhedral(group):
        return int(group[1:]) * (1 if group[0] == "c" else 2)
    rotations = 60 if group.endswith("icosahedral") else 24
    return 2 * rotations if group.startswith("full_") else rotations


def irrep_ids(group: str, top: int = FIRST_FEW) -> dict[str, EscnnId]:
    """For each irreducible representation its name and escnn's identifier, of infinitely many up to the degree `top`.

    The representations of functions on space come first, in the order of their degree: the place in the list is
    the degree l (in the plane the frequency) as long as there is one representation for each.

    Example:
        >>> irrep_ids("o3", 1)
        {'0g': (0, 0), '1u': (1, 1), '0u': (1, 0), '1g': (0, 1)}
        >>> irrep_ids("d6")
        {'A1': (0, 0), 'E1': (1, 1), 'E2': (1, 2), 'B1': (1, 3), 'B2': (0, 3), 'A2': (1, 0)}
    """
    degrees = range(top + 1)
    if group == "so3":
        return {f"{degree}": (degree,) for degree in degrees}
    if group == "o3":
        natural: dict[str, EscnnId] = {f"{degree}{'gu'[degree % 2]}": (degree % 2, degree) for degree in degrees}
        return natural | {f"{degree}{'ug'[degree % 2]}": (1 - degree % 2, degree) for degree in degrees}
    return _polyhedral_ids(group) if is_polyhedral(group) else _planar_ids(group, top)


def _polyhedral_ids(group: str) -> dict[str, EscnnId]:
    """Mulliken symbols; with reflections those of the parity of functions on space first."""
    symbols = _POLYHEDRAL[group.removeprefix("full_")]
    if not group.startswith("full_"):
        return {symbol: (number,) for symbol, (number, _) in symbols.items()}
    natural: dict[str, EscnnId] = {}
    other: dict[str, EscnnId] = {}
    for symbol, (number, parity) in symbols.items():
        for letter, odd in (("g", 0), ("u", 1)):
            (natural if letter == parity else other)[f"{symbol}{letter}"] = ((odd,), (number,), 0)
    return natural | other


def _planar_ids(group: str, top: int) -> dict[str, EscnnId]:
    """Mulliken symbols with the frequency as index, left out where there is only one E."""
    infinite = group in _INFINITE
    order = 0 if infinite else int(group[1:])
    frequencies = range(1, top + 1) if infinite else range(1, (order + 1) // 2)
    even = not infinite and order % 2 == 0
    mirrors = group[0] in "od"
    planes = {"E" if len(frequencies) == 1 and not infinite else f"E{k}": k for k in frequencies}
    if not mirrors:
        last: dict[str, EscnnId] = {"B": (order // 2,)} if even else {}
        return {"A": (0,), **{name: (k,) for name, k in planes.items()}, **last}
    last = {"B1": (1, order // 2), "B2": (0, order // 2)} if even else {}
    return {"A1": (0, 0), **{name: (1, k) for name, k in planes.items()}, **last, "A2": (1, 0)}


def _planar(group: str) -> int | None:
    """The N of ``cN`` and ``dN``, from 2 on; None for other groups."""
    match = re.fullmatch(r"[cd]([1-9]\d{0,3})", group)
    return int(match[1]) if match and int(match[1]) > 1 else None
