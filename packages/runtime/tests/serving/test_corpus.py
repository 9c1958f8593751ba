"""No bytes at all make the server fail or predict something else than what was asked.

A 500 is a bug that a stranger can trigger; a 200 with a prediction for other values than the caller's is
worse, because nobody sees it. Every answer is compared with an oracle that shares no code with the server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from mlops.serving import testing
from tests.serving.corpus import PATHS, Case, cases, rows_of
from tests.serving.harness import Line, Reply, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("corpus")) as made:
        yield made


def check(case: Case, reply: Reply) -> None:
    """The answer is the right prediction, or a refusal that helps."""
    rows, place = (
        rows_of(case),
        f"{case.protocol} {case.body[:300]!r} got {reply.status} {reply.body[:300]!r}",
    )
    if rows is not None:
        assert reply.status == 200, f"refused a valid request: {place}"
        wanted = [testing.expected(carrier, distance) for carrier, distance in rows]
        assert reply.json()["predictions"] == pytest.approx(wanted, abs=1e-6), place
        assert reply.json()["labels"] == testing.labels(reply.json()["predictions"]), place
        return
    assert reply.status in (400, 413, 422), place
    answer = reply.json()
    assert answer["request_id"] == reply.headers["x-request-id"], place
    error = answer["error"]
    assert set(error) == {"field", "row", "value", "allowed", "message"} and error["message"], place
    if reply.status == 422:
        assert error["allowed"], f"a 422 says what is allowed: {place}"
    if case.cell is not None:
        name, row, value = case.cell
        assert (reply.status, error["field"], error["row"]) == (422, name, row), place
        assert "distance" not in name or "between 0 and 10000" in error["allowed"], place
        if isinstance(value, str | bool | None):
            assert error["value"] == value, place


def drive(server: Server, seed: int, count: int) -> Counter[int]:
    """Every case once through the lane and once around it: both ways answer the same."""
    seen: Counter[int] = Counter()
    with Line(server.port, server.keys.primary) as lane, Line(server.port, server.keys.primary) as around:
        for case in cases(seed, count):
            reply = lane.post(PATHS[case.protocol], case.body, "x-request-id: same")
            check(case, reply)
            seen[reply.status] += 1
            other = around.post(PATHS[case.protocol], case.body, "x-request-id: same", chunked=True)
            assert (other.status, other.body) == (reply.status, reply.body), case
            assert other.headers.keys() == reply.headers.keys(), case
    assert server.process.poll() is None
    return seen


def test_hundreds_of_malformed_requests(server: Server) -> None:
    seen = drive(server, seed=1, count=600)
    assert min(seen[200], seen[400], seen[422]) > 60, f"the corpus reaches all three outcomes: {seen}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_twenty_five_thousand_malformed_requests(server: Server, seed: int) -> None:
    seen = drive(server, seed, count=5_000)
    assert sum(seen.values()) == 5_000 and set(seen) <= {200, 400, 413, 422}
    counters = server.control("GET", "state")["deployments"][0]["counters"]
    assert counters["errors"] == 0 and counters["rejected"] == 0
