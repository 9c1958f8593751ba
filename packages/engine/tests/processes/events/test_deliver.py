"""A sink that is down, slow or wrong costs a sentence, never the verb, and never an event."""

from __future__ import annotations

import base64
import json
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from event_world import SETTINGS, Receiver, event, fact, receiver
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from mlops.errors import InvalidInput
from mlops.events import flush, publish
from mlops.events.deliver import BATCH, SHORT, deliver
from mlops.events.outbox import Outbox
from mlops.events.sinks import Refused, Undelivered, open_sink
from mlops.spec.settings import load_settings
from mlops.spec.sinks import FileSink, WebhookSink

KEY = base64.b64encode(b"k" * 32).decode()


class Stubborn:
    """A sink whose answers are given: an exception is raised, None takes the events."""

    def __init__(self, *answers: Exception | None, batches: bool = False) -> None:
        self.answers = list(answers)
        self.batches = batches
        self.taken: list[list[int]] = []
        self.asked = 0

    def send(self, events: list) -> None:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken.append([e.get_data()["version"] for e in events])

    def close(self) -> None:
        pass


def run(
    outbox: Outbox, sink: Stubborn, naps: list[float] | None = None, *, patient: bool = False
) -> list[str]:
    settings = FileSink(kind="file", name="a")
    return deliver(
        Path(),
        [settings],
        outbox,
        patient=patient,
        open_one=lambda *_: sink,
        sleep=(naps if naps is not None else []).append,
    )


def states(outbox: Outbox) -> list[str]:
    return [stored.deliveries[0].state for stored in outbox.events()][::-1]


@pytest.fixture
def two(outbox: Outbox) -> Outbox:
    for version in (1, 2):
        outbox.add(event(version), ["a"])
    return outbox


def test_it_tries_again_and_waits_longer_each_time(two: Outbox):
    naps: list[float] = []
    sink = Stubborn(Undelivered("busy"), Undelivered("busy"))
    assert run(two, sink, naps) == []
    assert sink.taken == [[1], [2]]
    assert 0.1 <= naps[0] <= 0.2 <= naps[1] <= 0.4


def test_a_sink_that_stays_down_keeps_its_events_in_order_and_says_so_in_a_line(two: Outbox):
    sink = Stubborn(*[Undelivered("no answer")] * 3)
    said = run(two, sink)
    assert said == ["events wait for the sink a: no answer; mlops events flush tries again"]
    assert sink.asked == SHORT.attempts, "the second event is not tried on a sink that is down"
    assert states(two) == ["pending", "pending"]
    later = Stubborn()
    assert run(two, later) == []
    assert later.taken == [[1], [2]]
    assert run(two, last := Stubborn()) == []
    assert last.asked == 0, "nothing is delivered again without a reason"


def test_it_waits_as_long_as_it_was_asked_to_but_not_for_ever(two: Outbox):
    naps: list[float] = []
    run(two, Stubborn(Undelivered("busy", retry_after=0.9), Undelivered("busy", retry_after=3600.0)), naps)
    assert naps == [0.9, SHORT.longest]


def test_what_is_refused_for_good_does_not_hold_up_what_follows(two: Outbox):
    sink = Stubborn(Refused("it answered 400"))
    assert run(two, sink) == ["the sink a refused an event, which is set aside: it answered 400"]
    assert (sink.taken, states(two)) == ([[2]], ["refused", "delivered"])


def test_of_a_refused_batch_only_the_one_to_blame_is_set_aside(outbox: Outbox):
    for version in (1, 2, 3):
        outbox.add(event(version), ["a"])
    sink = Stubborn(Refused("413"), None, Refused("413"), batches=True)
    assert len(run(outbox, sink)) == 1
    assert (sink.taken, states(outbox)) == ([[1], [3]], ["delivered", "refused", "delivered"])


def test_batches_are_bounded(outbox: Outbox):
    for version in range(1, BATCH + 2):
        outbox.add(event(version), ["a"])
    sink = Stubborn(batches=True)
    assert run(outbox, sink) == []
    assert [len(batch) for batch in sink.taken] == [BATCH, 1]


