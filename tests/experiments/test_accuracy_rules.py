"""The rules of accuracy, in 2-D: each is better kept than broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "experiments"


@pytest.fixture(scope="module")
def rules() -> Iterator[Any]:
    sys.path.insert(0, str(FOLDER))
    yield import_module("accuracy_rules").Rules(18, 1, 48, dim=2)
    sys.path.remove(str(FOLDER))


@pytest.mark.parametrize("rule", ["normalisation", "norms", "boundary"])
def test_each_rule_is_better_kept_than_broken(rules: Any, rule: str) -> None:
    found: dict[str, list[float]] = {"kept": [], "broken": []}
    for _, kind, _, value, _ in getattr(rules, rule)():
        found[kind].append(float(value))
    assert max(found["kept"]) < 1e-3 < 5e-2 < min(found["broken"])
