"""For the API reference: what the page of a class shows, how docstrings are read, and where the pages stand.

A page shows what its class adds. A method that only does what a public base class says it does is listed with a link
to that class; what comes from PyTorch, from the standard library or from a base class that is not public and has
nothing to say to a reader is left out.

In a docstring `GroupConv`, `nn.GroupConv` and `docs/accuracy.md` are links, and a line "Source: ..." is a section
as "Args:" is one.

The page of a package links to the pages of its names. They are left out of the navigation beside each page: with 250
more entries there, the site would take ten times as long to build and every page would be 100 kB larger.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from pydoc import locate
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.ext.autosummary import autosummary_toc
from sphinx.util.inspect import stringify_signature

PAGES = Path(__file__).parents[1] / "api"
ALWAYS = ("forward", "declared_error")  # of every layer
NEVER = ("extra_repr", "element_type")
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Shape|Law|Example):", re.MULTILINE)
INLINE = re.compile(r"^(Source|Law|Logged): (.+)")
NAME = re.compile(r"(?:sg\.|scalegroup\.)?((?:[a-z_]+\.)*)([A-Z]\w+|(?<=\.)\w+)")

PAGE = re.compile(r"docs(/[\w/]+)\.md")


@dataclass(frozen=True)
class Members:
    """What the page of a class lists: names of its own, and for each public base the names it inherits from there.

    `derived` tells whether it has a base class to speak of.
    """

    derived: bool
    methods: list[str]
    attributes: list[str]
    inherited: dict[str, list[str]]


@cache
def places() -> dict[str, Any]:
    """Every public name in full, `scalegroup.nn.GroupConv`, with what it stands for."""
    pages = sorted(page.stem for page in PAGES.glob("scalegroup.*.rst"))
    return {
        f"{page}.{name}": getattr(import_module(page), name) for page in pages for name in import_module(page).__all__
    }


@cache
def homes() -> dict[type, str]:
    """The name under which each public class is documented; that of the layers, where there are two."""
    found = {value: name for name, value in places().items() if inspect.isclass(value)}
    return found | {
        value: name for name, value in places().items() if name.startswith("scalegroup.nn.") and value in found
    }


@cache
def target(written: str, package: str) -> str | None:
    """The full name of what a docstring calls `GroupConv`, `nn.GroupConv` or, of its own package, `haar_grid`."""
    if "_" in written and inspect.isfunction(places().get(f"{package}.{written}")):
        return f"{package}.{written}"
    found = NAME.fullmatch(written)
    if found is None:
        return None
    if found[1]:
        full = f"scalegroup.{found[1]}{found[2]}"
        return full if full in places() else None
    return next((home for cls, home in homes().items() if cls.__name__ == found[2]), None)


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
            adds = (
                member in ALWAYS
                or member.startswith("test_")
                or SECTION.search(text(value))
                or (base is cls and public is None)
            )
            if adds and (base is cls or base not in homes()):
                shown.setdefault(member, value)
            elif public is not None and member not in inherited.setdefault(public, []):
                inherited[public].append(member)
    inherited = {home: [name for name in names if name not in shown] for home, names in inherited.items()}
    attributes = [name for name, value in shown.items() if isinstance(value, property | cached_property)]
    methods = [name for name in shown if name not in attributes]
    derived = any(base not in (object, ABC) for base in cls.__bases__)
    return Members(derived, methods, attributes, {home: names for home, names in inherited.items() if names})


def public_bases(app: Sphinx, name: str, cls: type, options: object, bases: list[Any]) -> None:
    """Shows the nearest documented base class in place of one that is not public."""
    outside = (base for base in cls.__mro__ if not base.__module__.startswith("scalegroup") and base is not object)
    documented = next((homes()[base] for base in ancestors(cls) if base in homes()), None)
    if any(inspect.isclass(base) and base.__module__.startswith("scalegroup") for base in bases):
        bases[:] = [f":py:class:`~{documented}`"] if documented else [next(outside, object)]


def true_signature(
    app: Sphinx, what: str, name: str, value: Any, options: object, arguments: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    """The arguments of a class whose metaclass takes any."""
    if what == "class" and arguments == "(*args, **kwargs)":
        _, *parameters = inspect.signature(value.__init__).parameters.values()  # the first is self
        return stringify_signature(inspect.Signature(parameters), show_annotation=False), returned
    return None


def sections(app: Sphinx, what: str, name: str, value: Any, options: object, lines: list[str]) -> None:
    """Makes a section of "Source: ..." and its indented lines; keeps napoleon from taking "This: that" for a type."""
    if what in ("attribute", "property"):
        lines.insert(0, "\\")  # nothing to a reader, and a first line without a colon
    for i in reversed(range(len(lines))):
        if found := INLINE.match(lines[i]):
            end = next((j for j in range(i + 1, len(lines)) if not lines[j].startswith("    ")), len(lines))
            lines[i:end] = [f"{found[1]}:", f"    {found[2]}", *(f"    {line.strip()}" for line in lines[i + 1 : end])]


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Makes links of public names and of pages in docstrings, but not of a page to itself."""
    page = app.env.docname
    if not page.startswith("api/"):
        return
    name = page.rpartition("/")[2]
    package = name if name in {full.rpartition(".")[0] for full in places()} else name.rpartition(".")[0]
    for code in list(doctree.findall(nodes.literal)):
        if "code" not in code["classes"] or isinstance(code.parent, nodes.reference):
            continue
        if found := PAGE.fullmatch(code.astext()):
            where = {"refdomain": "std", "reftype": "doc", "reftarget": found[1], "refwarn": True}
        elif (full := target(code.astext(), package)) and full != name:
            where = {"refdomain": "py", "reftype": "obj", "reftarget": full}
        else:
            continue
        link = addnodes.pending_xref("", refdoc=page, refexplicit=True, **where)
        code.replace_self(link)
        link += code


def shortcut(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """Follows a name such as `scalegroup.FieldType` to the page of the package where it is described."""
    written = node.get("reftarget", "")
    value = locate(written) if node.get("refdomain") == "py" and written.startswith("scalegroup.") else None
    full = next((full for full, public in places().items() if public is value and full != written), None)
    if value is None or full is None:
        return None
    full = homes().get(value, full) if inspect.isclass(value) else full
    return env.domains.python_domain.resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, shown)


def leave_out_of_navigation(app: Sphinx, doctree: nodes.document) -> None:
    """Removes the hidden list of contents that autosummary writes; its tables link to the same pages."""
    for contents in list(doctree.findall(autosummary_toc)):
        contents.parent.remove(contents)


def configure(app: Sphinx, config: Config) -> None:
    """Lets the templates in docs/_templates ask for the members of a class; names what else docstrings list."""
    config.autosummary_context = {**config.autosummary_context, "members_of": members_of}
    next(field for field in PyObject.doc_field_types if field.name == "variable").label = "Attributes"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("config-inited", configure)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("autodoc-process-signature", true_signature)
    app.connect("autodoc-process-docstring", sections, priority=400)  # before napoleon reads them
    app.connect("doctree-read", link_names)
    app.connect("missing-reference", shortcut)
    app.connect("doctree-read", leave_out_of_navigation, priority=400)  # before the lists of contents are collected
    return {"parallel_read_safe": True}
