"""What the endpoint says of itself is true: schemathesis reads its OpenAPI document and tries to prove it
wrong, with requests that follow it and with requests that break it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi

from mlops.serving import testing
from tests.serving.corpus import Case, rows_of
from tests.serving.harness import Server, serving

CHECKS: list[Any] = [
    checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
]
LIMITS = settings(
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("openapi")) as made:
        yield made


def judge(server: Server, case: Any) -> None:
    """The description's own checks, and for each prediction the oracle's."""
    key = {"authorization": f"Bearer {server.keys.primary}"}
    response = case.call(base_url=f"http://127.0.0.1:{server.port}", headers=key)
    case.validate_response(response, checks=CHECKS)
    body, sent = response.request.body or b"", response.request.headers.get("authorization")
    if response.status_code in (401, 403):
        assert sent != key["authorization"], "the key was sent and refused"
        return
    if case.method != "POST" or response.status_code in (405, 415):
        return
    protocol = case.path.strip("/")
    rows = rows_of(Case(protocol, body if isinstance(body, bytes) else body.encode()))
    assert (response.status_code == 200) == (rows is not None), (body, response.content[:500])
    if rows is not None:
        wanted = [testing.expected(carrier, distance) for carrier, distance in rows]
        assert response.json()["predictions"] == pytest.approx(wanted, abs=1e-6)
        assert response.json()["labels"] == testing.labels(response.json()["predictions"])
        assert response.json().keys() == {"predictions", "labels"}
    else:
        assert response.json()["error"]["message"]


def prove(server: Server, described: str, path: str, mode: GenerationMode, count: int) -> None:
    status, document = server.ask("GET", described)
    assert status == 200
    strategy = schemathesis.openapi.from_dict(document)[path]["POST"].as_strategy(generation_mode=mode)

    @settings(LIMITS, max_examples=count)
    @given(strategy)
    def each(case: Any) -> None:
        judge(server, case)

    each()


EVERY = [
    pytest.mark.parametrize("described", ["/openapi.json", "/swagger.json"]),
    pytest.mark.parametrize("path", ["/score", "/invocations"]),
    pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value),
]


def every(test: Any) -> Any:
    for mark in EVERY:
        test = mark(test)
    return test


@every
def test_the_description_holds(server: Server, described: str, path: str, mode: GenerationMode) -> None:
    prove(server, described, path, mode, 20)


@pytest.mark.slow
@pytest.mark.timeout(900)
@every
def test_the_description_holds_for_more_requests(
    server: Server, described: str, path: str, mode: GenerationMode
) -> None:
    prove(server, described, path, mode, 400)


@pytest.mark.parametrize("path", ["/openapi.json", "/swagger.json"])
def test_the_description_is_valid(server: Server, path: str) -> None:
    document = server.ask("GET", path)[1]
    schemathesis.openapi.from_dict(document).validate()


def test_the_checks_would_notice(server: Server) -> None:
    """A description that promises more than is kept fails: the proof is none if it cannot."""
    document = server.ask("GET", "/openapi.json")[1]
    answer = document["paths"]["/score"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    answer["properties"]["predictions"]["items"] = {"type": "string"}
    case = schemathesis.openapi.from_dict(document)["/score"]["POST"].Case(
        body=testing.body(), media_type="application/json"
    )
    with pytest.raises(checks.FailureGroup):
        judge(server, case)
