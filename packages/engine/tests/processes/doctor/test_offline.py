"""`mlops doctor` without a network: a fresh clone is well, and every wrong file, tool and lock is found."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlops.cli import _verbs  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.doctor import tools
from mlops.doctor.case import Case
from mlops.doctor.finding import Finding, code
from mlops.doctor.run import CHECKS, diagnose
from tests.azure.pristine import pristine

ROOT = Path(__file__).parents[5]


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """The files that checks read, as the template has them."""
    pristine(tmp_path)
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github/CODEOWNERS").write_text("* @OWNER/ml-team\n/infra/ @OWNER/platform-team\n")
    (tmp_path / "src/flights").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new))


def look(root: Path, target: str = "", stacks: tuple[str, ...] = ()) -> list[Finding]:
    return diagnose(Case(root, target, stacks), offline=True)


def of(found: list[Finding], check: str) -> list[Finding]:
    return [f for f in found if f.check == check]


def test_a_fresh_clone_with_the_local_target_has_only_notes(fork: Path):
    found = look(fork)
    assert {f.severity for f in found} == {"ok", "note"}
    assert code(found, offline=True) == 0
    words = " ".join(f.sentence + f.fix for f in found if f.severity != "note")
    assert "azure" not in words.replace("Azure takes", "").lower(), "nobody asked for Azure"


def test_what_needs_a_network_says_that_it_was_not_checked(fork: Path):
    found = look(fork, "azure")
    away = {c.name for c in CHECKS if c.needs == "azure"}
    assert {f.check for f in found if f.severity == "unknown"} == away
    assert {f.sentence for f in found if f.severity == "unknown"} == {"not checked: --offline"}


def test_a_stack_that_was_made_means_that_azure_is_wanted(fork: Path):
    path = fork / "environments/Pulumi.dev.yaml"
    path.write_text("secretsprovider: azurekeyvault://kv.vault.azure.net/keys/pulumi\n" + path.read_text())
    assert of(look(fork), "quota")


DEV, PROD = "environments/Pulumi.dev.yaml", "environments/Pulumi.prod.yaml"
POLICY = "environments/policy.yaml"
WRONG = [
    ("settings", "mlops.toml", 'target = "local"', 'target = "moon"', "mlops.toml:3: target: "),
    ("settings", "mlops.toml", 'usecase = "flights"', 'usecase = "trains"', "there is no src/trains"),
    ("settings", "mlops.toml", 'name = "flights-mlops"', 'name = "f"', "project.name"),
    ("stack files", DEV, "westeurope", "westmoon", "environments/Pulumi.dev.yaml:"),
    ("stack files", PROD, "mlops:protect: true", "mlops:protct: true", "protct"),
    ("stack files", DEV, "    cpu-cluster: {", "    cpu-12: {", "cpu-12"),
    ("policy", POLICY, "auto_merge: true", "auto_merge: perhaps", "auto_merge"),
    ("policy", POLICY, "  staging:", "  test:", "order must name every environment"),
]


@pytest.mark.parametrize("case", WRONG, ids=[row[3].strip() for row in WRONG])
def test_a_wrong_file_is_an_error_with_its_place(fork: Path, case: tuple[str, str, str, str, str]):
    check, name, old, new, sentence = case
    edit(fork / name, old, new)
    found = look(fork)
    wrong = [f for f in found if f.severity == "error"]
    assert {f.check for f in wrong} == {check}, "and it is said once"
    assert any(sentence in f.sentence for f in wrong), found
    assert code(found, offline=True) == 5


def test_a_stack_file_that_is_no_text_is_found(fork: Path):
    (fork / DEV).write_bytes(b"\xff\xfe\x00")
    (wrong,) = of(look(fork), "stack files")
    assert f"{DEV}: not UTF-8 text" in wrong.sentence


def test_a_model_without_a_pipeline_is_found(fork: Path):
    shutil.rmtree(fork / "pipelines/flights")
    assert "there is no pipelines/flights" in of(look(fork), "settings")[0].sentence


def test_a_promotion_to_an_environment_without_a_stack_is_found(fork: Path):
    (fork / "environments/Pulumi.staging.yaml").unlink()
    (wrong,) = of(look(fork, "azure"), "policy")
    assert "promotes to staging, which has no environments/Pulumi.staging.yaml" in wrong.sentence


def test_a_name_that_azure_does_not_take_is_found(fork: Path, monkeypatch: pytest.MonkeyPatch):
    """No legal project has one today, because names are cut; a rule that becomes stricter would."""
    from mlops.spec import naming

    strict = naming.Rule("kv", 10, naming.RULES["key_vault"].pattern, unique=True)
    monkeypatch.setitem(naming.RULES, "key_vault", strict)
    wrong = of(look(fork), "names")
    assert {"error"} == {f.severity for f in wrong}
    assert any(f.sentence.startswith("stack dev: key vault 'kv-") for f in wrong)
    assert any(f.sentence.startswith("stack state: key vault 'kv-") for f in wrong)


def test_an_unknown_stack_is_refused(fork: Path):
    assert (
        "there is no environments/Pulumi.moon.yaml"
        in of(look(fork, "", ("moon",)), "stack files")[0].sentence
    )


def test_placeholders_matter_as_soon_as_azure_is_used(fork: Path):
    (note,) = of(look(fork), "placeholders")
    assert note.severity == "note"
    wrong = of(look(fork, "azure"), "placeholders")
    trusts = [f for f in wrong if f.severity == "error"]
    assert len(trusts) == 3
    assert all("would trust a repository of that name" in f.sentence for f in trusts)
    assert {f.fix for f in trusts} == {"mlops bootstrap azure --forge github"}
    for path in (fork / "environments").glob("Pulumi.*.yaml"):
        path.write_text(
            path.read_text().replace("OWNER/REPO", "contoso/flights").replace("example.com", "contoso.com")
        )
    edit(fork / ".github/CODEOWNERS", "@OWNER/", "@contoso/")
    assert [f.severity for f in of(look(fork, "azure"), "placeholders")] == ["ok"]


def test_tools_that_are_missing_or_old(fork: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    edit(fork / "mlops.toml", 'kind = "local"', 'kind = "github"\nrepository = "a/b"')
    found = look(fork, "azure")
    assert of(found, "git")[0].sentence == "git is not on PATH"
    assert of(found, "pulumi")[0].fix == "make pulumi"
    assert {f.sentence.split(" is ")[0] for f in of(found, "clients")} == {"the Azure CLI", "the GitHub CLI"}
    assert code(found, offline=True) == 5, "the placeholders are files"
    old = empty / "git"
    old.write_text("#!/bin/sh\necho git version 2.25.1\n")
    old.chmod(0o755)
    cli = empty / "pulumi"
    cli.write_text("#!/bin/sh\necho v3.1.0\n")
    cli.chmod(0o755)
    found = look(fork, "azure")
    assert "git 2.25 is too old: 2.38" in of(found, "git")[0].sentence
    assert "is Pulumi 3.1.0; the Makefile pins" in of(found, "pulumi")[0].sentence


def test_a_wrong_python_and_an_old_environment(fork: Path, monkeypatch: pytest.MonkeyPatch):
    edit(fork / "pyproject.toml", 'requires-python = ">=3.11,<3.14"', 'requires-python = ">=3.99"')
    (wrong,) = of(look(fork), "python")
    assert wrong.fix == "make setup PYTHON=python3.99"
    edit(fork / "pyproject.toml", ">=3.99", ">=3.11")
    ready = fork / ".venv/.ready"
    ready.parent.mkdir()
    ready.touch()
    os.utime(ready, (1, 1))
    assert of(look(fork), "python")[0].severity == "warning"
    assert tools.version_of("no-such-program") == ""


def test_a_folder_without_git_is_found(fork: Path):
    (fork / ".git").rmdir()
    assert of(look(fork), "git")[0].fix == "git init"


def test_a_lock_of_a_dead_process_is_told_and_ends_by_itself(fork: Path):
    now = datetime.now(UTC)
    row = {"owner": "ada", "host": socket.gethostname(), "pid": 2**22 + 7, "started": "1", "token": "x",
           "since": now.isoformat(), "until": (now + timedelta(hours=1)).isoformat()}  # fmt: skip
    lease = fork / ".mlops/environments/prod/lease.json"
    lease.parent.mkdir(parents=True)
    lease.write_text(json.dumps(row))
    (dead,) = of(look(fork), "apply locks")
    assert (dead.severity, dead.fix) == ("note", "mlops apply prod")
    assert "which is gone" in dead.sentence
    lease.write_text(json.dumps(row | {"host": "another"}))
    assert "prod is locked by ada" in of(look(fork), "apply locks")[0].sentence


HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"hostname": HERE, "pid": 2**22 + 7}, ("error", "which is gone")),
        ({"hostname": HERE, "pid": os.getpid()}, ("note", "may be at work")),
        ({"hostname": "ci-7", "timestamp": "2026-01-01T10:00:00Z"}, ("error", "longer than any update")),
        ({"timestamp": None}, ("error", "cannot be read")),
    ],
)
def test_locks_of_pulumi_in_a_folder(
    fork: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], wanted: tuple[str, str]
):
    severity, sentence = wanted
    row = {"pid": 1, "username": "ada", "hostname": "x", "timestamp": datetime.now(UTC).isoformat()}
    lock = fork / "backend/.pulumi/locks/organization/mlops/dev/7.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps(row | changes))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{fork}/backend")
    (found,) = of(look(fork), "pulumi locks")
    assert (found.severity, found.fix) == (severity, "pulumi cancel dev --yes" if severity == "error" else "")
    assert sentence in found.sentence


@pytest.mark.parametrize(
    ("severities", "file", "offline", "wanted"),
    [
        (("ok", "note", "warning"), False, False, 0),
        (("unknown",), False, True, 0),
        (("unknown", "warning"), False, False, 4),
        (("unknown", "error"), False, False, 6),
        (("error",), True, False, 5),
    ],
)
def test_exit_codes(severities: tuple[str, ...], file: bool, offline: bool, wanted: int):
    found = [Finding("x", s, "", file=file) for s in severities]  # type: ignore[arg-type]
    assert code(found, offline=offline) == wanted


def test_the_verb_prints_sentences_commands_and_json(fork: Path):
    run = CliRunner().invoke(app, ["--target", "azure", "-C", str(fork), "doctor", "--offline"])
    assert run.exit_code == 5
    assert "fix: mlops bootstrap azure --forge github" in run.output
    shown = CliRunner().invoke(app, ["-C", str(fork), "doctor", "--offline", "--json"])
    assert shown.exit_code == 0
    rows = json.loads(shown.stdout)
    assert {"check", "severity", "sentence", "fix", "file"} == set(rows[0])


def test_offline_it_imports_nothing_that_takes_seconds():
    """It answers within a second because of that. A clock would measure the machine."""
    main = (
        "import atexit, sys; "
        "atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)); "
        "from mlops.cli import main; main()"
    )
    command = [sys.executable, "-c", main, "--target", "azure", "-C", str(ROOT), "doctor", "--offline"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "stack files" in done.stdout, done.stderr
    imported = set(done.stderr.split())
    assert "mlops" in imported
    heavy = {
        "azure",
        "databricks",
        "mlflow",
        "onnxruntime",
        "pandas",
        "pulumi",
        "pyarrow",
        "scipy",
        "sklearn",
    }
    assert imported & heavy == set()


def test_the_actions_of_the_docs_name_every_check_and_no_other():
    """The list from the template to the first model promises that each of its actions is checked."""
    text = (ROOT / "docs/bootstrap.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| (.+) \|$", text, re.MULTILINE)
    named = [name for _, cell in rows for name in re.findall(r"`([a-z ]+)`", cell)]
    assert [number for number, _ in rows] == ["1", "2", "3", "4", "5"]
    assert sorted(named) == sorted(c.name for c in CHECKS)
    actions = re.findall(r"^(\d)\. ", text, re.MULTILINE)
    assert actions == ["1", "2", "3", "4", "5"]
