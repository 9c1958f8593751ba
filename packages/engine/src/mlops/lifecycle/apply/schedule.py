"""Verbs over a target's clock and its batch endpoints: what runs later, or over data that lies there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops.errors import InvalidInput, NotFound, Problem, TargetError
from mlops.lifecycle.apply.batch import choose
from mlops.pipeline.documents import open_document
from mlops.spec import files
from mlops.spec.settings import FILE, load_settings
from mlops.targets.base import Batch, Schedules, Target


def apply(root: Path, target: Target, env: str, model: str, path: Path) -> str:
    """Make the schedule of a file; its name. A monitor watches the deployment that is live in `env`.

    Raises `NotFound` when a monitor has nothing to watch, `TargetError` when the target has no clock.
    """
    schedules = _schedules(target)
    if not path.is_file():
        raise InvalidInput(f"{path} does not exist")
    deployment = ""
    if "create_monitor" in open_document(path).value:
        if not load_settings(root).model(model)[1].capture.enabled:
            raise InvalidInput(
                Problem(
                    FILE, "a monitor reads what is captured; switch it on", f"models.{model}.capture.enabled"
                )
            )
        live = target.endpoints.state(env, model).live
        if live is None:
            raise NotFound(f"nothing of {model} is live in {env}, so a monitor has nothing to watch")
        deployment = live.name
    return schedules.apply(env, model, path, deployment)


def names(target: Target, env: str) -> Mapping[str, bool]:
    """Schedules by name, and whether they are enabled."""
    return _schedules(target).names(env)


def remove(target: Target, env: str, name: str) -> None:
    """Idempotent."""
    _schedules(target).remove(env, name)


def batch_job(
    root: Path,
    target: Target,
    model: str,
    data: str,
    *,
    env: str | None,
    release: int | None,
    wait: bool,
    pipeline: bool = False,
) -> tuple[str, str]:
    """Score a folder that lies where the target is; the job's name, and what scores, for people.

    By what is live in `env` (default: the last environment), or by a release. Raises what `choose` raises.
    """
    batch = _batch(target)
    place = env or files.load_policy(root).order[-1]
    chosen = choose(root, target, model, None if release is not None else place, release)
    record = files.load_release(root, model, chosen.version)
    artifact = target.registry.fetch(model, record.version, record.digest)
    batch.deploy(place, record, artifact, pipeline=pipeline)
    job = batch.start(place, model, data, record.version, pipeline=pipeline)
    if wait:
        batch.wait(place, job)
    return job, f"{chosen.model} {chosen.version}, {chosen.why}"


def _schedules(target: Target) -> Schedules:
    if target.schedules is None:
        raise TargetError(
            f"the target {target.name} has no clock; start `mlops monitor` or `mlops train` by that of your "
            "system, or use --target azure"
        )
    return target.schedules


def _batch(target: Target) -> Batch:
    if target.batch is None:
        raise TargetError(
            f"the target {target.name} has no batch endpoints; `mlops batch` scores a folder of this machine"
        )
    return target.batch
