"""Sphinx: the pages of docs/, and the API from docstrings."""

from sphinx.application import Sphinx

from jaxstyle import __version__

project = "jaxstyle"
author = "the jaxstyle authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "jaxstyle"
html_static_path: list[str] = []
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # shapes such as "h w 3" are said in the docstrings
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpicky = False
default_role = "code"  # names in docstrings are in single backticks


def _bars_are_norms(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """A bar is the norm's in docstrings, not the start of a substitution."""
    lines[:] = [line.replace("|", "\\|") for line in lines]


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", _bars_are_norms)
