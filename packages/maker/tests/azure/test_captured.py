"""What Azure ML's data collector wrote becomes the rows that a laptop captures: with a row lost, doubled or
under another request's id, monitoring would judge traffic that never was, and labels the wrong answers."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
import requests

from mlops.errors import InvalidInput, TargetError
from mlops.serving import testing
from mlops.serving.capture.capture_files import _batch
from mlops.serving.capture.collector import BACKLOG
from mlops.serving.capture.recorder import Origin, Record
from mlops.spec.online import OnlineSettings
from mlops.spec.schema import ModelSchema
from mlops.targets.azure._collected import Hour
from mlops.targets.azure.observations import SET_ASIDE, AzureObservations
from mlops.targets.azure.store import CONTAINER, AzureStore
from tests.azure.emulator import Answer, Emulator
from tests.azure.emulator.http import Request
from tests.azure.online_bench import IMAGE, AzureBench, settings_with
from tests.contracts.endpoints import ENV, MODEL, create, write_artifacts

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def bench(logged_in: Emulator, tmp_path: Path) -> AzureBench:
    made = AzureBench(
        logged_in,
        write_artifacts(tmp_path / "artifacts"),
        settings_with(OnlineSettings(image=IMAGE), state=tmp_path / "state"),
    )
    logged_in.online.add(made.workspace.id, made.name)
    return made


@pytest.fixture
def observations(bench: AzureBench) -> AzureObservations:
    return _another(bench)


def _another(bench: AzureBench) -> AzureObservations:
    """As another process opens it."""
    connection = bench.again()._connection
    return AzureObservations(connection, AzureStore(connection))


class Collected:
    """Files of a collector that a test writes by hand, for the deployment `blue`."""

    def __init__(self, bench: AzureBench) -> None:
        self.bench, self.account = bench, bench.workspace.account
        for collection in ("model_inputs", "model_outputs"):
            uri = f"azureml://datastores/captured/paths/{self.path(collection)}"
            properties = {"dataType": "uri_folder", "dataUri": uri, "properties": {}, "tags": {}}
            asset = f"{bench.workspace.id}/data/{bench.name}-blue-{collection}/versions/1"
            bench.emulator.arm.put(asset, {"properties": properties})

    def path(self, collection: str) -> str:
        return f"modelDataCollector/{self.bench.name}/blue/{collection}"

    def write(self, collection: str, at: datetime, *lines: str | dict[str, Any]) -> str:
        """The blob's name."""
        name = f"{self.path(collection)}/{at:%Y/%m/%d/%H}/instance.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self.bench.emulator.blobs.append(
            self.account, "captured", name, "".join(f"{t}\n" for t in texts).encode()
        )
        return name

    def pair(self, at: datetime, request: str, **fields: Any) -> None:
        """One answered row."""
        keys = {"correlationid": request, "_row": 0, "_time": at.isoformat(timespec="microseconds")}
        self.write("model_inputs", at, event([{"carrier": "AA", "distance": 500.0, **keys}]))
        output = {"_prediction": 0.25, "_version": 1, "_deployment": "blue", **keys, **fields}
        self.write("model_outputs", at, event([output]))


def event(rows: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "azureml.inference.x",
        "data": rows,
        "correlationid": "of the event",
    }


@pytest.fixture
def collected(bench: AzureBench) -> Collected:
    return Collected(bench)


def _table(files: list[Path]) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in files], promote_options="permissive")


