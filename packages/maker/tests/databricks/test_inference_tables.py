"""What inference tables hold becomes the rows that a laptop captures; with one lost, doubled or under another
release, monitoring would judge traffic that never was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlops.errors import InvalidInput, TargetError
from mlops.serving import testing
from mlops.spec.capture import CaptureSettings
from mlops.targets.databricks import observations as module
from mlops.targets.databricks._logged import Logged, NotRows, rows_of
from mlops.targets.databricks.observations import DatabricksObservations
from tests.contracts.endpoints import ENV, MODEL, create
from tests.databricks.bench import DatabricksBench, write_artifacts
from tests.databricks.emulator import Emulator

NAME = "flights-mlops-freight-prod"
TABLE = "prod.ml.freight_payload"


@pytest.fixture
def bench(tracked: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatabricksBench:
    monkeypatch.setattr("mlops.targets.databricks._statements._PAUSE", 0.01)
    made = DatabricksBench(tracked, write_artifacts(tmp_path / "artifacts"), tmp_path / "fork")
    _configure(made, CaptureSettings(enabled=True), tracked.warehouse.id)
    return made


def _configure(bench: DatabricksBench, capture: CaptureSettings, warehouse: str) -> None:
    settings = bench.settings
    model = settings.models[MODEL].model_copy(update={"capture": capture})
    databricks = settings.databricks.model_copy(update={"warehouse": warehouse})
    bench.settings = settings.model_copy(update={"models": {MODEL: model}, "databricks": databricks})
    bench.connection.settings = bench.settings


def _rows(bench: DatabricksBench, **window: datetime) -> list[dict[str, Any]]:
    """As another process finds them."""
    paths = DatabricksObservations(bench.again()._connection).captured(ENV, MODEL, **window)
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def _ask(bench: DatabricksBench, rows: int = 1, **cells: Any) -> list[float]:
    """A request of a user: he names no deployment."""
    return list(bench.endpoints.score(ENV, MODEL, testing.body(rows, **cells))["predictions"])


def test_requests_of_users_are_rows_with_release_and_prediction(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    answers = _ask(bench, 2) + _ask(bench, distance=700.0)
    bench.endpoints.score(ENV, MODEL, testing.body(), "blue")  # a smoke test's: nobody's traffic
    with pytest.raises(TargetError):
        bench.endpoints.score(ENV, MODEL, {"dataframe_split": {"columns": ["x"], "data": [[1]]}})
    rows = _rows(bench)
    assert [row["_prediction"] for row in rows] == pytest.approx(answers)
    assert [row["distance"] for row in rows] == [500.0, 500.0, 700.0]
    assert [row["_row"] for row in rows] == [0, 1, 0]
    assert {(row["_deployment"], row["_version"], row["carrier"]) for row in rows} == {("blue", 1, "AA")}
    assert len({row["_request_id"] for row in rows}) == 2


def test_each_release_has_its_own_rows(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    _ask(bench)
    create(bench, "green", 2, "two")
    bench.endpoints.set_traffic(ENV, MODEL, {"green": 100})
    _ask(bench)
    assert [(r["_deployment"], r["_version"]) for r in _rows(bench)] == [("blue", 1), ("green", 2)]


def test_a_number_of_the_copy_is_not_the_number_of_the_release(bench: DatabricksBench) -> None:
    create(bench, "blue", 5, "one")
    assert list(bench.workspace.unity.models["prod.ml.freight"].versions) == [1]
    _ask(bench)
    assert [row["_version"] for row in _rows(bench)] == [5]


def test_pages_chunks_and_a_warehouse_that_sleeps(
    bench: DatabricksBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of one moment stand on both sides of a page's end, and none is lost or doubled."""
    monkeypatch.setattr(module, "_PAGE", 4)
    create(bench, "blue", 1, "one")
    _ask(bench)
    entity = bench.workspace.serving.endpoints[NAME].config.entities[0].id  # type: ignore[union-attr]
    moment = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for number in range(11):
        bench.workspace.warehouse.log(
            TABLE, databricks_request_id=f"r{number:02}", request_time=moment, status_code=200,
            served_entity_id=entity, response='{"predictions": [[0.25, 0.75]]}',
            request='{"dataframe_records": [{"carrier": "AA", "distance": 1.0}]}',
        )  # fmt: skip
    bench.workspace.warehouse.asleep = 2
    assert sorted(r["_request_id"] for r in _rows(bench))[-11:] == [f"r{n:02}" for n in range(11)]
    assert len(_rows(bench)) == 12


