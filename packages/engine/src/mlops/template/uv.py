"""uv, which locks what a fork depends on: the one of this environment, or the one on PATH."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def program() -> str | None:
    """Its path, if there is one."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv")


def run(folder: Path, *words: str, seconds: float) -> tuple[int, str]:
    """Exit code and the last that it said; 127 where there is no uv, 124 where it took too long."""
    uv = program()
    if uv is None:
        return 127, "uv is not installed; make setup installs it"
    try:
        done = subprocess.run(
            [uv, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return 124, f"uv {words[0]} took more than {seconds:.0f} s"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return done.returncode, "; ".join(lines[-3:])
