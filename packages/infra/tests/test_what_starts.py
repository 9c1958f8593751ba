"""Whatever the program reads starts `infra` when it changes: a new model of mlops.toml has endpoints that
nobody made otherwise, and the first `mlops apply` ends in NotFound."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from graphs import ROOT, STACKS, TAKES
from mlops.forge.pushed import patterns
from mlops.infra.cost.prices import OWN as PRICES
from mlops.spec.vm_sizes import OWN as SIZES

# The plan and the rules are the harness here; they lie in infra/** as well.
_READS = """
import json, sys
from pathlib import Path

root = Path(sys.argv[1])
sys.path[:0] = [str(root / "packages/infra/tests")]
opened = set()
sys.addaudithook(lambda event, args: event == "open" and opened.add(str(args[0])))
from graphs import plan
for stack in json.loads(sys.argv[2]):
    plan(stack, everything=True)
files = opened | {str(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
below = {Path(f).resolve() for f in files if f.startswith(str(root))}
names = sorted(f.relative_to(root).as_posix() for f in below if f.is_relative_to(root))
ours = (".venv/", "packages/infra/tests/")
print(json.dumps([n for n in names if not n.startswith(ours) and "__pycache__" not in n]))
"""


@pytest.fixture(scope="module")
def read() -> list[str]:
    """Every file of the repository that the program opens or imports, for all stacks with all options."""
    command = [sys.executable, "-c", _READS, str(ROOT), json.dumps(STACKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _github(event: str) -> list[str]:
    document = yaml.safe_load((ROOT / ".github/workflows/infra.yml").read_text(encoding="utf-8"))
    return list((document.get("on") or document[True])[event]["paths"])


def _azure(event: str) -> list[str]:
    document = yaml.safe_load((ROOT / "pipelines/azure-devops/infra.yml").read_text(encoding="utf-8"))
    return list(document[event]["paths"]["include"])


@pytest.mark.parametrize(
    "filters",
    [_github("push"), _github("pull_request"), _azure("trigger"), _azure("pr")],
    ids=["github push", "github pull request", "azure push", "azure pull request"],
)
def test_what_the_program_reads_starts_infra(read: list[str], filters: list[str]) -> None:
    assert {"mlops.toml", "infra/environment.py", "packages/infra/src/mlops/infra/environment.py"} <= set(
        read
    )
    assert not TAKES or f"pipelines/{TAKES[0]}/ingest.yml" in read
    assert [f for f in read if not patterns.accepts(filters, f)] == []
    # The policy reads when sizes end, the pull request's comment what they cost.
    assert [f for f in ("Pulumi.yaml", SIZES, PRICES) if not patterns.accepts(filters, f)] == []


@pytest.mark.parametrize(
    "file", ["packages/engine/src/mlops/cli/_app.py", "README.md", "releases/freight/1.yaml"]
)
def test_what_it_does_not_read_starts_nothing(read: list[str], file: str) -> None:
    assert file not in read
    assert not patterns.accepts(_github("push"), file)


def test_a_filter_that_lacks_a_file_is_found(read: list[str]) -> None:
    """The filters as they were, before a new model was forgotten."""
    old = ["environments/Pulumi.*.yaml", "infra/**", "Pulumi.yaml", "uv.lock"]
    assert "mlops.toml" in [f for f in read if not patterns.accepts(old, f)]
