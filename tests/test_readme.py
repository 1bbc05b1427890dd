"""The README's code runs, its commands exist, and it opens with the two that matter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_opens_with_the_two_commands() -> None:
    first = README.split("```")[1]
    assert re.findall(r"^make (\w+)", first, flags=re.MULTILINE) == ["demo", "test"]


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"^make (\w+)", README + (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE))
    assert named <= set(re.findall(r"^(\w+):.*##", makefile, flags=re.MULTILINE))


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_code_runs(block: str) -> None:
    scope: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), scope)
    promised = re.findall(r"^(\w+) = .*# (\([\d, ]+\))$", block, flags=re.MULTILINE)
    assert promised
    for name, shape in promised:
        assert str(tuple(scope[name].shape)) == shape  # type: ignore[attr-defined]
