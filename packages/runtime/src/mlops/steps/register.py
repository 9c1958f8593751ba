"""Step `register`: logs the artifact with its lineage to the pipeline's run and creates the model version."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import IntegrityError, InvalidInput
from mlops.spec.digest import tree_digest
from mlops.spec.evaluation import FILE, Evaluation, read_evaluation
from mlops.steps import _args

if TYPE_CHECKING:
    from mlops.steps.dataset import Manifest
    from mlops.tracking import PipelineTracker, Run

ARTIFACT = "model"
_PREFIX = "mlops."
_DIRTY = "mlops.dirty"
_JUDGED = "mlops.judged."
_TRY = "mlops.try"
"""Tag of a run that registers nothing."""
_SOURCE = (
    "mlops.commit",
    "mlops.branch",
    _DIRTY,
    "mlops.actor",
    "mlops.pipeline",
    "mlops.pipeline.digest",
    "mlops.engine",
    "mlops.environment.digest",
    "mlops.tree",
)
_OF_A_PROCESS = ("mlops.step", "mlops.reused", "mlops.pid", _TRY)
_AZURE_COMMIT = "mlflow.source.git.commit"
"""Azure ML sets it when a job is submitted without `mlops train`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write `registered` (version.json); a version with the same digest is returned, not made again."""
    options = argparse.ArgumentParser(prog="python -m mlops.steps.register", description=__doc__)
    for name in ("model", "train", "test", "report", "explanation"):
        options.add_argument(f"--{name}", type=_args.existing, required=True, help=f"output `{name}`")
    options.add_argument("--model-name", required=True, help="name in the registry")
    options.add_argument("--registered", type=Path, required=True, help="output file")
    return _args.run(_register, options, argv)


def _register(given: argparse.Namespace) -> None:
    from mlops.steps import dataset
    from mlops.tracking import PipelineTracker, current
    from mlops.tracking.unity import models_of

    here = current()
    if here is None:
        raise InvalidInput(
            "the step `register` needs a tracking run; start it with `mlops train`, "
            "or set MLFLOW_TRACKING_URI and MLFLOW_RUN_ID"
        )
    tracker, store = PipelineTracker(here.uri), models_of(here.uri)
    train, test = dataset.read_manifest(given.train), dataset.read_manifest(given.test)
    if (train.name, train.version, train.digest) != (test.name, test.version, test.digest):
        raise IntegrityError(
            f"the model was trained on {train.name}:{train.version} ({train.digest}) but tested on "
            f"{test.name}:{test.version} ({test.digest}); run the pipeline again from `prep`"
        )
    evaluation = read_evaluation(given.report / FILE)
    digest = tree_digest(given.model)
    own = tracker.get(here.run_id)
    parent = tracker.get(own.parent) if own.parent else own
    params = _params(tracker, parent)
    data = data_tags(train, test)
    tracker.log(parent.run_id, params, logged(evaluation))
    tracker.set_tags(parent.run_id, {**data, "mlops.digest": digest})
    _log_inputs(tracker, parent, train, test)
    if parent.tags.get(_TRY) == "true":
        tracker.log_artifacts(parent.run_id, given.report, "report")
        tracker.set_tags(parent.run_id, _called(parent, "try"))
        _answer(given, {"version": None, "digest": digest, "run_id": parent.run_id})
        return
    version = store.find(given.model_name, digest)
    if version is None:
        _upload(tracker, parent, given)
        tags = {**_lineage(parent), **data, "mlops.params": json.dumps(params, sort_keys=True)}
        version = store.register(given.model_name, parent.run_id, ARTIFACT, digest, tags)
    else:
        # Of this run too, so that it can be compared with others.
        tracker.log_artifacts(parent.run_id, given.report, "report")
        if source := _source_found(version.tags, _lineage(parent)):
            store.tag(given.model_name, version.version, source)
    called = _called(parent, f"version {version.version}", again=version.run_id != parent.run_id)
    tracker.set_tags(parent.run_id, {"mlops.version": str(version.version), **called})
    _answer(given, {"version": version.version, "digest": digest, "run_id": version.run_id})


def _called(parent: Run, what: str, again: bool = True) -> dict[str, str]:
    """The name of a run among others of its pipeline, as `mlops runs` has it; of a try by its id."""
    name = parent.name.partition(": ")[0]
    return {"mlflow.runName": f"{name}: {what}" + (f" ({parent.run_id[:8]})" if again else "")}


def _answer(given: argparse.Namespace, said: Mapping[str, object]) -> None:
    answer = {"model": given.model_name, **said}
    given.registered.parent.mkdir(parents=True, exist_ok=True)
    given.registered.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


def _upload(tracker: PipelineTracker, parent: Run, given: argparse.Namespace) -> None:
    from mlops.serving.score.core import read_schema
    from mlops.spec.schema import FILE as SERVING
    from mlops.steps.dataset import copy_rows
    from mlops.steps.profile import ARTIFACT as PROFILE
    from mlops.steps.profile import write_profile

    for name in ("report", "explanation"):
        tracker.log_artifacts(parent.run_id, getattr(given, name), name)
    with tempfile.TemporaryDirectory() as folder:
        copy_rows(given.test, Path(folder) / "test.parquet")
        tracker.log_artifacts(parent.run_id, Path(folder), "evaluation")
    if (given.model / SERVING).is_file():
        with tempfile.TemporaryDirectory() as folder:
            write_profile(given.train, given.report, read_schema(given.model), Path(folder))
            tracker.log_artifacts(parent.run_id, Path(folder), PROFILE)
    tracker.log_artifacts(parent.run_id, given.model, ARTIFACT)


def _lineage(parent: Run) -> dict[str, str]:
    tags = {
        key: value
        for key, value in parent.tags.items()
        if key.startswith(_PREFIX) and not key.startswith(_OF_A_PROCESS)
    }
    if _AZURE_COMMIT in parent.tags:
        tags.setdefault("mlops.commit", parent.tags[_AZURE_COMMIT])
    return tags


def _source_found(known: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The source of a version that had none to go back to: a clean commit has just made the same artifact.

    So a version that was trained before its code was committed need not be trained, judged and named again.
    Where gates have judged it, the record of that names the source: `mlops release` finds this run.
    """
    if any(name.startswith(_JUDGED) for name in known):
        return {}
    if known.get(_DIRTY) == "false" or now.get(_DIRTY) != "false" or not now.get("mlops.commit"):
        return {}
    return {name: now[name] for name in _SOURCE if name in now}


