"""The demonstration, small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy", "matplotlib"):
    pytest.importorskip(package, reason="needs the extras 'train' and 'viz'")

from scalegroup.errors import ScaleGroupError
from scalegroup.training.demo import SCALES, demo


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo(tmp_path, size=16, epochs=1, scans=(2, 1, 1))
    shown = capsys.readouterr().out
    assert "scale-equivariant" in shown
    assert "plain (MONAI)" in shown
    for picture in ("dice.png", "slices.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(SCALES) * 3
    assert {row["model"] for row in rows} == {"scale", "plain"}


def test_demo_needs_scans(tmp_path: Path) -> None:
    with pytest.raises(ScaleGroupError, match="at least one training, validation and test scan"):
        demo(tmp_path, scans=(2, 0, 1))
