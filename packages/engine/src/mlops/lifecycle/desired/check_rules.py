"""The rules of `mlops check`, one function each, over plain data. Whether a release may move is asked of
`mlops.lifecycle.decide.transitions`, as promote and apply do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops.errors import InvalidInput, Problem, Unproven
from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.journal import Facts, Served
from mlops.lifecycle.decide.transitions import Move, Upstream
from mlops.lifecycle.desired import provenance
from mlops.lifecycle.desired.proven import unproven
from mlops.lifecycle.desired.tree import Tree, Wanted
from mlops.spec import files
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.gates import GateResult
from mlops.spec.policy import Policy
from mlops.spec.proof import Recorded
from mlops.spec.release import Release

LONG_AGO = datetime.min.replace(tzinfo=UTC)
STANDING = ("bypass", "gates", "order")
"""Rules that a file keeps as long as it asks for the release; the others are about the moment it moves."""
PLACES = {"replaces": ("replaces",), "hold": ("hold",), "bypass": ("bypass", "gates")}
"""The field that a rule of a move is about; `release` for all others."""


# --- every file by itself -----------------------------------------------------------------------------------


def freeze_names(tree: Tree) -> Iterator[Problem]:
    """A window that names what does not exist would freeze nothing, and nobody would know."""
    if tree.freeze_document is None or tree.policy is None or tree.settings is None:
        return
    for number, window in enumerate(tree.freeze.windows):
        for field, given, known in (
            ("environments", window.environments, tree.policy.order),
            ("models", window.models, sorted(tree.settings.models)),
        ):
            for index, name in enumerate(given):
                if name not in known:
                    yield tree.freeze_document.problem(
                        ("windows", number, field, index),
                        f"there is no {field[:-1]} {name!r}; known: {', '.join(known)}",
                    )


def release_names(tree: Tree) -> Iterator[Problem]:
    """Under `releases/` lie releases of models, and the signature of each beside it; nothing else."""
    for name in tree.release_names:
        folder, _, file = name.rpartition("/")
        model = folder.rpartition("/")[2]
        if file.endswith(".sig"):
            if f"{name.removesuffix('.sig')}.yaml" not in tree.release_names:
                yield Problem(name, "is the signature of no release beside it; remove it")
        elif files.release_of(name) is None:
            yield Problem(name, "a release file is called <version>.yaml, for example 7.yaml")
        elif tree.settings is not None and model not in tree.settings.models:
            known = ", ".join(sorted(tree.settings.models))
            yield Problem(name, f"mlops.toml has no model {model!r}; known: {known}")


def trained_from_a_commit(tree: Tree) -> Iterator[Problem]:
    """What was trained from uncommitted changes can never be made again."""
    for document, release in tree.releases.values():
        if why := provenance.unclean(release):
            yield document.problem(("source", "dirty"), why)


def recorded(tree: Tree) -> Iterator[Problem]:
    """A release says what the lifecycle recorded; an old one that nobody asks for may have no record."""
    named = {(w.model, w.state.release) for w in tree.wanted.values()}
    for key, record in tree.recorded.items():
        document, release = tree.releases[key]
        if isinstance(record, str):
            yield document.problem(("version",), record)
            continue
        untouched = key not in named and document.name in tree.base_releases
        if untouched and isinstance(record, Recorded) and record.strict:
            # From before records were signed: promote and apply compare it once somebody asks for it again.
            continue
        old = key in tree.verified or untouched
        for field, why in unproven(release, record, verified=old):
            loc = tuple(int(part) if part.isdigit() else part for part in field.split("."))
            yield Unproven(f"{document.name}:{document.line(loc)}", why, field)


def environment_names(tree: Tree) -> Iterator[Problem]:
    """A desired-state file of an environment or model that does not exist would be served nowhere."""
    if tree.policy is None or tree.settings is None:
        return
    for name in tree.environment_names:
        _, env, file = name.split("/")
        if env not in tree.policy.order:
            order = ", ".join(tree.policy.order)
            yield Problem(name, f"there is no environment {env!r}; {files.POLICY} knows {order}")
        elif file not in {f"{model}.yaml" for model in tree.settings.models}:
            allowed = ", ".join(f"{model}.yaml" for model in sorted(tree.settings.models))
            yield Problem(name, f"no such model in mlops.toml; allowed here: {allowed}")


def asked_for_is_released(tree: Tree) -> Iterator[Problem]:
    """A file asks for a release that exists."""
    for wanted in tree.wanted.values():
        model, version = wanted.model, wanted.state.release
        if files.release_path(model, version) not in tree.release_names:
            released = sorted(
                key[1] for key in map(files.release_of, tree.release_names) if key and key[0] == model
            )
            known = ", ".join(map(str, released)) or "none"
            yield wanted.document.problem(
                ("release",), f"there is no release {version} of {model}; released: {known}"
            )


# --- every change since the base ----------------------------------------------------------------------------


def never_edited(tree: Tree) -> Iterator[Problem]:
    """A release is written once. Its signature is made anew when the team changes its key."""
    for name, text in tree.base_releases.items():
        if name in tree.edited:
            continue
        if name not in tree.release_names:
            if _was_release(name, text):
                yield Problem(name, "deleted; a release is kept for ever, restore it")
        elif name.endswith(".sig") or name in tree.restored:
            continue
        elif tree.release_texts.get(name, text) != text:
            yield Problem(f"{name}:1", "changed; a release is never edited, restore it and make a new one")
    for name, why in tree.edited.items():
        yield Problem(f"{name}:1" if name in tree.release_names else name, why)


def _was_release(name: str, text: str) -> bool:
    """Whether a file of the base was a release, or its signature; what came there by mistake may go."""
    if name.endswith(".sig"):
        return True
    if (key := files.release_of(name)) is None:
        return False
    try:
        files.as_release(Document(text, name), *key)
    except InvalidInput:
        return False
    return True


def never_deleted(tree: Tree) -> Iterator[Problem]:
    """Without its file an environment serves on, and nobody says what."""
    for name in tree.lost:
        yield Problem(name, "deleted, which would stop nothing; run `mlops stop` first and say why")


def known_code(tree: Tree) -> Iterator[Problem]:
    """The code of a release that a file begins to ask for is part of this history."""
    for wanted in tree.wanted.values():
        why = tree.strange.get((wanted.model, wanted.state.release), "")
        if wanted.moves and why:
            name = files.release_path(wanted.model, wanted.state.release)
            yield wanted.document.problem(("release",), f"{name} {why}")


def says_what_it_replaces(tree: Tree) -> Iterator[Problem]:
    """`replaces` is compare-and-set: it names what the file named before, and only a move changes it."""
    for wanted in tree.wanted.values():
        if not wanted.moves or wanted.base is None:
            continue
        state, before = wanted.state, wanted.base[0] if wanted.base else None
        if before is not None and before.release == state.release:
            yield wanted.document.problem(("replaces",), f"was {before.replaces}; only a move changes it")
        elif not transitions.follows(state, wanted.base):
            named = before.release if before else "null"
            yield wanted.document.problem(
                ("replaces",), f"must be {named}, what the file named before; got {state.replaces}"
            )


# --- may the release be where a file asks for it ------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a judge is asked about: one file and the release that it names."""

    wanted: Wanted
    release: Release
    policy: Policy


