"""Run the pages of docs/ that have code as they stand."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scalegroup.groups import registry

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "your_own_group.md"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_page(text: str, module: ModuleType) -> int:
    """Run the code blocks one after the other in one module; return the number of outputs that differ."""
    failures = 0
    blocks = re.findall(r"^```(python|pycon)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 1
    for kind, code in blocks:
        if kind == "python":
            exec(compile(code, str(PAGE), "exec"), module.__dict__)
        else:
            session = doctest.DocTestParser().get_doctest(code, module.__dict__, PAGE.name, str(PAGE), 0)
            runner = doctest.DocTestRunner(optionflags=FLAGS)
            failures += runner.run(session, clear_globs=False).failed
            module.__dict__.update(session.globs)
    return failures


@pytest.fixture
def page_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that pickle can find, and a registry that forgets the page's representation."""
    module = ModuleType("your_own_group_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "_representations", dict(registry._representations))
    return module


def test_the_page_runs_and_prints_what_it_says(page_module: ModuleType) -> None:
    assert run_page(PAGE.read_text(), page_module) == 0
    page_module.__dict__["TestSliceScaling"]().run()


@pytest.mark.parametrize(("right", "wrong"), [("4*density", "5*density"), ("return -a[0], -a[1]", "return a")])
def test_an_error_on_the_page_is_noticed(right: str, wrong: str, page_module: ModuleType) -> None:
    assert run_page(PAGE.read_text().replace(right, wrong), page_module) > 0


def test_the_page_on_haar_grids_runs(page_module: ModuleType) -> None:
    pytest.importorskip("monai")
    text = (DOCS / "haar.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.replace("(1, 8, 13, 13, 13)", "(1, 8, 12, 12, 12)"), page_module) > 0


def test_the_page_on_the_engine_runs(page_module: ModuleType) -> None:
    text = (DOCS / "engine.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.replace("order=2", "order=3"), page_module) > 0


def test_the_page_on_data_runs(page_module: ModuleType) -> None:
    pytest.importorskip("monai")
    pytest.importorskip("nibabel")
    text = (DOCS / "data.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.replace("(5, ['BraTS_0002'])", "(6, [])"), page_module) > 0


def test_the_page_on_training_runs(page_module: ModuleType) -> None:
    for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
        pytest.importorskip(package, reason="needs the extra 'train'")
    text = (DOCS / "training.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.split("## Logs")[0].replace("'last.ckpt', ", ""), page_module) > 0


def test_the_page_on_methods_runs(page_module: ModuleType) -> None:
    text = (DOCS / "methods.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.replace("'filter dilation'", "'steerable'"), page_module) > 0


def test_the_page_on_rotations_runs(page_module: ModuleType) -> None:
    text = (DOCS / "rotations.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.replace("(4, 1, 1, 2)", "(4, 1, 1, 3)"), page_module) > 0


def test_the_page_on_escnn_runs(page_module: ModuleType) -> None:
    pytest.importorskip("escnn", reason="needs the extra 'escnn'")
    text = (DOCS / "escnn.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.split("## Axes")[0].replace("('0', '1', '2', '3', '4')", "()"), page_module) > 0


def test_the_page_on_diffusion_runs(page_module: ModuleType) -> None:
    pytest.importorskip("nibabel", reason="needs the extra 'train'")
    pytest.importorskip("scipy", reason="needs the extra 'train'")
    text = (DOCS / "diffusion.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.split("## Layers")[0].replace('Group("joint", base', 'Group("p", base'), page_module) > 0


def test_the_page_on_points_runs(page_module: ModuleType) -> None:
    for package in ("nibabel", "scipy"):
        pytest.importorskip(package, reason="needs the extra 'train'")
    text = (DOCS / "points.md").read_text()
    assert run_page(text, page_module) == 0
    assert run_page(text.replace("lift(x, 2 * pos)", "lift(x, 3 * pos)"), page_module) > 0
