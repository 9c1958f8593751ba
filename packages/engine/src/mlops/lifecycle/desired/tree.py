"""What `mlops check` judges, read once: a work tree, what its files said before, what a registry says.

Reading never stops at the first wrong file: what cannot be read is a problem, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import dropwhile
from pathlib import Path, PurePosixPath
from typing import ParamSpec, TypeVar

from mlops.errors import Forbidden, InvalidInput, NotFound, Problem, TargetError, Unavailable
from mlops.forge.git import Git
from mlops.lifecycle.decide import transitions
from mlops.lifecycle.desired import provenance
from mlops.lifecycle.desired.proven import recorded, verified_in
from mlops.spec import files
from mlops.spec._yaml import Document, read_text
from mlops.spec.desired import DesiredState
from mlops.spec.gatepolicy import load_gates
from mlops.spec.policy import Freeze, Policy
from mlops.spec.proof import Recorded
from mlops.spec.release import Release
from mlops.spec.settings import Settings, load_settings
from mlops.targets.base import Registry, Target

P = ParamSpec("P")
T = TypeVar("T")
Place = tuple[str, str]
"""Environment and model."""
Key = tuple[str, int]
"""Model and version."""


@dataclass(frozen=True)
class Wanted:
    """One desired-state file. `head` and `base`: what it said there, newest first."""

    env: str
    model: str
    document: Document
    state: DesiredState
    head: Sequence[DesiredState]
    base: Sequence[DesiredState] | None
    """None when no base was given: then only what stands is judged."""

    @property
    def moves(self) -> bool:
        """Whether another release is asked for than at the base."""
        if self.base is None:
            return False
        return not self.base or not transitions.same_release(self.state, self.base[0])

    @property
    def older(self) -> list[DesiredState]:
        """What the file said before the change that made it ask for this release, newest first."""
        known = self.head if self.base is None else self.base
        return list(dropwhile(lambda s: transitions.same_release(self.state, s), known))


@dataclass(frozen=True)
class Tree:
    """Plain data. Names are paths relative to the repository."""

    settings: Settings | None
    policy: Policy | None
    freeze: Freeze
    freeze_document: Document | None
    release_names: Sequence[str]
    """Every file below `releases/<model>/`."""
    release_texts: Mapping[str, str]
    releases: Mapping[Key, tuple[Document, Release]]
    environment_names: Sequence[str]
    wanted: Mapping[Place, Wanted]
    heads: Mapping[Place, Sequence[DesiredState]] = field(default_factory=dict)
    """What each file said at HEAD, newest first, also one that is gone or wrong now."""
    base_releases: Mapping[str, str] = field(default_factory=dict)
    """The texts of all release files at the base."""
    edited: Mapping[str, str] = field(default_factory=dict)
    """Of releases that were committed: why they are not as they were written."""
    restored: Set[str] = frozenset()
    """Releases that were committed and are as they were written, whatever they were meanwhile."""
    lost: Sequence[str] = ()
    """Desired-state files of the base that are gone."""
    strange: Mapping[Key, str] = field(default_factory=dict)
    """Of releases that a file begins to ask for: why their code is none of this history."""
    recorded: Mapping[Key, Recorded | str] = field(default_factory=dict)
    """What the registry recorded of versions, or why it cannot be read; empty when it was not asked."""
    verified: Set[Key] = frozenset()
    """Of those without a record: what some environment verified before there were records."""

    def said(self, env: str, model: str) -> list[DesiredState]:
        """What the file of an environment says, and said before, newest first."""
        there = self.wanted.get((env, model))
        return [*([there.state] if there else []), *self.heads.get((env, model), ())]


def read(
    root: Path, base: str | None, target: Target | None, note: Callable[[str], None]
) -> tuple[Tree, list[Problem]]:
    """Raises `InvalidInput` when `base` is no commit. `note` gets a sentence for what could not be asked."""
    return _Reader(root, Git(root), target, note).read(base)


@dataclass
class _Reader:
    root: Path
    git: Git
    target: Target | None
    note: Callable[[str], None]
    problems: list[Problem] = field(default_factory=list)

    def read(self, base: str | None) -> tuple[Tree, list[Problem]]:
        commit = self.git.head(base) if base is not None else None
        self.attempt(provenance.whole, self.git)
        settings = self.attempt(load_settings, self.root)
        policy = self.attempt(files.load_policy, self.root)
        freeze = self.attempt(files.load_freeze, self.root)
        models = list(settings.models) if settings else []
        self.no_links([files.POLICY, files.FREEZE, *map(files.gates_path, models)])
        for model in models:
            self.attempt(load_gates, self.root, model)
        names, texts, releases = self.releases(settings)
        places = [(env, m) for env in policy.order for m in settings.models] if policy and settings else []
        heads = self.said(places, "HEAD")
        wanted, lost = self.wanted(heads, self.said(places, commit) if commit else None)
        edited, restored = self.edited(wanted.values())
        asked = {(w.model, w.state.release) for w in wanted.values() if w.moves} & set(releases)
        head = self.git.head() if asked else ""
        tree = Tree(
            settings=settings,
            policy=policy,
            freeze=freeze or Freeze(),
            freeze_document=Document.read(self.root / files.FREEZE, files.FREEZE)
            if freeze and freeze.windows
            else None,
            release_names=names,
            release_texts=texts,
            releases=releases,
            environment_names=self.names("environments", "*/*.y*ml"),
            wanted=wanted,
            heads=heads,
            base_releases=self.git.tree(commit, "releases") if commit else {},
            edited=edited,
            restored=restored,
            lost=lost,
            strange={key: provenance.unknown(self.git, releases[key][1], head) for key in asked},
        )
        if self.target is not None:
            tree = self.asked(tree, self.target)
        return tree, self.problems

    def asked(self, tree: Tree, target: Target) -> Tree:
        """The tree with what the target knows of its releases."""
        records = {key: recorded_of(target.registry, *key) for key in tree.releases}
        bare = [k for k, r in records.items() if isinstance(r, Recorded) and not r.known]
        places = tree.policy.order if tree.policy else []
        verified: set[Key] = set()
        try:
            verified = {k for k in bare if verified_in(target, places, tree.releases[k][1])}
        except Forbidden as error:
            self.note(f"what was verified before there were records is not known: {error}")
        return replace(tree, recorded=records, verified=verified)

    def attempt(self, reads: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """None when it raised; its problems are kept."""
        try:
            return reads(*args, **kwargs)
        except InvalidInput as error:
            self.problems += error.problems or (Problem(".", str(error)),)
        except NotFound as error:
            self.problems.append(Problem(".", str(error)))
        return None

    def names(self, folder: str, pattern: str) -> list[str]:
        paths = (self.root / folder).glob(pattern)
        names = sorted(path.relative_to(self.root).as_posix() for path in paths)
        self.no_links(names)
        return names

    def no_links(self, names: Iterable[str]) -> None:
        """No file that decides what is served, and no folder on the way to it, is a symbolic link."""
        places = {
            place.as_posix()
            for name in names
            for place in (PurePosixPath(name), *PurePosixPath(name).parents)
        }
        for place in sorted(places):
            if (self.root / place).is_symlink() and place != ".":
                why = "is a symbolic link, of which git keeps the name only; commit the file itself"
                self.problems.append(Problem(place, why))

    def edited(self, wanted: Iterable[Wanted]) -> tuple[dict[str, str], set[str]]:
        """Releases that are not as they were written, and those that are: as apply sees it.

        One that is gone is missed where a file asks for it; what never was a release may be taken away.
        """
        if not self.git.has("HEAD"):
            return {}, set()
        asked = {(w.model, w.state.release) for w in wanted}
        edits = {
            name: provenance.changed(rows, name)
            for name, rows in self.git.changes("releases").items()
            if (key := files.release_of(name)) and (key in asked or rows[0][1].strip("0"))
        }
        for name in self.git.uncommitted("releases"):
            if name in edits and not (self.root / name).is_file() and not edits[name]:
                edits[name] = "deleted; a release is kept for ever, restore it"
            elif name in edits:
                edits[name] = "changed; a release is never edited, restore it and make a new one"
        return {n: why for n, why in edits.items() if why}, {n for n, why in edits.items() if not why}

    def releases(
        self, settings: Settings | None
    ) -> tuple[list[str], dict[str, str], dict[Key, tuple[Document, Release]]]:
        """All names, the text of each that is a release by its name, and those that are valid."""
        names = self.names("releases", "*/*")
        texts: dict[str, str] = {}
        valid: dict[Key, tuple[Document, Release]] = {}
        for name in names:
            key = files.release_of(name)
            if key is None or (settings is not None and key[0] not in settings.models):
                continue
            text = self.attempt(read_text, self.root / name, name)
            if text is None:
                continue
            texts[name] = text
            document = self.attempt(Document, text, name)
            release = self.attempt(files.as_release, document, *key) if document else None
            if document is not None and release is not None:
                valid[key] = document, release
        return names, texts, valid

    def said(self, places: Sequence[Place], rev: str) -> dict[Place, list[DesiredState]]:
        """What each file said up to a commit, newest first."""
        texts = self.git.texts("environments", rev) if places and self.git.has(rev) else {}
        names = {place: files.desired_path(*place) for place in places}
        return {place: self.states(texts.get(name, []), name) for place, name in names.items()}

    def wanted(
        self, heads: Mapping[Place, list[DesiredState]], bases: Mapping[Place, list[DesiredState]] | None
    ) -> tuple[dict[Place, Wanted], list[str]]:
        """The files that are there and valid, and the names of those that were there at the base."""
        states: dict[Place, Wanted] = {}
        lost = []
        for (env, model), head in heads.items():
            name = files.desired_path(env, model)
            base = bases[env, model] if bases is not None else None
            if not (self.root / name).is_file():
                lost += [name] if base else []
                continue
            document = self.attempt(Document.read, self.root / name, name)
            state = self.attempt(document.parse, DesiredState) if document else None
            if document is not None and state is not None:
                states[env, model] = Wanted(env, model, document, state, head, base)
        return states, lost

    def states(self, texts: Sequence[tuple[str, str | None]], name: str) -> list[DesiredState]:
        """What a file said, newest first; one that is not valid ends the list."""
        try:
            return [state for _, state in provenance.states(texts, name)]
        except InvalidInput:
            return []


def recorded_of(registry: Registry, model: str, version: int) -> Recorded | str:
    """What the registry recorded of a version, or why it says nothing. Raises `Unavailable` where it does not
    answer now: that is nothing that a file says."""
    try:
        return recorded(registry, registry.get(model, version))
    except Unavailable:
        raise
    except TargetError as error:
        return str(error)
