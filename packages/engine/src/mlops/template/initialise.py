"""The one transformation from template to fork: a pure function of a checkout's files and the answers.

`mlops init` runs it on an export of the fork's first commit; `mlops update` runs it on two versions of the
template, each with its own code, so that both sides of the merge have passed through the same door.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.lifecycle import environments as environment
from mlops.scaffold import kinds
from mlops.scaffold.new_model import new_model
from mlops.spec.settings import FILE as SETTINGS
from mlops.spec.settings import load_settings
from mlops.template import manifest, readme, values
from mlops.template.answers import Answers
from mlops.template.manifest import Example, Template, spec
from mlops.template.regions import without_example

_LOCK, _PROJECT = "uv.lock", "pyproject.toml"
_WHERE_THEY_ARE_RULES = (
    "packages/engine/src/mlops/template/",
    "packages/engine/src/mlops/doctor/",
    "packages/engine/tests/processes/doctor/",
    "packages/maker/tests/azure/",
)
"""Rooms that must spell what they replace, or look for."""
_REFERENCE = "packages/maker/src/mlops/reference"
"""Writes pages from the code, which has fewer verbs without the example."""


@dataclass(frozen=True)
class Leftover:
    """A place that still has a name of the template's."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text.strip()[:100]}"


def initialise(folder: Path, answers: Answers) -> None:
    """Make the template in `folder`, files without a repository, the fork that gave these answers.

    Raises `InvalidInput` when the folder holds no template, or one that was initialised before.
    """
    template = manifest.load(folder)
    if template.answers is not None:
        raise InvalidInput(f"{manifest.FILE} has answers already; only a template can be initialised")
    example = template.example
    _remove(folder, template.home)
    if answers.model is not None:
        if example is None:
            raise InvalidInput("this template has no example that another model could replace")
        _replace_example(folder, answers, example)
    _rename(folder, answers, example if answers.model else None)
    path = folder / manifest.FILE
    path.write_text(manifest.with_answers(path.read_text(encoding="utf-8"), answers), encoding="utf-8")
    model = answers.model or (example.model if example else next(iter(load_settings(folder).models)))
    (folder / "README.md").write_text(readme.render(folder, answers, model), encoding="utf-8")
    if answers.model is not None and (folder / _REFERENCE).is_dir():
        _write_reference(folder)


def _write_reference(folder: Path) -> None:
    # The folder's own code has to be asked, not the one that runs here.
    env = {
        **os.environ,
        "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "mlops.reference"],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InvalidInput(f"the reference pages of docs/reference cannot be written: {last}")


def _replace_example(folder: Path, answers: Answers, example: Example) -> None:
    """The new model first: it starts from the example's components."""
    model = str(answers.model)
    if model == example.model:
        raise InvalidInput(f"--model: {model!r} is the example's name; take another, or --keep-example")
    new_model(folder, load_settings(folder), model, answers.task, answers.kind)
    project = folder / _PROJECT
    used = kinds.kind(answers.kind).groups
    _write(project, environment.only_groups(project.read_text(encoding="utf-8"), kinds.groups(), used))
    _remove(folder, example.paths)
    for path in files(folder):
        text, name = read(path), path.relative_to(folder).as_posix()
        if text is None or name.startswith(_WHERE_THEY_ARE_RULES):
            continue
        new = without_example(name, text) if "<example" in text else text
        if name.startswith("docs/") and name.endswith(".md"):
            new = values.in_code(new, example.model, model)
            new = values.linked(new, path.parent)
        if new != text:
            _write(path, new)
    settings = folder / SETTINGS
    _write(settings, values.without_model(settings.read_text(encoding="utf-8"), example.model))


def _rename(folder: Path, answers: Answers, replaced: Example | None) -> None:
    old = _project_name(folder)
    for path in files(folder):
        edit = values.edits(path.relative_to(folder).as_posix())
        text = read(path) if edit else None
        if edit and text is not None:
            _write(path, edit(text, answers))
    lock = folder / _LOCK
    if lock.is_file():
        gone = replaced.packages if replaced else []
        _write(lock, values.locked(lock.read_text(encoding="utf-8"), old, answers.name, gone))


def _project_name(folder: Path) -> str:
    found = re.search(r'(?m)^name = "(.*)"$', (folder / _PROJECT).read_text(encoding="utf-8"))
    return found.group(1) if found else ""


def leftovers(folder: Path, template: Template, answers: Answers) -> list[Leftover]:
    """Where a fork made from `template` still has names that are not its own."""
    words = ["@OWNER/", "mlops-template", "(ml-team|finance)@example.com"]
    if answers.forge == "github":
        words.append(values.PLACE)
    if template.example and answers.model:
        words += [re.escape(word) for word in template.example.words]
    pattern = re.compile("|".join(words), re.IGNORECASE)
    found = []
    for path in files(folder):
        relative = path.relative_to(folder).as_posix()
        if pattern.search(relative):
            found.append(Leftover(relative, 0, "its name"))
        if relative.startswith(_WHERE_THEY_ARE_RULES):
            continue
        for number, line in enumerate((read(path) or "").splitlines(), 1):
            if pattern.search(line):
                found.append(Leftover(relative, number, line))
    return found


def files(folder: Path) -> Iterator[Path]:
    """All files below `folder` but git's own."""
    for path in sorted(folder.rglob("*")):
        if ".git" not in path.relative_to(folder).parts and path.is_file() and not path.is_symlink():
            yield path


def read(path: Path) -> str | None:
    """The text of a file, or None when it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _remove(folder: Path, lines: Sequence[str]) -> None:
    gone = spec(lines)
    for path in list(files(folder)):
        if gone.match_file(path.relative_to(folder).as_posix()):
            path.unlink()
    for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        if ".git" not in path.relative_to(folder).parts and not any(path.iterdir()):
            path.rmdir()
