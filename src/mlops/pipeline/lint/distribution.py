"""Distributed steps: settings that Azure ML drops because they belong to another type."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.errors import Problem
from mlops.pipeline.models import DISTRIBUTION_FIELDS, Distribution
from mlops.pipeline.read import Loc, Step
from mlops.spec._yaml import Document


def check_distribution(step: Step) -> Iterator[Problem]:
    """Problems of the distribution that a component or its job has."""
    component, node = step.component.distribution, step.node.distribution
    if component is not None:
        yield from _fields(component, step.document, (*step.prefix, "distribution"))
    if node is not None and node is not component:
        yield from _fields(node, step.owner[1], ("jobs", step.name, "distribution"))


def _fields(distribution: Distribution, document: Document, loc: Loc) -> Iterator[Problem]:
    allowed = DISTRIBUTION_FIELDS[distribution.type]
    for field in sorted(distribution.model_fields_set - {"type", *allowed}):
        owners = [kind for kind, fields in DISTRIBUTION_FIELDS.items() if field in fields]
        message = f"is for {' and '.join(owners)}; {distribution.type} has {', '.join(allowed)}"
        yield document.problem((*loc, field), message)
