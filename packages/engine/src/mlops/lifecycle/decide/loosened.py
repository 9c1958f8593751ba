"""Which gates ask for less than before. Pure.

A model and the gates that let it through may come by the same pull request. Its author knows; whoever lets
the release in must know too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mlops.errors import InvalidInput
from mlops.forge.git import Git
from mlops.spec import files
from mlops.spec._yaml import Document
from mlops.spec.gatepolicy import ChampionGate, GatePolicy, Limits, SliceGate
from mlops.spec.release import Release

_Number = float | None


def between(git: Git, before: Release | None, release: Release, rev: str = "HEAD") -> list[str]:
    """What was loosened between the judgements of two releases; nothing for a first one.

    `rev`: in whose history the files of gates are looked for.
    """
    if before is None or before.version == release.version:
        return []
    name = files.gates_path(release.model)
    if release.gates_digest and release.gates_digest == before.gates_digest:
        return []
    texts = [_judged_by(git, of, name, rev) for of in (before, release)]
    if texts == [None, None] and release.gates_digest is None:
        return []
    if texts[1] is None:
        judged = f"judged by a {name} that no commit has"
        return [f"release {release.version}: {judged} ({(release.gates_digest or 'no digest')[:19]})"]
    policies = [_policy(text, name) for text in texts]
    for of, policy in zip((before, release), policies, strict=True):
        if policy is None:
            return [f"release {of.version}: its {name} cannot be read today; compare the two yourself"]
    old, new = policies
    return loosened(old, new) if old is not None and new is not None else []


def writers(git: Git, before: Release, release: Release, rev: str = "HEAD") -> list[str]:
    """The commits that changed the file of gates between two releases; whoever wrote one approves nothing."""
    name = files.gates_path(release.model)
    since = before.source.commit
    return git.run("log", "--format=%H", f"{since}..{rev}", "--", name).split()


def _judged_by(git: Git, release: Release, name: str, rev: str) -> str | None:
    """The file of gates that a release was judged by: not always that of the commit it was trained from."""
    text = git.show(release.source.commit, name)
    if release.gates_digest is None or (text is not None and _digest(text) == release.gates_digest):
        return text
    known = git.texts(name, rev).get(name, [])
    return next((t for _, t in known if t is not None and _digest(t) == release.gates_digest), None)


def _digest(text: str) -> str:
    """As `mlops.spec.digest.text_digest` of the file."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _policy(text: str | None, name: str) -> GatePolicy | None:
    try:
        return Document(text, name).parse(GatePolicy) if text is not None else None
    except InvalidInput:
        return None


def loosened(old: GatePolicy, new: GatePolicy) -> list[str]:
    """A sentence for each gate that now lets through what it did not."""
    return [*_metrics(old, new), *_champion(old, new), *_slices(old, new), *_rest(old, new)]


def _metrics(old: GatePolicy, new: GatePolicy) -> Iterator[str]:
    for name, limits in old.metrics.items():
        now = new.metrics.get(name, Limits.model_construct(min=None, max=None))
        yield from _lower(f"metrics.{name}.min", limits.min, now.min)
        yield from _higher(f"metrics.{name}.max", limits.max, now.max)


def _champion(old: GatePolicy, new: GatePolicy) -> Iterator[str]:
    was, now = old.champion, new.champion
    if (was.metric, was.direction) != (now.metric, now.direction):
        yield f"champion: compared by {was.metric} ({was.direction}), now by {now.metric} ({now.direction})"
    yield from _higher("champion.max_drop", was.max_drop, now.max_drop)
    yield from _lower("champion.confidence", was.confidence, now.confidence)
    yield from _drawn("champion", was, now)


def _slices(old: GatePolicy, new: GatePolicy) -> Iterator[str]:
    """Of gates at the same place each old one is compared with the new one that loosens least."""

    def place(gate: SliceGate) -> str:
        return f"slices.{gate.column}.{gate.metric}.{gate.direction}"

    for was in old.slices:
        there = [now for now in new.slices if place(now) == place(was)]
        if not there:
            yield f"{place(was)}: removed"
            continue
        yield from min((list(_slice(place(was), was, now)) for now in there), key=len)


def _slice(place: str, was: SliceGate, now: SliceGate) -> Iterator[str]:
    yield from _higher(f"{place}.min_rows", was.min_rows, now.min_rows)
    yield from _lower(f"{place}.min", was.min, now.min)
    yield from _higher(f"{place}.max", was.max, now.max)
    yield from _higher(f"{place}.max_drop", was.max_drop, now.max_drop)
    # Here more confidence blocks less: a slice must be proven worse.
    yield from _higher(f"{place}.confidence", was.confidence, now.confidence)
    yield from _drawn(place, was, now)


def _rest(old: GatePolicy, new: GatePolicy) -> Iterator[str]:
    if old.onnx.required and not new.onnx.required:
        yield "onnx.required: was true, is false"
    if old.allow_code is None and new.allow_code is not None:
        yield f"allow_code: was none, is by {new.allow_code.approver}: {new.allow_code.reason}"
    order = ("", "predictions", "report")
    before, after = (policy.believe.what if policy.believe else "" for policy in (old, new))
    if new.believe is not None and order.index(after) > order.index(before):
        yield f"believe: was {before or 'none'}, is {after} by {new.believe.approver}: {new.believe.reason}"
    if old.signature.compatible_with_live and not new.signature.compatible_with_live:
        yield "signature.compatible_with_live: was true, is false"
    for place, was, now in (
        ("onnx.max_abs_difference", old.onnx.max_abs_difference, new.onnx.max_abs_difference),
        ("onnx.max_label_flips", old.onnx.max_label_flips, new.onnx.max_label_flips),
        ("size.max_megabytes", old.size.max_megabytes, new.size.max_megabytes),
        ("latency.max_ratio", old.latency.max_ratio, new.latency.max_ratio),
        ("latency.max_milliseconds", old.latency.max_milliseconds, new.latency.max_milliseconds),
        ("contract.max_violations", old.contract.max_violations, new.contract.max_violations),
    ):
        yield from _higher(place, was, now)


def _drawn(place: str, was: ChampionGate | SliceGate, now: ChampionGate | SliceGate) -> Iterator[str]:
    """Other draws of a bootstrap: who may choose them may choose those that let a model through."""
    for field in ("seed", "resamples"):
        before, after = getattr(was, field), getattr(now, field)
        if before != after:
            yield f"{place}.{field}: was {before}, is {after}; the same evidence is drawn otherwise"


def _lower(place: str, was: _Number, now: _Number) -> Iterator[str]:
    if was is not None and (now is None or now < was):
        yield f"{place}: was {was:g}, is {'gone' if now is None else f'{now:g}'}"


def _higher(place: str, was: _Number, now: _Number) -> Iterator[str]:
    if was is not None and (now is None or now > was):
        yield f"{place}: was {was:g}, is {'gone' if now is None else f'{now:g}'}"
