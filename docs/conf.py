"""How the documentation is built: ``make docs``. The extra ``docs`` has everything that it needs."""

import sealedsession

project = "sealedsession"
author = "the sealedsession authors"
copyright = f"2026, {author}"  # noqa: A001  # the name that Sphinx reads
version = release = sealedsession.__version__

extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # os.urandom, not <built-in function urandom>

default_role = "any"  # docstrings and pages write names of options and of the API in single backticks
nitpick_ignore = [  # type variables
    ("py:class", "sealedsession.lifecycle.manager.Request"),
    ("py:class", "sealedsession.lifecycle.manager.Settings"),
    ("py:class", "sealedsession.lifecycle.save.Text"),
    ("py:class", "sealedsession.serialization.registry.T"),
    ("py:class", "sealedsession.state.resumable.Method"),
    ("py:class", "sealedsession.state.resumable.State"),
]
# The standard library's: its inventory would have to be fetched, and the build needs no network.
nitpick_ignore_regex = [("py:class", r"(collections\.abc|enum)\..*")]

exclude_patterns = ["_build", "corpus-table.rst"]  # the table is a part of security.rst
html_theme = "alabaster"
html_theme_options = {"description": "Sessions sealed in one cookie", "page_width": "1000px"}
html_copy_source = False
