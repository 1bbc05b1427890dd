"""Pages that take minutes or need scans: their outputs are kept in docs/_stored, and used while the code is the same.

A notebook there is a page as it was executed. It goes into the cache from which myst-nb takes outputs, where a page is
found by the text of its code cells: whoever changes that code has the page executed, and stores it again:

    python docs/_extensions/stored_outputs.py tutorials/04_segmenting_mri.md
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
STORED = DOCS / "_stored"


def use_stored(app: Sphinx) -> None:
    """Puts every stored notebook into the cache of executed ones."""
    cache = get_cache(app.config.nb_execution_cache_path)
    for path in sorted(STORED.glob("*.ipynb")):
        cache.cache_notebook_file(str(path), check_validity=False, overwrite=True)


def store(page: str) -> Path:
    """Executes a page and keeps it with its outputs."""
    source = DOCS / page
    notebook = read_myst_markdown_notebook(source.read_text(), MdParserConfig(), path=source)
    place = {"metadata": {"path": str(source.parent)}}
    NotebookClient(notebook, timeout=None, record_timing=False, resources=place).execute()
    kept = STORED / f"{source.stem}.ipynb"
    STORED.mkdir(exist_ok=True)
    nbformat.write(notebook, kept)
    return kept


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", use_stored)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    sys.stdout.write(f"{store(sys.argv[1])}\n")
