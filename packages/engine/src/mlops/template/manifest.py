"""`template.toml`: which version of the template this is, who owns what, and what its fork answered."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pathspec import PathSpec
from pydantic import Field, ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.spec._base import ModelName, Spec
from mlops.spec._yaml import problems_of
from mlops.template.answers import Answers

FILE = "template.toml"
VersionText = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]


class Zones(Spec):
    """What a fork has, as lines of a .gitignore. What is in neither stays in the template's repository."""

    fork: list[str] = []
    """An update leaves it alone."""
    skeleton: list[str] = []
    """An update merges it."""


class Example(Spec):
    """The use case that a fork replaces."""

    model: ModelName
    words: list[str] = Field(min_length=1)
    """Where one of these is left, in any case, a fork would read of a model that it does not have."""
    paths: list[str]
    """Goes with the example."""


class Template(Spec):
    """All of `template.toml`."""

    version: VersionText
    source: str = ""
    """Git URL of the template; empty: where the engine comes from, `mlops update --from URL`, or a remote
    called `template` or `upstream`."""
    zones: Zones = Zones()
    forges: dict[str, list[str]] = {}
    """What only one forge reads, by its name."""
    example: Example | None = None
    """Absent where it was replaced."""
    answers: Answers | None = None
    """What `mlops init` was told; absent in the template itself."""

    @cached_property
    def _fork(self) -> PathSpec[Any]:
        return spec(self.zones.fork)

    @cached_property
    def _skeleton(self) -> PathSpec[Any]:
        return spec(self.zones.skeleton)

    def owned_by_fork(self, path: str) -> bool:
        """Whether an update leaves `path` as the fork has it."""
        return bool(self._fork.match_file(path))

    def of_skeleton(self, path: str) -> bool:
        """Whether an update merges `path`."""
        return bool(self._skeleton.match_file(path)) and not self.owned_by_fork(path)

    def of_fork(self, paths: Iterable[str]) -> list[str]:
        """Those of `paths`, all files of a repository, that belong to the fork.

        Tests below tests/unit/<name>/ do where src/<name>/ does: versions that had the engine inside had its
        tests there too.
        """
        known = [path for path in paths if self.owned_by_fork(path)]
        models = {path.split("/")[1] for path in known if path.startswith("src/")}
        return [p for p in known if not p.startswith("tests/unit/") or p.split("/")[2] in models]

    def stays_at_home(self, path: str, ci: str) -> bool:
        """Whether a fork whose workflows this forge runs does without `path`."""
        if not self.owned_by_fork(path) and not self.of_skeleton(path):
            return True
        return any(spec(lines).match_file(path) for name, lines in self.forges.items() if name != ci)


def spec(lines: Iterable[str]) -> PathSpec[Any]:
    """A matcher of paths, relative and with '/', that reads lines as git reads a .gitignore."""
    return PathSpec.from_lines("gitignore", lines)


def load(root: Path) -> Template:
    """Read `<root>/template.toml`; raises `InvalidInput` with the field and what is allowed."""
    try:
        text = (root / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(
            Problem(FILE, "does not exist; take it back from git: it says which template this is")
        ) from None
    return parse(text)


def parse(text: str) -> Template:
    """The manifest in `text`; raises `InvalidInput`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(Problem(FILE, f"not valid TOML: {error}")) from None
    try:
        return Template.model_validate(_as_now(raw))
    except ValidationError as error:
        raise InvalidInput(problems_of(error, Template, FILE)) from None


def _as_now(raw: dict[str, Any]) -> dict[str, Any]:
    """Of a fork that had the engine inside, what an update has to know."""
    zones = raw.get("zones")
    if not isinstance(zones, list):
        return raw
    fork = [line for zone in zones if zone.get("owner") == "fork" for line in zone.get("paths", [])]
    kept: dict[str, Any] = {name: raw[name] for name in ("version", "source", "answers") if name in raw}
    return {**kept, "zones": {"fork": fork}}


_NOTE = "# What `mlops init` was told. `mlops update` asks nobody again."


def with_answers(text: str, answers: Answers) -> str:
    """`template.toml` with what the fork answered at its end."""
    # A JSON string is a TOML string, and no answer is anything else.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in answers.told().items()]
    return "\n".join([text.partition(_NOTE)[0].rstrip(), "", _NOTE, "[answers]", *lines, ""])
