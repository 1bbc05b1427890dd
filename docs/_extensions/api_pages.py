"""For the API reference: what the page of a class shows, and where the pages stand.

A page shows what its class adds. A method that only does what a public base class says it does is listed with a link
to that class; what comes from PyTorch, from the standard library or from a base class that is not public and has
nothing to say to a reader is left out.

The page of a package links to the pages of its names. They are left out of the navigation beside each page: with 250
more entries there, the site would take ten times as long to build and every page would be 100 kB larger.
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

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.ext.autosummary import autosummary_toc

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
def homes() -> dict[type, str]:
    """The name under which each public class is documented: `scalegroup.nn.GroupConv`."""
    found: dict[type, str] = {}
    for page in sorted(PAGES.glob("scalegroup.*.rst")):
        package = import_module(page.stem)
        for name in package.__all__:
            if inspect.isclass(value := getattr(package, name)):
                found.setdefault(value, f"{page.stem}.{name}")
    return found


def text(member: Any) -> str:
    """The docstring of a method or property of this library; nothing for what a class generates or takes over."""
    function = getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member)))
    if not inspect.isfunction(function) or not function.__module__.startswith("scalegroup"):
        return ""
    return inspect.cleandoc(function.__doc__ or "")


def ancestors(cls: type) -> Iterator[type]:
    """The base classes that belong to the library, nearest first."""
    return (base for base in cls.__mro__[1:] if base.__module__.startswith("scalegroup"))


def members_of(fullname: str) -> Members:
    """Sorts the public members of a class, in the order of the source."""
    package, name = fullname.rsplit(".", 1)
    cls = getattr(import_module(package), name)
    shown: dict[str, Any] = {}
    inherited: dict[str, list[str]] = {}
    for base in (cls, *ancestors(cls)):
        for member, value in vars(base).items():
            if member.startswith("_") or member in NEVER or not text(value):
                continue
            public = next((homes()[c] for c in ancestors(cls) if c in homes() and member in vars(c)), None)
            adds = member in ALWAYS or SECTION.search(text(value)) or (base is cls and public is None)
            if adds and (base is cls or base not in homes()):
                shown.setdefault(member, value)
            elif public is not None and member not in inherited.setdefault(public, []):
                inherited[public].append(member)
    inherited = {home: [name for name in names if name not in shown] for home, names in inherited.items()}
    methods = [name for name, value in shown.items() if not hasattr(value, "__get__") or callable(value)]
    methods += [name for name, value in shown.items() if isinstance(value, classmethod | staticmethod)]
    methods = [name for name in shown if name in methods]
    attributes = [name for name in shown if name not in methods]
    return Members(methods, attributes, {home: names for home, names in inherited.items() if names})


def public_bases(app: Sphinx, name: str, cls: type, options: object, bases: list[Any]) -> None:
    """Shows the nearest documented base class in place of one that is not public."""
    outside = (base for base in cls.__mro__ if not base.__module__.startswith("scalegroup") and base is not object)
    documented = next((homes()[base] for base in ancestors(cls) if base in homes()), None)
    if any(inspect.isclass(base) and base.__module__.startswith("scalegroup") for base in bases):
        bases[:] = [f":py:class:`~{documented}`"] if documented else [next(outside, object)]


def leave_out_of_navigation(app: Sphinx, doctree: nodes.document) -> None:
    """Removes the hidden list of contents that autosummary writes; its tables link to the same pages."""
    for contents in list(doctree.findall(autosummary_toc)):
        contents.parent.remove(contents)


def configure(app: Sphinx, config: Config) -> None:
    """Tells autosummary of its templates, and the templates of the members."""
    config.templates_path.append(str(Path(__file__).parents[1] / "_templates"))
    config.autosummary_context = {**config.autosummary_context, "members_of": members_of}
    config.napoleon_custom_sections = ["Shape", "Source", "Law", "Logged"]
    config.napoleon_use_ivar = True  # attributes as a list: those that are properties have an entry of their own


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("config-inited", configure)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("doctree-read", leave_out_of_navigation, priority=400)  # before the lists of contents are collected
    return {"parallel_read_safe": True}
