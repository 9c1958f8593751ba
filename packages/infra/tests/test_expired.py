"""The clock that deletes an environment: it must strike only what is there, unprotected and old enough.

Read wrongly it deletes an environment that somebody works in, or keeps a forgotten one for ever.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from graphs import ROOT, TRAINS
from mlops.errors import InvalidInput, TargetError
from mlops.infra import expired
from mlops.infra.plan import api
from real_engine import find_cli

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


def _listed(stack: str = "dev", **changes: Any) -> dict[str, Any]:
    """One line of `pulumi stack ls --json`."""
    return {
        "name": stack,
        "current": False,
        "lastUpdate": "2026-03-01T00:00:00.000Z",
        "resourceCount": 40,
    } | changes


def test_the_clock_starts_at_the_last_update() -> None:
    (one,) = expired.live({"dev": "14d"}, [_listed(), _listed("prod")])
    assert (one.stack, one.expires) == ("dev", datetime(2026, 3, 15, tzinfo=UTC))
    assert one.expired(one.expires)
    assert not one.expired(one.expires - timedelta(seconds=1))


def test_hours_and_days_are_told_apart() -> None:
    assert expired.duration("72h") == timedelta(days=3)
    assert expired.duration("14d") == timedelta(days=14)
    with pytest.raises(ValueError, match="no time such as"):
        expired.duration("14m")


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [_listed("staging")],
        [_listed(resourceCount=0)],
        [_listed(resourceCount=None)],
        [_listed(updateInProgress=True)],
    ],
    ids=["never made", "another one", "destroyed", "unknown", "at work"],
)
def test_what_is_not_there_or_is_being_changed_does_not_expire(listed: list[dict[str, Any]]) -> None:
    assert expired.live({"dev": "1h"}, listed) == []


def test_a_stack_with_its_whole_name_is_found() -> None:
    assert [o.stack for o in expired.live({"dev": "1h"}, [_listed("organization/mlops/dev")])] == ["dev"]


@pytest.mark.parametrize("text", ["yesterday", None])
def test_a_date_that_cannot_be_read_is_no_reason_to_delete(text: str | None) -> None:
    with pytest.raises(TargetError, match="which is no date"):
        expired.live({"dev": "1h"}, [_listed(lastUpdate=text)])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With a stack `trial` beside the template's, which goes after two weeks."""
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, tmp_path)
    environments = shutil.copytree(ROOT / "environments", tmp_path / "environments")
    for path in environments.glob("Pulumi.*.yaml"):  # a team may have given its own one
        path.write_text(re.sub(r"^  mlops:ttl: .*\n", "", path.read_text(), flags=re.MULTILINE))
    dev = (environments / "Pulumi.dev.yaml").read_text()
    (environments / "Pulumi.trial.yaml").write_text(
        dev.replace("config:\n", "config:\n  mlops:ttl: 14d\n", 1)
    )
    return tmp_path


def test_only_stacks_with_a_ttl_are_looked_at(repository: Path) -> None:
    assert expired.configured(repository) == {"trial": "14d"}


def test_the_stack_that_trains_stays_until_a_person_destroys_it() -> None:
    """What production is compared with lies there."""
    assert TRAINS not in expired.configured(ROOT)


@pytest.mark.parametrize("path", [".github/workflows/destroy.yml", "pipelines/azure-devops/destroy.yml"])
def test_a_ttl_that_no_job_acts_on_is_refused(repository: Path, path: str) -> None:
    """Jobs exist for dev, staging and prod: the night ran, and deleted nothing."""
    workflow = repository / path
    workflow.parent.mkdir(parents=True)
    shutil.copy(ROOT / path, workflow)
    for call in (expired.configured, lambda root: api.plan(root, stacks=["shared"], checkov=False)):
        with pytest.raises(InvalidInput, match=r"Pulumi\.trial\.yaml.*ttl.*no job for the stack trial"):
            call(repository)
    workflow.write_text(workflow.read_text() + "\n      stack: trials\n")
    with pytest.raises(InvalidInput, match="no job for the stack trial"):
        expired.configured(repository)
    workflow.write_text(workflow.read_text() + "\n      stack: trial\n")
    if path.startswith(".github/"):
        with pytest.raises(InvalidInput, match="no job for the stack trial"):
            expired.configured(repository)  # a job that nobody starts at night
        at_night = "contains(needs.expired.outputs.stacks, '\"trial\"')"
        workflow.write_text(workflow.read_text() + f"    if: {at_night}\n")
    assert expired.configured(repository) == {"trial": "14d"}


