"""Locks that a dead process left. The lifecycle's own end by themselves; Pulumi's wait for a person."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from mlops.bootstrap.world import STATE
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding
from mlops.targets.here import leases, process_start
from mlops.tracking.azure_errors import azure_sentences

LOCKS: Final = ".pulumi/locks/"
"""Where Pulumi's own backends keep `<organization>/<project>/<stack>/<id>.json`."""
OLD: Final = timedelta(hours=2)
"""No `pulumi up` of an environment takes that long; a job that ran it has ended by then."""


def applies(case: Case) -> Iterator[Finding]:
    """Who is at work in an environment of this machine, or was when it died."""
    for lease in leases(case.root / case.settings.local.state / "environments"):
        if lease.until > datetime.now(UTC) and lease.alive:
            sentence = f"{lease.env} is locked by {lease.who} until {lease.until:%H:%M:%S} UTC"
            yield Finding("apply locks", "note", sentence)
        else:
            sentence = f"{lease.env} has a lock of {lease.who}, which is gone; the next apply takes it over"
            yield Finding("apply locks", "note", sentence, f"mlops apply {lease.env}")


def pulumi_here(case: Case) -> Iterator[Finding]:
    """Where PULUMI_BACKEND_URL is a folder."""
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    if backend.startswith("file://"):
        home = Path(backend.removeprefix("file://")).expanduser()
        for path in sorted((home / LOCKS).rglob("*.json")):
            stack = path.parent.name
            yield from _judge(stack, path.read_text(encoding="utf-8"), f"pulumi cancel {stack} --yes")


def pulumi_there(case: Case) -> Iterator[Finding]:
    """In the storage account that bootstrap made."""
    from azure.core.exceptions import ResourceNotFoundError
    from azure.storage.blob import ContainerClient

    world = case.world
    url = f"https://{world.account}.blob.core.windows.net"
    if world.arm.get(world.account_path) is None:
        return
    client = ContainerClient(url, STATE, credential=world.credential)
    with azure_sentences(f"read Pulumi's locks in {world.account}"), client as container:
        try:
            for blob in container.list_blobs(name_starts_with=LOCKS):
                stack = blob.name.split("/")[-2]
                text = container.download_blob(blob.name).readall().decode()
                yield from _judge(stack, text, world.pulumi(f"cancel {stack} --yes"))
        except ResourceNotFoundError:
            return


def _judge(stack: str, text: str, fix: str) -> Iterator[Finding]:
    try:
        row: dict[str, Any] = json.loads(text)
        since = datetime.fromisoformat(str(row["timestamp"]).replace("Z", "+00:00"))
        who = f"{row['username']}@{row['hostname']} (process {row['pid']}) since {since:%Y-%m-%d %H:%M} UTC"
    except (ValueError, KeyError, TypeError):
        yield Finding("pulumi locks", "error", f"stack {stack} has a lock that cannot be read", fix)
        return
    if row["hostname"] == socket.gethostname() and not process_start(int(row["pid"])):
        yield Finding("pulumi locks", "error", f"stack {stack} is locked by {who}, which is gone", fix)
    elif datetime.now(UTC) - since > OLD:
        sentence = (
            f"stack {stack} is locked by {who}, longer than any update takes; if it is gone, release the lock"
        )
        yield Finding("pulumi locks", "error", sentence, fix)
    else:
        yield Finding("pulumi locks", "note", f"stack {stack} is locked by {who}, which may be at work")


CHECKS: Final = (
    Check("apply locks", "files", applies, "none of a dead process"),
    Check("pulumi locks", "files", pulumi_here, "none of a dead process on this machine"),
    Check("pulumi state", "azure", pulumi_there, "no lock of a dead process"),
)
