"""The API reference is the list of public names: each is on a page, says what it takes, and shows how it is used.

A name that disappears, or one that nobody has written a line about, fails here.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import Any, NamedTuple

import pytest

API = Path(__file__).parents[2] / "docs" / "api"
PAGES = sorted(path.stem for path in API.glob("scalegroup*.rst"))
SOURCE = Path(importlib.import_module("scalegroup").__path__[0])
UNLISTED = {  # the commands `scalegroup bench` and `compare`; a folder; an engine that is listed as one of its methods
    *("scalegroup.benchmarks", "scalegroup.benchmarks.compare", "scalegroup.interop", "scalegroup.engine.native"),
}
EXTRAS = {  # what a page needs beyond the core
    "scalegroup.data": ("nibabel", "scipy"),
    "scalegroup.training": ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"),
    "scalegroup.visual": ("matplotlib",),
    "scalegroup.interop.escnn": ("escnn",),
}


def package(name: str) -> ModuleType:
    """A public package; the test is skipped where its extra is missing."""
    for extra in EXTRAS.get(name, ()):
        pytest.importorskip(extra, reason="an optional extra")
    return importlib.import_module(name)


def listed(page: str) -> list[str]:
    """The names in the tables of a page, and those that it describes itself."""
    tables = re.findall(r"^\.\. autosummary::\n((?:   .*\n|\n)+)", page + "\n", re.MULTILINE)
    rows = [line.strip() for table in tables for line in table.splitlines()]
    return [row for row in rows if row and not row.startswith(":")] + re.findall(r"^\.\. py:data:: (\w+)", page, re.M)


def resolve(name: str, module: ModuleType) -> Any:
    """What a table means by a name: one of the page's package, or with `~` one of another package in full."""
    home, _, last = name.removeprefix("~").rpartition(".")
    if not name.startswith("~"):
        home = f"{module.__name__}.{home}".removesuffix(".")
    return getattr(importlib.import_module(home), last)


def differences(page: str, module: ModuleType) -> list[str]:
    """What a page lists and its package lacks, and the other way round; packages have pages of their own."""
    found, wrong = {}, []
    for name in listed(page):
        last = name.rpartition(".")[2]
        if last in found:
            wrong.append(f"{last} is listed twice")
        try:
            found[last] = resolve(name, module)
        except (AttributeError, ImportError):
            wrong.append(f"{name} does not exist")
            found[last] = None
    exported = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    wrong += [] if exported else [f"{module.__name__} has no __all__"]
    for name, value in exported.items():
        if not (inspect.ismodule(value) and value.__name__ in PAGES):
            wrong += [] if found.get(name) is value else [f"{name} is not on the page"]
    return wrong + [f"{name} is not exported" for name in found if name not in exported]


def documented(text: str, sections: tuple[str, ...]) -> set[str]:
    """The names that the sections of a docstring explain; a line may explain several, `in_type, out_type: ...`."""
    names: set[str] = set()
    for section in sections:
        for body in re.findall(rf"^{section}:\n((?:    .*\n|\n)*)", text + "\n", re.MULTILINE):
            for entry in re.findall(r"^    (\S[^:\n]*):", body, re.MULTILINE):
                names |= {name.strip().lstrip("*") for name in entry.split(",")}
    return names


def own_docstring(value: Any) -> str:
    """The docstring that was written, not one that a dataclass generates or a class inherits."""
    text = inspect.cleandoc(vars(value).get("__doc__") or "") if inspect.isclass(value) else inspect.getdoc(value) or ""
    return "" if text.startswith(f"{value.__name__}(") else text


def complaints(value: Any) -> list[str]:
    """What the docstring of a class or function lacks."""
    text = own_docstring(value)
    if not text:
        return ["no docstring"]
    wrong = [] if ">>>" in text else ["no example"]
    taken = {parameter.name for parameter in inspect.signature(value).parameters.values()}
    told = known = documented(text, ("Args",))
    if inspect.isclass(value):
        maker = next(base for base in value.__mro__ if {"__init__", "__new__"} & set(vars(base)))
        if not maker.__module__.startswith(value.__module__.partition(".")[0]) or {"args", "kwargs"} <= taken:
            return wrong  # arguments of another library's class, or those that a base class leaves to its subclasses
        explaining = [value, maker]
        if is_dataclass(value) or issubclass(value, tuple):  # their fields may be explained as such
            explaining = list(value.__mro__[:-1])
            known = known | documented(text, ("Attributes",))
        known = known.union(*(documented(own_docstring(base), ("Args", "Attributes")) for base in explaining[1:]))
    wrong += [f"{name} is not explained" for name in sorted(taken - known)]
    return wrong + [f"{name} is explained, and is no argument" for name in sorted(told - taken)]


