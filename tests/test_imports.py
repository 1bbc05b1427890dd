"""The one-way order of imports (DESIGN.md section 4), read from the files, functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1] / "scalegroup"

# What each part may import, besides itself. Parts that are not named here sit at the end: they may import all of
# these, and nobody here may import them.
BELOW = {
    "errors": set[str](),
    "groups": {"errors"},
    "representations": {"errors", "groups"},
    "fields": {"errors", "groups", "representations"},
    "symbolic": {"errors"},
    "kernels": {"errors", "symbolic"},
    "engine": {"errors", "symbolic", "kernels"},
    "nn": {"errors", "groups", "representations", "fields", "symbolic", "kernels", "engine"},
    "models": {"errors", "groups", "representations", "fields", "symbolic", "kernels", "engine", "nn"},
    "methods": {"errors", "groups", "representations", "fields", "symbolic", "kernels", "engine", "nn", "models"},
}
WITHOUT_TORCH = {"errors", "groups", "representations", "symbolic"}
LEAVES = {"testing", "interop"}  # for the user and the tests
READS = {("visual", "testing")}  # a picture of an error shows the figure that the testing kit measures
ONLY_FOR = {"benchmarks": {"training"}}  # a part of the command line, and what alone may import it
LONGEST = 400  # lines; a longer file holds two ideas


class Import(NamedTuple):
    """An import statement: what it imports, and where it stands."""

    module: str
    line: int
    lazy: bool  # inside a function, or for type checkers only


def imports(source: str) -> Iterator[Import]:
    """All imports of a file, also those inside functions; `from scalegroup import nn` as `scalegroup.nn`."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                name = f"scalegroup.{alias.name}" if node.module == "scalegroup" else node.module
                yield Import(name, node.lineno, lazy)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [item.value for item in node.args if isinstance(item, ast.Constant)]
            yield from (Import(str(name), node.lineno, True) for name in names)
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        inside = lazy or checking or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    return walk(ast.parse(source), lazy=False)


def part_of(module: str) -> str | None:
    """The part of scalegroup that a module belongs to; None for other libraries."""
    names = module.split(".")
    return names[1] if names[0] == "scalegroup" and len(names) > 1 else None


def violations(part: str, source: str) -> list[str]:
    """What a file of this part imports and should not, each with its line."""
    found = []
    for module, line, lazy in imports(source):
        top, target = module.split(".")[0], part_of(module)
        if part in BELOW and target is not None and target not in BELOW[part] | {part}:
            found.append(f"line {line}: {part} imports {target}, which comes after it")
        if part in BELOW and module == "scalegroup":
            found.append(f"line {line}: {part} imports the top of the library")
        if target in LEAVES - {part} and part != "__init__" and (part, target) not in READS:
            found.append(f"line {line}: {part} imports {target}, which is for users and tests")
        if target in ONLY_FOR and part not in {target, *ONLY_FOR[target]}:
            found.append(f"line {line}: {part} imports {target}, which is for the command line")
        if part in WITHOUT_TORCH and top == "torch":
            found.append(f"line {line}: {part} imports torch")
        if top == "sympy" and not lazy:
            found.append(f"line {line}: {part} imports sympy outside a function")
    return found


FILES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(ROOT.rglob("*.py"))}


def part_of_file(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("name", FILES)
def test_imports_go_one_way(name: str) -> None:
    assert not violations(part_of_file(name), FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_files_are_short(name: str) -> None:
    assert FILES[name].count("\n") < LONGEST


def test_all_parts_are_there() -> None:
    parts = {part_of_file(name) for name in FILES}
    assert set(BELOW) <= parts
    assert {"testing", "training", "data", "benchmarks"} <= parts


def test_the_order_is_one() -> None:
    for part, below in BELOW.items():
        for other in below:
            assert BELOW[other] < below, f"{part} sees {other}, but not all that {other} sees"


@pytest.mark.parametrize(
    ("part", "source", "text"),
    [
        ("groups", "from scalegroup.fields import FieldType", "line 1: groups imports fields, which comes after it"),
        ("groups", "def f():\n    from scalegroup import nn", "line 2: groups imports nn, which comes after it"),
        ("groups", "import scalegroup.models.unet", "line 1: groups imports models, which comes after it"),
        ("kernels", "from scalegroup.groups import Group", "line 1: kernels imports groups, which comes after it"),
        ("engine", "import scalegroup", "line 1: engine imports the top of the library"),
        ("groups", "import torch.nn", "line 1: groups imports torch"),
        ("symbolic", "def f():\n    from torch import Tensor", "line 2: symbolic imports torch"),
        (
            "representations",
            "class A:\n    def f(self):\n        import torch",
            "line 3: representations imports torch",
        ),
        ("symbolic", "import sympy", "line 1: symbolic imports sympy outside a function"),
        ("symbolic", "if True:\n    from sympy.abc import x", "line 2: symbolic imports sympy outside a function"),
        ("data", "from scalegroup.testing import Blobs", "line 1: data imports testing, which is for users and tests"),
        (
            "models",
            "def f():\n    from scalegroup import interop",
            "line 2: models imports interop, which comes after it",
        ),
        (
            "data",
            "from scalegroup.benchmarks import cases",
            "line 1: data imports benchmarks, which is for the command line",
        ),
        (
            "__init__",
            "import scalegroup.benchmarks",
            "line 1: __init__ imports benchmarks, which is for the command line",
        ),
        ("nn", 'import_module("scalegroup.models")', "line 1: nn imports models, which comes after it"),
    ],
)
def test_a_forged_file_is_caught(part: str, source: str, text: str) -> None:
    assert text in violations(part, source)


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("symbolic", "def f():\n    import sympy"),
        ("symbolic", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sympy"),
        ("nn", "from scalegroup.nn.module import EquivariantModule\nfrom scalegroup.engine import contract"),
        ("testing", "from scalegroup.testing.inputs import Blobs\nfrom scalegroup import nn"),
        ("groups", "from scalegroup.groups.base import Group\nimport numpy"),
        ("training", "from scalegroup.benchmarks.cases import all_cases"),
    ],
)
def test_a_good_file_is_not(part: str, source: str) -> None:
    assert not violations(part, source)
