"""Configuration of the site; `docs/build_site.py` puts its sources together."""

from html import escape
from typing import Any

from docutils import nodes

import stnref

project = "stnref"
author = "the stnref developers"
version = release = stnref.__version__
html_title = f"stnref {version}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
root_doc = "index"
templates_path: list[str] = []
exclude_patterns = ["_build"]

# Notebooks come executed, with their outputs.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_block"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
myst_links_external_new_tab = True

autodoc_default_options = {"members": True, "member-order": "bysource", "undoc-members": False}
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
default_role = "code"
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
# Everything is read without a network: mathematics, fonts, scripts.
html_css_files = ["katex/katex.min.css", "site.css"]
html_js_files = ["katex/katex.min.js", "site.js"]
html_math_renderer = "katex"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
suppress_warnings = ["mystnb.unknown_mime_type"]


def _visit_inline(self: Any, node: nodes.math) -> None:
    """Write the formula as text, for ``site.js`` to set."""
    self.body.append(f'<span class="formula">{escape(node.astext())}</span>')
    raise nodes.SkipNode


def _visit_display(self: Any, node: nodes.math_block) -> None:
    div = self.starttag(node, "div", "", CLASS="formula")
    self.body.append(f"{div}{escape(node.astext())}</div>")
    raise nodes.SkipNode


def _is_a_field(
    app: Any, what: str, name: str, value: object, skip: bool, options: Any
) -> bool | None:
    """Leave fields of tuples out: their class says what they are, and B or W are no names."""
    return True if type(value).__name__ == "_tuplegetter" else None


def _escape_bars(
    app: Any, what: str, name: str, value: object, options: Any, lines: list[str]
) -> None:
    """Keep bars what they are; in reStructuredText they would name something else."""
    example = False
    for k, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            parts = line.split("``")  # every other is literal
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[k] = "``".join(parts)


def setup(app: Any) -> None:
    """Let KaTeX set the mathematics, and mend what docstrings and reStructuredText differ in."""
    app.connect("autodoc-skip-member", _is_a_field)
    app.connect("autodoc-process-docstring", _escape_bars, priority=900)
    app.add_html_math_renderer(
        "katex", inline_renderers=(_visit_inline, None), block_renderers=(_visit_display, None)
    )
