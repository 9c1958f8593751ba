"""What a release is compared with in production: its profile, or one made of what its run has kept."""

from __future__ import annotations

import json

from mlops.errors import Inconclusive, InvalidInput, NotFound, TargetError
from mlops.lifecycle.train.evidence import TEST_ROWS
from mlops.monitoring.profile import FILE, Profile, profile_file, read_profile
from mlops.spec.evaluation import PREDICTIONS
from mlops.spec.schema import ModelSchema
from mlops.steps.explain import EXPLANATION, IMPORTANCE
from mlops.steps.profile import ARTIFACT, prediction_profile
from mlops.targets.base import ModelVersion, Registry


def most_important(registry: Registry, version: ModelVersion) -> list[str]:
    """Input columns by what their loss costs, as its explain step measured; the most important one first.

    Raises `Inconclusive` when the version was never explained, `TargetError` when that cannot be read.
    """
    where = f"{EXPLANATION}/{IMPORTANCE}"
    try:
        path = registry.artifacts(version.run_id, where)
    except NotFound:
        raise Inconclusive(
            f"monitor.yml looks at the most important columns, and {version.model} {version.version} does "
            f"not say which (its run has no {where}); name the columns in `features`, or train with a "
            "pipeline that explains"
        ) from None
    try:
        return [str(column["name"]) for column in json.loads(path.read_text(encoding="utf-8"))["columns"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(f"{where} of run {version.run_id} cannot be read: {error!r}") from None


def reference_of(registry: Registry, version: ModelVersion, schema: ModelSchema) -> Profile:
    """The profile that the register step left; for a version without one, that of its test rows.

    Raises `Inconclusive` when the run has neither: a model that was trained elsewhere.
    """
    try:
        return read_profile(registry.artifacts(version.run_id, f"{ARTIFACT}/{FILE}"))
    except NotFound:
        pass
    try:
        rows = registry.artifacts(version.run_id, TEST_ROWS)
    except NotFound:
        raise Inconclusive(
            f"{version.model} {version.version} was registered without training data, so there is nothing to "
            "compare its traffic with; train it with mlops train, or watch its labels only"
        ) from None
    window = version.tags.get("mlops.data.test_window", "")
    profile = profile_file(rows, schema.columns, f"test rows of {window}".strip())
    try:
        predictions = registry.artifacts(version.run_id, f"report/{PREDICTIONS}")
        return profile.model_copy(update={"prediction": prediction_profile(predictions, schema)})
    except (NotFound, InvalidInput):
        return profile