def _params(tracker: PipelineTracker, parent: Run) -> dict[str, str]:
    """What the steps logged, under one roof."""
    params: dict[str, str] = {}
    for child in tracker.children(parent.run_id):
        params.update(child.params)
    return dict(sorted(params.items()))


def data_tags(train: Manifest, test: Manifest) -> dict[str, str]:
    """Tags of a version: which rows it learned from, and which it was tested on."""
    return {
        "mlops.data.name": train.name,
        "mlops.data.version": train.version,
        "mlops.data.digest": train.digest,
        "mlops.data.window": train.window,
        "mlops.data.test_window": test.window,
    }


def _log_inputs(tracker: PipelineTracker, parent: Run, train: Manifest, test: Manifest) -> None:
    from mlops.tracking import Dataset

    for context, manifest in (("training", train), ("testing", test)):
        dataset = Dataset(manifest.name, manifest.version, manifest.digest, manifest.window, context)
        if not tracker.log_input(parent.run_id, dataset):
            return  # the server has no data-set inputs; the tags say it all


def logged(evaluation: Evaluation) -> Mapping[str, float]:
    """The metrics of the run."""
    metrics: dict[str, float] = {}
    for name, interval in evaluation.metrics.items():
        metrics |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    metrics |= {
        "test_rows": float(evaluation.rows),
        "artifact_bytes": float(evaluation.artifact_bytes),
        "latency_seconds": evaluation.latency.seconds,
    }
    if evaluation.onnx is not None:
        metrics["onnx_max_abs_difference"] = evaluation.onnx.max_abs_difference
    return metrics


if __name__ == "__main__":
    sys.exit(main())