def test_what_is_old_is_fetched_once_and_what_is_new_again(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    _ask(bench)
    entity = bench.workspace.serving.endpoints[NAME].config.entities[0].id  # type: ignore[union-attr]

    def log(hours: int) -> datetime:
        at = datetime.now(UTC) - timedelta(hours=hours)
        bench.workspace.warehouse.log(
            TABLE, databricks_request_id=f"at{hours}", request_time=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            status_code=200, served_entity_id=entity, response="[0.5]",
            request='{"inputs": {"carrier": ["AA"], "distance": [1]}}',
        )  # fmt: skip
        return at

    log(30)
    old = log(9)
    assert len(_rows(bench)) == 3
    log(1)  # came late
    assert len(_rows(bench)) == 4
    log(9)  # nothing comes as late as this: it is not asked for again
    assert len(_rows(bench)) == 4
    window = {"since": old - timedelta(hours=1), "until": old + timedelta(hours=1)}
    assert [row["_request_id"] for row in _rows(bench, **window)] == ["at9"]


def test_lines_that_are_no_rows_are_set_aside_and_counted(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    _ask(bench)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    bench.workspace.warehouse.log(
        TABLE, databricks_request_id="of-nobody", request_time=moment, status_code=200,
        served_entity_id="gone", request="{}", response="{}",
    )  # fmt: skip
    observations = DatabricksObservations(bench.connection)
    paths = observations.captured(ENV, MODEL)
    counts = [int(pq.read_schema(path).metadata[b"mlops.set_aside"]) for path in paths]
    assert sum(counts) == 1
    (aside,) = paths[0].parent.glob("set-aside/*.jsonl")
    assert "of-nobody" in aside.read_text()
    assert len(_rows(bench)) == 1


def test_records_are_kept_once_in_the_volume(bench: DatabricksBench) -> None:
    observations = DatabricksObservations(bench.connection)
    assert observations.files(ENV, MODEL, "verdicts") == []
    assert observations.add(ENV, MODEL, "verdicts", "a.json", b"1")
    assert not observations.add(ENV, MODEL, "verdicts", "a.json", b"2")
    other = DatabricksObservations(bench.again()._connection)
    assert [(p.name, p.read_bytes()) for p in other.files(ENV, MODEL, "verdicts")] == [("a.json", b"1")]
    with pytest.raises(InvalidInput):
        observations.add(ENV, MODEL, "labels", "../a", b"")


def test_a_model_that_is_not_captured_logs_nothing_and_asks_no_warehouse(bench: DatabricksBench) -> None:
    _configure(bench, CaptureSettings(), "")
    create(bench, "blue", 1, "one")
    _ask(bench)
    assert bench.workspace.serving.endpoints[NAME].gateway == {}
    assert _rows(bench) == []


def test_capture_goes_on_and_off_with_its_setting(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    state = bench.endpoints.state(ENV, MODEL)
    assert not state.outdated(state.deployments[0])
    _configure(bench, CaptureSettings(), bench.workspace.warehouse.id)
    state = bench.endpoints.state(ENV, MODEL)
    assert state.outdated(state.deployments[0]), "diff says that there is something to do"
    create(bench, "green", 1, "one")
    assert bench.workspace.serving.endpoints[NAME].gateway["inference_table_config"] == {"enabled": False}


@pytest.mark.parametrize("choice", [{"exclude": ["carrier"]}, {"sample_rate": 0.5}])
def test_what_a_table_cannot_keep_is_refused_before_anything_is_made(
    bench: DatabricksBench, choice: dict[str, Any]
) -> None:
    _configure(bench, CaptureSettings(enabled=True, **choice), bench.workspace.warehouse.id)
    with pytest.raises(InvalidInput) as refused:
        create(bench, "blue", 1, "one")
    assert refused.value.problems[0].field == f"models.freight.capture.{next(iter(choice))}"
    assert bench.workspace.serving.endpoints == {}


def test_failures_are_sentences(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    with pytest.raises(TargetError, match="TABLE_OR_VIEW_NOT_FOUND"):
        _rows(bench)  # nobody has asked yet, and the table comes with the first request
    bench.workspace.warehouse.refuse = "PERMISSION_DENIED: no SELECT on the table"
    _ask(bench)
    with pytest.raises(TargetError, match="no SELECT on the table"):
        _rows(bench)
    _configure(bench, CaptureSettings(enabled=True), "")
    with pytest.raises(InvalidInput) as refused:
        _rows(bench)
    assert refused.value.problems[0].field == "databricks.warehouse"


@pytest.mark.parametrize(
    ("request_", "response", "why"),
    [
        ("no", "[1]", "request is no JSON"),
        ("{}", "[1]", "request is no table"),
        ('{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', "[1]", "request is no table"),
        ('{"instances": [[1.0]]}', "[1]", "request is no table"),
        ('{"dataframe_records": [{"a": 1}]}', "no", "response is no JSON"),
        ('{"dataframe_records": [{"a": 1}]}', "[1, 2]", "not one prediction a row"),
        ('{"dataframe_records": [{"a": 1}]}', '["yes"]', "which is no number"),
        ('{"dataframe_records": [{"a": 1}]}', "[true]", "which is no number"),
    ],
)
def test_a_line_counts_as_a_whole_or_not_at_all(request_: str, response: str, why: str) -> None:
    with pytest.raises(NotRows, match=why):
        rows_of(Logged("r", "2026-11-20T12:00:00Z", request_, response, "blue", "1"), 1, binary=False)
