"""Scaffold a use case: package, pipeline, gates and tests, which pass as they are."""

from __future__ import annotations

import contextlib
import keyword
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput, Problem
from mlops.lifecycle.desired import environments as environment
from mlops.scaffold import kinds
from mlops.scaffold.examples import example_of
from mlops.scaffold.kinds import TEMPLATES, Kind
from mlops.spec.files import gates_path, training_path
from mlops.spec.settings import FILE, Settings

if TYPE_CHECKING:
    from jinja2 import Environment

IMAGE = "container/requirements.txt"
CALLERS = {
    ".github/workflows/train.yml": ("ci/github.yml", ".github/workflows/train-{}.yml"),
    "pipelines/azure-devops/templates/train.yml": ("ci/azure.yml", "pipelines/azure-devops/train-{}.yml"),
}
"""By the file that trains any model on a CI system: the template of what calls it for one, and its place."""
_COPIED = ("components/{}.yml", ("prep", "validate", "evaluate", "explain", "register"))
"""Components that know no use case but by name; whoever has changed one wants the change here too."""


def new_model(
    root: Path, settings: Settings, name: str, task: str | None = None, kind: str = kinds.DEFAULT
) -> list[str]:
    """Write the files of a use case called `name`; returns their paths, relative to `root`.

    Without a task the kind says what it answers.
    Raises `InvalidInput` when the name is taken or is no name, before anything is written.
    """
    package = _package(root, settings, name)
    chosen = kinds.kind(kind)
    texts = _rendered(name, package, chosen, kinds.task_of(chosen, task))
    copied = _copied(root, settings, name, package, chosen)
    prep = f"pipelines/{name}/components/prep.yml"
    if "split:" in copied[prep]:  # else it is from before rows could be split by anything but time
        texts.pop(prep)
    texts = copied | texts
    texts |= callers(root, name, package)
    if there := sorted(path for path in texts if (root / path).exists()):
        raise InvalidInput(Problem(there[0], f"exists; choose another name than {name!r}, or remove it"))
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    before = (root / FILE).read_text(encoding="utf-8")
    (root / FILE).write_text(with_model(before, name, package), encoding="utf-8")
    changed = [FILE]
    installed = environment.install(root, chosen.groups, image=not chosen.trains_only)
    if installed:
        changed += installed
        # A lock behind its project is no reason to leave half a model: the caller sees what is missing.
        with contextlib.suppress(InvalidInput):
            changed += [IMAGE] if environment.write_image(root) else []
    return [*sorted(texts), *changed]


def with_model(text: str, name: str, package: str) -> str:
    """`mlops.toml` with one model more, beside the others; every other byte stays."""
    block = f'[models.{name}]\nusecase = "{package}"\n'
    sections = list(re.finditer(r"^\[models\.[^\]]*\]\n(?:[^\[\n][^\n]*\n)*", text, re.MULTILINE))
    if not sections:
        return f"{text.rstrip()}\n\n{block}"
    end = sections[-1].end()
    return f"{text[:end]}\n{block}{text[end:]}"


def _package(root: Path, settings: Settings, name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,26}", name):
        raise InvalidInput(
            f"{name!r} cannot name a model: 2 to 27 lower-case letters, digits or '-', starting with a letter"
        )
    if name in settings.models:
        raise InvalidInput(Problem(FILE, f"the model {name!r} exists already", f"models.{name}"))
    package = name.replace("-", "_")
    taken = (
        package in sys.stdlib_module_names or keyword.iskeyword(package) or (root / "src" / package).exists()
    )
    if taken or package in {"mlops", "infra", "tests"}:
        raise InvalidInput(f"{name!r} cannot name a model: the Python package {package!r} exists already")
    return package


def callers(root: Path, name: str, package: str) -> dict[str, str]:
    """What trains a model on a push, for each CI system that the fork has kept: text by path."""
    facts = {"name": name, "package": package.replace(".", "/")}
    return {
        place.format(name): _templates().get_template(f"{template}.jinja").render(facts)
        for called, (template, place) in CALLERS.items()
        if (root / called).is_file()
    }


def _rendered(name: str, package: str, kind: Kind, task: str) -> dict[str, str]:
    facts: dict[str, Any] = {
        "name": name,
        "package": package,
        "task": task,
        "kind": kind,
        "data": example_of(kind, task),
        "estimator": kind.estimator(task),
    }
    folders = [TEMPLATES / "base", kinds.FOLDER / kind.name]
    paths = sorted({p.relative_to(folder).as_posix() for folder in folders for p in folder.rglob("*.jinja")})
    templates = _templates(kind.name)
    return {
        _place(path.removesuffix(".jinja"), name, package): templates.get_template(path).render(facts)
        for path in paths
    }


def _place(path: str, name: str, package: str) -> str:
    """Where in the fork the template at `path` goes."""
    room, _, rest = path.partition("/")
    if path == "pipeline/training.yml":
        return training_path(name)
    if path == "pipeline/model.yaml":
        return gates_path(name)
    if room == "tests":
        return f"tests/unit/{package}/{rest.replace('usecase', package)}"
    return f"src/{package}/{rest}" if room == "usecase" else f"pipelines/{name}/{rest}"


def _templates(kind: str = "") -> Environment:
    """Those of a kind come before those of every model, which are also there as `base/…` to extend."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Azure ML's own expressions are written ${{…}}, so these have other brackets.
    environment = Environment(
        loader=FileSystemLoader([*([kinds.FOLDER / kind] if kind else []), TEMPLATES / "base", TEMPLATES]),
        undefined=StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  what is made is Python and YAML, from names that were checked
    )
    environment.filters["sorted_imports"] = _sorted_imports
    return environment


def _sorted_imports(text: str) -> str:
    """Lines as the linter wants them, whatever the package's name begins with."""
    lines = [line for line in text.splitlines() if line]
    return "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.split()[1]))


def _copied(root: Path, settings: Settings, name: str, package: str, kind: Kind) -> dict[str, str]:
    """Components and environment of a model that is there, with the use case's name replaced."""
    more = environment.pins(root, kind.groups) if kind.groups else {}
    for model, chosen in sorted(settings.models.items()):
        folder = root / "pipelines" / model
        pattern, names = _COPIED
        wanted = [pattern.format(n) for n in names]
        wanted += [f"environment/{p.name}" for p in sorted(folder.glob("environment/*")) if p.is_file()]
        if all((folder / path).is_file() for path in wanted) and len(wanted) > len(names):
            known = kinds.groups()
            texts = {
                path: environment.plain((folder / path).read_text(encoding="utf-8"), root, model, known)
                for path in wanted
            }
            return {
                f"pipelines/{name}/{path}": environment.with_pins(
                    text, kind.groups, more, trains_only=kind.trains_only
                ).replace(f"default: {chosen.usecase}}}", f"default: {package}}}")
                for path, text in texts.items()
            }
    raise InvalidInput(
        Problem(
            "pipelines",
            "no model has all components and an environment to start from; take them back from git",
        )
    )
