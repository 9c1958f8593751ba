"""Why a server of this machine is not there, from what it left behind."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from mlops.serving.score.lock import LOCK

LOG = "server.log"
_SHOWN = 3
_READ = 8 << 10


def why_down(folder: Path) -> str:
    """One clause for a person: the machine was started anew, or what the log says last."""
    try:
        began = (folder / LOCK).stat().st_mtime
    except FileNotFoundError:
        return "it was never started"
    if (boot := booted()) is not None and began < boot:
        return f"the machine was started anew at {datetime.fromtimestamp(boot, UTC):%Y-%m-%d %H:%M UTC}"
    said = " | ".join(last_lines(folder / LOG))
    return f"it ended or was killed; its log ends with: {said}" if said else "it ended or was killed"


def booted() -> float | None:
    """When this machine was started, in seconds since 1970; None where the system does not tell."""
    try:
        told = Path("/proc/stat").read_text(encoding="ascii")
        return float(next(line.split()[1] for line in told.splitlines() if line.startswith("btime ")))
    except (OSError, StopIteration, ValueError):
        return None


def last_lines(log: Path) -> list[str]:
    """The end of a log; nothing where there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _READ))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-_SHOWN:]
