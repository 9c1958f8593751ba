"""The one transformation from template to fork: a pure function of a checkout's files and the answers.

`mlops init` runs it on an export of the fork's first commit; `mlops update` runs it on two versions of the
template, each with its own code, so that both sides of the merge have passed through the same door.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.lifecycle.desired import environments as environment
from mlops.scaffold import kinds
from mlops.scaffold.new_model import new_model
from mlops.spec.settings import FILE as SETTINGS
from mlops.spec.settings import load_settings
from mlops.template import lock, manifest, pages, project, values
from mlops.template.answers import Answers
from mlops.template.manifest import Example, Template, spec
from mlops.template.regions import EXAMPLE, HOME, unmarked, without
from mlops.template.sources import Wheels

_BOT = "renovate.json"
_LOCK, _PROJECT = "uv.lock", "pyproject.toml"


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

    The lock still has the engine of the template's workspace; `locked` gives it the fork's.
    Raises `InvalidInput` when the folder holds no template, or one that was initialised before.
    """
    template = manifest.load(folder)
    if template.answers is not None:
        raise InvalidInput(f"{manifest.FILE} has answers already; only a template can be initialised")
    example = template.example
    if answers.model is not None:
        if example is None:
            raise InvalidInput("this template has no example that another model could replace")
        _scaffold(folder, answers, example)
    source = answers.source()
    own = (f"{source.folder}/",) if isinstance(source, Wheels) else ()
    _remove(folder, lambda path: template.stays_at_home(path, answers.ci) and not path.startswith(own))
    if answers.model is not None and example is not None:
        _replace_example(folder, answers, example)
    gone = {HOME, *template.forges, *([EXAMPLE] if answers.model else [])} - {answers.ci}
    _cut(folder, gone, {EXAMPLE, *template.forges} - gone)
    for path in files(folder):
        edit = values.edits(path.relative_to(folder).as_posix())
        text = read(path) if edit else None
        if edit and text is not None:
            _write(path, edit(text, answers))
    _depend(folder, template, answers)
    path = folder / manifest.FILE
    _write(path, manifest.with_answers(path.read_text(encoding="utf-8"), answers))
    model = answers.model or (example.model if example else next(iter(load_settings(folder).models)))
    for name, text in pages.rendered(answers, template, model, folder).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _write(folder / name, text)


def locked(folder: Path, root: Path) -> None:
    """Give the lock of the fork in `folder` the engine from its source; wheels lie relative to `root`.

    Raises `InvalidInput` or `TargetError` when the source does not have this version.
    """
    template = manifest.load(folder)
    if template.answers is None or not (source := template.answers.source()):
        return
    path = folder / _LOCK
    text, own = (
        path.read_text(encoding="utf-8"),
        tomllib.loads((folder / _PROJECT).read_text(encoding="utf-8")),
    )
    engine = lock.engine_packages(tomllib.loads(text))
    names = sorted(engine.keys() & {lock.requirement_name(line) for line in own["project"]["dependencies"]})
    entries = source.entries(root, names, template.version)
    _write(path, lock.fork_lock(text, own, source, entries))


def _scaffold(folder: Path, answers: Answers, example: Example) -> None:
    """The new model first: it starts from the example's components."""
    model = str(answers.model)
    if model == example.model:
        raise InvalidInput(f"--model: {model!r} is the example's name; take another, or --keep-example")
    new_model(folder, load_settings(folder), model, answers.task, answers.kind)


def _replace_example(folder: Path, answers: Answers, example: Example) -> None:
    path, used = folder / _PROJECT, kinds.kind(answers.kind).groups
    _write(path, environment.only_groups(path.read_text(encoding="utf-8"), kinds.groups(), used))
    gone = spec(example.paths)
    _remove(folder, gone.match_file)
    settings = folder / SETTINGS
    _write(settings, values.without_model(settings.read_text(encoding="utf-8"), example.model))


def _cut(folder: Path, gone: set[str], kept: set[str]) -> None:
    """Parts that are marked go, or stay without their marks."""
    for path in files(folder):
        text = read(path)
        if text is None or "<" not in text:
            continue
        new = text
        for mark in sorted(gone):
            if f"<{mark}" in new:
                new = without(path.relative_to(folder).as_posix(), new, mark)
        for mark in sorted(kept):
            new = unmarked(new, mark)
        if new != text:
            _write(path, new)


def _depend(folder: Path, template: Template, answers: Answers) -> None:
    path = folder / _PROJECT
    engine = lock.engine_packages(tomllib.loads((folder / _LOCK).read_text(encoding="utf-8")))
    wrong = sorted(name for name, version in engine.items() if version != template.version)
    if wrong:
        raise InvalidInput(f"{manifest.FILE} has version {template.version}, and {', '.join(wrong)} another")
    source = answers.source()
    if source is None:
        raise InvalidInput("--engine: is needed; it says where the packages gitops-ml-* come from")
    _write(path, project.own(path.read_text(encoding="utf-8"), answers.name, engine, source))
    if isinstance(source, Wheels):
        # A bot raises what it can ask for; these files lie in the repository.
        (folder / _BOT).unlink(missing_ok=True)


def leftovers(folder: Path, template: Template, answers: Answers) -> list[Leftover]:
    """Where a fork made from `template` still has names that are not its own."""
    words = [
        "@OWNER/",
        "mlops-template",
        "</?(?:home|example|github|azure-devops)/?>",
        "(ml-team|finance)@example.com",
    ]
    if answers.forge == "github":
        words.append(values.PLACE)
    if template.example and answers.model:
        words += [re.escape(word) for word in template.example.words]
    pattern = re.compile("|".join(words), re.IGNORECASE)
    left = []
    for path in files(folder):
        relative = path.relative_to(folder).as_posix()
        if pattern.search(relative):
            left.append(Leftover(relative, 0, "its name"))
        for number, line in enumerate((read(path) or "").splitlines(), 1):
            if pattern.search(line):
                left.append(Leftover(relative, number, line))
    return left


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


def _remove(folder: Path, gone: Callable[[str], bool]) -> None:
    for path in list(files(folder)):
        if gone(path.relative_to(folder).as_posix()):
            path.unlink()
    for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        if ".git" not in path.relative_to(folder).parts and not any(path.iterdir()):
            path.rmdir()
