"""For the API reference: which members of a class its page shows, and where the others are described.

A page shows what its class adds. A method that only does what a public base class says it does is listed with a link
to that class; what comes from PyTorch, from the standard library or from a base class that is not public and has
nothing to say to a reader is left out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

PAGES = Path(__file__).parents[1] / "api"
ALWAYS = ("forward", "declared_error")  # of every layer
NEVER = ("extra_repr", "element_type")
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Shape|Law|Example):", re.MULTILINE)


@dataclass(frozen=True)
class Members:
    """What the page of a class lists: names of its own, and for each public base the names it inherits from there."""

    methods: list[str]
    attributes: list[str]
    inherited: dict[str, list[str]]


@cache
def homes() -> dict[Any, str]:
    """The name under which each public class is documented: `scalegroup.nn.GroupConv`."""
    found: dict[Any, str] = {}
    for page in sorted(PAGES.glob("scalegroup.*.rst")):
        package = import_module(page.stem)
        for name in package.__all__:
            if inspect.isclass(value := getattr(package, name)):
                found.setdefault(value, f"{page.stem}.{name}")
    return found


def text(member: object) -> str:
    """The docstring that a member has itself; fields of a named tuple have none of their own."""
    if isinstance(member, (classmethod, staticmethod)):
        member = member.__func__
    if not callable(member) and not hasattr(member, "__get__"):
        return ""
    found = inspect.cleandoc(getattr(member, "__doc__", None) or "")
    return "" if found.startswith("Alias for field number") else found


def ancestors(cls: type) -> Iterator[type]:
    """The base classes that belong to the library."""
    return (base for base in cls.__mro__[1:] if base.__module__.split(".")[0] == "scalegroup")


def members_of(fullname: str) -> Members:
    """Sorts the public members of a class, in the order of the source."""
    package, name = fullname.rsplit(".", 1)
    cls = getattr(import_module(package), name)
    shown: dict[str, Any] = {}
    inherited: dict[str, list[str]] = {}
    for base in (cls, *ancestors(cls)):
        own = base is cls
        for member, value in vars(base).items():
            if member.startswith("_") or member in NEVER or member in shown or not text(value):
                continue
            public = next((homes()[c] for c in ancestors(cls) if c in homes() and member in vars(c)), None)
            says_more = SECTION.search(text(value)) is not None
            if (own and public is None) or ((own or base not in homes()) and (says_more or member in ALWAYS)):
                shown[member] = value
            elif public is not None and member not in sum(inherited.values(), []):
                inherited.setdefault(public, []).append(member)
    inherited = {home: [m for m in names if m not in shown] for home, names in inherited.items()}
    methods = [m for m, value in shown.items() if callable(value) or isinstance(value, (classmethod, staticmethod))]
    return Members(methods, [m for m in shown if m not in methods], {k: v for k, v in inherited.items() if v})


def public_bases(app: Sphinx, name: str, cls: object, options: object, bases: list[Any]) -> None:
    """Shows the nearest documented base class in place of one that is not public."""
    for i, base in enumerate(bases):
        if inspect.isclass(base) and base.__module__.split(".")[0] == "scalegroup":
            home = next((homes()[c] for c in base.__mro__ if c in homes()), None)
            bases[i] = f":py:class:`~{home}`" if home else next(b for b in base.__mro__ if b not in [base, *ancestors(base)])
    bases[:] = [base for base in bases if base is not object] or [object]


def configure(app: Sphinx, config: Config) -> None:
    """Tells autosummary of its templates, and the templates of the members."""
    config.templates_path.append(str(Path(__file__).parents[1] / "_templates"))
    config.autosummary_context = {**config.autosummary_context, "members_of": members_of}


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("config-inited", configure)
    app.connect("autodoc-process-bases", public_bases)
    return {"parallel_read_safe": True}
