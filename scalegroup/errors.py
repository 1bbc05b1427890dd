"""Errors that say what was expected, what came, and what to do about it."""

from __future__ import annotations

__all__ = ["FieldTypeError", "MissingExtraError", "ScaleGroupError", "missing_extra"]


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
    """Two field types, or a tensor and a field type, do not fit together.

    Args:
        expected, received, hint: as in `ScaleGroupError`.

    Example:
        >>> import torch, scalegroup as sg
        >>> image = 1 * sg.ScaleTranslationGroup(dim=2).scalar
        >>> sg.nn.GroupConv(image, 8 * sg.ScaleTranslationGroup(dim=3).regular)
        Traceback (most recent call last):
        ...
        scalegroup.errors.FieldTypeError: ...
    """


class MissingExtraError(ScaleGroupError, ImportError):
    """An optional part was used without the packages it needs; an `ImportError` too.

    Args:
        expected, received, hint: as in `ScaleGroupError`.

    Example:
        >>> try:
        ...     raise missing_extra("monai", "train")
        ... except ImportError as error:
        ...     print(error.hint)
        install it with: pip install 'scalegroup[train]'
    """


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The error for a missing optional package, to be raised from the `ImportError`.

    Args:
        package: the package that is missing.
        extra: the optional extra of scalegroup that installs it, as in `pyproject.toml`.

    Returns:
        An error whose hint is the command that installs the extra.

    Example:
        >>> print(missing_extra("matplotlib", "viz").expected)
        the package 'matplotlib' of the optional extra 'viz'
    """
    return MissingExtraError(
        f"the package {package!r} of the optional extra {extra!r}",
        "an environment without it",
        f"install it with: pip install 'scalegroup[{extra}]'",
    )
