"""A job's file and the files it names, read for a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.documents import open_document, shown
from mlops.pipeline.lower import lower
from mlops.pipeline.models import Environment
from mlops.pipeline.parts import Loc, Pipeline, Step
from mlops.spec._yaml import Document


def read_pipeline(
    path: Path,
    document: Document | None = None,
    stand_ins: Mapping[str, Path] | None = None,
    only: Collection[str] = (),
) -> tuple[Pipeline | None, list[Problem]]:
    """The pipeline that a job's file amounts to, and what this machine cannot run of it.

    Jobs that cannot be had are left out of `steps`; their problems say why. The pipeline is None when the
    file itself is no job. `only`: steps; what they do not need may be what this machine cannot run.
    """
    try:
        return lower(path, document or open_document(path), stand_ins or {}, only)
    except InvalidInput as error:
        return None, list(error.problems)


def not_here(path: Path) -> list[Problem]:
    """What this machine cannot run of a job that Azure ML takes."""
    return read_pipeline(path)[1]


def load_pipeline(
    path: Path, stand_ins: Mapping[str, Path] | None = None, only: Collection[str] = ()
) -> Pipeline:
    """The pipeline; raises `InvalidInput` with everything that `read_pipeline` finds."""
    pipeline, problems = read_pipeline(path, stand_ins=stand_ins, only=only)
    if problems or pipeline is None:
        raise InvalidInput(problems)
    return pipeline


def read_environment(step: Step) -> tuple[Environment | None, Document, Loc, Path]:
    """A step's environment with the place of its fields; None when there is none, or in a workspace.

    A node's own `environment` wins over the component's. Raises `InvalidInput` when its file is wrong.
    """
    owner, part = step.owner, step.part
    if step.node.environment is not None:
        return resolve_environment(
            step.node.environment, owner.document, (*owner.loc, "environment"), owner.path
        )
    inside = ("task", "environment") if part.kind == "parallel" else ("environment",)
    return resolve_environment(step.component.environment, part.document, (*part.loc, *inside), part.path)


def resolve_environment(
    environment: Environment | None, document: Document, loc: Loc, path: Path
) -> tuple[Environment | None, Document, Loc, Path]:
    """Follow `file:` of an environment field; see `read_environment`."""
    reference = environment.reference if environment is not None else None
    if environment is None or reference is None:
        return environment, document, loc, path
    if reference.startswith(("azureml:", "azureml://")):
        return None, document, loc, path
    file = path.parent / reference.removeprefix("file:")
    if not file.is_file():
        raise InvalidInput(document.problem(loc, f"the file {reference!r} does not exist ({shown(file)})"))
    inner = open_document(file)
    return inner.parse(Environment), inner, (), file
