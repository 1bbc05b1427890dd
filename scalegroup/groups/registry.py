"""Where `representations` and `fields` announce what groups offer but must not import.

Imports go one way: `groups`, then `representations`, then `fields`. Yet ``group.regular`` should give a
representation and ``16 * group.regular`` a field type. The later packages therefore register the functions
that build these things when they are imported, and the earlier ones only look them up here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from scalegroup.errors import ScaleGroupError

_representations: dict[str, Callable[..., Any]] = {}
_field_type: list[Callable[..., Any]] = []


def register_representation(name: str, build: Callable[..., Any]) -> None:
    """Make ``group.representation(name, ...)`` call ``build(group, ...)``.

    Text given to `FieldType.parse` may use the name, too.

    Args:
        name: a Python identifier, as it appears in ``"16*name"``.
        build: called with the group first, then the arguments in the parentheses after the name.

    Raises:
        ScaleGroupError: if the name is no identifier.

    Example:
        >>> import scalegroup as sg
        >>> register_representation("slope", lambda group: group.character(-1))
        >>> sg.ScaleTranslationGroup(dim=2).representation("slope").weight
        -1.0
    """
    if not name.isidentifier():
        raise ScaleGroupError("a Python identifier as name", repr(name), "use letters, digits and underscores")
    _representations[name] = build


def representation_names() -> tuple[str, ...]:
    """The names that are registered, in alphabetical order."""
    return tuple(sorted(_representations))


def representation_call(name: str) -> str:
    """How the representation `name` is written with its arguments, such as ``"irrep(name, weight=None)"``."""
    _, *arguments = inspect.signature(_representations[name]).parameters.values()
    return f"{name}({', '.join(str(item.replace(annotation=inspect.Parameter.empty)) for item in arguments)})"


def build_representation(name: str, group: Any, *args: Any, **options: Any) -> Any:
    """The representation `name` of `group`; raises if nothing is registered under that name."""
    if name not in _representations:
        known = ", ".join(representation_names()) or "none yet"
        raise ScaleGroupError(
            f"the name of a representation ({known})",
            repr(name),
            "register yours with register_representation",
        )
    return _representations[name](group, *args, **options)


def register_field_type(build: Callable[..., Any]) -> None:
    """Make ``multiplicity * representation`` call ``build(group, blocks)``."""
    _field_type[:] = [build]


def build_field_type(group: Any, blocks: tuple[tuple[Any, Any], ...]) -> Any:
    """The field type with these blocks (multiplicity, representation)."""
    if not _field_type:
        raise ScaleGroupError("field types to be loaded", "representations alone", "import scalegroup.fields first")
    return _field_type[0](group, blocks)
