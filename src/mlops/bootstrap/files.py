"""Edits of the fork's own files: one field each, every other byte stays, so that the diff is the decision."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlops.bootstrap.steps import Look
from mlops.bootstrap.world import World
from mlops.errors import InvalidInput

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
        (self.world.root / self.path).write_text(self.wanted(self._read()), encoding="utf-8")

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
    block = _block(text, "mlops:github")
    if not block:
        return text
    line = re.compile(r"^(?P<indent>[ ]+)subject_prefix:.*\n", re.MULTILINE)
    found = line.search(block)
    if not prefix:
        changed = line.sub("", block, count=1)
    elif found:
        changed = line.sub(lambda m: f"{m['indent']}subject_prefix: {_scalar(prefix)}\n", block, count=1)
    else:
        head, _, rest = block.partition("\n")
        indent = re.match(r"[ ]*", rest)
        changed = f"{head}\n{indent[0] if indent else '    '}subject_prefix: {_scalar(prefix)}\n{rest}"
    return text.replace(block, changed, 1)


def with_azure_devops(text: str, issuer: str, subjects: Mapping[str, str]) -> str:
    """A stack file that trusts these service connections under `mlops:azure_devops`."""
    lines = [f"    {duty}: {_scalar(subject)}\n" for duty, subject in subjects.items()]
    wanted = f"  mlops:azure_devops:\n    issuer: {_scalar(issuer)}\n    subjects:\n"
    wanted += "".join(f"  {line}" for line in lines)
    block = _block(text, "mlops:azure_devops")
    if block:
        return text.replace(block, wanted, 1)
    return text.rstrip("\n") + "\n" + wanted


def with_forge(text: str, *, kind: str, repository: str) -> str:
    """mlops.toml with this `[forge]`."""
    fields = {"kind": kind, "repository": repository}
    found = re.search(r"^\[forge\]\n(?:(?!\[).*\n)*", text, re.MULTILINE)
    block = found[0] if found else ""
    changed = block or "\n[forge]\n"
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
    for name, value in values.items():
        line = f"  {name}: {_scalar(value)}"
        text, count = _replace(rf"^  {name}:.*$", line, text)
        if not count:
            raise InvalidInput(f"{VARIABLES} has no variable {name}; restore it from the template")
    return text


def _replace(pattern: str, line: str, text: str) -> tuple[str, int]:
    """The first match becomes `line`, taken as it is."""
    return re.subn(pattern, lambda _: line, text, count=1, flags=re.MULTILINE)


def _block(text: str, key: str) -> str:
    """The lines of a key of `config:` with all that is indented below it."""
    found = re.search(rf"^  {re.escape(key)}:.*\n(?:(?:    .*|\s*)\n)*", text, re.MULTILINE)
    return found[0].rstrip("\n") + "\n" if found else ""


def _scalar(value: str) -> str:
    """A value as YAML takes it: plain where nothing in it has a meaning."""
    return value if re.fullmatch(r"[A-Za-z][\w./@+-]*(:[\w./@+-]+)*(\?[\w=]+)?", value) else json.dumps(value)


def _changed(before: str, after: str) -> list[str]:
    old = set(before.splitlines())
    return [f"{line.strip()!r}" for line in after.splitlines() if line not in old] or ["a line is removed"]
