"""Keys of a local endpoint: damaged, lost and rotated."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from local_bench import ENV, MODEL, Bench

from mlops.errors import InvalidInput, TargetError
from mlops.serving import testing
from mlops.serving.http.state import FOLLOWING, KEYS, read_keys
from mlops.serving.score.lock import owner


def damaged(folder: Path) -> None:
    (folder / KEYS).write_text("{")


def removed(folder: Path) -> None:
    (folder / KEYS).unlink()


def not_text(folder: Path) -> None:
    (folder / KEYS).write_bytes(b"\xff\xfe")


def of_another(folder: Path) -> None:
    (folder / KEYS).write_text(json.dumps({"primary": "a", "secondary": "b", "admin": "c"}))


@pytest.mark.parametrize("breaks", [damaged, removed, not_text, of_another], ids=lambda f: f.__name__)
@pytest.mark.parametrize("stops", [False, True], ids=["apply", "stop, apply"])
def test_apply_makes_new_keys_where_those_of_the_file_are_no_use(
    bench: Bench, breaks: Callable[[Path], None], stops: bool
) -> None:
    bench.create("blue", 1, "one")
    server = owner(bench.folder)
    breaks(bench.folder)
    state = bench.endpoints.state(ENV, MODEL)
    assert [d.state for d in state.deployments] == ["failed"]
    assert f"mlops apply {ENV}" in state.deployments[0].detail
    if stops:
        bench.endpoints.stop(ENV, MODEL)
    bench.create("blue", 1, "one")
    assert [d.state for d in bench.endpoints.state(ENV, MODEL).deployments] == ["ready"]
    assert bench.post()[0] == 200
    if not stops:
        assert owner(bench.folder) == server, "the server went on serving"


def test_a_file_of_keys_that_is_none_is_told_with_its_cure(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    damaged(bench.folder)
    with pytest.raises(
        InvalidInput, match=rf"keys\.json: is no key file; `mlops apply {ENV}` makes new keys"
    ):
        bench.endpoints.key(ENV, MODEL)
    removed(bench.folder)
    with pytest.raises(TargetError, match=f"has no keys; `mlops apply {ENV}` makes new ones"):
        bench.endpoints.score(ENV, MODEL, testing.body())
    assert not (bench.folder / KEYS).exists(), "asking makes no keys that the server does not know"


def test_no_request_fails_while_keys_rotate(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    first = read_keys(bench.folder)
    assert first is not None
    answers: list[int] = []
    done = threading.Event()

    def ask_on() -> None:
        """A caller that takes the new key a moment after each rotation."""
        while not done.is_set():
            keys = read_keys(bench.folder)
            assert keys is not None
            answers.append(bench.post(key=keys.primary)[0])

    callers = [threading.Thread(target=ask_on) for _ in range(2)]
    for caller in callers:
        caller.start()
    held = first.primary
    try:
        for _ in range(4):
            bench.endpoints.rotate(ENV, MODEL)
            assert bench.post(key=held)[0] == 200, "who still has the key before is let in"
            held = bench.endpoints.key(ENV, MODEL)
            time.sleep(0.05)
    finally:
        done.set()
        for caller in callers:
            caller.join()
    assert bench.post(key=first.primary)[0] == 403, "an old key ends"
    assert len(answers) > 20 and set(answers) == {200}
    assert not (bench.folder / FOLLOWING).exists()
