"""`mlops release`: from a version that passed its gates to a file in git, and the proposal to stage it.

`release` writes files; `propose_release` brings them to the forge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlops.errors import Blocked, IntegrityError
from mlops.forge.base import Forge, Proposal, PullRequest, let_in, propose
from mlops.forge.git import Git
from mlops.lifecycle.decide.loosened import between
from mlops.lifecycle.decide.transitions import on_hold
from mlops.lifecycle.desired.desired_files import write_desired
from mlops.lifecycle.desired.proven import counting_report, record_release, recorded, refuse_unrecorded
from mlops.lifecycle.propose.proposal import gate_table, loosened_words, merges_by_itself
from mlops.lifecycle.train.committed import committed
from mlops.lifecycle.train.evidence import DIGEST_TAG, GATE_TAG, find_version
from mlops.spec import writing
from mlops.spec._emit import dump
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.files import desired_path, load_desired, load_policy, release_path
from mlops.spec.gates import GateReport
from mlops.spec.proof import rounded
from mlops.spec.release import Release
from mlops.spec.signing import signature_path
from mlops.targets.base import ModelVersion, Target

HEADER = """\
# yaml-language-server: $schema=../../docs/schemas/release.json
# Written once by mlops release, never edited.
"""

_SOURCE = {
    "commit": "mlops.commit",
    "branch": "mlops.branch",
    "actor": "mlops.actor",
    "pipeline": "mlops.pipeline",
    "pipeline_digest": "mlops.pipeline.digest",
}
_DATA = {
    "name": "mlops.data.name",
    "version": "mlops.data.version",
    "digest": "mlops.data.digest",
    "window": "mlops.data.window",
    "test_window": "mlops.data.test_window",
}
_ENVIRONMENT = "mlops.environment.digest"


@dataclass(frozen=True)
class ReleaseResult:
    """What a release wrote; paths are relative to the repository."""

    release: Release
    environment: str
    """The first environment, for which it is proposed."""
    replaces: int | None
    written: tuple[str, ...]
    """Files that changed; empty when there was nothing to do."""


def release(root: Path, target: Target, model: str, version: int | None = None) -> ReleaseResult:
    """Share a version with all environments, write `releases/<model>/<n>.yaml`, ask for it in the first one.

    Idempotent. Raises `Blocked` when the version did not pass its gates, was trained from no commit or from
    files that none has (`mlops.lifecycle.train.committed`), when the first environment has a hold, or when
    another file of that name exists; `IntegrityError` when its lineage is incomplete or its shared copy
    differs; `NotFound` when there is no such version.
    """
    chosen = find_version(target.registry, model, version)
    _refuse(chosen)
    report = counting_report(target.registry, chosen)
    refuse_unrecorded(target.registry, describe(chosen, report))
    sourced = (
        chosen if recorded(target.registry, chosen).released else committed(root, target.registry, chosen)
    )
    described = describe(sourced, report)
    env = load_policy(root).order[0]
    current = load_desired(root, env, model)
    if why := on_hold(current, env, model):
        raise Blocked(f"{why} by a pull request, then release again")
    # Before the file: a release must never name a version that an environment cannot read.
    target.registry.share(model, described.version)
    if found := {k: v for k, v in sourced.tags.items() if chosen.tags.get(k) != v}:
        target.registry.tag(model, described.version, found)
    record_release(target.registry, described, report)
    written = []
    if _write_release(root, described):
        written.append(release_path(model, described.version))
    if current is None or current.release != described.version:
        replaces = current.release if current else None
        write_desired(root / desired_path(env, model), described.version, replaces)
        written.append(desired_path(env, model))
    else:
        replaces = current.replaces
    return ReleaseResult(described, env, replaces, tuple(written))


def _refuse(version: ModelVersion) -> None:
    who, tags = f"{version.model} {version.version}", version.tags
    verdict = tags.get(GATE_TAG)
    if verdict is None:
        raise Blocked(f"{who} has not been judged; run: mlops gate {version.version}")
    if verdict != "pass":
        raise Blocked(f"{who} did not pass its gates; mlops gate {version.version} shows which, and why")
    if not tags.get("mlops.commit"):
        raise Blocked(f"{who} was trained outside a commit, so nobody can make it again; train from a commit")


def describe(version: ModelVersion, report: GateReport) -> Release:
    """The release of a version from its tags and its gate report; pure.

    Raises `Blocked` when report and tag disagree, `IntegrityError` when a fact of its lineage is missing.
    """
    who = f"{version.model} {version.version}"
    if (report.model, report.version) != (version.model, version.version):
        raise IntegrityError(f"the gate report of {who} is about {report.model} {report.version}")
    if not report.passed:
        raise Blocked(f"{who} did not pass its gates: {', '.join(g.name for g in report.blocking)}")
    fields: dict[str, Any] = {
        "model": version.model,
        "version": version.version,
        "digest": version.tags.get(DIGEST_TAG),
        # To the second: that is what a person reads, and equal content must give an equal file.
        "created": version.created.astimezone(UTC).replace(microsecond=0),
        "source": {
            **{field: version.tags.get(tag) for field, tag in _SOURCE.items()},
            "branch": version.tags.get("mlops.branch", ""),
            "engine": version.tags.get("mlops.engine", ""),
            "dirty": False,
            "run_id": version.run_id,
        },
        "data": {field: version.tags.get(tag) for field, tag in _DATA.items()},
        "environment": version.tags.get(_ENVIRONMENT),
        "metrics": rounded(report.metrics),
        "gates": [gate.model_dump() for gate in report.gates],
        "gates_digest": report.gates_digest,
    }
    try:
        return Release.model_validate(fields)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise IntegrityError(
            f"the lineage of {who} is incomplete or not valid ({places}); train again with mlops train"
        ) from None


def release_text(made: Release) -> str:
    """The file's text: the same release gives the same bytes."""
    return HEADER + dump(made.model_dump(mode="json"))


