"""The site: these pages, by Sphinx with MyST; `make docs` builds it (docs/decisions/0016-docs-site.md).

The pages stay plain Markdown that the forge shows too: their order is said here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops.reference.diagrams import with_drawings

project = "mlops"
html_title = "Machine learning on Azure, the GitOps way"

NAVIGATION: dict[str, tuple[str, ...]] = {
    "Start": (
        "tutorial",  # <example/>
        "guides/another-model",
        "guides/any-model",
        "guides/own-pipeline",
        "guides/tasks",
        "daily-work",
        "updating",
    ),
    "Guides": (
        "guides/github",
        "guides/azure-devops",
        "guides/customise",
        "guides/own-resource",
        "guides/operate",
        "guides/contribute",
        "azure*",
        "databricks*",
        "bootstrap",
        "infrastructure",
        "ci",
        "pipelines",
        "scaling",
        "tracking-server",
        "lint",
        "tuning",
        "monitoring",
        "serving",
        "events",
        "board",
    ),
    "Reference": ("reference/index",),
    "Explanation": ("architecture", "security", "threat-model", "decisions/README", "mutants", "pressure"),
}
"""Every page, in order; a star is for pages of one subject. `reference/` and `decisions/` list their own."""
FOLDERS = {"reference/index": "reference/*", "decisions/README": "decisions/*"}

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["schemas"]
nitpicky = True
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# The forge draws diagrams; here they are drawn beforehand (mlops.reference.diagrams), so that no script is
# loaded. One that was changed and not drawn again is shown as text.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_permalinks = True


def _lists(app: Any, docname: str, source: list[str]) -> None:
    """Sphinx wants the order of pages inside a page; on GitHub nobody wants to see it there."""
    if docname == "index":
        source[0] += "".join(_toctree(title, pages, glob=True) for title, pages in NAVIGATION.items())
    source[0] = with_drawings(source[0], Path(__file__).parents[1])
    if docname in FOLDERS:
        source[0] += _toctree("", (FOLDERS[docname].split("/")[1],), glob=True)


def _toctree(caption: str, pages: tuple[str, ...], *, glob: bool = False) -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else []), *([":glob:"] if glob else [])]
    return "\n".join(["", "", "```{toctree}", *options, "", *pages, "```", ""])


def setup(app: Any) -> None:
    app.connect("source-read", _lists)
