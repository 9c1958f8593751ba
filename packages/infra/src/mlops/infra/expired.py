"""Which environments have outlived their `ttl`: the clock is the last update of their stack.

Pulumi's state knows that update. A stack that was never updated, or was destroyed, has nothing to
remove.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.infra.config import EnvironmentStack
from mlops.infra.load import StackFile, located, parse_stack, raw_stack_file
from mlops.infra.stack_names import stack_names
from mlops.infra.wanted import check_lifetime, check_upstream, stack_before

_SECONDS = 120
"""How long Pulumi may take to list the stacks."""


_WORKFLOWS = (".github/workflows/destroy.yml", "pipelines/azure-devops/destroy.yml")


@dataclass(frozen=True)
class Lifetime:
    """One environment that has a `ttl` and is there."""

    stack: str
    ttl: str
    updated: datetime
    expires: datetime

    def expired(self, now: datetime) -> bool:
        return now >= self.expires


def lifetimes(root: Path) -> list[Lifetime]:
    """Every environment with a `ttl` that is there, in the order of `stack_names`.

    Pulumi is asked only when a stack file has a `ttl`. Raises `InvalidInput` for a wrong stack file, and
    `TargetError` when Pulumi cannot say.
    """
    ttls = configured(root)
    return live(ttls, _listed(root)) if ttls else []


def configured(root: Path) -> dict[str, str]:
    """Stacks with a `ttl`, and theirs. Raises `InvalidInput` for one that trains for another stack."""
    ttls: dict[str, str] = {}
    trains: dict[str, str] = {}
    for stack in stack_names(root):
        values, secret = raw_stack_file(root, stack)
        config = parse_stack(values, secret, StackFile.of(root, stack))
        if isinstance(config, EnvironmentStack):
            trains[stack] = config.trains_in
            if config.ttl:
                ttls[stack] = config.ttl
    with located(root):
        for stack, training in trains.items():
            check_lifetime(stack, training, ttls.get(training))
            before = stack_before(root, stack)
            check_upstream(stack, before, ttls.get(before), own=ttls.get(stack))
        check_jobs(root, ttls)
    return ttls


def check_jobs(root: Path, stacks: Iterable[str]) -> None:
    """Raise `InvalidInput` for a stack with a `ttl` that no job of the destroy workflow deletes."""
    problems = [
        Problem(
            f"environments/Pulumi.{stack}.yaml",
            f"the clock would never strike: {path} has no job for the stack {stack}; add one like that "
            "of dev, as docs/infrastructure.md shows, or leave the field out",
            "ttl",
        )
        for stack in stacks
        for path in _WORKFLOWS
        if (root / path).is_file() and not _has_job(path, (root / path).read_text(encoding="utf-8"), stack)
    ]
    if problems:
        raise InvalidInput(problems)


def _has_job(path: str, text: str, stack: str) -> bool:
    """Whether something deletes the stack, and at night: on GitHub that is the job's own condition."""
    named = re.search(rf"(?m)^\s+stack: {re.escape(stack)}\s*$", text)
    at_night = f"contains(needs.expired.outputs.stacks, '\"{stack}\"')"
    return bool(named) and (not path.startswith(".github/") or at_night in text)


def live(ttls: Mapping[str, str], listed: list[dict[str, Any]]) -> list[Lifetime]:
    """`listed` is what `pulumi stack ls --json` prints. Raises `TargetError` when it is something else."""
    lifetimes = []
    # A self-managed backend may say <organization>/<project>/<stack>.
    stacks = {str(item.get("name", "")).rpartition("/")[2]: item for item in listed}
    for stack, ttl in ttls.items():
        item = stacks.get(stack, {})
        # An update in progress has no date to count from; it is counted anew when it has ended.
        if not item.get("resourceCount") or item.get("updateInProgress"):
            continue
        text = item.get("lastUpdate")
        try:
            updated = datetime.fromisoformat(str(text))
        except ValueError:
            raise TargetError(
                f"pulumi stack ls --json gives stack {stack} the last update {text!r}, which is no date"
            ) from None
        updated = updated if updated.tzinfo else updated.replace(tzinfo=UTC)
        lifetimes.append(Lifetime(stack, ttl, updated, updated + duration(ttl)))
    return lifetimes


def duration(ttl: str) -> timedelta:
    """`72h` or `14d`; raises `ValueError` for anything else (the stack file's model refuses it before)."""
    match = re.fullmatch(r"([1-9]\d{0,2})([hd])", ttl)
    if not match:
        raise ValueError(f"{ttl!r} is no time such as 72h or 14d")
    return timedelta(hours=int(match[1])) if match[2] == "h" else timedelta(days=int(match[1]))


def _listed(root: Path) -> list[dict[str, Any]]:
    command = ["pulumi", "stack", "ls", "--json", "--non-interactive"]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise TargetError(
            "the last updates are in Pulumi's state, and the command pulumi is not on PATH; "
            "install it with: make pulumi"
        ) from None
    except subprocess.TimeoutExpired:
        raise TargetError(f"pulumi stack ls did not answer within {_SECONDS} seconds") from None
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise TargetError(f"pulumi stack ls failed with exit code {done.returncode}: {said}")
    try:
        listed = json.loads(done.stdout)
    except json.JSONDecodeError:
        listed = None
    if not isinstance(listed, list):
        raise TargetError(f"pulumi stack ls --json printed no list: {done.stdout.strip()[:200]!r}")
    return listed
