"""Scaffold a use case: package, pipeline, gates and tests, which pass as they are."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput, Problem
from mlops.scaffold.examples import EXAMPLES
from mlops.spec.files import gates_path, training_path
from mlops.spec.schema import Task
from mlops.spec.settings import FILE, Settings

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
CALLERS = {
    ".github/workflows/train.yml": ("ci/github.yml", ".github/workflows/train-{}.yml"),
    "pipelines/azure-devops/templates/train.yml": ("ci/azure.yml", "pipelines/azure-devops/train-{}.yml"),
}
"""By the file that trains any model on a CI system: the template of what calls it for one, and its place."""
_COPIED = ("components/{}.yml", ("prep", "validate", "evaluate", "explain", "register"))
"""Components that know no use case but by name; whoever has changed one wants the change here too."""


def new_model(root: Path, settings: Settings, name: str, task: Task) -> list[str]:
    """Write the files of a use case called `name`; returns their paths, relative to `root`.

    Raises `InvalidInput` when the name is taken or is no name, before anything is written.
    """
    package = _package(root, settings, name)
    copied = _copied(root, settings, name, package)
    prep = f"pipelines/{name}/components/prep.yml"
    if "split:" not in copied[prep]:  # from before rows could be split by anything but time
        copied.pop(prep)
    texts = _rendered(name, package, task) | copied
    texts |= callers(root, name, package)
    if there := sorted(path for path in texts if (root / path).exists()):
        raise InvalidInput(Problem(there[0], f"exists; choose another name than {name!r}, or remove it"))
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    before = (root / FILE).read_text(encoding="utf-8")
    (root / FILE).write_text(with_model(before, name, package), encoding="utf-8")
    return [*sorted(texts), FILE]


def with_model(text: str, name: str, package: str) -> str:
    """`mlops.toml` with one model more, beside the others; every other byte stays."""
    block = f'[models.{name}]\nusecase = "{package}"\n'
    found = list(re.finditer(r"^\[models\.[^\]]*\]\n(?:[^\[\n][^\n]*\n)*", text, re.MULTILINE))
    if not found:
        return f"{text.rstrip()}\n\n{block}"
    end = found[-1].end()
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


def _rendered(name: str, package: str, task: Task) -> dict[str, str]:
    kind = "Regressor" if task == "regression" else "Classifier"
    facts: dict[str, Any] = {
        "name": name,
        "package": package,
        "task": task,
        "data": EXAMPLES[task],
        "estimator": f"HistGradientBoosting{kind}",
    }
    folder = f"pipelines/{name}"
    places = {
        **{f"usecase/{m}.py": f"src/{package}/{m}.py" for m in ("__init__", "columns", "data", "model")},
        "pipeline/training.yml": training_path(name),
        "pipeline/model.yaml": gates_path(name),
        "pipeline/data.yml": f"{folder}/data.yml",
        "pipeline/monitor.yml": f"{folder}/monitor.yml",
        "pipeline/train.yml": f"{folder}/components/train.yml",
        "pipeline/prep.yml": f"{folder}/components/prep.yml",
        "tests/test_usecase.py": f"tests/unit/{package}/test_{package}.py",
    }
    templates = _templates()
    return {
        place: templates.get_template(f"{template}.jinja").render(
            facts, imports=_imports(package, tests=template.startswith("tests/"))
        )
        for template, place in places.items()
    }


def _imports(package: str, *, tests: bool) -> str:
    """Sorted as the linter wants them, whatever the package's name begins with."""
    own = [f"from {package}.columns import INPUTS, TARGET"]
    own += [f"from {package} import usecase"] if tests else []
    errors = "from mlops.errors import InvalidInput" + ("" if tests else ", Problem")
    lines = [*own, errors]
    lines += ["from mlops.spec.split import Split", "from mlops.steps.split import sides"] if tests else []
    return "\n".join(sorted(lines, key=lambda line: line.split()[1]))


def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Azure ML's own expressions are written ${{…}}, so these have other brackets.
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
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


def _copied(root: Path, settings: Settings, name: str, package: str) -> dict[str, str]:
    """Components and environment of a model that is there, with the use case's name replaced."""
    for model, chosen in sorted(settings.models.items()):
        folder = root / "pipelines" / model
        pattern, names = _COPIED
        wanted = [pattern.format(n) for n in names]
        wanted += [f"environment/{p.name}" for p in sorted(folder.glob("environment/*")) if p.is_file()]
        if all((folder / path).is_file() for path in wanted) and len(wanted) > len(names):
            return {
                f"pipelines/{name}/{path}": (folder / path)
                .read_text(encoding="utf-8")
                .replace(f"default: {chosen.usecase}}}", f"default: {package}}}")
                for path in wanted
            }
    raise InvalidInput(
        Problem(
            "pipelines",
            "no model has all components and an environment to start from; take them back from git",
        )
    )
