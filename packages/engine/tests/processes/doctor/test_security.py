# ruff: noqa: E501 (a table of cases, one a line)
"""`mlops doctor --security` finds each thing that is off, and says nothing where all is well."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.doctor.case import Case
from mlops.doctor.finding import Finding
from mlops.doctor.run import diagnose
from mlops.doctor.security import CHECKS

SHA = "0123456789012345678901234567890123456789"
FILES = {
    "mlops.toml": '[project]\nname = "test"\n[models.trips]\nusecase = "models"\n'
    '[signing]\nrequired = true\npublic_key = "key.pub"\n',
    "environments/policy.yaml": "order: [staging, prod]\nenvironments:\n  staging: {auto_merge: true}\n"
    "  prod: {approvers: [ann]}\n",
    ".github/CODEOWNERS": "* @us/team\n",
    ".github/dependabot.yml": "version: 2\nupdates: []\n",
    ".github/workflows/ci.yml": "on: push\npermissions: {}\njobs:\n  a:\n    steps:\n"
    f"      - uses: actions/checkout@{SHA} # v1\n"
    "      - uses: ./.github/actions/setup\n",
    "container/Dockerfile": f"FROM python@sha256:{SHA}{SHA[:24]} AS base\nFROM base\n",
}


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def found(root: Path) -> list[Finding]:
    seen = diagnose(Case(root), offline=True, checks=CHECKS)
    return [f for f in seen if f.severity in ("error", "warning", "unknown")]


def edits(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return edit


def key_in_git(root: Path) -> None:
    (root / "deploy.pem").write_text("-----BEGIN EC " + "PRIVATE KEY-----\n")
    subprocess.run(["git", "-C", str(root), "add", "deploy.pem"], check=True)


def token_in_address(root: Path) -> None:
    address = "https://me:ghp_x@example.com/o/r.git"
    subprocess.run(["git", "-C", str(root), "remote", "add", "origin", address], check=True)


def open_key(root: Path) -> None:
    place = root / ".mlops/endpoints/prod/trips/keys.json"
    place.parent.mkdir(parents=True)
    place.touch(mode=0o644)
    place.chmod(0o644)


def add(name: str, text: str = "x") -> Callable[[Path], None]:
    def put(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        subprocess.run(["git", "-C", str(root), "add", "-f", name], check=True)

    return put


def step(script: str) -> Callable[[Path], None]:
    return edits(CI, "    steps:\n", f"    steps:\n      - run: {script}\n")


POLICY, SETTINGS, CI = "environments/policy.yaml", "mlops.toml", ".github/workflows/ci.yml"
WEAKER = "auto_merge: true, merge_loosened: true"
CAPTURE = "[models.trips.capture]\nenabled = true\n[signing]"
SERVER = '[local]\ntracking_uri = "https://ml.example"\n[signing]'
RECORDS = 'records = "environments/records.pub"'
PLAIN = f'[local]\ntracking_uri = "http://ml.example"\n[signing]\n{RECORDS}'
DATABRICKS = edits(SETTINGS, "[project]", 'target = "databricks"\n[project]')
DIGEST = f"@sha256:{SHA}{SHA[:24]}"
WRONG: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("actions", "error", edits(CI, f"@{SHA} # v1", "@v4"), "ci.yml: actions/checkout@v4 is a name"),
    ("actions", "error", edits(CI, "on: push", "on:\n  pull_request_target:"), "runs strangers'"),
    ("images", "warning", edits("container/Dockerfile", DIGEST, ":3"), "python:3 is a tag"),
    ("signing", "warning", edits(SETTINGS, "required = true\n", ""), "made and not asked for"),
    ("signing", "warning", edits(SETTINGS, "[signing]", SERVER), "may write the registry's tags"),
    ("signing", "error", DATABRICKS, "may write the registry's tags"),
    ("reviews", "error", edits(POLICY, "prod: {", "prod: {auto_merge: true, "), "merges by itself"),
    ("reviews", "warning", edits(POLICY, "auto_merge: true", WEAKER), "weaker gates"),
    ("owners", "warning", lambda root: (root / ".github/CODEOWNERS").unlink(), "no CODEOWNERS"),
    ("owners", "warning", add(".github/CODEOWNERS", "* @us/team\n/environments/policy.yaml\n"), "owns environments/policy.yaml"),
    ("owners", "warning", add(".github/CODEOWNERS", "* @us/team\n.github/workflows/ # free\n"), "owns .github/workflows/train.yml"),
    ("owners", "warning", add(".github/CODEOWNERS", "* @us/team\n/environments/prod/\n"), "what prod serves"),
    ("updates", "warning", lambda root: (root / ".github/dependabot.yml").unlink(), "neither Dependabot"),
    ("workflows", "error", edits(CI, "permissions: {}", "permissions: write-all"), "permissions are write-all"),
    ("workflows", "error", edits(CI, "  a:\n", "  a:\n    permissions: write-all\n"), "of the job a are write-all"),
    ("workflows", "warning", edits(CI, "permissions: {}\n", ""), "the job a has no permissions"),
    ("workflows", "error", step("echo ${{ github.event.pull_request.title }}"), "job a puts text of strangers"),
    ("workflows", "error", step("git checkout ${{github.head_ref}}"), "job a puts text of strangers"),
    ("workflows", "warning", step("az login ${{ secrets.AZURE_CREDENTIALS }}"), "the secret AZURE_CREDENTIALS"),
    ("workflows", "unknown", edits(CI, "jobs:", "jobs: ["), "ci.yml cannot be read"),
    ("committed", "error", add(".env"), ".env is in git"),
    ("committed", "error", add("deploy/.env.prod"), "deploy/.env.prod is in git"),
    ("committed", "error", add("state/seal.key"), "state/seal.key is in git"),
    ("committed", "error", add("a/id_ed25519"), "a/id_ed25519 is in git"),
    ("committed", "error", add("a.pfx"), "a.pfx is in git"),
    ("committed", "error", add("go.sh", "export T=ghp" + "_" + "a" * 36), "go.sh: a token of GitHub"),
    ("committed", "error", add("go.sh", "Account" + "Key=" + "a" * 86 + "=="), "go.sh: a key of a storage account"),
    ("committed", "error", add("a.md", "https://x.blob.core.windows.net/a?sv=1&" + "sig=" + "a" * 43), "a.md: a shared access"),
    ("committed", "error", add("a.env", "AZURE_CLIENT_" + "SECRET=" + "a" * 40), "a.env: a secret of an application"),
    ("secrets", "error", key_in_git, "deploy.pem: a private key in git"),
    ("secrets", "warning", token_in_address, "remote origin has a token"),
    ("secrets", "error", open_key, ".mlops/endpoints/prod/trips/keys.json can be read by others"),
    ("traffic", "warning", edits(SETTINGS, "[signing]", CAPTURE), "every column"),
    ("traffic", "warning", edits(SETTINGS, "[signing]", PLAIN), "plain http"),
]  # fmt: skip


def test_where_all_is_well_nothing_is_said(fork: Path) -> None:
    assert found(fork) == []


@pytest.mark.parametrize(
    "good",
    [
        add(".env.example"),
        add("docs/page.md", "AZURE_CLIENT_SECRET=<the secret>, AccountKey=…, ?sig=…"),
        step('echo "$TITLE" ${{ github.event.pull_request.number }} ${{ github.sha }}'),
        step("echo ${{ secrets.GITHUB_TOKEN }}"),
        edits(CI, "permissions: {}\njobs:\n  a:\n", "jobs:\n  a:\n    permissions: {contents: read}\n"),
    ],
)
def test_what_is_right_is_let_be(fork: Path, good: Callable[[Path], None]) -> None:
    good(fork)
    assert found(fork) == []


def test_who_let_a_model_run_code_is_told(fork: Path) -> None:
    root = Path(__file__).parents[5]
    gates = (root / "pipelines/flights/model.yaml").read_text()
    allowed = f"{gates}allow_code: {{reason: a solver of our own, approver: ann}}\n"
    add("pipelines/trips/model.yaml", allowed)(fork)
    (said,) = [f for f in diagnose(Case(fork), offline=True, checks=CHECKS) if f.check == "code"]
    assert said.severity == "note" and "ann" in said.sentence and "a solver" in said.sentence


@pytest.mark.parametrize(("check", "severity", "wrong", "says"), WRONG, ids=[w[3][:20] for w in WRONG])
def test_each_thing_that_is_off_is_found_alone(
    fork: Path, check: str, severity: str, wrong: Callable[[Path], None], says: str
) -> None:
    wrong(fork)
    (only,) = found(fork)
    assert (only.check, only.severity) == (check, severity) and says in only.sentence
    assert "ghp_x" not in only.sentence + only.fix, "what is secret is not shown"
