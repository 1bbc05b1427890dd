"""For the gallery: what `examples/x.py` saves as `x.png` in its own folder is shown below the code that saved it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx_gallery.scrapers import figure_rst


def reset(gallery: dict[str, Any], script: str) -> None:
    """Called before each script: forgets the picture of an earlier run."""
    picture(Path(gallery["src_dir"]) / gallery["examples_dirs"][0] / Path(script).name).unlink(missing_ok=True)


def picture(script: Path) -> Path:
    """Where a script saves its picture."""
    return script.with_suffix(".png")


def scrape(block: object, script: dict[str, Any], gallery: dict[str, Any]) -> str:
    """Called after each block of code: the text that shows what the block saved."""
    saved = picture(Path(script["src_file"]))
    if not saved.exists():
        return ""
    place = next(script["image_path_iterator"])
    shutil.move(saved, place)
    return str(figure_rst([place], gallery["src_dir"]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Makes this module importable by the names in `sphinx_gallery_conf`."""
    return {"parallel_read_safe": True}
