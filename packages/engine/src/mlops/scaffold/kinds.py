"""What `mlops new-model --kind` can make: one folder a kind, found and never listed.

A folder of `templates/kinds` holds `kind.toml`, which says what `Kind` says, and templates. A template of the
same path as one in `templates/base` takes its place; any other is one file more.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.spec._base import Spec
from mlops.spec.schema import Task
from mlops.spec.tasks import CLASSES

TEMPLATES = Path(__file__).with_name("templates")
FOLDER, FILE = TEMPLATES / "kinds", "kind.toml"
DEFAULT = "sklearn"


class Parameter(Spec):
    """One hyper-parameter: an input of the component `train`, and a default in `model.py`."""

    name: str
    type: Literal["number", "integer"]
    default: int | float
    min: int | float
    max: int | float


class Example(Spec):
    """What the templates say about a data set. `limits` are flow mappings as `model.yaml` wants them."""

    title: str
    question: str
    target: str
    license: str
    rows: int
    metric: str
    direction: Literal["higher", "lower"]
    max_drop: float
    parity: float
    """Largest difference that float32 explains, in units of the answer."""
    limits: Mapping[str, str] = {}
    loader: str = ""
    """A function of `sklearn.datasets`; empty where the kind's own `data.py` makes the raw data."""
    options: str = ""
    columns: list[str] = []
    """The inputs, where no loader names them."""


class Kind(Spec):
    """One kind of model."""

    name: str
    about: str
    """One line for `--help` and the guide."""
    tasks: list[str] = Field(["binary", "multiclass", "regression"], min_length=1)
    """What such a model can answer; the first one is made when nobody says which."""
    groups: list[str] = []
    """Dependency groups of `pyproject.toml` beyond those that every fork installs."""
    trains_only: bool = False
    """Its library trains and does not answer: neither the image nor an endpoint's environment holds it, and
    the gates ask for a graph."""
    classifier: str = ""
    """Name of the estimator's class, where the template asks for it."""
    regressor: str = ""
    parameters: list[Parameter] = []
    examples: dict[str, Example] = {}
    """By task: data other than those of `mlops.scaffold.examples`."""

    def estimator(self, task: str) -> str:
        """The class for `task`."""
        return self.classifier if task in CLASSES else self.regressor


def names() -> list[str]:
    """Every kind, the usual one first."""
    every = sorted(p.parent.name for p in FOLDER.glob(f"*/{FILE}"))
    return [DEFAULT, *(name for name in every if name != DEFAULT)]


def kind(name: str) -> Kind:
    """Raises `InvalidInput` that lists the kinds there are."""
    if name not in names():
        raise InvalidInput(f"there is no kind of model {name!r}; there are {', '.join(names())}")
    path = FOLDER / name / FILE
    try:
        return Kind.model_validate({"name": name, **tomllib.loads(path.read_text(encoding="utf-8"))})
    except ValidationError as error:
        raise InvalidInput(
            [Problem(str(path), e["msg"], ".".join(map(str, e["loc"]))) for e in error.errors()]
        ) from None


def groups() -> list[str]:
    """Every group of dependencies that some kind needs, and a fork may do without."""
    return sorted({group for name in names() for group in kind(name).groups})


MODULES = {"pillow": "PIL"}
"""What a group is imported by, where that is not its own name."""


def missing(name: str) -> list[str]:
    """Groups of the kind whose library cannot be imported here."""
    return [group for group in kind(name).groups if find_spec(MODULES.get(group, group)) is None]


def task_of(chosen: Kind, task: str | None) -> Task:
    """The task to make. Raises `InvalidInput` when such a model cannot answer it."""
    if task is None:
        task = chosen.tasks[0]
    if task not in chosen.tasks:
        other = [name for name in names() if task in kind(name).tasks]
        instead = f"; take --kind {' or '.join(other)}" if other else ""
        raise InvalidInput(
            f"a model of the kind {chosen.name!r} has the task {' or '.join(chosen.tasks)}, "
            f"not {task!r}{instead}"
        )
    return task  # type: ignore[return-value]
