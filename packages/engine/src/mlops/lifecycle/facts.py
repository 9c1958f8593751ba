"""What the lifecycle tells the world, made from what it knows: results, gate reports, journals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlops.events import Announce
from mlops.lifecycle import journal, transitions
from mlops.lifecycle.journal import Kind
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
    if entry.release is None or entry.kind not in (Kind.FINISHED, Kind.FAILED):
        return None
    known = journal.read(before)
    served = known.current.release if known.current else None
    common = {
        "model": entry.model,
        "environment": env,
        "commit": entry.commit,
        "actor": entry.actor,
        "count": sum(e.kind == entry.kind for e in before),
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
    if transitions.direction(entry.release, served, known.verified) == "backward":
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


def tell(announce: Announce, env: str, before: Sequence[JournalEntry], entry: JournalEntry) -> None:
    """Announce what `entry` is about to record. Told first and recorded second, a kill in between loses
    nothing: the next apply records, and so tells, the same fact again."""
    fact = move(env, before, entry)
    if fact is not None:
        announce(fact, entry.at)


def moves(env: str, entries: Sequence[JournalEntry], since: datetime) -> list[tuple[Move, datetime]]:
    """Everything that a journal of one model tells since then, oldest first."""
    told = ((move(env, entries[:i], entry), entry.at) for i, entry in enumerate(entries))
    return [(fact, at) for fact, at in told if fact is not None and at >= since]
