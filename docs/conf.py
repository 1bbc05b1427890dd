"""How Sphinx builds the site: `make docs`. Every page with code runs while it is built; a warning is an error."""

from __future__ import annotations

import sys
from hashlib import sha256
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))


def code_of(package: Path) -> str:
    """A name for the code as it is now: outputs that another version printed are not shown."""
    digest = sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


project = "scalegroup"
author = copyright = "The scalegroup authors"
version = release = installed("scalegroup")

extensions = [
    "myst_nb",  # pages in Markdown, their code cells executed
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",  # docstrings in Google's style
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "sphinx_design",
    "sphinx_copybutton",
    "api_pages",  # docs/_extensions: what the page of a class shows
    "stored_outputs",  # docs/_extensions: results of the pages that take long
    "saved_pictures",  # docs/_extensions: the picture that an example of the gallery saves
]
exclude_patterns = ["_build", "_stored", "_templates", "gallery/*.ipynb"]
suppress_warnings = ["config.cache"]  # sphinx_gallery_conf holds functions, which cannot be pickled

# Pages
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "executed" / code_of(HERE.parent / "scalegroup"))
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "error"  # a page that warns is a page to mend

# Docstrings
autosummary_generate = True
templates_path = ["_templates"]
autodoc_typehints = "none"  # the signature has them, and "Args" says what they mean
autodoc_default_options = {"show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Shape", "Source", "Law", "Logged"]
napoleon_attr_annotations = False  # the text says what an attribute is
napoleon_use_ivar = True  # attributes as a list: those that are properties have an entry of their own
default_role = "code"  # `x` in a docstring is code

# Gallery
sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "ignore_pattern": r"(experiments|configs|__init__)",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("saved_pictures.scrape",),
    "reset_modules": ("saved_pictures.reset",),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,  # a page that needs a network
    "show_signature": False,
    "abort_on_example_error": True,
    "parallel": True,  # as Sphinx's own `-j`
}

# Look
html_theme = "furo"
html_title = "scalegroup"
html_favicon = "_static/logo.svg"
html_logo = "_static/logo.svg"
# Formulas need no network: the package holds the files of MathJax. (As an extension it would forbid `-j 2`.)
html_static_path = ["_static", str(Path(str(find_spec("sphinx-mathjax-offline").origin)).parent / "static")]
mathjax_path = "mathjax/tex-chtml.js"
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}
