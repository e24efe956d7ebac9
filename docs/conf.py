"""How Sphinx makes the site. `make docs` runs it over a copy of the pages, which `tests/house/site.py` lays out."""

from sphinx.application import Sphinx

import tierstore
from tests.house import reference

project = "tierstore"
author = "the tierstore authors"
copyright = "the tierstore authors, Apache-2.0"
release = tierstore.__version__
root_doc = "index"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["tasklist"]
myst_heading_anchors = 3
highlight_language = "none"  # an indented block is a diagram or a list of calls; Python says so in its fence

html_theme = "furo"
html_title = f"tierstore {release}"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["site"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "monokai"

default_role = "code"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
autodoc_type_aliases = reference.aliases()
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True}

reference.use_blocking_stub()


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", reference.as_restructured)
    app.connect("autodoc-process-signature", reference.as_written)
    app.connect("autodoc-skip-member", reference.is_internal)