def test_while_another_process_delivers_it_waits_and_then_says_so(two: Outbox):
    import fcntl

    with two.path.with_suffix(".lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        naps: list[float] = []
        said = run(two, sink := Stubborn(), naps)
    assert "another process delivers" in said[0]
    assert sink.asked == 0
    assert 4 < sum(naps) < 6


# --- file ----------------------------------------------------------------------------------------------


def lines(path: Path) -> list[int]:
    *whole, end = path.read_bytes().split(b"\n")
    assert end == b""
    return [json.loads(line)["data"]["version"] for line in whole]


@pytest.mark.parametrize("half", [b"{", b'{"data": {"version": 9}}', b"x" * 200_000])
def test_half_a_line_that_a_kill_left_spoils_no_other(tmp_path: Path, half: bytes):
    sink = open_sink(tmp_path, FileSink(kind="file", path="told.jsonl"))
    sink.send([event(1)])
    with (tmp_path / "told.jsonl").open("ab") as stream:
        stream.write(half)
    sink.send([event(2), event(3)])
    assert lines(tmp_path / "told.jsonl") == [1, 2, 3]


def test_a_disk_that_is_full_in_the_middle_of_a_line_leaves_whole_ones(tmp_path: Path):
    sink = open_sink(tmp_path, FileSink(kind="file", path="told.jsonl"))
    sink.send([event(1)])
    written = (tmp_path / "told.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written + written // 2, before[1]))
    try:
        with pytest.raises(Undelivered, match=r"told\.jsonl"):
            sink.send([event(2), event(3)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert lines(tmp_path / "told.jsonl") == [1]
    sink.send([event(2), event(3)])
    assert lines(tmp_path / "told.jsonl") == [1, 2, 3]


# --- webhook -------------------------------------------------------------------------------------------


def webhook(url: str, **fields: object) -> WebhookSink:
    return WebhookSink.model_validate({"kind": "webhook", "url": url, **fields})


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_WEBHOOK_SECRET", f"whsec_{KEY}")


@pytest.mark.usefixtures("signed")
def test_the_receivers_own_library_verifies_the_signature_and_finds_a_change():
    with receiver() as heard:
        open_sink(Path(), webhook(heard.url)).send([event(7)])
    ((path, headers, body),) = heard.got
    assert (path, headers["content-type"]) == ("/hook", "application/cloudevents+json")
    assert Verifier(KEY).verify(body, headers) == json.loads(body)
    assert headers["webhook-id"] == json.loads(body)["id"]
    with pytest.raises(WebhookVerificationError):
        Verifier(KEY).verify(body.replace(b'"version": 7', b'"version": 8'), headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(base64.b64encode(b"x" * 32).decode()).verify(body, headers)


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, Undelivered),
        (503, Undelivered),
        (429, Undelivered),
        (401, Undelivered),
        (400, Refused),
        (404, Refused),
        (413, Refused),
        (302, Refused),
    ],
)
def test_answers_are_read_as_later_or_never(status: int, error: type[Exception]):
    with receiver() as heard:
        heard.statuses = [status]
        heard.headers = {"Location": "http://localhost:1/elsewhere", "Retry-After": "2"}
        with pytest.raises(error, match=f"answered {status}") as caught:
            open_sink(Path(), webhook(heard.url)).send([event()])
    assert len(heard.got) == 1, "a redirect is not followed"
    if isinstance(caught.value, Undelivered):
        assert caught.value.retry_after == 2.0


def test_a_dead_address_is_a_line_without_the_address(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHAT", "http://localhost:1/s3cret")
    sink = webhook("", url_env="CHAT", sign=False)
    with pytest.raises(Undelivered, match="no answer") as caught:
        open_sink(Path(), sink).send([event()])
    assert "s3cret" not in str(caught.value)


def resolver(answers: list[list[str]]) -> Callable[..., Any]:
    """What a stranger's name server says, another thing each time."""
    real = socket.getaddrinfo

    def answer(host: str, port: int, *rest: Any, **named: Any) -> list[tuple[Any, ...]]:
        if host[0].isdigit():
            return real(host, port, *rest, **named)
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return answer


@pytest.mark.parametrize(
    "answers",
    [[["127.0.0.1"]], [["169.254.169.254"]], [["93.184.216.34", "169.254.169.254"]], [["::ffff:127.0.0.1"]]],
)
def test_a_name_that_leads_to_the_machine_or_its_cloud_is_not_called(
    monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]
):
    with receiver() as heard:
        port = heard.url.split(":")[2].removesuffix("/hook")
        monkeypatch.setattr(socket, "getaddrinfo", resolver(answers))
        with pytest.raises(Undelivered, match="its name leads to an address of this machine"):
            open_sink(Path(), webhook(f"https://hooks.example.com:{port}/hook", sign=False)).send([event()])
    assert heard.got == []


def test_the_address_that_was_judged_is_the_one_that_is_called(monkeypatch: pytest.MonkeyPatch):
    """Looked up once: what the name leads to a moment later does not count."""
    with receiver() as heard:
        monkeypatch.setattr(
            socket, "getaddrinfo", resolver([["127.0.0.9", "127.0.0.1"], ["169.254.169.254"]])
        )
        sink = open_sink(Path(), webhook(heard.url, sign=False))
        sink.send([event(7)])
        ((_, headers, _),) = heard.got
        assert headers["host"] == heard.url.split("/")[2]
        with pytest.raises(Undelivered, match="its name leads"):
            sink.send([event(8)])


@pytest.mark.parametrize("key", ["short", base64.b64encode(b"k" * 8).decode()])
def test_a_weak_key_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLOPS_WEBHOOK_SECRET", key)
    with pytest.raises(InvalidInput, match="openssl rand") as caught:
        open_sink(Path(), webhook("https://example.com/hook"))
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('kind = "webhook"\nurl = "http://example.com/hook"', "https://"),
        ('kind = "webhook"\nurl = "https://me:pw@example.com/hook"', "password"),
        ('kind = "webhook"', "either url or url_env"),
        ('kind = "file"\npath = "/etc/passwd"', "inside the repository"),
        ('kind = "file"\npath = "../x"', "inside the repository"),
        ('kind = "eventgrid"\nendpoint = "http://topic.eventgrid.azure.net"', "https://"),
        ('kind = "kafka"', "'file', 'webhook', 'eventgrid'"),
        ('kind = "file"\ntypes = ["mlops.everything"]', "mlops.run.completed"),
        ('kind = "file"\n[[events.sinks]]\nkind = "file"', "called file"),
    ],
)
def test_wrong_settings_are_sentences(repository: Path, table: str, says: str):
    (repository / "mlops.toml").write_text(f"{SETTINGS}[[events.sinks]]\n{table}\n")
    with pytest.raises(InvalidInput, match=says):
        load_settings(repository)


