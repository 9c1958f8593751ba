"""Run the program of another commit, with its own files and this commit's plan, in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput
from mlops.spec.sources import python_path

from .model import Captured, Resource, Skip
from .stacks import stack_names

TIMEOUT = 180
"""Seconds for all stacks of the base; it needs about ten."""
_NEEDED = ("Pulumi.yaml", "mlops.toml", "environments", "infra", "src/mlops", "packages")
_HARNESS = Path(__file__).resolve().parents[1]


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


def dumps(captured: Sequence[Captured]) -> str:
    return json.dumps([asdict(c) for c in captured], default=sorted)


def loads(text: str) -> list[Captured]:
    return [_captured(raw) for raw in json.loads(text)]


def _captured(raw: dict[str, Any]) -> Captured:
    resources = []
    for item in raw["resources"]:
        item["dependencies"] = tuple(item["dependencies"])
        item["property_dependencies"] = {k: tuple(v) for k, v in item["property_dependencies"].items()}
        item["secret"] = frozenset(item["secret"])
        resources.append(Resource(**item))
    skips = tuple(Skip(**s) for s in raw["skips"])
    return Captured(raw["project"], raw["stack"], tuple(resources), raw["exports"], skips)


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
    # This commit's plan is imported as `plan`, so that `infra` can be the base's program.
    code = f"import sys; sys.path.insert(0, {str(_HARNESS)!r}); from plan import worker; worker.main()"
    environment = {**os.environ, "PYTHONPATH": python_path(base)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(base), *stacks],
        cwd=base, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise InvalidInput(
            f"--against: the program of {ref} fails: {last[-1] if last else 'no reason given'}"
        )
    return {c.stack: c for c in loads(done.stdout.splitlines()[-1])}