def _write_release(root: Path, made: Release) -> bool:
    name = release_path(made.model, made.version)
    path = root / name
    if not path.exists():
        writing.write(path, release_text(made))
        return True
    # Gates may be run again, and then measure another latency or another champion: what was released is made
    # from the report that counted then, and so is the same again.
    if Document.read(path, name).parse(Release) != made:
        raise Blocked(
            f"{name} exists and says something else; releases are immutable. "
            "Restore the file from git, or train a new version"
        )
    return False


@dataclass(frozen=True)
class Proposed:
    """What became of a proposal. Where the release is asked for `already`, nothing was opened."""

    request: PullRequest | None
    already: str = ""


def propose_release(root: Path, forge: Forge, made: ReleaseResult) -> Proposed:
    """Open a pull request with the files of a release; merged at once where policy allows it.

    The files are taken from the work tree, the commit is made on top of the newest one of the base branch.
    Nothing is opened when that commit asks for the release, or a pull request that is open does: one of an
    earlier call, or one of `mlops retrain`.
    """
    git = Git(root)
    model, version = made.release.model, made.release.version
    base = git.default_branch()
    tip = git.fetch(base)
    if _asks(git, tip, made):
        return Proposed(None, f"{base} asks for it already")
    rules = load_policy(root)
    branches = {release_branch(model), *(retrain_branch(model, env) for env in rules.order)}
    for request in forge.list_open():
        if request.branch not in branches:
            continue
        head = git.fetch(request.branch)
        # One that conflicts with its base is made anew on top of it.
        if _asks(git, head, made) and git.ok("merge-tree", "--write-tree", tip, head):
            return Proposed(request, f"pull request {request.number} asks for it already")
    paths = [release_path(model, version), desired_path(made.environment, model)]
    if (root / signature_path(model, version)).is_file():
        paths.append(signature_path(model, version))
    weaker = loosened_since(git, tip, made.release, made.replaces)
    proposal = Proposal(
        branch=release_branch(model),
        title=f"Release {model} {version} to {made.environment}",
        body=f"{loosened_words(weaker)}{gate_table(made.release.gates)}\n",
        files={path: (root / path).read_text(encoding="utf-8") for path in paths},
    )
    request = propose(git, forge, proposal, base, tip)
    if merges_by_itself(rules.environments[made.environment], weaker):
        request = let_in(forge, request)
    return Proposed(request)


def loosened_since(git: Git, tip: str, release: Release, replaces: int | None) -> list[str]:
    """Gates that ask for less than when the release was judged that this one replaces."""
    text = git.show(tip, release_path(release.model, replaces)) if replaces is not None else None
    name = release_path(release.model, replaces or 0)
    before = Document(text, name).parse(Release) if text is not None else None
    return between(git, before, release, tip)


def release_branch(model: str) -> str:
    return f"release/{model}"


def retrain_branch(model: str, env: str) -> str:
    """Where `mlops retrain` proposes its answer to a breach, and with it the release that answers."""
    return f"retrain/{model}-{env}"


def _asks(git: Git, commit: str, made: ReleaseResult) -> bool:
    """Whether the files of a commit have this release, and ask for it in its first environment."""
    model = made.release.model
    path = desired_path(made.environment, model)
    wanted, record = git.show(commit, path), git.show(commit, release_path(model, made.release.version))
    if wanted is None or record is None:
        return False
    return Document(wanted, path).parse(DesiredState).release == made.release.version