Judge = Callable[[Asked], Sequence[GateResult]]


def by_files(tree: Tree, now: datetime) -> Judge:
    """Judges by the files alone. What they cannot know is taken to be well: that what was asked for was also
    verified, and has soaked."""

    def judge(asked: Asked) -> Sequence[GateResult]:
        wanted = asked.wanted
        before = asked.policy.upstream(wanted.env)
        return transitions.verdicts(
            Move(
                env=wanted.env,
                model=wanted.model,
                desired=wanted.state,
                release=asked.release,
                lineage=transitions.lineage([wanted.state, *wanted.older]),
                served=wanted.older[0].release if wanted.older else None,
                facts=assumed(wanted.older),
                upstream=Upstream(
                    before, assumed(tree.said(before, wanted.model), wanted.state.release), "asks for"
                )
                if before is not None
                else None,
                policy=asked.policy,
                freeze=tree.freeze,
                now=now,
            )
        )

    return judge


def assumed(history: Sequence[DesiredState], release: int | None = None) -> Facts:
    """All that a file ever asked for, served; `release` last if it is among it. `history` is newest first."""
    named = [state.release for state in reversed(history)]
    named += [release] if release in named and release is not None else []
    return Facts(served=tuple(Served(r, LONG_AGO, "", "") for r in named))


def may_stay(tree: Tree, judge: Judge) -> Iterator[Problem]:
    """What is asked for keeps the rules that do not pass with the moment."""
    for asked in _asked(tree):
        if not asked.wanted.moves:
            yield from _problems(asked.wanted, [r for r in judge(asked) if r.name in STANDING])


def may_move(tree: Tree, judge: Judge) -> Iterator[Problem]:
    """What is asked for anew keeps all rules."""
    for asked in _asked(tree):
        if asked.wanted.moves:
            # Told by `says_what_it_replaces`, in the words of the file.
            told = asked.wanted.base is not None and not transitions.follows(
                asked.wanted.state, asked.wanted.base
            )
            yield from _problems(
                asked.wanted, [r for r in judge(asked) if not (told and r.name == "replaces")]
            )


def _asked(tree: Tree) -> Iterator[Asked]:
    for wanted in tree.wanted.values():
        there = tree.releases.get((wanted.model, wanted.state.release))
        if there is not None and tree.policy is not None:
            yield Asked(wanted, there[1], tree.policy)


def _problems(wanted: Wanted, results: Sequence[GateResult]) -> Iterator[Problem]:
    for result in results:
        if result.verdict == "blocked":
            yield wanted.document.problem(PLACES.get(result.name, ("release",)), result.detail)


FILES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (
    freeze_names,
    release_names,
    trained_from_a_commit,
    recorded,
    environment_names,
    asked_for_is_released,
    never_edited,
    never_deleted,
    known_code,
    says_what_it_replaces,
)
