"""`mlops batch`: a folder of rows scored by what an environment serves, or by one release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import IntegrityError, InvalidInput, NotFound
from mlops.lifecycle.apply.sign import verify_release
from mlops.lifecycle.desired.proven import live_version
from mlops.lifecycle.train.evidence import DIGEST_TAG
from mlops.serving.batch.batch_file import FileResult
from mlops.serving.batch.job import BatchReport, score_folder
from mlops.spec import files
from mlops.spec.signing import SigningSettings
from mlops.targets.base import Target


@dataclass(frozen=True)
class Chosen:
    """What is to score."""

    model: str
    version: int
    digest: str
    why: str
    """For people: live in prod, or release 7."""


@dataclass(frozen=True)
class BatchOutcome:
    """What scored, and what became of each file."""

    chosen: Chosen
    report: BatchReport


def choose(root: Path, target: Target, model: str, env: str | None, release: int | None) -> Chosen:
    """What is live in `env` (default: the last environment), or a release of this checkout.

    Raises `InvalidInput` when both are given, `NotFound` when there is no such thing, and `IntegrityError`
    when the registry and the release file disagree on the digest.
    """
    if env is not None and release is not None:
        raise InvalidInput("give --env or --release, not both: a release is the same wherever it is live")
    if release is not None:
        chosen = files.load_release(root, model, release)
        return Chosen(model, release, chosen.digest, f"release {release}")
    env = env or files.load_policy(root).order[-1]
    live = live_version(target.registry, model, env)
    if live is None:
        raise NotFound(
            f"nothing of {model} is live in {env}; `mlops apply {env}` serves what its file says, "
            "or name a release with --release"
        )
    digest = live.tags.get(DIGEST_TAG, "")
    if live.version in files.released_versions(root, model):
        recorded = files.load_release(root, model, live.version).digest
        if recorded != digest:
            raise IntegrityError(
                f"{files.release_path(model, live.version)} says {recorded}, the registry says "
                f"{digest or 'nothing'}; one of them was changed, and nothing was scored"
            )
    return Chosen(model, live.version, digest, f"live in {env}")


def batch(
    root: Path,
    target: Target,
    model: str,
    source: Path,
    destination: Path,
    *,
    env: str | None = None,
    release: int | None = None,
    signing: SigningSettings | None = None,
    keep: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[[FileResult, int, int], None] = lambda result, done, total: None,
) -> BatchOutcome:
    """Score every file of a folder; see `mlops.serving.batch.job.score_folder`, and `choose` for refusals."""
    chosen = choose(root, target, model, env, release)
    artifact = target.registry.fetch(model, chosen.version, chosen.digest)
    verify_release(root, model, chosen.version, artifact, signing or SigningSettings())
    report = score_folder(
        artifact,
        source,
        destination,
        digest=chosen.digest,
        keep=keep,
        workers=workers,
        progress=progress,
    )
    return BatchOutcome(chosen, report)
