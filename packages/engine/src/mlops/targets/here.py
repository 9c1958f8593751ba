"""What this machine can have of a target's things, whichever target it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlops.spec.settings import Settings
from mlops.targets.base import DataAssets
from mlops.targets.local.data import LocalData
from mlops.targets.local.store import LEASE, process_start

__all__ = ["Lease", "leases", "on_this_machine", "process_start"]


def on_this_machine(data: DataAssets, root: Path, settings: Settings, name: str, version: str) -> Path:
    """The folder of an asset here, whatever the target.

    Of one that lies in Azure, this machine has, or makes, the same version: what `mlops data push` brought
    there was made here, and had the same digest. Raises what `resolve` of both raises.
    """
    place = Path(data.resolve(name, version))
    return place if place.is_dir() else Path(LocalData.of(root, settings).resolve(name, version))


@dataclass(frozen=True)
class Lease:
    """Who holds the lock of an environment, or held it when it died."""

    env: str
    who: str
    until: datetime
    alive: bool


def leases(folder: Path) -> Iterator[Lease]:
    """Locks of the environments below `folder`; one that is half-written is none, and `apply` replaces it."""
    for path in sorted(folder.glob(f"*/{LEASE}")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            here = row["host"] == socket.gethostname()
            yield Lease(
                path.parent.name,
                f"{row['owner']} (process {row['pid']} on {row['host']})",
                datetime.fromisoformat(row["until"]),
                alive=not here or process_start(int(row["pid"])) == row["started"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
