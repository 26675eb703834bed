"""How the documentation is built: ``make docs``. The extra ``docs`` has everything that it needs."""

import os
from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain

import sealedsession

project = "sealedsession"
author = "the sealedsession authors"
copyright = f"2026, {author}"  # noqa: A001  # the name that Sphinx reads
version = release = sealedsession.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.intersphinx", "sphinx_copybutton"]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # os.urandom, not <built-in function urandom>

# Inventories are downloaded. Read the Docs sets READTHEDOCS; elsewhere the build needs no network, and names of these
# projects are not links. INTERSPHINX=1 makes them links there too.
intersphinx_mapping = {}
if os.environ.get("READTHEDOCS") or os.environ.get("INTERSPHINX"):
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "django": ("https://docs.djangoproject.com/en/stable", None),
        "webob": ("https://docs.pylonsproject.org/projects/webob/en/stable", None),
    }
intersphinx_disabled_reftypes = ["std:*"]  # :doc:, :ref: and :term: are references to these pages only

default_role = "any"  # docstrings and pages write names of options and of the API in single backticks


class Domain(StandardDomain):
    """Never link single backticks to the glossary: methods have the same names as terms. ``:term:`` links to it."""

    name = "std"

    def resolve_any_xref(self, *args: Any) -> Any:
        return [found for found in super().resolve_any_xref(*args) if found[0] != "std:term"]


def setup(app: Sphinx) -> None:
    app.add_domain(Domain, override=True)


nitpick_ignore = [  # type variables
    ("py:class", "sealedsession.lifecycle.manager.Request"),
    ("py:class", "sealedsession.lifecycle.manager.Settings"),
    ("py:class", "sealedsession.lifecycle.save.Text"),
    ("py:class", "sealedsession.serialization.registry.T"),
    ("py:class", "sealedsession.state.resumable.Method"),
    ("py:class", "sealedsession.state.resumable.State"),
]
# The standard library's, without its inventory
nitpick_ignore_regex = [("py:class", r"(collections\.abc|enum)\..*")]

exclude_patterns = ["_build", "corpus-table.rst"]  # the table is a part of internals/payload.rst

html_theme = "furo"
html_title = f"sealedsession {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"admonition-font-size": "0.9375rem", "admonition-title-font-size": "0.9375rem"},
    "source_repository": "https://github.com/sealedsession/sealedsession/",
    "source_branch": "main",
    "source_directory": "docs/",
}
# The accessible styles: every token has a contrast of at least 4.5 to its background.
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_exclude = ".linenos, .gp, .go"
