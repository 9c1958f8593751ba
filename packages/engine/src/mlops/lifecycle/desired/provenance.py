"""Where a release comes from, and that nobody changed it on the way. Never bypassed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlops.errors import IntegrityError, InvalidInput, NotFound
from mlops.forge.git import Git
from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.desired.proven import proven
from mlops.spec import files
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release
from mlops.targets.base import Target


def whole(git: Git) -> None:
    """Raises `InvalidInput` for a shallow clone: what it does not have would never have been."""
    if git.shallow():
        raise InvalidInput(
            "this clone is shallow, so what was served and where a release comes from cannot be checked; "
            "fetch all of it (git fetch --unshallow, or fetch-depth: 0 in CI)"
        )


def read_intent(root: Path, env: str, model: str, rev: str = "HEAD") -> Intent:
    """What the commit `rev` wants. Raises `InvalidInput` (also for uncommitted changes) and `NotFound`."""
    return Wanted(root, env, [model], rev).intent(model)


class Wanted:
    """What one commit wants for `models` of an environment: git is asked for all of them at once.

    Raises `InvalidInput` for a shallow clone and where `rev` is no commit.
    """

    def __init__(self, root: Path, env: str, models: Sequence[str], rev: str = "HEAD") -> None:
        self._git, self._env, self._models = Git(root), env, models
        self.commit = self._git.head(rev)
        whole(self._git)

    def intent(self, model: str) -> Intent:
        """Raises `InvalidInput` (also for uncommitted changes) and `NotFound`."""
        env, commit = self._env, self.commit
        name = files.desired_path(env, model)
        history = self._history(model)
        if not history:
            _refuse_uncommitted(self._git, name)
            raise NotFound(f"nothing is to be served: {name} is not in commit {commit[:8]}")
        desired = history[0][1]
        released = files.release_path(model, desired.release)
        _refuse(self._uncommitted & {name, released, files.POLICY, files.FREEZE})
        policy_text, freeze_text = self._texts.get(files.POLICY), self._texts.get(files.FREEZE)
        policy = Document(policy_text or "", files.POLICY).parse(Policy)
        if env not in policy.order:
            raise InvalidInput(
                f"there is no environment {env!r}; {files.POLICY} knows {', '.join(policy.order)}"
            )
        return Intent(
            env=env,
            model=model,
            desired=desired,
            release=_release(self._git, self._texts.get(released), model, desired.release, commit),
            policy=policy,
            freeze=Document(freeze_text, files.FREEZE).parse(Freeze) if freeze_text else Freeze(),
            commit=commit,
            file_commit=history[0][0],
            lineage=transitions.lineage([state for _, state in history]),
        )

    def _history(self, model: str) -> list[tuple[str, DesiredState]]:
        name = files.desired_path(self._env, model)
        return states(self._said.get(name, []), name)

    @functools.cached_property
    def _said(self) -> dict[str, list[tuple[str, str | None]]]:
        names = [files.desired_path(self._env, model) for model in self._models]
        return self._git.texts(names[0] if len(names) == 1 else names[0].rpartition("/")[0], self.commit)

    @functools.cached_property
    def _asked(self) -> list[str]:
        """The files that say it, beside the desired states; a state that is not valid has no release."""
        paths = [files.POLICY, files.FREEZE]
        for model in self._models:
            with contextlib.suppress(InvalidInput):
                paths += [files.release_path(model, h[0][1].release) for h in [self._history(model)] if h]
        return paths

    @functools.cached_property
    def _texts(self) -> dict[str, str]:
        return self._git.shown(self.commit, self._asked)

    @functools.cached_property
    def _uncommitted(self) -> set[str]:
        names = [files.desired_path(self._env, model) for model in self._models]
        if len(names) == 1:
            return set(self._git.uncommitted(*names, *self._asked))
        # By folder: the names of a thousand models are no command line.
        return set(self._git.uncommitted(*dict.fromkeys(n.partition("/")[0] for n in (*names, *self._asked))))


def desired_history(git: Git, name: str, rev: str) -> list[tuple[str, DesiredState]]:
    """(commit, state) of a desired-state file, newest first. Empty when the file is not there at `rev`.

    Ends where the file did not exist or an older state is not valid today; the newest state must be.
    """
    return states(git.texts(name, rev).get(name, []), name)


def states(texts: Iterable[tuple[str, str | None]], name: str) -> list[tuple[str, DesiredState]]:
    """`desired_history` of texts that were read already (`Git.texts`)."""
    history: list[tuple[str, DesiredState]] = []
    for commit, text in texts:
        if text is None:
            break
        try:
            history.append((commit, _state(text, name)))
        except InvalidInput:
            if not history:
                raise
            break
    return history


@functools.lru_cache(maxsize=50_000)
def _state(text: str, name: str) -> DesiredState:
    """By content: the history at a base is the history at HEAD, but for its newest part."""
    return Document(text, name).parse(DesiredState)


def release_at(git: Git, model: str, version: int, rev: str) -> Release:
    """The release as committed; raises `NotFound` and `InvalidInput`."""
    return _release(git, git.show(rev, files.release_path(model, version)), model, version, rev)


def _release(git: Git, text: str | None, model: str, version: int, rev: str) -> Release:
    name = files.release_path(model, version)
    if text is None:
        gone = changed(git.changes(name, rev).get(name, []), name)
        raise NotFound(
            f"there is no release {version} of {model}: {name} {gone or f'is not in commit {rev[:8]}'}"
        )
    return files.as_release(Document(text, name), model, version)


def _refuse_uncommitted(git: Git, *names: str) -> None:
    _refuse(git.uncommitted(*names))


def _refuse(uncommitted: Iterable[str]) -> None:
    if changed := sorted(uncommitted):
        raise InvalidInput(
            f"{', '.join(changed)}: not committed. What is served follows commits only; commit the change, "
            "or promote with `mlops promote`"
        )


def verify_source(root: Path, intent: Intent) -> None:
    """The release file is as it was written, from a clean and known commit; raises `IntegrityError`."""
    git, release = Git(root), intent.release
    name = files.release_path(release.model, release.version)
    if why := edited(git, name, intent.commit) or unclean(release) or unknown(git, release, intent.commit):
        raise IntegrityError(f"{name} {why}")


def edited(git: Git, name: str, rev: str) -> str:
    """Who changed a release after it was written; empty when nobody did."""
    return changed(git.changes(name, rev).get(name, []), name)


def changed(rows: Sequence[tuple[str, str, str]], name: str) -> str:
    """Why a release is not as it was written, from `Git.changes`; pure. One that was restored is."""
    if not rows:
        return ""
    (last, mode, blob), (first, *written) = rows[0], rows[-1]
    if not mode.strip("0"):
        return (
            f"was deleted by {last[:8]}; a release is kept for ever. Restore it: "
            f"git checkout {first[:8]} -- {name}, and commit"
        )
    if not mode.startswith("100"):
        return f"is no regular file since {last[:8]}; restore it: git checkout {first[:8]} -- {name}"
    if [mode, blob] == written:
        return ""
    what = "its mode" if blob == written[1] else "its bytes" if mode == written[0] else "bytes and mode"
    return (
        f"was written by {first[:8]}, and {last[:8]} changed {what}; a release is never edited. Restore it: "
        f"git checkout {first[:8]} -- {name}, and commit; make a new release for a new model"
    )


def unclean(release: Release) -> str:
    """Why nobody can make this release again; empty when one can."""
    return "was trained from uncommitted changes; train from a commit" if release.source.dirty else ""


def unknown(git: Git, release: Release, rev: str) -> str:
    """Why the code of a release is none of this history; empty when it is."""
    commit = release.source.commit
    if not git.has(commit):
        return (
            f"comes from commit {commit[:8]}, which this repository does not have; "
            "fetch it, or train again from a commit of this repository"
        )
    if not git.is_ancestor(commit, rev):
        return (
            f"comes from commit {commit[:8]}, which is not part of the history of {rev[:8]}; "
            "merge its branch with a merge commit, or train again from here"
        )
    return ""


def is_newer(root: Path, applied: str, ours: str) -> bool:
    """Whether `applied` came after `ours` in this repository's history."""
    return applied != ours and Git(root).is_ancestor(ours, applied)


def fetch(intent: Intent, target: Target) -> Path:
    """The artifact of a release that the lifecycle made; raises `NotFound` and `IntegrityError`."""
    proven(target, intent.release, intent.policy, intent.env)
    return target.registry.fetch(intent.model, intent.release.version, intent.release.digest)
