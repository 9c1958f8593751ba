"""Where the template's own names stand, and what a fork's answers make of them: functions of text."""

from __future__ import annotations

import re
from collections.abc import Callable

from mlops.errors import InvalidInput, Problem
from mlops.template.answers import Answers

Edit = Callable[[str, Answers], str]

PLACE = "OWNER/REPO"
"""Stands for the repository's name on GitHub wherever that is not known yet."""


def edits(path: str) -> Edit | None:
    """What is to be done with the text of `path`, if anything."""
    return _EDITS.get(path)


def _replaced(text: str, pattern: str, new: str, *, where: str) -> str:
    """`text` with exactly one match replaced; raises `InvalidInput` when the template has moved on."""
    text_after, count = re.subn(pattern, lambda _: new, text, count=1, flags=re.MULTILINE)
    if not count:
        raise InvalidInput(Problem(where, f"nothing here matches {pattern!r}; is this the template?"))
    return text_after


def _settings(text: str, answers: Answers) -> str:
    text = _named(text, answers, "mlops.toml")
    lines = f'[forge]\nkind = "{answers.forge}"\n'
    if answers.repository:
        lines += f'repository = "{answers.repository}"\n'
    return _replaced(text, r"^\[forge\]\n(?:(?!\[).*\n)*", lines, where="mlops.toml")


def _named(text: str, answers: Answers, where: str) -> str:
    line = f'name = "{answers.name}"'
    return _replaced(text, r'(?<=^\[project\]\n)name = ".*"', line, where=where)


def _mlproject(text: str, answers: Answers) -> str:
    text = _replaced(text, r"^name: .*$", f"name: {answers.name}", where="MLproject")
    if answers.model is None:
        return text
    return re.sub(r"(model: \{type: string, default: )[^}]*", rf"\g<1>{answers.model}", text)


def _owners(text: str, answers: Answers) -> str:
    return text.replace("@OWNER/", f"@{answers.owner}/")


def _stack(text: str, answers: Answers) -> str:
    text = re.sub(r"(?m)^(  mlops:location: ).*$", rf"\g<1>{answers.region}", text)
    text = re.sub(r"(?m)^(    (?:emails|contacts): ).*$", rf"\g<1>[{answers.contact}]", text)
    # Not more than a guess: docs/infrastructure.md says how to read the prefix from GitHub.
    return text.replace(PLACE, answers.repository) if answers.forge == "github" else text


_EDITS: dict[str, Edit] = {
    "mlops.toml": _settings,
    "MLproject": _mlproject,
    ".github/CODEOWNERS": _owners,
    **{f"environments/Pulumi.{stack}.yaml": _stack for stack in ("shared", "dev", "staging", "prod")},
}


def without_model(text: str, model: str) -> str:
    """`mlops.toml` without the tables of `model`, each with the comment above it."""
    table = rf"(?:^#[^\n:]*\n)*^\[models\.{re.escape(model)}(?:\.[^\]]*)?\]\n(?:(?!\[|#).*\n)*"
    return re.sub(table, "", text, flags=re.MULTILINE)
