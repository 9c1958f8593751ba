"""docs/azure-evidence.md: what unmodified clients asked of Azure in these tests, and who judged it.

    python -m tests.azure.evidence            runs the tests, records what they ask, writes the page
    python -m tests.azure.evidence --page     writes the page from what is recorded

PYTHONPATH is that of `COMMAND`, in the root of the repository.

Recorded is how many tests ask for an operation (`evidence.json`), which does not depend on how often a client
polls. A test that asks for something new fails and says so.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.azure.emulator import documented
from tests.azure.emulator.arm import type_of
from tests.azure.emulator.server import Exchange
from tests.azure.emulator.types import NEXT, QUIRKS, SPELLED, folder
from tests.azure.failures import FILE
from tests.contracts.evidence import recorded_anew, what_goes_wrong
from tests.contracts.failures import failures

RECORDED = Path(__file__).with_name("evidence.json")
PAGE = Path(__file__).parents[4] / "docs" / "azure-evidence.md"
_PACKAGES = "PYTHONPATH=packages/maker:packages/infra"
"""As pytest has it."""
COMMAND = f"ARM_TYPES=<official types> {_PACKAGES} python -m tests.azure.evidence"
_INTO = "AZURE_EVIDENCE"
_PATH = os.environ.get(_INTO)
"""Read when tests are collected: each of them starts with a clean environment."""
_DATA_PLANE = re.compile(r"/(mlflow|history|data|artifact)/v\d\.\d/.*?/workspaces/[^/]+(?P<rest>/.*)?")
_WORKSPACE = re.compile(r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+/workspaces/[^/]+")
_IDS = re.compile(r"/(runs|experiments|experimentids)/[^/]+")
_HEADER = f"""\
# What is known about requests to Azure

Written by `{COMMAND}`; do not edit.
Unmodified clients (azure-ai-ml, azureml-mlflow, azure-identity, azure-storage-blob, azure-mgmt-monitor) asked
for this in `packages/maker/tests/azure`, under production host names. Resource groups, providers, identities,
roles, vaults and storage accounts are what `mlops bootstrap azure` and `mlops doctor` ask for, through
azure-core.

"official types": the body was held to Azure's published types of that api-version, or of the next one that
has any; where Azure/bicep-types-az has none, to those of the same specification that pulumi-azure-native has,
or to a schema after the specification itself (`emulator/documented.py` there).
"answer": the client understood the answer of the emulator, which was written from documentation and from the
clients' models.
"tests": how many tests ask for it.

| service | operation | api-version | judged by | tests |
|---|---|---|---|---|
"""


def record(exchanges: Iterable[Exchange]) -> None:
    """Keep what this test asked for where `AZURE_EVIDENCE` names a file; else compare with what is recorded.

    Compared only when the official types are there: without them nobody judges a body.
    """
    asked = sorted({"\t".join(_row(exchange)) for exchange in exchanges})
    if _PATH:
        path = Path(_PATH)
        known: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
        known |= {row: known.get(row, 0) + 1 for row in asked}
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    if folder() is None:
        return
    known = recorded()
    new = [row.replace("\t", " ") for row in asked if row not in known]
    assert not new, f"docs/azure-evidence.md is stale, it lacks {new}; write it anew: {COMMAND}"


def recorded() -> dict[str, int]:
    """How many tests ask for each operation."""
    found: dict[str, int] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def _row(exchange: Exchange) -> tuple[str, str, str, str]:
    request = exchange.request
    version = request.query.get("api-version", "")
    path = re.sub(r"^/mferp/managementfrontend(?=/)", "", request.path)
    if request.host.endswith(".blob.core.windows.net"):
        kind = request.headers.get("x-ms-version", "")
        return "Blob Storage", f"{request.method} {request.query.get('comp') or 'blob'}", kind, "answer"
    if request.host == "login.microsoftonline.com":
        return "Microsoft Entra ID", f"{request.method} {path.rsplit('/', 1)[-1]}", "v2.0", "answer"
    if found := _DATA_PLANE.fullmatch(path):
        rest = found["rest"] or ""
        if found[1] != "mlflow":
            rest = _IDS.sub(lambda m: f"/{m[1]}/…", rest)
        return "workspace data plane", f"{request.method} {found[1]}{rest}", version, "answer"
    if path.lower().startswith("/subscriptions/"):
        kind = type_of(path)
        return "ARM", f"{request.method} {kind}", version, _judge(request.method, kind, version)
    path = _WORKSPACE.sub("/…", re.sub(r"/registries/[^/]+", "/registries/…", path))
    return request.host.split(".", 1)[-1], f"{request.method} {path}", version, "answer"


def _judge(method: str, kind: str, version: str) -> str:
    if method != "PUT":
        return "answer"
    if folder() is None:
        return "not judged: ARM_TYPES is not set"
    if judge := documented.judge(kind):
        return judge
    return f"official types of {NEXT[version]}" if version in NEXT else "official types"


def render(counts: Mapping[str, int]) -> str:
    """The page."""
    lines = [f"| {' | '.join(key.split(chr(9)))} | {counts[key]} |" for key in sorted(counts)]
    puts = [key.rsplit("\t", 1)[-1] for key in counts if key.startswith("ARM\tPUT ")]
    typed = sum(judge.startswith("official types") for judge in puts)
    quirks = [f"- `{part}`: {why}" for part, why in QUIRKS.items()]
    quirks += [
        f"- `{field}`: azure-ai-ml writes {', '.join(f'`{v}`' for v in values)}; the type has another case"
        for field, values in SPELLED.items()
    ]
    return "\n".join(
        [
            _HEADER + "\n".join(lines),
            "",
            f"Of {len(puts)} kinds of PUT to ARM, {typed} are held to official types.",
            "",
            "## Known differences from the official types",
            "",
            *quirks,
            "",
            *what_goes_wrong("test_failures.py", failures(FILE)),
        ]
    )


def main(arguments: list[str]) -> int:
    """See the module's docstring; the exit code is that of the tests."""
    if "--page" not in arguments:
        if folder() is None:
            sys.stderr.write("ARM_TYPES must name a copy of the official types (docs/infrastructure.md)\n")
            return 2
        if code := recorded_anew(RECORDED, _INTO, "test_evidence.py"):
            return code
    PAGE.write_text(render(recorded()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
