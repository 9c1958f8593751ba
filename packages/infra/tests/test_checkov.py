"""checkov judges the templates of the real stacks, its silence is never taken for a pass, and a wrong
edit blocks."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mlops.errors import Inconclusive
from mlops.infra.model import Captured
from mlops.infra.plan.arm import template
from mlops.infra.policy import checkov
from mlops.infra.policy.judge import accept
from wrong_edits import apply, put


@pytest.fixture(scope="module")
def scanner() -> None:
    """checkov's environment; without a package index and without a cache there is nothing to test."""
    try:
        checkov.environment()
    except Inconclusive as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("scanner")
def test_checkov_blocks_a_wrong_edit_in_one_run_over_two_stacks(stacks: Mapping[str, Captured]) -> None:
    prod = stacks["prod"]
    resources, wrong = apply(prod.azure, "storage:StorageAccount", put("minimumTlsVersion", "TLS1_0"))
    edited = replace(prod, resources=resources)
    found = checkov.scan({"prod": template(edited), "dev": template(stacks["dev"])})
    new = [f for f in found if f.check == "CKV_AZURE_44"]
    assert [(f.stack, f.resource, f.source) for f in new] == [("prod", wrong.name, "checkov")]
    standing, _ = accept(edited, [f for f in found if f.stack == "prod"])
    assert new[0] in standing


@pytest.mark.usefixtures("scanner")
def test_checkov_that_judges_nothing_is_no_pass() -> None:
    with pytest.raises(Inconclusive, match="judged no resource of stack empty"):
        checkov.scan({"empty": {"$schema": "", "contentVersion": "1.0.0.0", "resources": []}})


def test_checkov_environment_that_cannot_be_made_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def offline(*args: str) -> None:
        raise subprocess.CalledProcessError(1, ["uv", *args], stderr="error: no route to the index")

    monkeypatch.setattr(checkov, "_uv", offline)
    with pytest.raises(Inconclusive, match=r"no route to the index.*nothing was judged") as told:
        checkov.environment()
    assert told.value.exit_code == 4
    assert not list((tmp_path / "mlops").iterdir()), "half an environment was left behind"


def test_checkov_failure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ImportError: no module' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(checkov, "environment", lambda: broken)
    with pytest.raises(Inconclusive, match="checkov failed: ImportError"):
        checkov.scan({"prod": {}})


def test_checkov_requirements_are_pinned_by_hash() -> None:
    text = checkov.LOCK.read_text()
    assert "checkov==3.3.30" in text
    pins = [line for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert pins
    assert all(line.endswith("\\") for line in pins), "a requirement without a hash"
