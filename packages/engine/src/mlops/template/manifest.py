"""`template.toml`: which version of the template this is, who owns what, and what its fork answered."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pathspec import PathSpec
from pydantic import Field, ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.spec._base import ModelName, Spec
from mlops.spec._yaml import problems_of
from mlops.template.answers import Answers

FILE = "template.toml"
VersionText = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]


class Zone(Spec):
    """Paths with one owner, as lines of a .gitignore."""

    paths: list[str] = Field(min_length=1)
    what: str
    owner: Literal["fork", "template"]


class Example(Spec):
    """The use case that a fork replaces, and all that exists only because of it."""

    model: ModelName
    words: list[str] = Field(min_length=1)
    """Where one of these is left, in any case, a fork would read of a model that it does not have."""
    packages: list[str] = []
    """Of the lock; nothing else needs them."""
    paths: list[str]
    """Goes with the example: its own files, its story, and proof of the template that needs its data."""


class Template(Spec):
    """All of `template.toml`."""

    version: VersionText
    source: str = ""
    """Git URL of the template; empty: `mlops update --from URL`, or a remote called `template` or
    `upstream`."""
    zones: list[Zone] = []
    home: list[str] = []
    """What only the template's own repository has; every fork loses it."""
    example: Example | None = None
    """Absent where it was replaced."""
    answers: Answers | None = None
    """What `mlops init` was told; absent in the template itself."""

    @cached_property
    def _fork(self) -> PathSpec[Any]:
        return spec(line for zone in self.zones if zone.owner == "fork" for line in zone.paths)

    def owned_by_fork(self, path: str) -> bool:
        """Whether an update leaves `path` as the fork has it."""
        return bool(self._fork.match_file(path))

    def of_fork(self, paths: Iterable[str]) -> list[str]:
        """Those of `paths`, all files of a repository, that belong to the fork: its models' tests too."""
        known = list(paths)
        packages = {p.split("/")[1] for p in known if p.startswith("src/") and self.owned_by_fork(p)}
        tests = tuple(f"tests/{kind}/{package}/" for kind in ("unit", "processes") for package in packages)
        return [p for p in known if self.owned_by_fork(p) or p.startswith(tests)]


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
        return Template.model_validate(raw)
    except ValidationError as error:
        raise InvalidInput(problems_of(error, Template, FILE)) from None


_NOTE = "# What `mlops init` was told. `mlops update` asks nobody again."


def with_answers(text: str, answers: Answers) -> str:
    """`template.toml` with what the fork answered at its end."""
    # A JSON string is a TOML string, and no answer is anything else.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in answers.told().items()]
    return "\n".join([text.partition(_NOTE)[0].rstrip(), "", _NOTE, "[answers]", *lines, ""])
