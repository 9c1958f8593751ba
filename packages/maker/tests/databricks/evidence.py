"""docs/databricks-evidence.md: what unmodified clients asked of Databricks in these tests; what judged it.

    python -m tests.databricks.evidence            runs the tests, records what they ask, writes the page
    python -m tests.databricks.evidence --page     writes the page from what is recorded

PYTHONPATH is that of `COMMAND`, in the root of the repository.

Recorded is which operations are asked for and to which of the clients' own types their bodies were held
(`evidence.json`). A test that asks for something new fails and says so.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.contracts.evidence import recorded_anew, what_goes_wrong
from tests.contracts.failures import failures
from tests.databricks.failures import FILE

RECORDED = Path(__file__).with_name("evidence.json")
PAGE = Path(__file__).parents[4] / "docs" / "databricks-evidence.md"
COMMAND = "PYTHONPATH=packages/maker:packages/infra python -m tests.databricks.evidence"
_INTO = "DATABRICKS_EVIDENCE_FILE"
_PATH = os.environ.get(_INTO)
"""Read when tests are collected: each of them starts with a clean environment."""
_HEADER = f"""\
# What is known about requests to Databricks

Written by `{COMMAND}`; do not edit.
Unmodified clients (databricks-sdk, MLflow with its store `databricks-uc`) asked for this in
`packages/maker/tests/databricks`, of an emulator on one machine. No real workspace has answered yet.

"held to": the body of the request or of the answer was read by this type of the clients, of
`databricks.sdk.service` or of MLflow's protocol, and came out as it went in. An answer is written from
documentation and from these types: that Databricks gives the same one, they do not prove. Without a type,
the client understood the answer, and that is all.

| operation | held to |
|---|---|
"""


def record(asked: Mapping[str, set[str]]) -> None:
    """Keep what a test asked for where `DATABRICKS_EVIDENCE_FILE` names a file; else compare with what is
    recorded."""
    if _PATH:
        path = Path(_PATH)
        known = _read(path) if path.is_file() else {}
        merged = {name: sorted({*known.get(name, []), *asked.get(name, ())}) for name in {*known, *asked}}
        path.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    known = recorded()
    new = [name for name, kinds in asked.items() if name not in known or not kinds <= set(known[name])]
    assert not new, f"docs/databricks-evidence.md is stale, it lacks {sorted(new)}; write it anew: {COMMAND}"


def recorded() -> dict[str, list[str]]:
    """The types of each operation's bodies."""
    return _read(RECORDED)


def _read(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def render(known: Mapping[str, list[str]]) -> str:
    """The page."""
    by_path = sorted(known, key=lambda name: name.split(" ")[::-1])
    lines = [f"| `{name}` | {', '.join(f'`{kind}`' for kind in known[name])} |" for name in by_path]
    return "\n".join(
        [
            _HEADER + "\n".join(lines),
            "",
            f"Of {len(known)} operations, {sum(bool(kinds) for kinds in known.values())} are held to a type.",
            "",
            *what_goes_wrong("test_databricks_failures.py", failures(FILE)),
        ]
    )


def main(arguments: list[str]) -> int:
    """See the module's docstring; the exit code is that of the tests."""
    anew = "--page" not in arguments
    if anew and (code := recorded_anew(RECORDED, _INTO, "test_databricks_evidence.py", "-m", "not slow")):
        return code
    PAGE.write_text(render(recorded()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
