"""What clients asked Azure for, and who judged it: recorded while the tests run, rendered as a page.

`AZURE_EVIDENCE=<file> pytest tests/azure` records; `python -m tests.azure.evidence <file> <page>` renders.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.azure.emulator.arm import type_of
from tests.azure.emulator.server import Exchange
from tests.azure.emulator.types import QUIRKS, UNTYPED, folder

_PATH = os.environ.get("AZURE_EVIDENCE")
"""Read when tests are collected: each of them starts with a clean environment."""
_DATA_PLANE = re.compile(r"/(mlflow|history|data|artifact)/v\d\.\d/.*?/workspaces/[^/]+(?P<rest>/.*)?")
_IDS = re.compile(r"/(runs|experiments|experimentids)/[^/]+")
_HEADER = """\
# What is known about requests to Azure

Written by `python -m tests.azure.evidence`; do not edit. Unmodified clients asked for this in `tests/azure`.

"official types": the body was held to Azure's published types of that api-version. "answer": the client
understood the answer of the emulator, which was written from documentation and from the clients' models.

| service | operation | api-version | judged by |
|---|---|---|---|
"""


def record(exchanges: Iterable[Exchange]) -> None:
    """Add what was asked to the file that `AZURE_EVIDENCE` names; nothing without it."""
    if not _PATH:
        return
    path = Path(_PATH)
    counts: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
    for exchange in exchanges:
        key = "\t".join(_row(exchange))
        counts[key] = counts.get(key, 0) + 1
    path.write_text(json.dumps(counts, indent=1, sort_keys=True), encoding="utf-8")


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
        return "ARM", f"{request.method} {type_of(path)}", version, _judge(request.method, version)
    path = re.sub(r"/registries/[^/]+", "/registries/…", path)
    return request.host.split(".", 1)[-1], f"{request.method} {path}", version, "answer"


def _judge(method: str, version: str) -> str:
    if method != "PUT":
        return "answer"
    if version in UNTYPED:
        return f"answer: {UNTYPED[version]}"
    return "official types" if folder() else "not judged: ARM_TYPES is not set"


def render(counts: dict[str, int]) -> str:
    """The page of what was recorded, without counts: it changes only when something new is asked."""
    lines = [f"| {' | '.join(key.split(chr(9)))} |" for key in sorted(counts)]
    quirks = [f"- `{part}`: {why}" for part, why in QUIRKS.items()]
    known = "Known differences from the official types:"
    return "\n".join([_HEADER + "\n".join(lines), "", known, "", *quirks, ""])


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(render(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")
