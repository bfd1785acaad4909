"""Settings of the documentation for Sphinx; `make docs` builds it."""

import sys
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "mixtura"
author = "The mixtura developers"
copyright = author
release = version = version_of("mixtura")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "appended",
    "console",
    "mathml",
]
exclude_patterns = ["gallery"]
templates_path = ["_templates"]
default_role = "code"
smartquotes = False  # or --option would lose a dash
nitpicky = True

# ---- pages -----------------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# ---- the API reference -----------------------------------------------------------------------

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

# ---- the examples on the pages; those of docstrings are run by tests/test_docstrings.py --------

doctest_test_doctest_blocks = ""
doctest_default_flags = ELLIPSIS | NORMALIZE_WHITESPACE
doctest_global_setup = "import console; console.enter()"
doctest_global_cleanup = "console.leave()"

# ---- the gallery -----------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("matplotlib", "gallery_parts"),
    "within_subsection_order": "gallery_parts.Order",
    "capture_repr": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 3600,
}

# ---- HTML ------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "mixtura"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "mixtura"},
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
