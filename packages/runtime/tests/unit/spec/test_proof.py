"""A release counts when the lifecycle made it. A file that a branch's author wrote, or changed in one number,
is told from one that `mlops release` wrote, and the field is named; else review would be all there is, and
nobody recomputes verdicts by eye."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from mlops.spec import proof
from mlops.spec.gates import GateReport, GateResult, Interval
from mlops.spec.proof import JUDGED, RELEASED, Recorded, differences
from mlops.spec.release import Data, Release, Source
from mlops.spec.seal import MachineKey

KEY = MachineKey(b"k" * 32)


def sha(letter: str) -> str:
    return f"sha256:{letter * 64}"


GATES = [
    GateResult(name="limit roc_auc", verdict="pass", observed="0.71", limit="at least 0.6"),
    GateResult(name="latency", verdict="skipped", observed="not judged", limit="1.5", detail="no champion"),
]
RELEASE = Release(
    model="freight",
    version=3,
    digest=sha("1"),
    created=datetime(2026, 3, 1, 12, tzinfo=UTC),
    source=Source(
        commit="c" * 40, branch="main", actor="ada", run_id="run", pipeline="p.yml", pipeline_digest=sha("2")
    ),
    data=Data(name="d", version="1", digest=sha("3"), window="2013-01..2013-03", test_window="2013-04"),
    environment=sha("4"),
    metrics={
        "roc_auc": Interval(value=0.71, low=0.69, high=0.73, champion=0.7),
        "f1": Interval(value=1, low=1, high=1),
    },
    gates=GATES,
    gates_digest=sha("5"),
)


def version(key: MachineKey | None = KEY, **tags: str | None) -> Recorded:
    merged = {**proof.fact_tags(RELEASE), **tags}
    return Recorded("freight", 3, {k: v for k, v in merged.items() if v is not None}, "run", key)


def with_tags(found: Recorded, tags: dict[str, str | None]) -> Recorded:
    merged = {**found.tags, **tags}
    plain = {k: v for k, v in merged.items() if v is not None}
    return Recorded(found.model, found.version, plain, found.run_id, found.seal)


def released(release: Release = RELEASE, key: MachineKey | None = KEY) -> Recorded:
    return with_tags(version(key), proof.released_tags(version(key), release))


def judged(gates: list[GateResult], key: MachineKey | None = KEY) -> Recorded:
    report = GateReport(
        model="freight", version=3, champion=None, rows=10, confidence=0.95, metrics=RELEASE.metrics,
        gates=gates, gates_digest=RELEASE.gates_digest,
    )  # fmt: skip
    return with_tags(version(key), proof.judged_tags(version(key), report, RELEASE.created))


def fields(release: Release, found: Recorded) -> list[str]:
    return [field for field, _ in differences(release, found)]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path


PLAIN = RELEASE.model_dump(mode="json")
PLACES = [p for p in leaves(PLAIN) if p != ("source", "dirty")]  # refused by itself


def forged(path: tuple[str | int, ...]) -> Release:
    plain = copy.deepcopy(PLAIN)
    holder: Any = plain
    for part in path[:-1]:
        holder = holder[part]
    was = holder[path[-1]]
    if path[-1] == "verdict":
        holder["verdict"] = "blocked" if was == "pass" else "pass"
    elif isinstance(was, int | float):
        holder[path[-1]] = was + 1 if path == ("version",) else was + 0.000001
    elif path == ("created",):
        holder[path[-1]] = "2026-03-01T12:00:01Z"
    elif path[-1] in ("window", "test_window"):
        holder[path[-1]] = "2012-01"
    elif was is None:
        holder[path[-1]] = 0.5
    elif set(was) <= set("0123456789abcdefsh:") and len(was) >= 40:
        holder[path[-1]] = was[:-1] + "9"
    else:
        holder[path[-1]] = f"{was}x"
    return Release.model_validate(plain)


@pytest.mark.parametrize("key", [KEY, None], ids=["laptop", "identities"])
@pytest.mark.parametrize("record", [released, lambda key: judged(GATES, key)], ids=["released", "judged"])
def test_what_the_lifecycle_made_is_proven(record: Any, key: bytes | None) -> None:
    found = record(key=key)
    assert differences(RELEASE, found) == []
    assert {v.verdict for v in proof.proof(RELEASE, found)} == {"pass"}
    assert all(len(value) <= 1000 for value in found.tags.values()), "Azure ML takes no longer tag"


@pytest.mark.parametrize("path", PLACES, ids=lambda p: ".".join(map(str, p)))
def test_every_field_that_somebody_changes_is_named(path: tuple[str | int, ...]) -> None:
    wanted = ".".join(map(str, path))
    if path[0] == "metrics":
        wanted = f"metrics.{path[1]}"
    elif path[-1] == "name" and path[0] == "gates":
        wanted = "gates"
    for found in (released(), judged(GATES)):
        assert wanted in fields(forged(path), found)


def test_a_verdict_says_both_sides() -> None:
    blocked = [GATES[0].model_copy(update={"verdict": "blocked", "observed": "0.41"}), GATES[1]]
    [(field, why)] = differences(RELEASE, judged(blocked))
    assert field == "gates.0.verdict"
    assert "the release says pass of limit roc_auc, the lifecycle recorded blocked" in why


@pytest.mark.parametrize(
    "gates",
    [GATES[:1], GATES[::-1], [*GATES, GateResult(name="more", verdict="pass", observed="1", limit="1")]],
    ids=["one less", "another order", "one more"],
)
def test_a_gate_that_is_left_out_or_made_up_is_found(gates: list[GateResult]) -> None:
    assert fields(RELEASE.model_copy(update={"gates": gates}), released()) == ["gates"]


def test_a_metric_that_is_left_out_or_made_up_is_found() -> None:
    less = {"roc_auc": RELEASE.metrics["roc_auc"]}
    assert "metrics.f1" in fields(RELEASE.model_copy(update={"metrics": less}), released())
    more = {**RELEASE.metrics, "recall": Interval(value=1, low=1, high=1)}
    assert "metrics.recall" in fields(RELEASE.model_copy(update={"metrics": more}), released())


def test_no_record_is_no_proof_and_the_way_is_told() -> None:
    [(field, why)] = differences(RELEASE, version())
    assert field == "gates" and "mlops gate 3 --model freight" in why
    assert not version().known


def test_gates_that_are_run_again_change_nothing_about_what_was_released() -> None:
    later = [GATES[0].model_copy(update={"verdict": "blocked"}), GATES[1]]
    both = with_tags(released(), {k: v for k, v in judged(later).tags.items() if k.startswith(JUDGED)})
    assert differences(RELEASE, both) == []


@pytest.mark.parametrize("change", ["text", "seal", "gone", "key", "moved", "fact"])
def test_a_record_that_was_not_sealed_here_counts_for_nothing(change: str) -> None:
    found, other = released(), RELEASE
    if change == "text":
        other = forged(("gates", 0, "observed"))
        tags = {k: v for k, v in released(other, None).tags.items() if k.startswith(f"{RELEASED}.")}
        found = with_tags(found, {**tags, f"{RELEASED}.seal": found.tags[f"{RELEASED}.seal"]})
    elif change == "seal":
        found = with_tags(found, {f"{RELEASED}.seal": "0" * 64})
    elif change == "gone":
        found = with_tags(found, {f"{RELEASED}.seal": None})
    elif change == "key":
        found = Recorded("freight", 3, released(key=MachineKey(b"other")).tags, "run", KEY)
    elif change == "moved":
        other = RELEASE.model_copy(update={"version": 4})
        found = Recorded("freight", 4, found.tags, "run", KEY)
    else:
        other = RELEASE.model_copy(update={"digest": sha("9")})
        found = with_tags(found, {"mlops.digest": sha("9")})
    assert fields(other, found) == ["gates"]
    assert "not sealed" in differences(other, found)[0][1]


@pytest.mark.parametrize("text", ["{", "[]", '{"metrics": {}}', '{"metrics": [], "gates": 7}', "null"])
def test_a_record_that_cannot_be_read_is_no_proof(text: str) -> None:
    found = with_tags(version(None), {f"{RELEASED}.0": text})
    assert differences(RELEASE, found)


@pytest.mark.parametrize("count", [30, 300])
def test_many_gates_fit_in_the_tags_of_azure(count: int) -> None:
    gates = [GATES[0].model_copy(update={"name": f"slice origin={i}"}) for i in range(count)]
    many = RELEASE.model_copy(update={"gates": gates})
    found = released(many)
    assert len(found.tags) <= 25 and differences(many, found) == []
    worse = [*gates[:-1], gates[-1].model_copy(update={"observed": "0.72"})]
    assert any(f.startswith("gates") for f in fields(many.model_copy(update={"gates": worse}), found))


def test_the_record_of_fewer_gates_leaves_no_tag_of_more() -> None:
    gates = [GATES[0].model_copy(update={"name": f"slice origin={i}"}) for i in range(30)]
    many = released(RELEASE.model_copy(update={"gates": gates}))
    again = with_tags(many, proof.released_tags(many, RELEASE))
    assert again.tags == released().tags
