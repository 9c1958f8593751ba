"""Whether the lifecycle made a release: what its file says against what the registry recorded. Pure.

Who writes a branch writes what a release file says. So `mlops gate` and `mlops release` record on the
version, where a branch can't write, what was judged and what came of it; check, promote and apply compare.
Tags are written by more identities than may say what training decided, so a record is sealed: on a laptop
with a key of the state folder, which nobody reaches through MLflow's API; where several machines share a
registry, with a key that only the identity that trains may sign with (`mlops.spec.seal`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops.spec.digest import data_digest
from mlops.spec.gates import GateReport, GateResult, Interval
from mlops.spec.release import Release
from mlops.spec.seal import Seal

JUDGED = "mlops.judged"
"""Tags `mlops.judged.<n>`: what the gates said last."""
RELEASED = "mlops.released"
"""Tags `mlops.released.<n>`: what was released; written once."""
_RUN = "mlops.run_id"
_PART = 900
"""Characters a tag; Azure ML takes 1,000, and 50 tags."""
_MOST = 6
"""Tags a record; beyond them it holds digests of metrics and gates as a whole."""
_FIELDS = ("verdict", "observed", "limit", "detail")
_TAGS = {
    "digest": "mlops.digest",
    "source.commit": "mlops.commit",
    "source.branch": "mlops.branch",
    "source.actor": "mlops.actor",
    "source.pipeline": "mlops.pipeline",
    "source.pipeline_digest": "mlops.pipeline.digest",
    "data.name": "mlops.data.name",
    "data.version": "mlops.data.version",
    "data.digest": "mlops.data.digest",
    "data.window": "mlops.data.window",
    "data.test_window": "mlops.data.test_window",
    "environment": "mlops.environment.digest",
}
"""Facts of a release that are tags of the version since it was registered."""
_LATER = {"source.engine": "mlops.engine"}
"""The same, of which versions from before know nothing: a record of theirs was sealed without it."""
FACTS = frozenset({"model", "version", "source.run_id", *_TAGS, *_LATER})
"""Fields of a release that say what it is and where it comes from, not how it was judged."""


@dataclass(frozen=True)
class Recorded:
    """A version as the registry has it. `seal`: what seals records there; None where whoever may write tags
    is believed."""

    model: str
    version: int
    tags: Mapping[str, str]
    run_id: str
    seal: Seal | None = None

    @property
    def released(self) -> bool:
        """Whether it was released once; then that counts, and not what gates said later.

        A record that is not sealed is nobody's: it does not stand in the way of one that is.
        """
        return bool(_parts(self.tags, RELEASED)) and _sealed(self, RELEASED)

    @property
    def judged_here(self) -> bool:
        """Whether it was judged and recorded as such, and never released."""
        if _parts(self.tags, RELEASED):
            return False
        return bool(_parts(self.tags, JUDGED)) and _sealed(self, JUDGED)

    @property
    def known(self) -> bool:
        """Whether there is any record; versions from before there were records have none."""
        return bool(_parts(self.tags, RELEASED) or _parts(self.tags, JUDGED))

    @property
    def strict(self) -> bool:
        """Whether only what is sealed counts: not a journal, nor a report, which others can write too."""
        return self.seal is not None and self.seal.strict


def proof(release: Release, recorded: Recorded) -> list[GateResult]:
    """One verdict for each fact; blocked where the file says something else than the lifecycle recorded."""
    return [*_facts(release, recorded), *_judgement(release, recorded)]


def differences(release: Release, recorded: Recorded) -> list[tuple[str, str]]:
    """(field of the release, sentence) of each blocked verdict."""
    return [(v.name, v.detail) for v in proof(release, recorded) if v.verdict == "blocked"]


def judged_tags(version: Recorded, report: GateReport, created: datetime) -> dict[str, str | None]:
    """What `mlops gate` records of its report."""
    said = _said(report.metrics, report.gates, created, report.gates_digest)
    return _tags(JUDGED, version, said)


def released_tags(version: Recorded, release: Release) -> dict[str, str | None]:
    """What `mlops release` records."""
    return _tags(
        RELEASED, version, _said(release.metrics, release.gates, release.created, release.gates_digest)
    )


def fact_tags(release: Release) -> dict[str, str]:
    """The tags that a version of this release has since it was registered."""
    return {tag: str(_value(release, field)) for field, tag in _TAGS.items()}


def changed_facts(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Tags of what a version is and where it comes from that say something else now."""
    return sorted(t for t in (*_TAGS.values(), *_LATER.values()) if before.get(t, "") != now.get(t, ""))


