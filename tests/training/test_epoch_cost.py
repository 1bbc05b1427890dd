"""The example that measures an epoch, with the networks one after the other in this process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

EXAMPLE = Path(__file__).parents[2] / "examples" / "experiments" / "epoch_cost.py"


def test_a_page_with_ratios_is_written(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("epoch_cost", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "child", example.measure)
    root = str(data_dir / "Task04_Hippocampus")
    monkeypatch.setattr(sys, "argv", ["epoch_cost.py", "--quick", "--root", root, "--results", str(tmp_path)])
    example.main()
    page = (tmp_path / "epoch_cost.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    assert [row[0] for row in cells[2:]] == [example.PLAIN, "MONAI's U-Net, as many channels", "ours"]
    assert cells[2][4] == "1.00"
    assert all(float(row[3].split()[0]) > 0 for row in cells[2:])
    assert example.PLAIN in capsys.readouterr().out
