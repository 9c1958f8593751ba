"""`mlops smoke`: what it tries is really asked, what it made is gone, and what is not as assumed is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner, Result

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.errors import TargetError
from mlops.spec.online import OnlineSettings
from mlops.spec.settings import load_settings
from mlops.targets._smoke import Checked
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.smoke import CHECKS, smoke
from mlops.targets.azure.smoke import MODEL as MADE
from mlops.targets.azure.store import CONTAINER
from tests.azure.conftest import ROOT
from tests.azure.emulator import Answer, Emulator
from tests.azure.online_bench import IMAGE, AzureBench, settings_with
from tests.contracts.endpoints import MODEL, create, write_artifacts


@pytest.fixture
def connection(tracked: Emulator, tmp_path: Path) -> Connection:
    settings = load_settings(ROOT)
    local = settings.local.model_copy(update={"state": str(tmp_path / "state")})
    return Connection(ROOT, settings.model_copy(update={"local": local}))


def _by_name(found: list[Checked]) -> dict[str, Checked]:
    return {checked.name: checked for checked in found}


def test_what_it_tries_and_that_nothing_stays(connection: Connection, tracked: Emulator) -> None:
    found = _by_name(list(smoke(connection)))
    assert {name: c.verdict for name, c in found.items()} == dict.fromkeys(
        [name for name in CHECKS if name != "request id"], "as assumed"
    )
    assert found["aliases"].found == "refused with 404"
    assert found["stages"].found == "answered"
    assert tracked.arm.below(f"{_training(tracked)}/models/{MADE}/versions") == [], "the version is deleted"
    account = next(w.account for w in tracked.workspaces.workspaces.values() if w.name.endswith("-dev-we"))
    assert tracked.blobs.names(account, CONTAINER) == [], "the blob is deleted"
    run = found["register"].found.rsplit(" ", 1)[-1]
    assert tracked.tracking.run(run).info.lifecycle_stage == "deleted"


def _training(azure: Emulator) -> str:
    return next(w.id for w in azure.workspaces.workspaces.values() if w.name.endswith("-dev-we"))


def test_a_workspace_that_can_do_more(connection: Connection, tracked: Emulator) -> None:
    tracked.tracking.log_inputs = True
    assert _by_name(list(smoke(connection)))["log-inputs"].verdict == "better"


def test_what_is_not_as_assumed_is_told_and_the_rest_is_tried(
    connection: Connection, tracked: Emulator
) -> None:
    told = b"<Code>AuthorizationPermissionMismatch</Code><Message>no</Message>"
    body = b"<?xml version='1.0'?><Error>" + told + b"</Error>"
    headers = {"content-type": "application/xml", "x-ms-error-code": "AuthorizationPermissionMismatch"}

    def refuse(request):  # the journal's container only
        return Answer(403, body, headers) if request.path.startswith(f"/{CONTAINER}") else None

    tracked.faults.append(refuse)
    found = _by_name(list(smoke(connection, lambda mine: "another")))
    assert [c.name for c in found.values() if c.verdict == "wrong"] == ["lock", "request id"]
    assert "this identity needs the role" in found["lock"].found
    assert found["request id"].found == "replaced by another: take the id of the answer for labels"


def test_an_interruption_leaves_nothing(connection: Connection, tracked: Emulator) -> None:
    running = smoke(connection)
    while next(running).name != "register":
        pass
    running.close()
    assert tracked.arm.below(f"{_training(tracked)}/models/{MADE}/versions") == []


def test_a_refused_login_ends_it(connection: Connection, tracked: Emulator) -> None:
    tracked.entra.unknown = True
    with pytest.raises(TargetError, match="AADSTS700016"):
        list(smoke(connection))


def test_an_endpoint_is_asked_which_request_id_it_keeps(tracked: Emulator, tmp_path: Path) -> None:
    bench = AzureBench(tracked, write_artifacts(tmp_path / "a"), settings_with(OnlineSettings(image=IMAGE)))
    tracked.online.add(bench.workspace.id, bench.name)
    create(bench, "blue", 1, "one")
    from mlops.serving import testing

    def ask(mine: str) -> str:
        url, key = bench.endpoints.state("prod", MODEL).url, bench.endpoints.key("prod", MODEL)
        headers = {"authorization": f"Bearer {key}", "x-request-id": mine}
        return requests.post(url, json=testing.body(), headers=headers, timeout=30).headers["x-request-id"]

    found = _by_name(list(smoke(bench.connection, ask)))
    assert (found["request id"].verdict, found["request id"].found) == ("as assumed", "kept")


def _mlops(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["-C", str(ROOT), *words], input=answer)


def test_the_verb_says_what_it_costs_and_asks(tracked: Emulator) -> None:
    refused = _mlops("--target", "azure", "smoke", answer="n\n")
    assert refused.exit_code == 1
    assert "less than one cent" in refused.output.replace("\n", " ")
    assert not tracked.exchanges, "nothing was asked of Azure before the answer"
    done = _mlops("--target", "azure", "smoke", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert {row["name"] for row in json.loads(done.stdout)} == set(CHECKS) - {"request id"}
    local = _mlops("--target", "local", "smoke")
    assert local.exit_code == 6 and "use --target azure" in local.output


def test_the_page_lists_every_check() -> None:
    page = (ROOT / "docs" / "azure-smoke.md").read_text(encoding="utf-8")
    for name, assumed in CHECKS.items():
        assert f"| {name} | {assumed} |" in page
