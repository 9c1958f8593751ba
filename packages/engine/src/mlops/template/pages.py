"""The pages that a fork starts with: short, with its own names. From then on they belong to the fork."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops.template.answers import Answers
from mlops.template.sources import GitTag

if TYPE_CHECKING:
    from mlops.template.manifest import Template

FOLDER = Path(__file__).with_name("files")


def rendered(answers: Answers, template: Template, model: str) -> dict[str, str]:
    """Text by path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  what is made is Markdown, from names that were checked
    )
    facts = {
        "answers": answers,
        "model": model,
        "package": model.replace("-", "_"),
        "replaced": answers.model is not None,
        "manual": manual(answers, template),
        "version": template.version,
    }
    paths = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.jinja"))
    return {p.removesuffix(".jinja"): environment.get_template(p).render(facts) for p in paths}


def manual(answers: Answers, template: Template) -> str:
    """Address of the engine's documentation at this version; empty where no web page is known."""
    source = answers.source()
    url = source.url if isinstance(source, GitTag) else template.source
    if not url.startswith("https://"):
        return ""
    return f"{url.removesuffix('.git')}/blob/v{template.version}/docs"
