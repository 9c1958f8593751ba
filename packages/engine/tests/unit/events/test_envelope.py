"""Whoever hears of a fact twice must see that it is the same one: ids follow from facts, not from chance."""

from __future__ import annotations

import json
import typing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import jsonschema
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_structured_event
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import InvalidInput
from mlops.events import azure, envelope
from mlops.spec.events import (
    FACTS,
    TYPES,
    Breach,
    DriftDetected,
    Fact,
    GateBlocked,
    GatePassed,
    ModelRegistered,
    ReleaseDeployed,
    ReleaseRolledBack,
    RetrainStarted,
    RunCompleted,
)
from mlops.spec.gates import GateResult
from mlops.spec.jsonschema import schema_text

SOURCE = "/mlops/freight-mlops"
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
GATES = [GateResult(name="latency", verdict="blocked", observed="3 ms", limit="at most 2 ms")]
EXAMPLES: list[Fact] = [
    RunCompleted(model="freight", run_id="r1", commit="c" * 40, version=3, new=True),
    ModelRegistered(model="freight", version=3, digest="sha256:" + "d" * 64),
    GatePassed(model="freight", version=3, run_id="r1", champion=2),
    GateBlocked(model="freight", version=3, run_id="r1", champion=2, gates=GATES),
    ReleaseDeployed(model="freight", environment="prod", release=3, replaces=2, count=1),
    ReleaseRolledBack(
        model="freight", environment="prod", release=2, withdrawn=3, cause="analysis", percent=10, count=0
    ),
    DriftDetected(
        model="freight",
        environment="prod",
        release=3,
        start=NOW - timedelta(days=1),
        end=NOW,
        breaches=[Breach(name="drift.distance.psi", observed="0.31", limit="at most 0.2", value=0.31)],
    ),
    RetrainStarted(model="freight", window="2013-01..2013-06", test_window="2013-07", started=NOW),
]
FIXTURES = Path(__file__).parent / "fixtures"


def test_there_is_an_example_and_a_model_for_every_type():
    assert [type(e).type for e in EXAMPLES] == list(TYPES) == list(FACTS)


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda f: f.type)
def test_it_comes_back_as_it_was_and_keeps_its_schema(fact: Fact):
    event = envelope.make(fact, SOURCE, NOW)
    read = envelope.from_json(envelope.to_json(event), "here")
    assert envelope.fact_of(read) == fact
    assert (read.get_type(), read.get_source(), read.get_time()) == (fact.type, SOURCE, NOW)
    schema = json.loads(schema_text(fact.type.replace("mlops.", "event.", 1)))
    jsonschema.Draft202012Validator(schema).validate(read.get_data())


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda f: f.type)
def test_the_official_sdk_reads_it_over_http(fact: Fact):
    event = envelope.make(fact, SOURCE, NOW)
    message: HTTPMessage = to_structured_event(event)
    assert message.headers["content-type"] == envelope.CONTENT_TYPE
    assert json.loads(message.body) == envelope.plain(event)
    again = from_http_event(HTTPMessage(message.headers, envelope.to_json(event)))
    assert again.get_attributes() == event.get_attributes()


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda f: f.type)
def test_the_same_fact_has_the_same_id_at_any_time_and_in_any_zone(fact: Fact):
    later = (NOW + timedelta(days=1)).astimezone(timezone(timedelta(hours=5)))
    again = type(fact).model_validate_json(fact.model_dump_json())
    assert envelope.make(fact, SOURCE, NOW).get_id() == envelope.make(again, SOURCE, later).get_id()
    assert envelope.make(fact, SOURCE, NOW).get_id() != envelope.make(fact, "/mlops/other", NOW).get_id()


def test_all_facts_have_ids_of_their_own():
    assert len({envelope.event_id(SOURCE, fact) for fact in EXAMPLES}) == len(EXAMPLES)


def test_a_gate_that_says_the_same_again_is_no_news_and_one_that_blocks_otherwise_is():
    measured = [GATES[0].model_copy(update={"observed": "4 ms"})]
    other = [GATES[0].model_copy(update={"name": "parity"})]
    ids = [
        envelope.event_id(SOURCE, GateBlocked(model="freight", version=3, gates=gates))
        for gates in (GATES, measured, other)
    ]
    assert ids[0] == ids[1] != ids[2]


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.text(max_size=30), st.text(max_size=30))
def test_two_registrations_share_an_id_only_when_they_are_one(a: int, b: int, one: str, two: str):
    first = ModelRegistered(model="freight", version=a, digest=one)
    second = ModelRegistered(model="freight", version=b, digest=two)
    same = envelope.event_id(SOURCE, first) == envelope.event_id(SOURCE, second)
    assert same == ((a, one) == (b, two))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "not a CloudEvent"),
        ("{", "not a CloudEvent"),
        ('{"specversion": "1.0", "id": "1", "source": "/a"}', "'type'"),
        ('{"specversion": "0.9", "id": "1", "source": "/a", "type": "t"}', "specversion"),
    ],
)
def test_what_is_no_event_is_a_sentence(text: str, says: str):
    with pytest.raises(InvalidInput, match=says):
        envelope.from_json(text, "event.json")


