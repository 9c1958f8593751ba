"""The README that a fork starts with: short, with its own names. From then on it belongs to the fork."""

from __future__ import annotations

from pathlib import Path

from mlops.template.answers import Answers

_TEMPLATE = Path(__file__).with_name("files") / "README.md.jinja"


def render(folder: Path, answers: Answers, model: str) -> str:
    """The text of `README.md`; links only to pages that are there."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  what is made is Markdown, from names that were checked
    )
    pages = {page.stem for page in (folder / "docs").glob("*.md")}
    facts = {"answers": answers, "model": model, "package": model.replace("-", "_"), "pages": pages}
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        facts, replaced=answers.model is not None
    )
