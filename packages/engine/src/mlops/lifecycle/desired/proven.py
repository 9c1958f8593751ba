"""What the registry records of gates and releases, so that a release file can be proven by it.

The rule is `mlops.spec.proof.proof`, pure; here its two sides are read and written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import IntegrityError, InvalidInput, NotFound, TargetError
from mlops.lifecycle.decide import journal
from mlops.spec import files
from mlops.spec.gates import GateReport
from mlops.spec.live import LIVE, live_tag
from mlops.spec.policy import Policy
from mlops.spec.proof import FACTS, Recorded, agrees, differences, released_tags
from mlops.spec.release import Release
from mlops.targets.base import ModelVersion, Registry, Target

VERDICT = "gates"
"""Run artifacts: gates/<version>.json and .md, what `gate` said; <version>.released.json, what counted."""
_COUNTED = "{}.released.json"


def live_version(registry: Registry, model: str, env: str) -> ModelVersion | None:
    """What is live in `env` by its tag; the highest number should a crash have left two."""
    return next(iter(registry.versions(model, {live_tag(env): LIVE}, limit=1)), None)


def recorded(registry: Registry, version: ModelVersion, *, seal: bool = False) -> Recorded:
    """What the rule compares with. `seal`: there is something to record, so there must be a key."""
    return Recorded(version.model, version.version, version.tags, version.run_id, registry.seal(make=seal))


def proven(target: Target, release: Release, policy: Policy, env: str) -> None:
    """The lifecycle made this release; raises `NotFound` and `IntegrityError`, which names every field."""
    registry = target.registry
    record = recorded(registry, registry.get(release.model, release.version))
    # What came further was verified in the environment before or here; no identity reads more journals.
    places = [name for name in (env, policy.upstream(env)) if name is not None]
    verified = not record.known and verified_in(target, places, release)
    if wrong := unproven(release, record, verified=verified):
        name = files.release_path(release.model, release.version)
        told = "\n".join(f"{name}: {field}: {why}" for field, why in wrong)
        raise IntegrityError(f"{told}\nNothing was deployed")


def unproven(release: Release, found: Recorded, *, verified: bool) -> list[tuple[str, str]]:
    """(field, sentence) of each fact that is not as recorded.

    A version without any record, from before there were records, counts as it did then where it was
    `verified`: an upgrade never bars the way back. Not where records are signed: who writes journals is
    another identity than the one that signs.
    """
    wrong = differences(release, found)
    if wrong and not found.known and verified and not found.strict:
        return [(field, why) for field, why in wrong if field in ("digest", "source.commit")]
    return wrong


def verified_in(target: Target, environments: Sequence[str], release: Release) -> bool:
    """Whether one of these verified this release; no branch reaches their journals."""
    entries = (target.store.entries(name, release.model) for name in environments)
    return any(release.version in journal.read(journal_entries).verified for journal_entries in entries)


def stored_report(registry: Registry, version: ModelVersion) -> GateReport:
    """What `gate` last said of this version; raises `NotFound` when it was not judged."""
    return _report(registry, version, f"{version.version}.json")


def counting_report(registry: Registry, version: ModelVersion, last: GateReport | None = None) -> GateReport:
    """The report that its release was made of; what `gate` said `last` when it was not released yet."""
    if recorded(registry, version).released:
        return _counted(registry, version)
    return last or stored_report(registry, version)


def refuse_unrecorded(registry: Registry, release: Release) -> None:
    """Raises `IntegrityError` for a release that says what `mlops gate` never recorded.

    The report that it was made of lies beside the run, where more may write than may record.
    """
    record = recorded(registry, registry.get(release.model, release.version))
    if wrong := differences(release, record):
        told = "\n".join(f"{release.model} {release.version}: {field}: {why}" for field, why in wrong)
        raise IntegrityError(f"{told}\nNothing was released")


def record_release(registry: Registry, release: Release, report: GateReport) -> None:
    """Record once what was released, and the report that it was made of; a second time changes nothing."""
    version = registry.get(release.model, release.version)
    record = recorded(registry, version, seal=True)
    if record.released and not differences(release, record):
        return
    _keep_report(registry, version, report)
    registry.tag(release.model, release.version, released_tags(record, release))


def keep_released(root: Path, registry: Registry, version: ModelVersion) -> None:
    """Before gates say something new: what was released from the report that is there stays proven.

    For releases from before there were records, and for records of another key. The release file counts only
    if a report that the lifecycle stored says the same.
    """
    try:
        release = files.load_release(root, version.model, version.version)
    except (NotFound, InvalidInput):
        return
    record = recorded(registry, version, seal=True)
    if record.released and not differences(release, record):
        return
    if record.strict:
        # Reports lie where others write too; a person says `mlops sign`.
        return
    if record.judged_here:
        # Judged since there are records, and never released: a report can't say otherwise.
        return
    for name in (_COUNTED, "{}.json"):
        try:
            report = _report(registry, version, name.format(version.version))
        except (NotFound, TargetError):
            continue
        if report.passed and agrees(release, report):
            _keep_report(registry, version, report)
            registry.tag(release.model, release.version, released_tags(record, release))
            return


def vouch(registry: Registry, release: Release) -> bool:
    """Sign the record of a release that was made before records were signed, or by a key that is gone.

    For a person who may sign, and has looked: what others may have written is compared, and believed from
    then on. Whether there was anything to sign. Raises `IntegrityError` where tags or report say otherwise.
    """
    version = registry.get(release.model, release.version)
    record = recorded(registry, version, seal=True)
    if not (wrong := differences(release, record)):
        return False
    report = _counted(registry, version)
    facts = [(f, why) for f, why in wrong if f in FACTS]
    if facts or not report.passed or not agrees(release, report):
        told = [f"{field}: {why}" for field, why in facts] or [
            "gates: the report beside its run says otherwise"
        ]
        raise IntegrityError(
            f"{files.release_path(release.model, release.version)}: "
            + "; ".join(told)
            + "; nothing was signed"
        )
    _keep_report(registry, version, report)
    registry.tag(release.model, release.version, released_tags(record, release))
    return True


def _counted(registry: Registry, version: ModelVersion) -> GateReport:
    try:
        return _report(registry, version, _COUNTED.format(version.version))
    except NotFound:
        return stored_report(registry, version)


def _keep_report(registry: Registry, version: ModelVersion, report: GateReport) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / _COUNTED.format(version.version)
        place.write_text(report.model_dump_json(indent=2), encoding="utf-8")
        registry.add_artifacts(version.run_id, Path(folder), VERDICT)


def _report(registry: Registry, version: ModelVersion, name: str) -> GateReport:
    path = registry.artifacts(version.run_id, f"{VERDICT}/{name}")
    try:
        return GateReport.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TargetError(
            f"the gate report {VERDICT}/{name} of run {version.run_id} cannot be read ({error}); "
            "run mlops gate again"
        ) from None
