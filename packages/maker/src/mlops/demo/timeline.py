"""What happened in the demo, from registry and journals: the story itself remembers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlops.lifecycle.decide.journal import Kind
from mlops.targets.base import JournalEntry, Registry, Target

_TEXT: dict[str, str] = {
    Kind.FINISHED: "release {release} is live in {env}",
    Kind.FAILED: "release {release} is sent back from {env}: {reason}",
    Kind.PASSED: "release {release} passes at {percent} % in {env} ({summary})",
}


@dataclass(frozen=True)
class Moment:
    """One line of the timeline."""

    at: datetime
    text: str
    commit: str


def timeline(target: Target, environments: Sequence[str], model: str) -> list[Moment]:
    """Registrations, verdicts and what went live, oldest first."""
    moments = _registered(target.registry, model)
    for env in environments:
        moments += [m for e in target.store.entries(env, model) if (m := _moment(env, e))]
    return sorted(moments, key=lambda moment: moment.at)


def _registered(registry: Registry, model: str) -> list[Moment]:
    moments = []
    for version in registry.versions(model):
        tags = version.tags
        window, later = tags.get("mlops.data.window", ""), tags.get("mlops.data.test_window", "")
        text = f"version {version.version} is registered: trained on {window}, tested on {later}"
        moments.append(Moment(version.created, text, tags.get("mlops.commit", "")))
    return moments


def _moment(env: str, entry: JournalEntry) -> Moment | None:
    text = _TEXT.get(entry.kind)
    if text is None:
        return None
    facts = {"reason": "", "percent": "", "summary": "", **entry.data}
    return Moment(entry.at, text.format(env=env, release=entry.release, **_known(facts)), entry.commit)


def _known(facts: dict[str, object]) -> dict[str, object]:
    first = str(facts["summary"]).partition(",")[0]
    return {"reason": facts["reason"], "percent": facts["percent"], "summary": first}
