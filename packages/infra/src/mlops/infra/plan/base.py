"""Run the program of another commit, with its own files and this commit's plan, in a process of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.spec.sources import python_path

from ..model import Captured
from ..stack_names import stack_names
from .dump import loads

TIMEOUT = 180
"""Seconds for all stacks of the base; it needs about ten."""
_NEEDED = ("Pulumi.yaml", "mlops.toml", "environments", "infra", "pipelines", "src/mlops", "packages")
_PARTS = "gitops-ml-infra"
_HARNESS = Path(__file__).resolve().parents[1]
_START = """
import importlib.util, sys
start, folder = sys.argv[1:3]
spec = importlib.util.spec_from_file_location("harness", start, submodule_search_locations=[folder])
sys.modules["harness"] = harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)
del sys.argv[1:3]
from harness.plan import worker
worker.main()
"""
"""This commit's plan has another name there, so that `mlops.infra` can be the base's parts."""


def captured_at(root: Path, ref: str, stacks: Sequence[str]) -> dict[str, Captured]:
    """What the program of commit `ref` registers, by stack: `stacks`, as far as the commit has them, and
    those
    whose files are gone from `root`.

    Raises `InvalidInput` when there is no such commit, or its program fails.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-base-") as folder:
        base = Path(folder)
        _extract(root, ref, base)
        present = [s for s in stack_names(base) if s in stacks or s not in stack_names(root)]
        if not present or not (base / "infra" / "program.py").is_file():
            return {}
        return _worker(base, ref, present)


def parts_moved(root: Path, ref: str) -> str:
    """A sentence when the commit's lock pins other parts than this one's; empty when they are the same.

    The program of `ref` runs with the parts that are installed, unless the commit holds its own.
    """
    lock = root / "uv.lock"
    before = _git(root, "show", f"{ref}:uv.lock").stdout.decode(errors="replace")
    after = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    old, new = _pinned(before), _pinned(after)
    if not old or not new or old == new:
        return ""
    return (
        f"{_PARTS} moves from {old} to {new}: what that changes by itself is not shown, because both sides "
        "were planned with the new one. Read its changelog, and the preview of the workflow `infra`"
    )


def _pinned(lock: str) -> str:
    """Version and source of the parts in the text of a uv.lock; empty without them."""
    try:
        packages = tomllib.loads(lock).get("package", [])
    except tomllib.TOMLDecodeError:
        return ""
    package = next((p for p in packages if p.get("name") == _PARTS), None)
    if package is None:
        return ""
    source = package.get("source", {})
    where = next((str(source[k]) for k in ("git", "url", "path", "registry", "directory") if k in source), "")
    return f"{package.get('version', '')} {where}".strip()


def _extract(root: Path, ref: str, base: Path) -> None:
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if commit.returncode:
        raise InvalidInput(
            f"--against: git knows no commit {ref!r}; fetch it first (a shallow clone has only one)"
        )
    sha = commit.stdout.decode().strip()
    listed = _git(root, "ls-tree", "--name-only", sha, *_NEEDED).stdout.decode().split()
    archive = _git(root, "archive", "--format=tar", sha, *listed)
    if archive.returncode:
        raise InvalidInput(f"--against: git cannot read {ref}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        try:
            tar.extractall(base, filter="data")
        except tarfile.FilterError as error:
            raise InvalidInput(
                f"--against: {ref} holds what leads outside of the repository: {error}"
            ) from None


def _git(root: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(root), *args], capture_output=True, check=False, timeout=TIMEOUT)


def _worker(base: Path, ref: str, stacks: Sequence[str]) -> dict[str, Captured]:
    environment = {**os.environ, "PYTHONPATH": python_path(base)}
    harness = (str(_HARNESS / "__init__.py"), str(_HARNESS))
    done = subprocess.run(
        [sys.executable, "-c", _START, *harness, str(base), *stacks],
        cwd=base, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise InvalidInput(
            f"--against: the program of {ref} fails: {last[-1] if last else 'no reason given'}"
        )
    return {c.stack: c for c in loads(done.stdout.splitlines()[-1])}