def written_here(module: ModuleType) -> dict[str, Any]:
    """The public classes and functions of a package that are not those of another one on a page of their own."""
    values = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    return {
        name: value
        for name, value in values.items()
        if (inspect.isclass(value) or callable(value)) and value.__module__.startswith("scalegroup")
    }


@pytest.mark.parametrize("name", PAGES)
def test_a_page_lists_what_its_package_exports(name: str) -> None:
    assert differences((API / f"{name}.rst").read_text(), package(name)) == []


@pytest.mark.parametrize("name", PAGES)
def test_public_names_say_what_they_take_and_show_an_example(name: str) -> None:
    found = {key: complaints(value) for key, value in written_here(package(name)).items()}
    assert {key: wrong for key, wrong in found.items() if wrong} == {}


def test_every_package_has_a_page() -> None:
    packages = {".".join(path.parent.relative_to(SOURCE.parent).parts) for path in SOURCE.rglob("__init__.py")}
    assert packages - UNLISTED <= set(PAGES)


def test_the_pages_are_in_the_contents() -> None:
    contents = (API / "index.md").read_text()
    assert [name for name in PAGES if f"\n{name}\n" not in contents] == []


def broken_references(text: str) -> list[str]:
    """The names of the library that a page refers to, and that do not exist."""
    names = re.findall(r":?py:\w+[:}]`(?:[^`<]*<)?~?(scalegroup[\w.]*)>?`", text)
    return [name for name in names if locate(name) is None]


def test_pages_refer_to_what_exists() -> None:
    for extra in {name for names in EXTRAS.values() for name in names}:
        pytest.importorskip(extra, reason="an optional extra")
    pages = [path for path in API.parent.rglob("*") if path.suffix in (".md", ".rst") and "generated" not in path.parts]
    broken = {str(path.relative_to(API.parent)): broken_references(path.read_text()) for path in pages}
    assert {page: names for page, names in broken.items() if names} == {}


def test_docstrings_refer_to_pages_that_exist() -> None:
    named = {page for path in SOURCE.rglob("*.py") for page in re.findall(r"docs/[\w/]+\.md", path.read_text())}
    assert len(named) > 3
    assert [page for page in sorted(named) if not (SOURCE.parent / page).is_file()] == []


def test_a_reference_to_what_is_gone_is_noticed() -> None:
    page = "{py:class}`scalegroup.nn.GroupConv`, {py:func}`this <scalegroup.nn.lost>`, :py:mod:`~scalegroup.no`"
    assert broken_references(page) == ["scalegroup.nn.lost", "scalegroup.no"]


# Negative twins: the checks above, on a package and pages made up to be wrong.


def good(size: int) -> int:
    """Twice a number.

    Args:
        size: the number.

    Example:
        >>> good(2)
        4
    """
    return 2 * size


def bare(size: int) -> int:
    """Twice a number."""
    return 2 * size


@dataclass
class Record:
    """Two numbers.

    Attributes:
        first: the one.

    Example:
        >>> Record(1, 2).first
        1
    """

    first: int
    second: int


class Pair(NamedTuple):
    first: int


def made_up(**names: Any) -> ModuleType:
    """A package that exports these names."""
    module = ModuleType("made_up")
    vars(module).update(names, __all__=list(names))
    return module


PAGE = ".. autosummary::\n   :toctree: generated\n\n   good\n"


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = made_up(good=good)
    monkeypatch.setitem(sys.modules, "made_up", module)
    return module


def test_a_right_page_passes(imported: ModuleType) -> None:
    assert differences(PAGE, imported) == []


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        (PAGE.replace("good", "lost"), "lost does not exist"),
        (PAGE + "   bare\n", "bare does not exist"),
        ("", "good is not on the page"),
        (PAGE + "   good\n", "good is listed twice"),
        (PAGE.replace("good", "~scalegroup.errors.missing_extra"), "missing_extra is not exported"),
    ],
)
def test_a_wrong_page_is_noticed(page: str, complaint: str, imported: ModuleType) -> None:
    assert complaint in differences(page, imported)


def test_a_package_without_a_list_of_names_is_noticed() -> None:
    assert differences("", ModuleType("made_up")) == ["made_up has no __all__"]


def test_a_poor_docstring_is_noticed() -> None:
    assert complaints(good) == []
    assert complaints(bare) == ["no example", "size is not explained"]
    assert complaints(Record) == ["second is not explained"]
    assert complaints(Pair) == ["no docstring"]


def test_an_argument_that_is_gone_is_noticed() -> None:
    def renamed(number: int) -> int:
        return 2 * number

    renamed.__doc__ = good.__doc__
    assert complaints(renamed) == ["number is not explained", "size is explained, and is no argument"]
