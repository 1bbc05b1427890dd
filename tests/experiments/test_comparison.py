"""The comparison with other libraries runs, and never shows a figure that nobody measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "experiments"


@pytest.fixture(autouse=True)
def _in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def test_layers_are_measured(experiment: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("escnn")
    experiment("comparison.py", "--quick", "--only", "plain", "ours", "escnn", "--results", str(tmp_path))
    rows = json.loads((tmp_path / "comparison.json").read_text())
    assert list(rows) == ["plain", "ours", "escnn", "points"]
    scaled, turned = "layer, scaled by 0.9", "layer, turned by 90°"
    assert rows["ours"]["changes"][scaled] < 1e-3 < rows["plain"]["changes"][scaled]
    assert rows["escnn"]["changes"][turned] < 1e-4 < rows["ours"]["changes"][turned]
    assert rows["ours"]["works"]["torch.export"]
    assert rows["points"]["ours"]["scaled by √2"] < 1e-10 < 0.1 < rows["points"]["ours"]["turned at random"]


def test_what_nobody_measured_is_not_shown(tmp_path: Path) -> None:
    page = import_module("comparison_page")
    place = {"processor": "abacus", "python": "3.11", "torch": "2", "date": "2026-11-21T00:00"}
    row = {
        "changes": {"layer, scaled by √2": 0.25},
        "costs": {"channels": 32, "weights": 1234, "time": 2.5},
        "works": dict.fromkeys(page.WORKS, True),
        "machine": place,
    }
    text = page.write_page(tmp_path, {"ours": row})
    lines = {line.split(" | ")[0]: line for line in text.splitlines()}
    assert "| 0.2 | not measured | not measured | not measured |" in text
    assert lines["| e3nn, voxel convolution as it comes"].count("not measured") == 3
    assert "abacus" in text
    assert text == (tmp_path / "comparison.md").read_text()


def test_the_page_is_that_of_the_figures() -> None:
    page, results = import_module("comparison_page"), ROOT / "docs" / "results"
    rows = json.loads((results / "comparison.json").read_text())
    assert page.text_of(rows) == (results / "comparison.md").read_text()