def test_a_foreign_type_and_wrong_data_are_sentences():
    event = envelope.plain(envelope.make(EXAMPLES[1], SOURCE, NOW))
    foreign = envelope.from_json(json.dumps(event | {"type": "com.example"}), "x")
    with pytest.raises(InvalidInput, match="no event of the lifecycle"):
        envelope.fact_of(foreign)
    wrong = envelope.from_json(json.dumps(event | {"data": {"model": "freight", "version": 0}}), "x")
    with pytest.raises(InvalidInput, match="version"):
        envelope.fact_of(wrong)


# --- Azure's own ---------------------------------------------------------------------------------------


def azure_samples(name: str) -> dict[str, dict[str, typing.Any]]:
    """Microsoft's published examples, by the last part of their type."""
    rows = json.loads((FIXTURES / f"{name}.json").read_text())
    return {(row.get("type") or row["eventType"]).rpartition(".")[2]: row for row in rows}


@pytest.mark.parametrize("schema", ["azure_cloud_events", "azure_event_grid"])
@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("ModelRegistered", ["mlops.model.registered"]),
        ("ModelDeployed", ["mlops.release.deployed", "mlops.release.deployed"]),
        ("RunCompleted", ["mlops.run.completed"]),
        ("DatasetDriftDetected", ["mlops.drift.detected"]),
        ("RunStatusChanged", []),
    ],
)
def test_azures_examples_become_ours(schema: str, kind: str, types: list[str]):
    document = azure_samples(schema)[kind]
    assert azure.is_azure(document)
    found = azure.translate(document, SOURCE)
    assert [event.get_type() for event in found] == types
    for event in found:
        envelope.fact_of(event)
        assert event.get_time() == datetime(2017, 6, 26, 18, 41, 0, 958410, UTC)
    ids = [event.get_id() for event in found]
    assert ids == [event.get_id() for event in azure.translate(document, SOURCE)], "a redelivery is the same"
    assert len(set(ids)) == len(ids)


def test_what_azure_says_of_our_own_run_and_version_is_the_same_event_as_ours():
    run = azure_samples("azure_cloud_events")["RunCompleted"]
    run["data"]["runTags"] = {"mlops.pipeline": "pipelines/freight/training.yml", "mlops.commit": "c" * 40}
    ours = RunCompleted(model="freight", run_id=run["data"]["runId"], version=3, new=True)
    assert azure.translate(run, SOURCE)[0].get_id() == envelope.event_id(SOURCE, ours)

    status = azure_samples("azure_cloud_events")["RunStatusChanged"]
    status["data"] |= {"runStatus": "Completed", "runTags": run["data"]["runTags"]}
    assert azure.translate(status, SOURCE)[0].get_id() == envelope.event_id(SOURCE, ours)

    version = azure_samples("azure_cloud_events")["ModelRegistered"]
    version["data"] |= {"ModelName": "freight", "ModelVersion": 3, "ModelTags": {"mlops.digest": "sha256:1"}}
    ours_too = ModelRegistered(model="freight", version=3, digest="sha256:1", run_id="r1")
    assert azure.translate(version, SOURCE)[0].get_id() == envelope.event_id(SOURCE, ours_too)


def test_an_endpoint_of_ours_names_its_environment():
    document = azure_samples("azure_cloud_events")["ModelDeployed"]
    document["data"] |= {"ServiceName": "freight-prod", "ModelIds": "freight:7"}
    fact = envelope.fact_of(azure.translate(document, SOURCE)[0])
    assert isinstance(fact, ReleaseDeployed)
    assert (fact.model, fact.environment, fact.release) == ("freight", "prod", 7)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": {}}, "modelName"),
        ({"data": {"ModelName": "m", "ModelVersion": "last"}}, "last"),
        ({"data": {"ModelName": "m", "ModelVersion": 0}}, "version"),
        ({"time": "yesterday"}, "is no time"),
        ({"time": "2017-06-26T18:41:00"}, "no time zone"),
    ],
)
def test_azures_event_without_what_its_schema_has_is_a_sentence(change: dict[str, object], says: str):
    with pytest.raises(InvalidInput, match=says):
        azure.translate(azure_samples("azure_cloud_events")["ModelRegistered"] | change, SOURCE)