# --- all of it -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("signed")
def test_one_sink_that_is_down_does_not_keep_the_others_from_hearing(repository: Path):
    with receiver() as heard:
        heard.statuses = [503, 503, 503]
        (repository / "mlops.toml").write_text(
            f'{SETTINGS}[[events.sinks]]\nkind = "webhook"\nurl = "{heard.url}"\n'
            '[[events.sinks]]\nkind = "file"\n'
        )
        publish(repository, fact(1))
        assert flush(repository) == [
            "events wait for the sink webhook: it answered 503; mlops events flush tries again"
        ]
        assert len((repository / ".mlops/events.jsonl").read_text().splitlines()) == 1
        assert flush(repository) == []
        assert _versions(heard) == [1, 1, 1, 1]
    assert len((repository / ".mlops/events.jsonl").read_text().splitlines()) == 1


def _versions(heard: Receiver) -> list[int]:
    return [row["data"]["version"] for row in heard.events()]


def test_a_sink_without_its_key_waits_and_says_which_variable(repository: Path):
    (repository / "mlops.toml").write_text(
        f'{SETTINGS}[[events.sinks]]\nkind = "webhook"\nurl = "https://example.com"\n'
    )
    publish(repository, fact(1))
    assert flush(repository) == [
        "events wait for the sink webhook: the variable MLOPS_WEBHOOK_SECRET is not set"
    ]