def agrees(release: Release, report: GateReport) -> bool:
    """Whether a release says of its judgement what the report says."""
    theirs = _said(report.metrics, report.gates, release.created, report.gates_digest)
    return theirs == _said(release.metrics, release.gates, release.created, release.gates_digest)


DIGITS = 6
"""Of a metric in a release file: what people compare."""


def rounded(metrics: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """Metrics as a release file has them."""
    return {
        name: {k: v if v is None else round(v, DIGITS) for k, v in interval.model_dump().items()}
        for name, interval in metrics.items()
    }


# --- what is compared -------------------------------------------------------------------------------


def _facts(release: Release, recorded: Recorded) -> Iterator[GateResult]:
    for field, said, recorded_value in (
        ("model", release.model, recorded.model),
        ("version", release.version, recorded.version),
        ("source.run_id", release.source.run_id, recorded.run_id),
        *((f, _value(release, f), recorded.tags.get(tag, "")) for f, tag in (_TAGS | _LATER).items()),
    ):
        yield _verdict(field, str(said), str(recorded_value))


def _judgement(release: Release, recorded: Recorded) -> Iterator[GateResult]:
    again = f"run `mlops gate {release.version} --model {release.model}`"
    if recorded.strict:
        again += f" as the identity that trains; for what is released already, `mlops sign {release.version}`"
    if not recorded.known:
        yield _no(
            "gates", f"nothing records which gates version {release.version} passed; to record it, {again}"
        )
        return
    kind = RELEASED if recorded.released else JUDGED
    text = _text(recorded.tags, kind)
    if recorded.seal is not None and not _sealed(recorded, kind):
        yield _no(
            "gates",
            f"the record of version {release.version} is not sealed with {recorded.seal.by}; {again}",
        )
        return
    try:
        record = json.loads(text)
        metrics, gates = record["metrics"], record["gates"]
    except (ValueError, KeyError, TypeError):
        yield _no("gates", f"the record of version {release.version} cannot be read; {again}")
        return
    said = _said(release.metrics, release.gates, release.created, release.gates_digest)
    verdicts = [
        _verdict("created", said["created"], record.get("created", "")),
        _verdict("gates_digest", said["policy"], record.get("policy", "")),
        *_metrics(said, metrics),
        *_gates(release, said, gates),
    ]
    if all(v.verdict == "pass" for v in verdicts):
        # Short digests name the field; the whole one decides.
        verdicts.append(_verdict("gates", said["all"], str(record.get("all", ""))))
    yield from verdicts


def _metrics(said: Mapping[str, Any], found: Any) -> Iterator[GateResult]:
    ours = said["metrics"]
    if not isinstance(found, dict):
        yield _verdict("metrics", data_digest(ours), str(found), shown=False)
        return
    for name in sorted(ours | found):
        yield _verdict(f"metrics.{name}", ours.get(name, "nothing"), found.get(name, "nothing"), shown=False)


def _gates(release: Release, said: Mapping[str, Any], found: Any) -> Iterator[GateResult]:
    ours = said["gates"]
    if not isinstance(found, list):
        yield _verdict("gates", data_digest(ours), str(found), shown=False)
        return
    if [g[0] for g in ours] != [g[0] for g in found]:
        yield _verdict("gates", _names(ours), _names(found))
        return
    for index, (mine, theirs) in enumerate(zip(ours, found, strict=True)):
        if mine[1] != theirs[1]:
            yield _verdict(f"gates.{index}.verdict", f"{mine[1]} of {mine[0]}", str(theirs[1]))
            continue
        wrong = [f for f, a, b in zip(_FIELDS[1:], mine[2:], theirs[2:], strict=True) if a != b]
        for field in wrong or _FIELDS[:1]:
            value = getattr(release.gates[index], field)
            recorded = "something else" if wrong else value
            yield _verdict(f"gates.{index}.{field}", f"{value!r} of {mine[0]}" if wrong else value, recorded)


def _names(gates: list[Any]) -> str:
    return ", ".join(str(g[0]) for g in gates) or "none"


def _verdict(field: str, said: str, found: str, *, shown: bool = True) -> GateResult:
    if said == found:
        return GateResult(name=field, verdict="pass", observed=said, limit=found)
    other = (found or "nothing") if shown else "something else"
    words = f"the release says {said}" if shown else "the release says another value"
    return _no(field, f"{words}, the lifecycle recorded {other}; it was not made by `mlops release`")


def _no(field: str, why: str) -> GateResult:
    return GateResult(name=field, verdict="blocked", observed="", limit="as recorded", detail=why)


def _value(release: Release, field: str) -> Any:
    value: Any = release
    for part in field.split("."):
        value = getattr(value, part)
    return value


# --- the record -------------------------------------------------------------------------------------


def _said(
    metrics: Mapping[str, Interval], gates: list[GateResult], created: datetime, policy: str | None
) -> dict[str, Any]:
    numbers = rounded(metrics)
    plain = [gate.model_dump() for gate in gates]
    at = created.astimezone(UTC).replace(microsecond=0).isoformat()
    whole = {"metrics": numbers, "gates": plain, "created": at, "policy": policy or ""}
    return {
        "all": data_digest(whole),
        "created": at,
        "policy": policy or "",
        "metrics": {name: _short(value) for name, value in numbers.items()},
        "gates": [[g["name"], g["verdict"], *(_short(g[f]) for f in _FIELDS[1:])] for g in plain],
    }


def _short(value: Any) -> str:
    return data_digest(value)[7:17]


def _tags(kind: str, version: Recorded, said: dict[str, Any]) -> dict[str, str | None]:
    text = json.dumps(said, separators=(",", ":"))
    if len(text) > _PART * _MOST:
        said = {**said, "metrics": data_digest(said["metrics"]), "gates": data_digest(said["gates"])}
        text = json.dumps(said, separators=(",", ":"))
    tags: dict[str, str | None] = dict.fromkeys(_parts(version.tags, kind))
    tags |= {f"{kind}.{i}": text[i * _PART :][:_PART] for i in range(-(-len(text) // _PART))}
    tags[f"{kind}.seal"] = (
        None if version.seal is None else version.seal.made(_sealed_text(version, kind, text))
    )
    return tags


def _parts(tags: Mapping[str, str], kind: str) -> list[str]:
    names = [k for k in tags if k.startswith(f"{kind}.") and k.rpartition(".")[2].isdigit()]
    return sorted(names, key=lambda k: int(k.rpartition(".")[2]))


def _text(tags: Mapping[str, str], kind: str) -> str:
    return "".join(tags[name] for name in _parts(tags, kind))


def _sealed(version: Recorded, kind: str) -> bool:
    """Whether a record carries the seal that counts here; without one, whoever may write tags made it."""
    if version.seal is None:
        return True
    given = version.tags.get(f"{kind}.seal", "")
    return version.seal.holds(_sealed_text(version, kind, _text(version.tags, kind)), given)


def _sealed_text(version: Recorded, kind: str, text: str) -> bytes:
    """The record and what it is about, so that it can't be moved to another version."""
    known = [*_TAGS.values(), *(tag for tag in _LATER.values() if tag in version.tags)]
    about = {tag: version.tags.get(tag, "") for tag in sorted(known)}
    message = [kind, version.model, version.version, version.run_id, about, text]
    return json.dumps(message, sort_keys=True).encode()
