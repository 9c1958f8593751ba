"""The pages that a fork starts with: short, with its own names. From then on they belong to the fork."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.template.answers import Answers
from mlops.template.sources import GitTag

if TYPE_CHECKING:
    from mlops.template.manifest import Template

FOLDER = Path(__file__).with_name("files")
TUTORIAL = "docs/tutorial.md"
_PARAMETER = re.compile(r'^    "(?!seed")(\w+)": (\d+(?:\.\d+)?),$', re.MULTILINE)
"""A number of `DEFAULTS` in a model's module."""


def rendered(answers: Answers, template: Template, model: str, folder: Path) -> dict[str, str]:
    """Text by path, for the fork whose files are in `folder`."""
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
        # The local forge runs the workflow files of GitHub, which a fork on Azure DevOps has not.
        "tutorial": answers.ci == "github",
    }
    paths = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.jinja"))
    if facts["tutorial"]:
        facts |= _edits(answers, model, folder)
    else:
        paths.remove(f"{TUTORIAL}.jinja")
    return {p.removesuffix(".jinja"): environment.get_template(p).render(facts) for p in paths}


def manual(answers: Answers, template: Template) -> str:
    """Address of the engine's documentation at this version; empty where no web page is known."""
    source = answers.source()
    url = source.url if isinstance(source, GitTag) else template.source
    if not url.startswith("https://"):
        return ""
    return f"{url.removesuffix('.git')}/blob/v{template.version}/docs"


def _edits(answers: Answers, model: str, folder: Path) -> dict[str, str]:
    """What the reader of the tutorial changes, as differences of the files that this fork has."""
    policy, gates = "environments/policy.yaml", f"pipelines/{model}/model.yaml"
    limit = re.search(r"^size: .*$", (folder / gates).read_text(encoding="utf-8"), re.MULTILINE)
    code = f"src/{model.replace('-', '_')}/model.py"
    lines = (folder / code).read_text(encoding="utf-8") if (folder / code).is_file() else ""
    chosen = _PARAMETER.search(lines)
    none = "size: {max_megabytes: 0.0001}"
    return {
        "forge_edit": _edit(folder, "mlops.toml", f'kind = "{answers.forge}"', 'kind = "local"'),
        "soak": _edit(folder, policy, "soak: 24h\n", "soak: 0s\n    synthetic_traffic: true\n"),
        "strict": _edit(folder, gates, limit[0], none) if limit else "",
        "loose": _edit(folder, gates, limit[0], none, back=True) if limit else "",
        "parameter": _edit(folder, code, chosen[0], _more(chosen)) if chosen and limit else "",
    }


def _more(chosen: re.Match[str]) -> str:
    """The line with a tenth more of its number, which is about as good."""
    name, value = chosen.groups()
    more = f"{float(value) * 1.1:g}" if "." in value else f"{int(value) + max(1, int(value) // 10)}"
    return f'    "{name}": {more},'


def _edit(folder: Path, path: str, old: str, new: str, *, back: bool = False) -> str:
    """A unified difference of one file. `back`: that takes the edit back."""
    before = (folder / path).read_text(encoding="utf-8")
    one, other = (text.splitlines(keepends=True) for text in (before, before.replace(old, new, 1)))
    if back:
        one, other = other, one
    return "".join(difflib.unified_diff(one, other, f"a/{path}", f"b/{path}"))