def test_our_container_through_the_collector_gives_the_rows_of_local_capture(
    bench: AzureBench, observations: AzureObservations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests at once, more than the collector's backlog, so that the agent puts several into one event and
    some have to wait; every row keeps its own id."""
    monkeypatch.setattr("tests.azure.emulator.collector._TOGETHER", 1.0)
    assert observations.captured(ENV, MODEL) == [], "nothing was ever deployed"
    create(bench, "blue", 1, "one")
    url, key = bench.endpoints.state(ENV, MODEL).url, bench.endpoints.key(ENV, MODEL)

    def ask(number: int) -> list[float]:
        body = testing.body(2, "AA", float(number)) if number else testing.body(2, "AA", None)
        headers = {"authorization": f"Bearer {key}", "x-request-id": f"request-{number:02d}"}
        answer = requests.post(url, json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-request-id"] == f"request-{number:02d}"
        return list(answer.json()["predictions"])

    began = datetime.now(UTC)
    assert BACKLOG < 2 * 40
    with ThreadPoolExecutor(8) as pool:
        predictions = list(pool.map(ask, range(40)))
    until = time.monotonic() + 60
    while sum(pq.read_metadata(p).num_rows for p in observations.captured(ENV, MODEL, began)) < 80:
        assert time.monotonic() < until, "the agent has not written all"
        time.sleep(0.1)

    table = _table(observations.captured(ENV, MODEL, began, datetime.now(UTC)))
    found = {(r["_request_id"], r["_row"]): r for r in table.to_pylist()}
    assert len(found) == table.num_rows == 80
    for number in range(40):
        for row in range(2):
            told = found[f"request-{number:02d}", row]
            assert told["_prediction"] == pytest.approx(predictions[number][row], abs=1e-9)
            assert (told["carrier"], told["distance"]) == ("AA", float(number) or None)
            assert (told["_deployment"], told["_version"]) == ("blue", 1)
            assert began - timedelta(seconds=1) < told["_time"] < datetime.now(UTC)
    events = [
        json.loads(line)
        for name in bench.emulator.blobs.names(bench.workspace.account, "captured")
        for line in (bench.emulator.blobs.read(bench.workspace.account, "captured", name) or b"").splitlines()
    ]
    assert len(events) < 80, "the agent put no two requests into one event, so this test shows nothing"
    schema = ModelSchema(model=MODEL, task="binary", columns=testing.columns(), classes=["0", "1"])
    local = _batch([Record(Origin(schema, "blue", 1), "r", 0.0, [("AA", 1.0)], np.array([0.5]))], [])
    assert {f.name: f.type for f in table.schema} == {f.name: f.type for f in local.schema}


def test_only_what_has_changed_is_fetched_again(
    bench: AzureBench, observations: AzureObservations, collected: Collected
) -> None:
    for hours in range(4):
        collected.pair(NOON + timedelta(hours=hours), f"r{hours}")
    start, end = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    names = [p.name[:16] for p in observations.captured(ENV, MODEL, start, end)]
    assert names == ["20261120T13-blue", "20261120T14-blue"], "an agent may write late"

    def downloads() -> int:
        return len(
            [e for e in bench.emulator.calls("GET", "/captured/") if e.request.path.endswith(".jsonl")]
        )

    before = downloads()
    assert before == 4
    again = _another(bench)
    assert len(again.captured(ENV, MODEL, start, end)) == 2
    assert downloads() == before
    collected.pair(NOON + timedelta(hours=1, minutes=5), "late")
    table = _table(again.captured(ENV, MODEL, start, end))
    assert downloads() == before + 2
    assert table.column("_request_id").to_pylist() == ["r1", "late", "r2"]
    assert len(list((bench.connection.state / "captured").rglob("*.parquet"))) == 2, "the old file went"


def halves(request: str) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = {"correlationid": request, "_row": 0, "_time": "2026-11-20T12:59:59.990000+00:00"}
    output = {"_prediction": 0.25, "_version": 1, "_deployment": "blue", **keys}
    return event([{"carrier": "AA", "distance": 500.0, **keys}]), event([output])


def unpaired(files: list[Path]) -> int:
    return sum(int((pq.read_schema(p).metadata or {})[b"mlops.unpaired"]) for p in files)


@pytest.mark.parametrize("late", ["model_inputs", "model_outputs"])
def test_a_row_whose_halves_are_written_before_and_after_the_hour_is_whole(
    bench: AzureBench, observations: AzureObservations, collected: Collected, late: str
) -> None:
    sides = dict(zip(("model_inputs", "model_outputs"), halves("turn"), strict=True))
    collected.pair(NOON, "r")
    collected.pair(NOON + timedelta(hours=1), "s")
    (early,) = set(sides) - {late}
    collected.write(early, NOON, sides[early], halves("lost")[0 if early == "model_inputs" else 1])
    files = observations.captured(ENV, MODEL, NOON, NOON + timedelta(hours=1))
    assert unpaired(files) == 2, "what is not there yet"
    collected.write(late, NOON + timedelta(hours=1), sides[late])
    for _ in range(2):
        files = _another(bench).captured(ENV, MODEL, NOON, NOON + timedelta(hours=1))
        assert sorted(_table(files).column("_request_id").to_pylist()) == ["r", "s", "turn"]
        assert unpaired(files) == 1
    whole = _table(files).filter(pa.compute.equal(_table(files).column("_request_id"), "turn")).to_pylist()
    assert (whole[0]["carrier"], whole[0]["distance"], whole[0]["_prediction"]) == ("AA", 500.0, 0.25)
    collected.write(early, NOON + timedelta(hours=1), sides[early])
    files = _another(bench).captured(ENV, MODEL, NOON, NOON + timedelta(hours=1))
    assert _table(files).column("_request_id").to_pylist().count("turn") == 1, "never twice"


def test_lines_that_cannot_be_read_are_counted_and_kept_with_the_reason(
    bench: AzureBench, observations: AzureObservations, collected: Collected
) -> None:
    collected.pair(NOON, "good")
    collected.pair(NOON, "text", _prediction="high")
    blob = collected.write(
        "model_outputs",
        NOON,
        '{"half',
        event([{"0": 1}]),
        {"type": "azureml.inference.model_outputs", "data": "https://st.blob.core.windows.net/x/y"},
        '["no event"]',
    )
    (path,) = observations.captured(ENV, MODEL)
    table = pq.read_table(path)
    assert table.column("_request_id").to_pylist() == ["good"]
    told = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    assert (told["mlops.set_aside"], told["mlops.unpaired"]) == ("5", "1")
    kept = path.parent / SET_ASIDE / "20261120T12-blue.jsonl"
    bad = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [b["line"] for b in bad] == [2, 3, 4, 5, 6]
    assert {b["blob"] for b in bad} == {blob}
    reasons = [b["reason"] for b in bad]
    assert "_prediction is 'high'" in reasons[0]
    assert "is no JSON" in reasons[1]
    assert "no correlationid, _row, _time, _prediction, _version: it was not captured by" in reasons[2]
    assert "beyond 4 MB" in reasons[3]
    assert "no list `data`" in reasons[4]


def test_a_column_without_a_value_and_several_classes() -> None:
    hour = Hour()
    keys = {"correlationid": "a", "_row": 0, "_time": "2026-11-20T12:00:00.000001+00:00"}
    hour.read("model_inputs", "b", json.dumps(event([{"x": None, "flag": True, **keys}])).encode())
    output = {"_prediction": [0.25, 0.75], "_version": 3, "_deployment": "blue", **keys}
    hour.read("model_outputs", "b", json.dumps(event([output])).encode())
    table = hour.table()
    assert (table.schema.field("x").type, table.schema.field("flag").type) == (pa.null(), pa.bool_())
    assert table.column("_prediction").to_pylist() == [[0.25, 0.75]]
    assert table.column("_time").to_pylist()[0].microsecond == 1


def _refuse(emulator: Emulator, code: str) -> None:
    def fault(request: Request) -> Answer | None:
        if not request.host.endswith("blob.core.windows.net"):
            return None
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        return Answer(403, body, {"content-type": "application/xml", "x-ms-error-code": code})

    emulator.faults.append(fault)


def test_without_the_role(bench: AzureBench, observations: AzureObservations, collected: Collected) -> None:
    collected.pair(NOON, "r")
    _refuse(bench.emulator, "AuthorizationPermissionMismatch")
    with pytest.raises(
        TargetError,
        match=rf"cannot read what {MODEL} in prod has captured: this identity needs the role Storage Blob "
        r"Data Reader on the container captured of st\w+; docs/security\.md says who has it",
    ):
        observations.captured(ENV, MODEL)


def test_from_outside_the_network(
    bench: AzureBench, observations: AzureObservations, collected: Collected
) -> None:
    collected.pair(NOON, "r")
    _refuse(bench.emulator, "AuthorizationFailure")
    with pytest.raises(TargetError, match=r"network rules of st\w+ let only private endpoints in"):
        observations.captured(ENV, MODEL)


def test_a_container_that_is_gone(
    bench: AzureBench, observations: AzureObservations, collected: Collected
) -> None:
    del bench.emulator.blobs.accounts[bench.workspace.account]["captured"]
    with pytest.raises(
        TargetError,
        match=r"the container captured of st\w+ does not exist.*run `pulumi up` for the stack prod",
    ):
        observations.captured(ENV, MODEL)


def test_an_empty_window(observations: AzureObservations, collected: Collected) -> None:
    assert observations.captured(ENV, MODEL) == []
    collected.pair(NOON, "r")
    assert observations.captured(ENV, MODEL, NOON + timedelta(days=1), NOON + timedelta(days=2)) == []


def test_records_are_written_once_and_never_changed(
    bench: AzureBench, observations: AzureObservations
) -> None:
    assert observations.add(ENV, MODEL, "verdicts", "a.json", b"first")
    assert not observations.add(ENV, MODEL, "verdicts", "a.json", b"second")
    assert observations.add(ENV, MODEL, "verdicts", "b.json", b"other")
    found = _another(bench).files(ENV, MODEL, "verdicts")
    assert [(p.name, p.read_bytes()) for p in found] == [("a.json", b"first"), ("b.json", b"other")]
    assert observations.files(ENV, MODEL, "labels") == []
    assert observations.files("staging", MODEL, "verdicts") == []
    with pytest.raises(InvalidInput, match="is no name of a record"):
        observations.add(ENV, MODEL, "verdicts", "../a.json", b"x")
    stored = bench.emulator.blobs.names(bench.workspace.account, CONTAINER, "environments/prod/monitor/")
    assert stored == [f"environments/prod/monitor/{MODEL}/verdicts/{n}.json" for n in "ab"]


def test_a_record_whose_answer_is_lost_is_ours(bench: AzureBench, observations: AzureObservations) -> None:
    lost = [True]

    def swallow(request: Request) -> Answer | None:
        if lost and request.method == "PUT" and request.path.endswith("/labels/a.parquet"):
            lost.clear()
            bench.emulator.blobs.handle(request)
            raise ConnectionError
        return None

    bench.emulator.faults.append(swallow)
    assert observations.add(ENV, MODEL, "labels", "a.parquet", b"x"), "this process wrote it"
    assert not lost
