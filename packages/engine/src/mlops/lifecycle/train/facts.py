"""What the lifecycle tells the world, made from what it knows: results, gate reports, journals. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from mlops.events import Announce
from mlops.lifecycle.decide import journal, transitions
from mlops.lifecycle.decide.journal import Facts, Kind
from mlops.spec.events import (
    GateBlocked,
    GatePassed,
    ModelRegistered,
    ReleaseDeployed,
    ReleaseRolledBack,
    RunCompleted,
)
from mlops.spec.gates import GateReport
from mlops.targets.base import JournalEntry, ModelVersion

Move = ReleaseDeployed | ReleaseRolledBack


def registered(version: ModelVersion) -> ModelRegistered:
    """A version of the registry."""
    tags = version.tags
    return ModelRegistered(
        model=version.model,
        version=version.version,
        digest=tags.get("mlops.digest", ""),
        run_id=version.run_id,
        commit=tags.get("mlops.commit", ""),
        window=tags.get("mlops.data.window", ""),
    )


def completed(version: ModelVersion, run_id: str, new: bool) -> RunCompleted:
    """The training run that ended with `version`; it may be another one that made the version."""
    tags = version.tags
    return RunCompleted(
        model=version.model,
        run_id=run_id,
        commit=tags.get("mlops.commit", ""),
        actor=tags.get("mlops.actor", ""),
        version=version.version,
        new=new,
    )


def judged(report: GateReport, run_id: str) -> GatePassed | GateBlocked:
    """What the gates said of the version that `run_id` made."""
    kind = GatePassed if report.passed else GateBlocked
    return kind(
        model=report.model,
        version=report.version,
        run_id=run_id,
        champion=report.champion,
        gates=report.gates,
    )


def move(env: str, before: Sequence[JournalEntry], entry: JournalEntry) -> Move | None:
    """What `entry` tells, after the entries `before` it of the same model; None when it tells nothing."""
    if not _tells(entry):
        return None
    return _move(env, journal.read(before), sum(e.kind == entry.kind for e in before), entry)


def _tells(entry: JournalEntry) -> bool:
    return entry.release is not None and entry.kind in (Kind.FINISHED, Kind.FAILED)


def _move(env: str, known: Facts, count: int, entry: JournalEntry) -> Move | None:
    """`count`: entries of the same kind before."""
    if not _tells(entry) or entry.release is None:
        return None
    served = known.current.release if known.current else None
    common = {
        "model": entry.model,
        "environment": env,
        "commit": entry.commit,
        "actor": entry.actor,
        "count": count,
    }
    if entry.kind == Kind.FAILED:
        return ReleaseRolledBack(
            **common,
            release=served,
            withdrawn=entry.release,
            cause="analysis",
            reason=str(entry.data["reason"]),
            percent=entry.data.get("percent"),
        )
    # Only of a release that is older does it matter what was verified.
    verified = known.verified if served is not None and entry.release < served else ()
    if transitions.direction(entry.release, served, verified) == "backward":
        reason = str(entry.data.get("reason", ""))
        return ReleaseRolledBack(
            **common, release=entry.release, withdrawn=served, cause="request", reason=reason
        )
    return ReleaseDeployed(
        **common,
        release=entry.release,
        replaces=served if served != entry.release else None,
        digest=str(entry.data.get("digest", "")),
    )


def tell(
    announce: Announce, env: str, before: Callable[[], Sequence[JournalEntry]], entry: JournalEntry
) -> None:
    """Announce what `entry` is about to record. Told first and recorded second, a kill in between loses
    nothing: the next apply records, and so tells, the same fact again.

    `before` reads the journal, and is asked only for an entry that tells something.
    """
    fact = move(env, before(), entry) if _tells(entry) else None
    if fact is not None:
        announce(fact, entry.at)


def moves(env: str, entries: Sequence[JournalEntry], since: datetime) -> list[tuple[Move, datetime]]:
    """Everything that a journal of one model tells since then, oldest first."""
    known, counts = Facts(), Counter[str]()
    dated = []
    for entry in entries:
        fact = _move(env, known, counts[entry.kind], entry) if entry.at >= since else None
        if fact is not None:
            dated.append((fact, entry.at))
        known = journal.after(known, entry)
        counts[entry.kind] += 1
    return dated
