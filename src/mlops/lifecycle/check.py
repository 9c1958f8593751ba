"""`mlops check`: is every file that decides what is served valid, and may each change since a base be made?

It answers all problems at once and never stops at the first: a pull request is read once, not five times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from mlops.errors import InvalidInput, NotFound, Problem, TargetError
from mlops.forge.git import Git
from mlops.lifecycle import journal, provenance, transitions
from mlops.spec import files
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.gatepolicy import load_gates
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release
from mlops.spec.settings import Settings, load_settings
from mlops.targets.base import Target

P = ParamSpec("P")
T = TypeVar("T")


def check(root: Path, base: str | None, *, now: datetime, target: Target | None = None) -> list[Problem]:
    """Problems of the work tree, in a stable order; empty when everything may be merged.

    `base`: also judge every change since that commit. `target`: also ask the registry whether the versions
    exist with these digests. Raises `InvalidInput` when `base` is no commit.
    """
    run = _Check(root, Git(root), now, target)
    return run.all(base)


@dataclass
class _Check:
    root: Path
    git: Git
    now: datetime
    target: Target | None
    problems: list[Problem] = field(default_factory=list)

    def all(self, base: str | None) -> list[Problem]:
        settings = self.attempt(load_settings, self.root)
        policy = self.attempt(files.load_policy, self.root)
        freeze = self.attempt(files.load_freeze, self.root)
        if policy is not None and settings is not None and freeze is not None and freeze.windows:
            self.freezes(settings, policy, freeze)
        self.releases(settings)
        if settings is not None:
            for model in settings.models:
                self.attempt(load_gates, self.root, model)
        if policy is not None and settings is not None:
            self.environments(settings, policy)
        if base is not None:
            commit = self.git.head(base)
            self.immutable(commit)
            if policy is not None and settings is not None:
                self.moves(commit, settings, policy, freeze or Freeze())
        return sorted(set(self.problems), key=str)

    def attempt(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """None when it raised; its problems are kept."""
        try:
            return read(*args, **kwargs)
        except InvalidInput as error:
            self.problems += error.problems or (Problem(".", str(error)),)
        except NotFound as error:
            self.problems.append(Problem(".", str(error)))
        return None

    # --- every file by itself -------------------------------------------------------------------------

    def freezes(self, settings: Settings, policy: Policy, freeze: Freeze) -> None:
        """A window that names what does not exist would freeze nothing, and nobody would know."""
        document = Document.read(self.root / files.FREEZE, files.FREEZE)
        for number, window in enumerate(freeze.windows):
            for field_name, given, known in (
                ("environments", window.environments, policy.order),
                ("models", window.models, sorted(settings.models)),
            ):
                for index, name in enumerate(given):
                    if name not in known:
                        self.problems.append(
                            document.problem(
                                ("windows", number, field_name, index),
                                f"there is no {field_name[:-1]} {name!r}; known: {', '.join(known)}",
                            )
                        )

    def releases(self, settings: Settings | None) -> None:
        for path in sorted((self.root / "releases").glob("*/*")):
            name = path.relative_to(self.root).as_posix()
            if path.suffix == ".sig":
                if not path.with_suffix(".yaml").is_file():
                    self.problems.append(Problem(name, "is the signature of no release beside it; remove it"))
                continue
            if path.suffix != ".yaml" or not path.stem.isdigit() or path.stem != str(int(path.stem)):
                self.problems.append(
                    Problem(name, "a release file is called <version>.yaml, for example 7.yaml")
                )
                continue
            model = path.parent.name
            if settings is not None and model not in settings.models:
                known = ", ".join(sorted(settings.models))
                self.problems.append(Problem(name, f"mlops.toml has no model {model!r}; known: {known}"))
                continue
            release = self.attempt(files.load_release, self.root, model, int(path.stem))
            if release is not None:
                self.release(Document.read(path, name), release)

    def release(self, document: Document, release: Release) -> None:
        if release.source.dirty:
            self.problems.append(
                document.problem(("source", "dirty"), "trained from uncommitted changes; train from a commit")
            )
        if self.target is None:
            return
        try:
            tags = self.target.registry.get(release.model, release.version).tags
        except TargetError as error:
            self.problems.append(document.problem(("version",), str(error)))
            return
        found = tags.get("mlops.digest")
        if found != release.digest:
            self.problems.append(
                document.problem(("digest",), f"the registry says {found or 'nothing'}; got {release.digest}")
            )

    def environments(self, settings: Settings, policy: Policy) -> None:
        for path in sorted((self.root / "environments").glob("*/*.y*ml")):
            env, model = path.parent.name, path.stem
            name = path.relative_to(self.root).as_posix()
            if env not in policy.order:
                order = ", ".join(policy.order)
                self.problems.append(
                    Problem(name, f"there is no environment {env!r}; {files.POLICY} knows {order}")
                )
            elif model not in settings.models or path.suffix != ".yaml":
                allowed = ", ".join(f"{m}.yaml" for m in sorted(settings.models))
                self.problems.append(Problem(name, f"no such model in mlops.toml; allowed here: {allowed}"))
            else:
                self.attempt(self.desired, env, model, policy)

    def desired(self, env: str, model: str, policy: Policy) -> None:
        name = files.desired_path(env, model)
        document = Document.read(self.root / name, name)
        state = document.parse(DesiredState)
        released = files.released_versions(self.root, model)
        if state.release not in released:
            known = ", ".join(map(str, released)) or "none"
            self.problems.append(
                document.problem(
                    ("release",), f"there is no release {state.release} of {model}; released: {known}"
                )
            )
            return
        release = self.attempt(files.load_release, self.root, model, state.release)
        if release is None:
            return
        skipped = state.bypass.gates if state.bypass else []
        allowed = transitions.bypassable(release)
        for index, gate in enumerate(skipped):
            if gate not in allowed:
                self.problems.append(
                    document.problem(
                        ("bypass", "gates", index),
                        f"cannot be bypassed; allowed: {', '.join(allowed)}; got {gate!r}",
                    )
                )
        blocked = [g.name for g in release.gates if g.verdict == "blocked" and g.name not in skipped]
        if blocked:
            self.problems.append(
                document.problem(("release",), f"release {state.release} was blocked by {', '.join(blocked)}")
            )
        before = policy.upstream(env)
        if before is not None and "order" not in skipped and state.release not in self.named(before, model):
            self.problems.append(
                document.problem(
                    ("release",),
                    f"release {state.release} was never asked for in {before}; promote it there first",
                )
            )

    def named(self, env: str, model: str) -> set[int]:
        """Releases that the file of an environment names, or named in history."""
        name = files.desired_path(env, model)
        now = self.attempt(files.load_desired, self.root, env, model)
        return {state.release for state in [*self.states(name, "HEAD"), *([now] if now else [])]}

    def states(self, name: str, rev: str) -> list[DesiredState]:
        """What a desired-state file said, newest first; an invalid one ends the list."""
        try:
            return [state for _, state in provenance.desired_history(self.git, name, rev)]
        except InvalidInput:
            return []

    # --- every change since a commit ------------------------------------------------------------------

    def immutable(self, commit: str) -> None:
        for name in self.git.files(commit, "releases"):
            path = self.root / name
            if not path.is_file():
                self.problems.append(Problem(name, "deleted; a release is kept for ever, restore it"))
            elif path.suffix == ".sig":
                continue  # made anew when the team changes its key; whoever loads the model verifies it
            elif path.read_text(encoding="utf-8") != self.git.show(commit, name):
                self.problems.append(
                    Problem(f"{name}:1", "changed; a release is never edited, restore it and make a new one")
                )

    def moves(self, commit: str, settings: Settings, policy: Policy, freeze: Freeze) -> None:
        for env in policy.order:
            for model in settings.models:
                name = files.desired_path(env, model)
                history = self.states(name, commit)
                if not (self.root / name).is_file():
                    if history:
                        self.problems.append(
                            Problem(
                                name, "deleted, which would stop nothing; run `mlops stop` first and say why"
                            )
                        )
                    continue
                try:
                    document = Document.read(self.root / name, name)
                    state = document.parse(DesiredState)
                except InvalidInput:
                    continue  # already reported
                self.problems += self.move(document, state, history, env=env, model=model, freeze=freeze)

    def move(
        self,
        document: Document,
        state: DesiredState,
        history: list[DesiredState],
        *,
        env: str,
        model: str,
        freeze: Freeze,
    ) -> Iterator[Problem]:
        old = history[0] if history else None
        if old is not None and transitions.same_release(state, old):
            return
        before = old.release if old else None
        if before == state.release:
            yield document.problem(
                ("replaces",), f"was {old.replaces if old else None}; only a move changes it"
            )
            return
        returns = transitions.is_revert(state, history[1:])
        if state.replaces != before and not returns:
            yield document.problem(
                ("replaces",), f"must be {before or 'null'}, what the file named before; got {state.replaces}"
            )
        verified = {s.release for s in history}
        if self.target is not None:
            verified &= journal.read(self.target.store.entries(env, model)).verified
        if transitions.direction(state.release, before, verified) == "backward":
            return
        if state.hold is not None:
            yield document.problem(
                ("hold",),
                f"{state.hold.by} holds {model} ({state.hold.reason}); clear it before moving forward",
            )
        for window in freeze.windows:
            if window.covers(self.now, env, model):
                yield document.problem(
                    ("release",),
                    f"{env} is frozen until {window.end:%Y-%m-%d %H:%M} {window.timezone} ({window.reason}, "
                    f"{window.by}); only a way back to an earlier release is allowed",
                )
