"""The site executes the code of its pages: an error, a warning and a failed assertion stop the build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

for package in ("sphinx", "furo", "myst_nb", "sphinx_gallery", "sphinx_design", "sphinx_copybutton"):
    pytest.importorskip(package, reason="needs the extra 'docs'")

DOCS = Path(__file__).parents[2] / "docs"
PAGE = """---
file_format: mystnb
kernelspec: {{name: python3}}
---

# A page

```{{code-cell}}
{code}
```
"""


def build(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A site of one page with the settings of ours, but without gallery and API."""
    settings = (DOCS / "conf.py").read_text().replace("HERE = Path(__file__).parent", f"HERE = Path({str(DOCS)!r})")
    settings = settings.replace('HERE / "_build"', f"Path({str(folder)!r})")
    settings += '\nextensions = ["myst_nb"]\nhtml_static_path = html_css_files = []\nhtml_logo = html_favicon = None\n'
    (folder / "conf.py").write_text(settings)
    (folder / "index.md").write_text(PAGE.format(code=code))
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(folder), str(folder / "html")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_good_page_is_built(tmp_path: Path) -> None:
    result = build(tmp_path, "print(6 * 7)")
    assert result.returncode == 0, result.stderr
    assert "42" in (tmp_path / "html" / "index.html").read_text()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print(6 * 7)\nassert 6 * 7 == 41", "AssertionError"),
        ('import warnings\nwarnings.warn("old")', "stderr"),
    ],
)
def test_an_error_on_a_page_is_noticed(code: str, text: str, tmp_path: Path) -> None:
    result = build(tmp_path, code)
    assert result.returncode != 0
    assert text in result.stderr
