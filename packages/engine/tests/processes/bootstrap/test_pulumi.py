"""The Pulumi CLI is called as its documentation says, with the backend and the subscription of the stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.bootstrap.pulumi import PulumiCli, find, pinned
from mlops.errors import TargetError

ROOT = Path(__file__).parents[5]
BACKEND = "azblob://state?storage_account=stx"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called pulumi that notes how it was called, and answers what `answer` holds."""
    home = tmp_path / "bin"
    home.mkdir()
    program = home / "pulumi"
    program.write_text(
        f'#!/bin/sh\necho "$* | $PULUMI_BACKEND_URL | $ARM_SUBSCRIPTION_ID" >>{tmp_path}/calls\n'
        f"cat {tmp_path}/answer; cat {tmp_path}/said >&2; exit $(cat {tmp_path}/code)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    answers(tmp_path, "[]")
    return tmp_path


def answers(folder: Path, answer: str, said: str = "", code: int = 0) -> None:
    for name, text in (("answer", answer), ("said", said), ("code", str(code))):
        (folder / name).write_text(text)


def test_a_question_is_json_and_an_unknown_stack_is_none(cli: Path):
    answers(cli, json.dumps([{"kind": "update"}]))
    assert PulumiCli(ROOT, BACKEND).ask("stack", "history", "--stack", "dev", "--json") == [
        {"kind": "update"}
    ]
    assert (
        cli / "calls"
    ).read_text() == f"stack history --stack dev --json --non-interactive | {BACKEND} | \n"
    answers(cli, "", "error: no stack named 'dev' found", 255)
    assert PulumiCli(ROOT, BACKEND).ask("stack", "history", "--stack", "dev") is None
    answers(cli, "", 'error: blob (key ".pulumi/meta.yaml") 403', 255)
    with pytest.raises(TargetError, match="pulumi stack ls failed: error: blob"):
        PulumiCli(ROOT, BACKEND).ask("stack", "ls")
    answers(cli, "Warning: update")
    with pytest.raises(TargetError, match="printed no JSON"):
        PulumiCli(ROOT, BACKEND).ask("stack", "ls")


def test_a_change_runs_in_the_subscription_of_the_stack_and_says_how_to_go_on(cli: Path):
    PulumiCli(ROOT, BACKEND).run("up", "--stack", "dev", "--yes", subscription="sub-1")
    assert (cli / "calls").read_text() == f"up --stack dev --yes --non-interactive | {BACKEND} | sub-1\n"
    answers(cli, "", "", 255)
    with pytest.raises(TargetError, match=r"exit code 255; .* it goes on where it stopped"):
        PulumiCli(ROOT, BACKEND).run("up", subscription="sub-1")


def test_the_pinned_cli_of_the_cache_comes_first_and_none_is_a_sentence(
    cli: Path, monkeypatch: pytest.MonkeyPatch
):
    assert find(ROOT) == cli / "bin/pulumi"
    own = cli / f"cache/mlops/pulumi-{pinned(ROOT)}/bin/pulumi"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    assert find(ROOT) == own
    own.unlink()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TargetError, match=r"Pulumi 3\.\d+\.\d+ is not installed; run: make pulumi"):
        PulumiCli(ROOT, BACKEND).ask("stack", "ls")
