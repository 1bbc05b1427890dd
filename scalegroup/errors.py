"""Errors that say what was expected, what came, and what to do about it."""

from __future__ import annotations


class ScaleGroupError(ValueError):
    """Base class of all errors that scalegroup raises on purpose.

    Args:
        expected: what the function accepts, in the caller's words.
        received: what it was given.
        hint: what to do about it; one sentence without a final stop.

    Example:
        >>> from scalegroup.errors import ScaleGroupError
        >>> print(ScaleGroupError("a base > 0 other than 1", 1.0, "sqrt(2) is a common choice"))
        expected a base > 0 other than 1, received 1.0; sqrt(2) is a common choice.
    """

    def __init__(self, expected: str, received: object, hint: str) -> None:
        super().__init__(expected, received, hint)
        self.expected = expected
        self.received = received
        self.hint = hint

    def __str__(self) -> str:
        return f"expected {self.expected}, received {self.received}; {self.hint}."


class FieldTypeError(ScaleGroupError):
    """Two field types, or a tensor and a field type, do not fit together."""


class MissingExtraError(ScaleGroupError, ImportError):
    """An optional part was used without the packages it needs."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The error for a missing optional package; `extra` is its name in `pyproject.toml`."""
    return MissingExtraError(
        f"the package {package!r} of the optional extra {extra!r}",
        "an environment without it",
        f"install it with: pip install 'scalegroup[{extra}]'",
    )
