"""What the pages say to type on Azure is typed here, in that order, against the emulator.

Their blocks need a subscription, so the tests of pages only parse them. The commands stand here as they
stand there, but for MODEL, which every fork has another name for. A question is answered with yes.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.spec.files import load_release
from mlops.spec.settings import load_settings
from mlops.targets.azure.connect import Connection
from tests.azure.emulator import Emulator
from tests.azure.forges.azure_devops import FakeAzureDevOps
from tests.azure.forges.github import FakeGitHub
from tests.azure.fork import Place, place
from tests.azure.lifecycle import promote, quick_steps, repository_on, subscription, workspace_of
from tests.docs.doc_pages import blocks, pages
from tests.e2e.template_copy import MODEL, Done, Repository

pytestmark = pytest.mark.e2e

TRAINED = """\
mlops --target azure data push
mlops data push
mlops --target azure train
mlops --target azure gate
mlops --target azure release
"""
SERVED = """\
mlops --target azure batch-job prod --data azureml:flights-to-score:1
mlops batch-job prod --data azureml:to-score:1
mlops --target azure schedule apply prod pipelines/flights/monitor.yml
mlops --target azure schedule apply prod pipelines/flights/drift-schedule.yml
mlops schedule apply prod pipelines/MODEL/monitor.yml
mlops schedule list prod
mlops schedule remove prod MODEL-monitor-prod
mlops --target azure smoke
mlops --target azure smoke --env staging
mlops smoke --env staging
"""
GITHUB = """\
mlops doctor
mlops bootstrap azure --forge github --dry-run
mlops bootstrap azure --forge github --stack dev
mlops bootstrap azure --forge github
mlops bootstrap azure --forge github --protect
mlops doctor --stack prod
mlops bootstrap azure --undo
"""
AZURE_DEVOPS = """\
mlops doctor
mlops bootstrap azure --forge azure-devops --dry-run
mlops bootstrap azure --forge azure-devops
"""


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `mlops` of each line."""
    for line in text.splitlines():
        yield shlex.split(line.replace("MODEL", MODEL))[1:]


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Emulator]:
    with subscription(tmp_path_factory.mktemp("azure"), database) as made:
        yield made


@pytest.fixture(scope="module")
def repository(azure: Emulator, raw_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return repository_on(azure, tmp_path_factory.mktemp("typed"), raw_sample)


def typed(repository: Repository, text: str) -> dict[str, Done]:
    """How each command of `text` ended, by its words. All must end well."""
    return {" ".join(words): repository.call(*words, answer="y\n").ok() for words in commands(text)}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_the_data_to_what_watches_production(
    repository: Repository, azure: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mlops.targets.azure._metrics.PAUSE", 0.2)
    monkeypatch.setattr("mlops.targets.azure.batch._PAUSE", 0.2)
    done = typed(repository, TRAINED)
    assert "nothing to do" in done["data push"].out + done["data push"].err
    release = load_release(repository.root, MODEL, 1)

    repository.commit(f"Release {MODEL} 1")
    quick_steps(repository, "staging")
    repository.call("apply", "staging").ok()
    promote(repository)
    repository.call("apply", "prod").ok()

    connection = Connection(repository.root, load_settings(repository.root))
    workspace = workspace_of(azure, connection, "prod")
    digest = release.digest.removeprefix("sha256:")
    rows = json.loads((repository.root / ".mlops/models" / digest / "sample.json").read_text())["input_data"]
    path = tmp_path / "rows.parquet"
    pd.DataFrame(rows["data"], columns=rows["columns"]).to_parquet(path)
    azure.blobs.write(workspace.account, workspace.container, "in/rows.parquet", path.read_bytes())
    for name in ("flights-to-score", "to-score"):
        properties = {"dataType": "uri_folder", "dataUri": workspace.datastore("in/"), "isArchived": False}
        azure.arm.put(f"{workspace.id}/data/{name}/versions/1", {"properties": properties})

    # One that was trained elsewhere: the same artifact with a word of its maker is another one.
    elsewhere = repository.root / "trained-elsewhere"
    shutil.copytree(repository.root / ".mlops/models" / digest, elsewhere)
    (elsewhere / "NOTICE").write_text("By another team.\n")
    made = repository.call("register", str(elsewhere), "--json").ok().json
    assert (made["version"], made["tags"]["mlops.source"]) == (2, "external")
    judged = repository.call("gate", "2", "--json").ok().json
    assert judged["passed"] is True and judged["champion"] == 1

    done = typed(repository, SERVED)
    assert len(azure.batch.results) == 2, "both folders were scored"
    listed = done["schedule list prod"].out
    assert f"{MODEL}-monitor-prod" in listed and f"{MODEL}-drift-prod" in listed
    assert azure.arm.get(f"{workspace.id}/schedules/{MODEL}-monitor-prod") is None, "it was removed"
    assert "request id" in done["--target azure smoke --env staging"].out


def typed_in(made: Place, text: str) -> dict[str, Done]:
    """How each command of `text` ended in a fork that nothing was made for yet."""
    found = {}
    for words in commands(text):
        if words[-1] == "--undo":
            for name in made.pulumi.history:  # a person does that first: see the sentence of --undo
                made.pulumi.destroy(name)
        asks = words[0] == "bootstrap" and words[-1] != "--dry-run"
        typed = ["-C", str(made.root), *words, *["--yes"] * asks]
        result = CliRunner().invoke(app, typed)
        found[" ".join(words)] = Done(tuple(typed), result.exit_code, result.stdout, result.stderr)
    return found


WELL = [
    *("login", "subscription", "providers", "foundation", "quota"),
    *("roles", "trust", "subjects", "environments", "main branch"),
]
"""Checks of doctor that find nothing after bootstrap; the others are about this machine and the files."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_bootstrap_on_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with place(tmp_path, monkeypatch, FakeGitHub()) as hub:
        found = typed_in(hub, GITHUB)
        assert {words: done.code for words, done in found.items() if "doctor" not in words} == {
            "bootstrap azure --forge github --dry-run": 2,
            "bootstrap azure --forge github --stack dev": 0,
            "bootstrap azure --forge github": 0,
            "bootstrap azure --forge github --protect": 0,
            "bootstrap azure --undo": 0,
        }
        said = found["doctor --stack prod"].out.splitlines()
        for check in WELL:
            about = [line for line in said if line.split(maxsplit=1)[-1].startswith(f"{check}:")]
            assert about and all(line.startswith("ok ") for line in about), (check, said)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_bootstrap_on_azure_devops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with place(tmp_path, monkeypatch, FakeAzureDevOps()) as made:
        found = typed_in(made, AZURE_DEVOPS)
        assert found["bootstrap azure --forge azure-devops --dry-run"].code == 2
        found["bootstrap azure --forge azure-devops"].ok()
        assert set(made.pulumi.history) == {"shared", "dev", "staging", "prod"}


def documented() -> set[str]:
    """The verbs in blocks that need Azure, or a forge, on the pages that people read."""
    needing = [
        block
        for page in pages()
        for block in blocks(page)
        if block.language == "sh" and block.note("needs") in ("azure", "github", "azure-devops")
    ]
    found = {" ".join(shlex.split(line, comments=True)) for b in needing for line in b.text.splitlines()}
    return {line for line in found if line.startswith("mlops ")}


def test_every_command_that_needs_azure_is_typed_here() -> None:
    missing = documented() - set("".join((TRAINED, SERVED, GITHUB, AZURE_DEVOPS)).splitlines())
    assert not missing, f"type them in one of the tests above: {sorted(missing)}"
    assert len(documented()) > 10
