"""What Sphinx is told of the site: nothing in it is loaded from anywhere else."""

from importlib.metadata import version as version_of

project = "CT Loupe"
author = "The CT Loupe contributors"
copyright = "The CT Loupe contributors, Apache-2.0. Research use only. Not for diagnosis or treatment"
version = release = version_of("ctloupe")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]

# Anchors of headings are those of GitHub, so that a link leads to the same place on both.
myst_heading_anchors = 4
# A page may leave out a level of headings.
suppress_warnings = ["myst.header"]

# Names in single backquotes are of options and parameters; most are no objects with a page of their own.
default_role = "code"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_inherit_docstrings = False
python_display_short_literal_types = True
maximum_signature_line_length = 80

# Options of the command line keep their two hyphens.
smartquotes = False
toc_object_entries = False

html_theme = "furo"
html_title = "CT Loupe"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5d7a", "color-brand-content": "#0b5d7a"},
    "dark_css_variables": {"color-brand-primary": "#7cc8e4", "color-brand-content": "#7cc8e4"},
}
copybutton_exclude = ".linenos, .gp, .go"
