"""Edits of the fork's own files: one field each, every other byte stays, so that the diff is the decision."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlops.bootstrap.steps import Look
from mlops.bootstrap.world import World
from mlops.errors import InvalidInput
from mlops.spec import writing
from mlops.spec._edit import Editor

VARIABLES = "pipelines/azure-devops/templates/variables.yml"
"""What Azure Pipelines read in place of variables of a repository."""


@dataclass(frozen=True)
class Edit:
    """One file that must say something. `wanted` gives its new text; it may ask the forge, and only reads."""

    world: World
    key: str
    title: str
    path: str
    wanted: Callable[[str], str]
    needs: str = "that you can write this file"

    def look(self) -> Look:
        before = self._read()
        after = self.wanted(before)
        if after == before:
            return Look("keep")
        return Look("change", "; ".join(_changed(before, after)))

    def make(self, look: Look) -> None:
        writing.write(self.world.root / self.path, self.wanted(self._read()))

    def ours(self) -> str:
        return ""

    def remove(self) -> None:
        """Files are in git: it knows what they said."""

    def _read(self) -> str:
        try:
            return (self.world.root / self.path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InvalidInput(f"{self.path} does not exist; restore it from the template") from None


def with_subject_prefix(text: str, prefix: str) -> str:
    """A stack file with this `subject_prefix` under `mlops:github`; without one when `prefix` is empty."""
    editor = Editor(text, "the stack file")
    github = ("config", "mlops:github")
    if editor.get(github) is None:
        return text
    if prefix:
        editor.put((*github, "subject_prefix"), prefix)
    else:
        editor.drop((*github, "subject_prefix"))
    return editor.text


def with_azure_devops(text: str, issuer: str, subjects: Mapping[str, str]) -> str:
    """A stack file that trusts these service connections under `mlops:azure_devops`."""
    editor = Editor(text, "the stack file")
    editor.put(("config", "mlops:azure_devops"), {"issuer": issuer, "subjects": dict(subjects)})
    return editor.text


def with_forge(text: str, *, kind: str, repository: str) -> str:
    """mlops.toml with this `[forge]`."""
    return _with_fields(text, "forge", {"kind": kind, "repository": repository})


def with_signing(text: str, *, records: str, records_key: str) -> str:
    """mlops.toml whose `[signing]` names the key of records."""
    return _with_fields(text, "signing", {"records": records, "records_key": records_key})


def _with_fields(text: str, table: str, fields: Mapping[str, str]) -> str:
    section = re.search(rf"^\[{table}\]\n(?:(?!\[).*\n)*", text, re.MULTILINE)
    block = section[0] if section else ""
    changed = block or f"\n[{table}]\n"
    for name, value in fields.items():
        line = f"{name} = {json.dumps(value)}"
        changed, count = _replace(rf"^{name}\s*=.*$", line, changed)
        if not count:
            changed = (
                changed.rstrip("\n") + f"\n{line}\n" + "\n" * (len(changed) - len(changed.rstrip("\n")) - 1)
            )
    return text.replace(block, changed, 1) if block else text.rstrip("\n") + "\n" + changed


def with_variables(text: str, values: Mapping[str, str]) -> str:
    """`variables.yml` with these values; raises `InvalidInput` when it lacks one of the names."""
    editor = Editor(text, VARIABLES)
    for name, value in values.items():
        if editor.get(("variables", name)) is None:
            raise InvalidInput(f"{VARIABLES} has no variable {name}; restore it from the template")
        editor.put(("variables", name), value)
    return editor.text


def _replace(pattern: str, line: str, text: str) -> tuple[str, int]:
    """The first match becomes `line`, taken as it is."""
    return re.subn(pattern, lambda _: line, text, count=1, flags=re.MULTILINE)


def _changed(before: str, after: str) -> list[str]:
    old = set(before.splitlines())
    return [f"{line.strip()!r}" for line in after.splitlines() if line not in old] or ["a line is removed"]
