"""The set-up: what `import scalegroup` costs, and that the packaging files agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("sympy", "monai", "escnn", "lightning", "matplotlib", "scipy", "nibabel", "rich", "jsonargparse", "hypothesis")


def run_python(code: str) -> str:
    """The standard output of `code` in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_after(statement: str) -> set[str]:
    """The heavy packages that are loaded once `statement` has run."""
    return set(run_python(f"import sys\n{statement}\nprint(*set({HEAVY!r}) & set(sys.modules))").split())


def test_import_is_light() -> None:
    assert loaded_after("import scalegroup") == set()


def test_a_heavy_import_would_be_seen() -> None:
    assert "sympy" in loaded_after("import sympy")


def test_package_is_typed() -> None:
    assert (ROOT / "scalegroup" / "py.typed").is_file()


def test_every_requirement_is_constrained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(wish for extra in extras for wish in extra)]
    names = {re.split(r"[^\w-]", wish)[0].replace("_", "-").lower() for wish in wanted} - {"scalegroup"}
    pinned = {
        re.split(r"[=<>]", line)[0].replace("_", "-").lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert names <= pinned


def test_one_version_number() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version("scalegroup") == project["version"]


@pytest.mark.parametrize("package", ["scalegroup.data", "scalegroup.training", "scalegroup.visual"])
def test_missing_extra_is_named(package: str) -> None:
    # Hides the optional packages from a fresh interpreter, as an environment without the extras would.
    hide = f"import sys\nfor name in {HEAVY!r}:\n    sys.modules[name] = None\n"
    code = (
        f"{hide}\ntry:\n    import {package} as part\n    [getattr(part, name) for name in part.__all__]\n"
        "except ImportError as error:\n    print(error)\nelse:\n    print('no error')"
    )
    message = run_python(code)
    assert re.search(r"optional extra '(train|viz)'.*pip install 'scalegroup\[(train|viz)\]'", message)


def test_ci_calls_its_jobs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.findall(r"^make (\w+)$", script.read_text(), flags=re.MULTILINE) == ["test", "docs", "core"]
