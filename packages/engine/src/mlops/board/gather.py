"""Reads everything that the board shows. What a target cannot say is said on the page; nothing is changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mlops.board.facts import (
    BoardFacts,
    EnvironmentFacts,
    Explanation,
    Influence,
    ModelFacts,
    VersionFacts,
)
from mlops.board.links import Links
from mlops.errors import Forbidden, InvalidInput, MlopsError, NotFound, TargetError
from mlops.forge.base import Forge, PullRequest
from mlops.forge.git import Commit, Git
from mlops.lifecycle.decide import journal
from mlops.lifecycle.desired.history import history
from mlops.lifecycle.train.evidence import REPORT, stored_report
from mlops.lifecycle.train.runs import direction
from mlops.lifecycle.train.versions import VersionRow
from mlops.lifecycle.watch.monitor import verdicts
from mlops.lifecycle.watch.status import environment_status
from mlops.spec import files
from mlops.spec.evaluation import FILE as EVALUATION
from mlops.spec.evaluation import read_evaluation
from mlops.spec.gatepolicy import load_gates
from mlops.spec.gates import Interval
from mlops.spec.monitoring import MonitorReport
from mlops.spec.release import Release
from mlops.spec.schema import FILE as SCHEMA
from mlops.spec.schema import ModelSchema
from mlops.spec.settings import Settings
from mlops.targets.base import ModelVersion, Registry, Target
from mlops.usecase import load_usecase

VERSIONS = 12
"""Newest versions of a model that get a page."""
VERDICTS = 12
HISTORY = 50
T = TypeVar("T")


def gather(
    root: Path,
    target: Target,
    settings: Settings,
    models: tuple[str, ...] = (),
    *,
    only: int | None = None,
    forge: Callable[[], Forge] | None = None,
) -> BoardFacts:
    """Everything of `models` (default: all), of the version `only` if one is named.

    Raises `InvalidInput` for wrong files in git.

    A registry that does not answer is a `TargetError`: a board without versions would be a lie. An endpoint
    that does not is said on the page, and so is a forge.
    """
    git = Git(root)
    return BoardFacts(
        project=settings.project.name,
        target=target.name,
        commit=git.head(),
        links=Links.of(settings, target.name),
        models=tuple(
            model_facts(root, target, settings, name, only) for name in models or sorted(settings.models)
        ),
        requests=_requests(forge),
    )


def _requests(forge: Callable[[], Forge] | None) -> tuple[PullRequest, ...] | None:
    """None when the forge cannot be asked: without a token the board still says what is served."""
    if forge is None:
        return None
    try:
        return tuple(forge().list_open())
    except MlopsError:
        return None


def model_facts(
    root: Path, target: Target, settings: Settings, model: str, only: int | None = None
) -> ModelFacts:
    """One model with its environments and newest versions, or the version `only`."""
    registered = target.registry.versions(model)
    rows = {v.version: VersionRow.of(v) for v in registered}
    newest = [v for i, v in enumerate(registered) if i < VERSIONS or rows[v.version].live]
    shown = newest if only is None else [v for v in registered if v.version == only]
    gates = load_gates(root, model)
    champion = gates.champion
    versions = tuple(version_facts(root, target.registry, v) for v in shown)
    about, label = _usecase(root, settings.models[model].usecase)
    return ModelFacts(
        name=model,
        about=about,
        target=label,
        metric=champion.metric,
        higher_is_better=champion.direction == "higher",
        environments=tuple(
            environment_facts(root, target, env, model) for env in files.load_policy(root).order
        ),
        ways={
            name: direction(name, gates, _values(versions))
            for name in _measured(versions) | {champion.metric}
        },
        versions=versions,
        older=len(registered) - len(shown),
    )


def _measured(versions: Sequence[VersionFacts]) -> set[str]:
    """Names of every metric that a version or its release has."""
    return {name for found in _reports(versions) for name in found}


def _values(versions: Sequence[VersionFacts]) -> Mapping[str, Interval]:
    """Of the newest version that has any: what it promises is what its metrics are held against."""
    return next((found for found in _reports(versions) if found), {})


def _reports(versions: Sequence[VersionFacts]) -> list[Mapping[str, Interval]]:
    parts = [part for v in versions for part in (v.report, v.evaluation, v.release) if part is not None]
    return [part.metrics for part in parts]


def _usecase(root: Path, package: str) -> tuple[str, str]:
    """The first paragraph of its documentation, and its label column."""
    usecase = load_usecase(package, root / "src")
    text = (sys.modules[package].__doc__ or "").strip()
    return " ".join(text.split("\n\n")[0].split()), usecase.target


def environment_facts(root: Path, target: Target, env: str, model: str) -> EnvironmentFacts:
    desired = files.load_desired(root, env, model)
    wanted, hold = (desired.release, desired.hold) if desired else (None, None)
    try:
        past = history(root, target, env, model)[:HISTORY]
        seen = _verdicts(target, env, model)
    except Forbidden as error:
        # Who makes the board of an environment may read the one before it, and none further back.
        return EnvironmentFacts(env, "unknown", wanted=wanted, hold=hold, problem=str(error))
    try:
        now = environment_status(root, target, env, model)
    except TargetError as error:
        served = journal.read(target.store.entries(env, model)).current
        return EnvironmentFacts(
            env,
            "unknown",
            wanted=wanted,
            hold=hold,
            served=served.release if served else None,
            since=served.at if served else None,
            history=past,
            verdicts=seen,
            problem=str(error),
        )
    return EnvironmentFacts(
        env=env,
        health=now.health,
        wanted=now.wanted,
        served=now.served,
        since=now.since,
        commit=now.commit,
        actor=now.actor,
        deployments=now.deployments,
        hold=now.hold,
        failure=now.failure,
        history=past,
        verdicts=seen,
        url=now.url,
        metrics=now.metrics,
        tested=now.tested,
    )


def _verdicts(target: Target, env: str, model: str) -> list[MonitorReport]:
    """The last ones; none where the target keeps no traffic."""
    if target.observations is None:
        return []
    return verdicts(target, env, model)[-VERDICTS:]


def version_facts(root: Path, registry: Registry, found: ModelVersion) -> VersionFacts:
    """A version with what its run left; what a run never had is None."""

    def artifact(path: str, read: Callable[[Path], T]) -> T | None:
        if not found.run_id:
            return None
        try:
            return read(registry.artifacts(found.run_id, path))
        except (NotFound, ValidationError, InvalidInput):
            return None

    row = VersionRow.of(found)
    return VersionFacts(
        model=found.model,
        version=found.version,
        created=found.created,
        run_id=found.run_id,
        digest=row.digest,
        tags=dict(sorted(found.tags.items())),
        live=row.live,
        commit=_commit(root, row.commit),
        report=_optional(lambda: stored_report(registry, found)) if found.run_id else None,
        evaluation=artifact(f"{REPORT}/{EVALUATION}", read_evaluation),
        explanation=artifact("explanation/importance.json", _explanation),
        schema=artifact(f"model/{SCHEMA}", lambda p: ModelSchema.model_validate_json(p.read_bytes())),
        release=_release(root, found.model, found.version),
    )


def _optional(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except NotFound:
        return None


def _release(root: Path, model: str, version: int) -> Release | None:
    return _optional(lambda: files.load_release(root, model, version))


def _commit(root: Path, commit: str) -> Commit | None:
    """None for a commit that this checkout does not have: a shallow clone, or somebody else's branch."""
    git = Git(root)
    if not commit or not git.has(commit):
        return None
    # A commit that changes nothing is none of `.`: git then answers an older one.
    return next((c for c in git.log(".", rev=commit, limit=1) if c.id == commit), None)


def _explanation(path: Path) -> Explanation:
    """Raises `InvalidInput` when it is not what the explain step writes."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Explanation(
            metric=str(value["metric"]),
            rows=int(value["rows"]),
            columns=tuple(
                Influence(str(c["name"]), float(c["mean"]), float(c["deviation"])) for c in value["columns"]
            ),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} is no explanation ({error})") from None
