"""docs/databricks-evidence.md says what is recorded, and what is recorded is what the tests ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from databricks.sdk.service.serving import TrafficConfig

from tests.databricks import evidence
from tests.databricks.emulator import Emulator, Refused, Request
from tests.databricks.emulator.typed import held, of_sdk

ENDPOINTS = "GET /api/2.0/serving-endpoints"


@pytest.fixture(autouse=True)
def comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_PATH", None)


def test_the_page_is_what_was_recorded():
    page = evidence.PAGE.read_text(encoding="utf-8")
    assert page == evidence.render(evidence.recorded()), f"write it anew: {evidence.COMMAND} --page"


@pytest.mark.parametrize(
    "asked", [{"GET /api/2.0/clusters/list": set()}, {ENDPOINTS: {"serving.NothingThatIsKnown"}}]
)
def test_an_operation_or_a_type_that_is_not_recorded_makes_the_page_stale(asked: dict[str, set[str]]):
    evidence.record({ENDPOINTS: set()})
    with pytest.raises(AssertionError, match="is stale, it lacks"):
        evidence.record(asked)


@pytest.mark.parametrize(
    "operation",
    [
        "POST /api/2.2/jobs/runs/submit",
        "POST /api/2.0/serving-endpoints",
        "PUT /api/2.0/serving-endpoints/{name}/config",
        "POST /api/2.0/mlflow/unity-catalog/model-versions/create",
    ],
)
def test_what_changes_a_workspace_is_held_to_types(operation: str):
    assert evidence.recorded()[operation]


def test_only_a_body_that_is_one_whole_counts_as_held():
    with held() as kinds:
        with pytest.raises(Refused):
            of_sdk(TrafficConfig, {"routes": [], "mirror": "green"})
        assert kinds == set()
        of_sdk(TrafficConfig, {"routes": [{"served_model_name": "blue", "traffic_percentage": 100}]})
    assert kinds == {"serving.TrafficConfig"}
    of_sdk(TrafficConfig, {})
    assert kinds == {"serving.TrafficConfig"}, "nobody listens any more"


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/api/2.0/fs/files/Volumes/dev/ml/mlops/a.json", "GET /api/2.0/fs/files/{path}"),
        ("PUT", "/api/2.0/serving-endpoints/a-b/config", "PUT /api/2.0/serving-endpoints/{name}/config"),
        ("POST", "/api/2.0/mlflow/runs/create", "POST /api/2.0/mlflow/runs/create"),
    ],
)
def test_an_operation_has_no_names(tmp_path: Path, method: str, path: str, operation: str):
    with Emulator(tmp_path) as made:
        assert made.router.operation(Request(method, path, {}, {})) == operation
