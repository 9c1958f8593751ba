"""Whatever mixture of 429, 503, broken connections, short-lived tokens and stale answers Azure gives, each
verb ends, with a sentence or well, and once the weather is fair `apply` serves what was asked for."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.azure.emulator import Answer, Emulator
from tests.azure.emulator.http import Request
from tests.azure.test_apply import Repository, artifacts, fork  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

VERBS = (
    ("apply", "staging"),
    ("diff", "staging"),
    ("endpoints", "--json"),
    ("check", "--registry"),
    ("status",),
    ("history", "staging"),
    ("apply", "staging"),
)
LEASE = 90.0
"""Seconds; longer than Azure holds a lock for who is gone."""
ENDED = {0, 2, 3, 4, 6, 7}
"""Well, a difference, sent back, the target, blocked, not proven: what `docs/reference` promises."""


class Weather:
    """Faults by chance: `share` of the requests. `seen`: how often each was met."""

    def __init__(self, azure: Emulator, draw: random.Random, share: float) -> None:
        self.azure, self.draw, self.share = azure, draw, share
        self.seen: Counter[str] = Counter()
        self._before: dict[str, Answer] = {}

    def __call__(self, request: Request) -> Answer | None:
        if request.host == "login.microsoftonline.com":
            return None
        if request.method == "GET" and "/onlineendpoints/" in request.path.lower():
            return self._stale(request)
        if self.draw.random() > self.share:
            return None
        return self._fault()

    def _fault(self) -> Answer:
        kind = self.draw.choice(("429", "429", "503", "broken"))
        self.seen[kind] += 1
        if kind == "broken":
            raise ConnectionError
        message = {
            "error": {"code": "TooManyRequests" if kind == "429" else "ServerBusy", "message": "Later."}
        }
        return Answer(int(kind), message, {"retry-after": "0"})

    def _stale(self, request: Request) -> Answer | None:
        """What was true when it was asked before: reads lag behind writes."""
        key = request.target
        before = self._before.get(key)
        if before is not None and self.draw.random() < self.share:
            self.seen["stale"] += 1
            return before
        answer = self.azure.router(request)
        self._before[key] = answer
        return answer


@contextmanager
def weather(azure: Emulator, draw: random.Random, share: float) -> Iterator[Weather]:
    made = Weather(azure, draw, share)
    azure.faults.append(made)
    life = azure.entra.lifetime
    azure.entra.lifetime = (
        301  # a client renews five minutes before the end: nearly each request needs a new one
    )
    try:
        yield made
    finally:
        azure.entra.lifetime = life
        azure.faults.remove(made)


def in_fair_weather(there: Repository) -> None:
    """A lock whose giving back was lost ends by itself."""
    until = time.monotonic() + LEASE
    while (ended := there.mlops("apply", "staging")).exit_code and "is locked" in ended.output:
        assert time.monotonic() < until, ended.output
        time.sleep(2.0)
    assert ended.exit_code == 0, ended.output


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", range(3))
def test_every_verb_ends_in_any_weather(
    fork: Repository,  # noqa: F811
    artifacts: dict[str, Path],  # noqa: F811
    tracked: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    monkeypatch.setattr("mlops.targets.azure.endpoints._PAUSE", 0.05)
    draw = random.Random(seed)  # noqa: S311
    again = fork.root.parent / "again"
    shutil.copytree(artifacts["one"], again)
    (again / "note.txt").write_text("the same model, another artifact")
    fork.release(1, artifacts["one"])
    fork.release(2, again)
    seen: Counter[str] = Counter()
    for version, before in ((1, None), (2, 1)):
        fork.ask_for("staging", version, before)
        for verb in VERBS:
            with weather(tracked, draw, draw.choice((0.05, 0.2, 0.5))) as met:
                ended = fork.mlops(*verb)
            seen += met.seen
            assert ended.exit_code in ENDED, f"{verb}: {ended.exit_code} {ended.output}"
            assert "Traceback" not in ended.output
        in_fair_weather(fork)
        assert fork.served("staging") == {version: 100}
    assert sum(seen.values()) >= 10, seen
    print(dict(seen))  # noqa: T201 (for docs/pressure.md)
