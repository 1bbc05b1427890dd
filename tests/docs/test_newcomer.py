"""The newcomer follows tutorial 5 step by step, and notices where a page does not lead where it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "newcomer.py"
PAGE = """
```bash
mkdir a
cd a
```

```{{code-cell}}
print("to be read")
```

```{{code-cell}}
%%writefile b.txt
  indented
```

```{{code-cell}}
!test {first} # pytest
```

```{{code-cell}}
!test "$(cat b.txt)" = "  indented" # pytest
```
"""


@pytest.fixture
def newcomer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("newcomer", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tutorial_has_all_steps(newcomer: ModuleType) -> None:
    steps = list(newcomer.steps_of(newcomer.PAGE.read_text()))
    assert steps[0].text == "git clone $REPOSITORY scalegroup"
    assert any(step.text.startswith("pip install -c scalegroup/constraints.txt -e 'scalegroup[") for step in steps)
    layers = [step.text for step in steps if step.file == "excitation.py"]
    assert len(layers) == 2
    assert "ScaleBlurPool" not in layers[0]
    assert "ScaleBlurPool" in layers[1]
    assert [step.tests for step in steps].count(True) == 2
    assert steps[-1].tests


@pytest.mark.parametrize(("first", "good"), [("1 = 2", True), ("1 = 1", False)])
def test_the_first_tests_must_fail_and_the_last_must_pass(first: str, good: bool, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(first=first))
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--page", str(page)], capture_output=True, text=True, check=False
    )
    assert "write b.txt, 1 lines" in result.stdout
    assert ("the page does not lead where it says" not in result.stderr) == good
    assert (result.returncode == 0) == good
