"""Ask pip-audit about every file that locks packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from mlops.audit.database import Database, served
from mlops.audit.pins import Pin, locks, normal, pins
from mlops.errors import Problem, TargetError
from mlops.spec.settings import Accepted

OSV = "https://api.osv.dev/v1/query"
_SECONDS = 600


@dataclass(frozen=True)
class Finding:
    """One thing that is known against a locked package, and where it is locked."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    fixed: tuple[str, ...]
    files: tuple[str, ...]
    accepted: str = ""
    """Why it is no reason to stop; empty when it is one."""

    @property
    def sentence(self) -> str:
        """For a person."""
        also = f" ({', '.join(self.aliases)})" if self.aliases else ""
        cure = f"fixed in {', '.join(self.fixed)}" if self.fixed else "no version without it is known"
        where = ", ".join(self.files)
        return f"{self.package} {self.version}: {self.id}{also}; {cure}; locked in {where}"


@dataclass(frozen=True)
class Audit:
    """What was looked at and what came of it."""

    files: tuple[str, ...]
    packages: int
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    """Lines that lock nothing, and exceptions that have ended or that nothing needs."""
    unasked: str = ""
    """Why nobody could be asked; then the findings say nothing."""

    @property
    def stops(self) -> bool:
        """Whether a person must do something."""
        return bool(self.problems) or any(not f.accepted for f in self.findings)


class Unreachable(TargetError):
    """The advisories could not be asked: no verdict on any package."""


def audit(
    root: Path,
    names: Iterable[str],
    accepted: Sequence[Accepted],
    today: date,
    database: Database | None,
    *,
    if_reachable: bool = False,
) -> Audit:
    """Judge each package that a file of `names` locks. `database`: None asks OSV's service.

    Raises `TargetError` when pip-audit is not there, and `Unreachable`, which `if_reachable` makes a part of
    the answer: what needs no network is judged all the same.
    """
    files = locks(names)
    where: dict[Pin, list[str]] = defaultdict(list)
    problems: list[Problem] = []
    for name in files:
        pinned, loose = pins(root, name)
        problems += loose
        for pin in pinned:
            where[pin].append(name)
    with served(database) if database is not None else nullcontext(OSV) as address:
        try:
            told = [answer for group in _rounds(where) for answer in _asked(group, address)]
        except Unreachable as error:
            if not if_reachable:
                raise
            return Audit(tuple(files), len(where), (), tuple(problems), str(error))
    findings = [one for answer in told for one in _findings(answer, where, accepted, today)]
    problems += _stale(accepted, findings, today)
    problems += [
        Problem(a["name"], f"was not judged: {a['skip_reason']}") for a in told if a.get("skip_reason")
    ]
    return Audit(tuple(files), len(where), tuple(findings), tuple(problems))


def _rounds(where: Iterable[Pin]) -> list[list[Pin]]:
    """Groups in which no name stands twice, which pip-audit takes for a contradiction."""
    by_name: dict[str, list[Pin]] = defaultdict(list)
    for pin in sorted(where):
        by_name[pin.name].append(pin)
    most = max(map(len, by_name.values()), default=0)
    return [[group[i] for group in by_name.values() if i < len(group)] for i in range(most)]


def _asked(group: Sequence[Pin], address: str) -> list[dict[str, Any]]:
    program = shutil.which("pip-audit", path=str(Path(sys.executable).parent)) or shutil.which("pip-audit")
    if program is None:
        raise TargetError("pip-audit is not installed; it is in the group `dev`: uv sync --group dev")
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("".join(f"{p.name}=={p.version}\n" for p in group), encoding="utf-8")
        command = [program, "--requirement", str(listed), "--no-deps", "--disable-pip", "--format", "json"]
        command += ["--vulnerability-service", "osv", "--osv-url", address, "--progress-spinner", "off"]
        command += ["--cache-dir", str(Path(folder) / "cache")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unreachable(f"pip-audit did not end in {_SECONDS} s; try again") from None
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unreachable(
            f"pip-audit could not ask {address}: {last}. Without a network give a dump: "
            "mlops audit --database all.zip (docs/security.md)"
        ) from None
    if len(answers) != len(group):
        raise TargetError(f"pip-audit judged {len(answers)} of {len(group)} packages; run it by hand")
    return answers


def _findings(
    answer: dict[str, Any], where: dict[Pin, list[str]], accepted: Sequence[Accepted], today: date
) -> list[Finding]:
    if answer.get("skip_reason"):
        return []
    pin = Pin(normal(answer["name"]), answer["version"])
    findings = []
    for one in answer["vulns"]:
        ids = {one["id"], *one.get("aliases", [])}
        reason = next((a.reason for a in accepted if a.id in ids and today <= a.until), "")
        aliases = tuple(sorted(ids - {one["id"]}))
        fixed = tuple(one["fix_versions"])
        findings.append(Finding(pin.name, pin.version, one["id"], aliases, fixed, tuple(where[pin]), reason))
    return findings


def _stale(accepted: Sequence[Accepted], findings: Sequence[Finding], today: date) -> list[Problem]:
    known = {name for f in findings for name in (f.id, *f.aliases)}
    problems = []
    for index, one in enumerate(accepted):
        place = f"audit.accepted.{index}"
        if one.id not in known:
            problems.append(Problem("mlops.toml", f"nothing here has {one.id} any more; remove it", place))
        elif today > one.until:
            problems.append(
                Problem("mlops.toml", f"{one.id} was accepted until {one.until}; judge anew", place)
            )
    return problems
