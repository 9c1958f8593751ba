"""Every ARM body that the program leads to must be one that Azure's official types accept.

Mocks take any enum, any type and any key; Azure refuses them after minutes, or accepts and ignores them.
Where `ARM_TYPES` does not point at a copy of the official types, the tests that need them are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from arm_oracle import Oracle
from graphs import MODEL, STACKS, TAKES, plan
from mlops.infra.arm_types import ARM_TYPES
from mlops.infra.model import Captured
from mlops.infra.plan.arm import template

_FOLDER = os.environ.get("ARM_TYPES")
pytestmark = pytest.mark.skipif(
    not _FOLDER,
    reason="ARM_TYPES does not name a folder with Azure's official types (see docs/infrastructure.md)",
)
_TOKENS = {entry.type: token for token, entry in ARM_TYPES.items()}
# The copy lacks these types, so only azure-native's own classes judge them. One that it gains must leave this
# list.
_NOT_COVERED = {
    "authorization:RoleDefinition",
    "databricks:AccessConnector",
    "kubernetesconfiguration:Extension",
    # Data Factory has something to start only where a model takes deliveries.
    *(f"datafactory:{name}" for name in ("Dataset", "LinkedService", "Pipeline", "Trigger") if TAKES),
}


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    assert _FOLDER
    return Oracle(Path(_FOLDER))


def _resources(captured: Captured) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in template(captured)["resources"]:
        yield _TOKENS[resource["type"]], resource


@pytest.mark.parametrize("everything", [False, True], ids=["as committed", "every option on"])
@pytest.mark.parametrize("stack", STACKS)
def test_bodies_and_names_fit_the_official_types(oracle: Oracle, stack: str, everything: bool) -> None:
    wrong = [
        f"{resource['metadata']['resource']}: {problem}"
        for token, resource in _resources(plan(stack, everything=everything))
        if token not in _NOT_COVERED
        for problem in oracle.problems(token, resource)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_listed_types_escape_the_oracle(oracle: Oracle) -> None:
    used = {token for stack in STACKS for token, _ in _resources(plan(stack, everything=True))}
    assert {token for token in used if token not in oracle} == _NOT_COVERED


def _put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(resource: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        target: Any = resource
        for parent in parents:
            target = target[int(parent)] if parent.isdigit() else target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value

    return edit


@pytest.mark.parametrize(
    ("resource", "path", "value", "sentence"),
    [
        ("workspace", "properties/systemDatastoresAuthMode", "identity", "must be one of"),
        ("storage", "properties/minimumTlsVersion", "TLS1.2", "must be one of"),
        ("storage", "sku/name", "Standard_XRS", "must be one of"),
        ("storage", "kind", None, "kind is required"),
        ("storage", "name", "st-with-dash", "name must match"),
        ("storage", "properties/isHnsEnabled", "yes", "must be true or false"),
        ("storage", "properties/allowSharedKeys", False, "is no property"),
        ("storage", "properties/provisioningState", "Succeeded", "is read-only"),
        ("storage", "apiVersion", "2015-01-01", "the official type is"),
        ("compute-cpu-cluster", "properties/computeType", "AmlCluster", "must be one of"),
        (
            "compute-cpu-cluster",
            "properties/properties/scaleSettings/maxNodeCount",
            "four",
            "must be a number",
        ),
        ("workspace", "properties/imageBuildCompute", ["cpu"], "must be text"),
        # Its logical name holds its physical one, so its type finds it.
        ("consumption:Budget", "properties/notifications", [], "must be an object"),
        (f"alert-latency-{MODEL}", "properties/criteria/odata.type", "x", "must be one of"),
        ("network", "properties/addressSpace/addressPrefixes", "10.0.0.0/8", "must be a list"),
        ("trust-apply-github", "name", "id/x", "name must match"),
    ],
)
def test_oracle_blocks_a_wrong_edit(
    oracle: Oracle, resource: str, path: str, value: Any, sentence: str
) -> None:
    token, body = next(
        (token, deepcopy(body))
        for token, body in _resources(plan("prod"))
        if resource in {token, body["metadata"]["resource"]}
    )
    assert not oracle.problems(token, body)
    _put(path, value)(body)
    assert any(sentence in problem for problem in oracle.problems(token, body)), oracle.problems(token, body)