def test_a_protected_stack_with_a_ttl_is_refused(repository: Path) -> None:
    file = repository / "environments/Pulumi.prod.yaml"
    file.write_text(file.read_text().replace("mlops:protect: true", "mlops:protect: true\n  mlops:ttl: 1h"))
    with pytest.raises(InvalidInput, match=r"Pulumi\.prod\.yaml.*ttl: needs `protect: false`"):
        expired.lifetimes(repository)


def test_a_clock_takes_no_environment_that_another_comes_after(repository: Path) -> None:
    """What is promoted to prod is proven by the journal of staging, where prod's identities hold roles."""

    def with_ttl(stack: str) -> None:
        path = repository / f"environments/Pulumi.{stack}.yaml"
        text = re.sub(r"mlops:protect: .*", "mlops:protect: false", path.read_text())
        path.write_text(text.replace("config:\n", "config:\n  mlops:ttl: 14d\n", 1))

    (repository / "environments/Pulumi.trial.yaml").unlink()
    with_ttl("staging")
    for call in (expired.configured, lambda root: api.plan(root, stacks=["prod"], checkov=False)):
        with pytest.raises(
            InvalidInput, match=r"Pulumi\.staging\.yaml:\d+: ttl: prod comes after this environment"
        ):
            call(repository)
    with_ttl("prod")
    assert expired.configured(repository) == {"staging": "14d", "prod": "14d"}, (
        "both go, so nothing is left over"
    )


def test_without_any_ttl_pulumi_is_not_asked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "environments/Pulumi.trial.yaml").unlink()
    monkeypatch.setenv("PATH", "")
    assert expired.lifetimes(repository) == []


def _pulumi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tool = folder / "bin/pulumi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 'error: no credentials' >&2; exit 255", "exit code 255: error: no credentials"),
        ("echo Welcome", "printed no list: 'Welcome'"),
        ("echo '{}'", "printed no list: '{}'"),
    ],
)
def test_what_pulumi_cannot_say_is_a_sentence(
    repository: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str
) -> None:
    _pulumi(repository, monkeypatch, script)
    with pytest.raises(TargetError, match=sentence.replace("{}", r"\{\}")):
        expired.lifetimes(repository)


def test_a_missing_cli_is_a_sentence(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TargetError, match="make pulumi"):
        expired.lifetimes(repository)


def _verb(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (repository / "infra").symlink_to(ROOT / "infra")
    command = [
        str(Path(sys.executable).with_name("mlops")),
        "-C",
        str(repository),
        "infra",
        "expired",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_verb_lists_what_the_destroy_workflow_deletes(repository: Path, monkeypatch: Any) -> None:
    old = [_listed("trial"), _listed("prod")]
    _pulumi(repository, monkeypatch, f"echo '{json.dumps(old)}'")
    done = _verb(repository, "--json")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    assert (one["stack"], one["ttl"], one["expires"]) == ("trial", "14d", "2026-03-15 00:00:00+00:00")


def test_the_verb_says_when_the_others_expire(repository: Path, monkeypatch: Any) -> None:
    new = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    _pulumi(repository, monkeypatch, f"echo '{json.dumps([_listed('trial', lastUpdate=new)])}'")
    done = _verb(repository)
    assert (done.returncode, done.stdout) == (0, "")
    assert "trial expires on" in done.stderr
    assert "no environment has expired" in done.stderr


@pytest.mark.engine
@pytest.mark.skipif(find_cli() is None, reason="the Pulumi CLI is neither on PATH nor in the cache")
def test_the_real_cli_says_what_is_read_here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty stack is listed and has no resources; the fields are spelled as this module spells them."""
    backend = repository / "backend"
    backend.mkdir()
    cli = find_cli()
    assert cli is not None
    monkeypatch.setenv("PATH", f"{cli.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{backend}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "only for tests")
    monkeypatch.setenv("PULUMI_SKIP_UPDATE_CHECK", "true")
    subprocess.run(["pulumi", "stack", "init", "trial", "--non-interactive"], cwd=repository, check=True)
    assert expired.lifetimes(repository) == []
    (listed,) = expired._listed(repository)
    assert listed["name"].rpartition("/")[2] == "trial"
