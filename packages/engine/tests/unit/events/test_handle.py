"""Deliveries come twice; what an event starts must start once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from event_world import SETTINGS, event
from typer.testing import CliRunner

from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.errors import InvalidInput, TargetError
from mlops.events import envelope
from mlops.events.handle import handle, read, resolve
from mlops.events.outbox import Outbox
from mlops.spec.sinks import HandlerSettings

REGISTERED = HandlerSettings(run="mine:act", types=["mlops.model.registered"])
FIXTURES = Path(__file__).parent / "fixtures"


class Acts:
    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.seen: list[str] = []

    def __call__(self, told: Mapping[str, Any]) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.seen.append(str(told["id"]))


def test_each_event_is_acted_on_once_also_by_a_later_process(outbox: Outbox):
    acts = Acts()
    first = handle([event(1), event(1), event(2)], [(REGISTERED, acts)], outbox)
    again = handle([event(2)], [(REGISTERED, acts)], Outbox(outbox.path))
    assert [row.outcome for row in first] == ["done", "done before", "done"]
    assert [row.outcome for row in again] == ["done before"]
    assert acts.seen == [event(1).get_id(), event(2).get_id()]


def test_a_handler_that_failed_is_called_again_and_does_not_stop_the_others(outbox: Outbox):
    fails, works = Acts(TargetError("GitHub is down")), Acts()
    other = HandlerSettings(run="mine:other", types=["mlops.model.registered"])
    both = [(REGISTERED, fails), (other, works)]
    assert [row.outcome for row in handle([event(1)], both, outbox)] == ["failed", "done"]
    assert [row.outcome for row in handle([event(1)], both, outbox)] == ["done", "done before"]
    assert len(works.seen) == 1


def test_only_the_types_that_it_names(outbox: Outbox):
    drift = HandlerSettings(run="mine:act", types=["mlops.drift.detected"])
    assert handle([event(1)], [(drift, Acts())], outbox) == []


def test_one_a_batch_and_lines_are_read_and_azures_are_translated():
    ours = envelope.plain(event(1))
    azures = json.loads((FIXTURES / "azure_cloud_events.json").read_text())
    assert len(read(json.dumps(ours), "x", "/s")) == 1
    assert len(read(f"{json.dumps(ours)}\n{json.dumps(ours)}\n", "x", "/s")) == 2
    assert [e.get_type() for e in read(json.dumps([ours, *azures]), "x", "/s")] == [
        "mlops.model.registered",
        "mlops.model.registered",
        "mlops.release.deployed",
        "mlops.release.deployed",
        "mlops.run.completed",
        "mlops.drift.detected",
    ]


@pytest.mark.parametrize(
    ("text", "says"), [("nonsense", "neither JSON"), ("[1]", "event 1: must be"), ("{}", "not a CloudEvent")]
)
def test_what_is_no_event_is_a_sentence(text: str, says: str):
    with pytest.raises(InvalidInput, match=says):
        read(text, "file.json", "/s")


def test_the_forks_own_function_is_found_below_src(tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "own_handlers_of_this_test.py").write_text(
        "told = []\ndef act(e): told.append(e)\nx = 1\n"
    )
    act = resolve(
        HandlerSettings(run="own_handlers_of_this_test:act", types=["mlops.run.completed"]), tmp_path
    )
    act({"id": "1"})
    for wrong in ("own_handlers_of_this_test:x", "own_handlers_of_this_test:y", "no_such_module_here:act"):
        with pytest.raises(InvalidInput, match=r"events\.handlers\.run"):
            resolve(HandlerSettings(run=wrong, types=["mlops.run.completed"]), tmp_path)


def call(root: Path, *words: str, given: str = ""):
    return CliRunner().invoke(_app.app, ["-C", str(root), "events", *words], input=given)


def test_the_verb_says_what_it_did_and_fails_when_a_handler_did(repository: Path):
    text = json.dumps(envelope.plain(event(1)))
    assert "no [[events.handlers]]" in call(repository, "handle", "-", given=text).stderr
    (repository / "mlops.toml").write_text(
        SETTINGS + '[forge]\nkind = "github"\nrepository = "a/b"\n'
        '[[events.handlers]]\ntypes = ["mlops.model.registered"]\n'
    )
    done = call(repository, "handle", "-", given=text)
    assert done.exit_code == 6
    assert "GITHUB_TOKEN is not set" in done.stderr
    assert "dispatch: failed" in done.stdout
    assert "Traceback" not in done.output


def test_list_flush_and_replay(repository: Path):
    from mlops.events import publish
    from mlops.spec.events import ModelRegistered

    (repository / "environments").mkdir()
    (repository / "environments/policy.yaml").write_text("order: [prod]\nenvironments: {prod: {}}\n")
    assert "nothing was told yet" in call(repository, "list").stdout
    assert "no sink is configured; add [[events.sinks]] to mlops.toml" in call(repository, "flush").stdout
    publish(repository, ModelRegistered(model="freight", version=1))
    (repository / "mlops.toml").write_text(SETTINGS + '[[events.sinks]]\nkind = "file"\npath = "t.jsonl"\n')
    assert "every sink has every event" in call(repository, "flush").stdout
    assert not (repository / "t.jsonl").exists(), "the sink came after the event"
    done = call(repository, "replay", "--since", "2020-01-01T00:00+00:00")
    assert "1 deliveries are due" in done.stdout, done.output
    assert len((repository / "t.jsonl").read_text().splitlines()) == 1
    shown = json.loads(call(repository, "list", "--json").stdout)
    assert [row["deliveries"][0]["state"] for row in shown] == ["delivered"]
    assert "file delivered" in call(repository, "list").stdout
    assert call(repository, "replay", "--since", "yesterday").exit_code == 5
    assert (
        "there is no sink 'x'"
        in call(repository, "replay", "--since", "2020-01-01T00:00Z", "--sink", "x").stderr
    )
