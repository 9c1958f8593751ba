"""The contract is the same in both shells: what the endpoint refuses, Azure's inference server refuses with
the same status and the same words. A client that moves from one to the other has nothing to change.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlops.serving import testing
from tests.serving.corpus import cases
from tests.serving.harness import Line, Reply, serving
from tests.serving.inference_server import azure_serving


@pytest.fixture(scope="module")
def shells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Line, Line]]:
    """A line to the endpoint and one to Azure's server, with the same model."""
    root = tmp_path_factory.mktemp("shells")
    testing.write_onnx(root / "model")
    (root / "ours").mkdir()
    with (
        serving(root / "ours", model=root / "model") as ours,
        azure_serving(root / "model", root) as theirs,
        Line(ours.port, ours.keys.primary) as one,
        Line(theirs.port) as other,
    ):
        yield one, other


def meaning(reply: Reply) -> object:
    """An answer without what names the request."""
    answer = reply.json()
    answer.pop("request_id", None)
    return answer


def compare(shells: tuple[Line, Line], count: int, seed: int) -> set[int]:
    seen = set()
    for case in cases(seed, count):
        if case.protocol == "score":
            one, other = (line.post("/score", case.body) for line in shells)
            seen.add(one.status)
            assert (one.status, meaning(one)) == (other.status, meaning(other)), case
            assert other.headers["x-model-version"] == one.headers["x-model-version"] == "1"
    return seen


def test_hundreds_of_requests_get_the_same_answer(shells: tuple[Line, Line]) -> None:
    assert compare(shells, 500, seed=11) == {200, 400, 422}


@pytest.mark.slow
def test_thousands_of_requests_get_the_same_answer(shells: tuple[Line, Line]) -> None:
    assert compare(shells, 8_000, seed=12) == {200, 400, 422}


@pytest.mark.parametrize("kind", ["text/csv", "application/json; charset=x", "application/jsonx"])
def test_other_content_types_are_refused_alike(shells: tuple[Line, Line], kind: str) -> None:
    body = b"carrier,distance\nAA,1"
    head = f"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}"
    replies = []
    for line in shells:
        key = f"\r\nauthorization: Bearer {line._key}" if line._key else ""
        replies.append(line.say(f"{head}{key}\r\n\r\n".encode() + body))
    assert [r.status for r in replies] == [415, 415]
    assert meaning(replies[0]) == meaning(replies[1])
