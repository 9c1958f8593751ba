"""The stacks of this repository hold before anybody is asked for money: each one plans, breaks no rule of the
platform, and whatever the program reads starts the workflow `infra`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlops.forge.pushed import patterns
from mlops.infra.plan import api

ROOT = Path(__file__).resolve().parents[2]
_READS = """
import json, sys
from pathlib import Path

root = Path(sys.argv[1])
opened = set()
sys.addaudithook(lambda event, args: event == "open" and opened.add(str(args[0])))
from mlops.infra.plan.stacks import capture_stacks
capture_stacks(root)
files = opened | {str(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
below = {Path(f).resolve() for f in files if f.startswith(str(root))}
names = sorted(f.relative_to(root).as_posix() for f in below if f.is_relative_to(root))
print(json.dumps([n for n in names if not n.startswith((".venv/", "tests/")) and "__pycache__" not in n]))
"""


def test_every_stack_plans_and_breaks_no_rule() -> None:
    """checkov judges the rest in `mlops infra plan`; it has an environment of its own."""
    planned = api.plan(ROOT, checkov=False)
    assert {s.captured.stack for s in planned.stacks} >= {"shared"}
    assert [str(f) for f in planned.violations] == []


@pytest.fixture(scope="module")
def read() -> list[str]:
    """Every file of the repository that the program opens or imports, for all stacks."""
    command = [sys.executable, "-c", _READS, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _filters() -> dict[str, list[str]]:
    """What starts the workflow, on each forge whose files this repository has."""
    found: dict[str, list[str]] = {}
    if (path := ROOT / ".github/workflows/infra.yml").is_file():
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        events = document.get("on") or document[True]
        found |= {f"github {event}": events[event]["paths"] for event in ("push", "pull_request")}
    if (path := ROOT / "pipelines/azure-devops/infra.yml").is_file():
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        found |= {f"azure {event}": document[event]["paths"]["include"] for event in ("trigger", "pr")}
    return found


@pytest.mark.parametrize("filters", _filters().values(), ids=list(_filters()))
def test_what_the_program_reads_starts_infra(read: list[str], filters: list[str]) -> None:
    assert {"mlops.toml", "infra/environment.py"} <= set(read)
    assert [f for f in read if not patterns.accepts(filters, f)] == []
    assert patterns.accepts(filters, "Pulumi.yaml")
    assert patterns.accepts(filters, "uv.lock")
