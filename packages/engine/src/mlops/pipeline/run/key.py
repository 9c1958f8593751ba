"""What a step's result depends on, as one digest."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.pipeline.parts import Step
from mlops.pipeline.read import read_environment
from mlops.pipeline.run.cache import content_digest
from mlops.spec.digest import data_digest, file_digest

_FORMAT = 2
"""Raise it when entries of an older layout must not be found any more."""


def installed_environment(lock: Path | None = None) -> str:
    """Digest of what runs steps on this machine: Python's version, and the lock file when it is there."""
    version = ".".join(map(str, sys.version_info[:3]))
    locked = file_digest(lock) if lock is not None and lock.is_file() else ""
    return data_digest([sys.implementation.name, version, locked])


def environment_content(step: Step) -> Any:
    """A step's environment as plain data: its fields and the content of the files that they name."""
    environment, _, _, path = read_environment(step)
    if environment is None:
        reference = step.node.environment or step.component.environment
        return reference.reference if reference is not None else None
    content: dict[str, Any] = environment.model_dump(
        mode="json", exclude={"description", "tags", "schema_url"}
    )
    if isinstance(environment.conda_file, str):
        content["conda_file"] = content_digest(path.parent / environment.conda_file)
    if environment.build is not None:
        content["build"]["path"] = content_digest(path.parent / environment.build.path)
    return content


def step_key(
    step: Step,
    *,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str | None],
    code: str,
    environment: Any,
    installed: str,
    nonce: str = "",
    sweep: Any = None,
) -> str:
    """`inputs`: names to literals or content digests; `nonce` makes the key of a step never reused; `sweep`:
    what draws the values of its trials, and how many."""
    parts = {
        "format": _FORMAT,
        "command": step.component.command,
        "inputs": dict(inputs),
        "outputs": dict(outputs),
        "variables": {k: str(v) for k, v in step.variables.items()},
        "code": code,
        "environment": environment,
        "installed": installed,
        "nonce": nonce,
    }
    if step.distribution is not None:
        parts["distribution"] = step.distribution.model_dump(exclude_none=True)
    if sweep is not None:
        parts["sweep"] = sweep
    return data_digest(parts).removeprefix("sha256:")
