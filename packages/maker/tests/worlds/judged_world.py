"""A repository and a registry with versions whose quality the test rows decide: to judge and to release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from mlops.lifecycle.propose.release import release
from mlops.lifecycle.train import evidence
from mlops.lifecycle.train.evidence import gate
from mlops.metrics.intervals import intervals
from mlops.metrics.scores import Scores
from mlops.serving.score.core import Scorer, read_schema
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema
from mlops.targets.local.registry import LocalRegistry, local_tracker

POLICY = """\
metrics: {roc_auc: {min: 0.6}}
champion: {metric: roc_auc, direction: higher, max_drop: 0.01, resamples: 200}
slices: []
onnx: {required: false, max_abs_difference: 0}
size: {max_megabytes: 1}
latency: {max_ratio: 1000}
contract: {max_violations: 0}
signature: {compatible_with_live: true}
"""
DIGEST = "sha256:" + "a" * 64
TAGS = {
    "mlops.commit": "c" * 40,
    "mlops.branch": "main",
    "mlops.dirty": "false",
    "mlops.actor": "ada",
    "mlops.pipeline": "pipelines/freight/training.yml",
    "mlops.pipeline.digest": DIGEST,
    "mlops.environment.digest": DIGEST,
    "mlops.data.name": "nycfreight",
    "mlops.data.version": "1",
    "mlops.data.digest": DIGEST,
    "mlops.data.window": "2013-01..2013-03",
    "mlops.data.test_window": "2013-04",
}


class Linear(Scorer):
    """Probability = the column that serving.json names first: a model whose quality the test rows decide."""

    def predict_rows(self, rows: Any) -> Any:
        return np.array([row[0] for row in rows], dtype=np.float64)

    def predict_frame(self, frame: Any) -> Any:
        self._require(frame.columns)
        return frame[self.names[0]].to_numpy(dtype=np.float64)


class JudgedWorld:
    """A repository and a registry."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "repository", folder / "state"
        files = {
            "mlops.toml": '[project]\nname = "test"\n[models.freight]\nusecase = "freight"\n',
            "environments/policy.yaml": "order: [staging, prod]\nenvironments: {staging: {}, prod: {}}\n",
            "pipelines/freight/model.yaml": POLICY,
        }
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.tracker = local_tracker(self.state)
        self.registry = LocalRegistry(self.state)
        self.target: Any = SimpleNamespace(registry=self.registry)

    def add(self, column: str, report: bool = True, tags: dict[str, str] = TAGS) -> int:
        """A version whose model answers with `column` of the test rows: `good`, `poor` or another."""
        run = self.tracker.create_parent("freight", f"train {column}", tags)
        folder = self.state / "made" / run
        frame = rows()
        for part in ("model", "evaluation", "report"):
            (folder / part).mkdir(parents=True)
        schema = ModelSchema.model_validate(
            {
                "model": "freight",
                "task": "binary",
                "classes": ["0", "1"],
                "columns": [{"name": column, "type": "number"}],
            }
        )
        (folder / "model/serving.json").write_text(schema.model_dump_json())
        (folder / "model/run").write_text(run)
        frame.to_parquet(folder / "evaluation/test.parquet")
        self.tracker.log_artifacts(run, folder / "evaluation", "evaluation")
        if report:
            from mlops.spec.evaluation import Evaluation

            scores = Scores("binary", frame["late"].to_numpy(), frame[column].to_numpy())
            made = Evaluation.model_validate(
                {
                    "task": "binary",
                    "rows": len(frame),
                    "confidence": 0.95,
                    "resamples": 20,
                    "seed": 1,
                    "metrics": intervals(scores, confidence=0.95, resamples=20, seed=1),
                    "artifact_bytes": 1000,
                    "latency": {"seconds": 1e-5, "repeats": 1, "reference_seconds": 1e-5},
                }
            )
            (folder / "report/evaluation.json").write_text(made.model_dump_json())
            self.tracker.log_artifacts(run, folder / "report", "report")
        self.tracker.log_artifacts(run, folder / "model", "model")
        self.tracker.finish(run, "FINISHED")
        digest = tree_digest(folder / "model")
        self.tracker.set_tags(run, {"mlops.digest": digest})
        store: Any = self.registry._store
        return int(store.register("freight", run, "model", digest, tags).version)

    def live(self, env: str, version: int) -> None:
        self.registry.tag("freight", version, {f"mlops.env.{env}": "live"})

    def gate(self, version: int | None = None) -> Any:
        return gate(self.target, self.root, "freight", version)

    def release(self, version: int | None = None) -> Any:
        return release(self.root, self.target, "freight", version)


def rows() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    late = (generator.random(400) < 0.4).astype(float)
    good = np.clip(0.4 + 0.3 * (late - 0.4) + generator.normal(0, 0.15, 400), 0.01, 0.99)
    poor = np.clip(0.4 + 0.12 * (late - 0.4) + generator.normal(0, 0.15, 400), 0.01, 0.99)
    origin = np.where(np.arange(400) % 2 == 0, "EWR", "JFK")
    return pd.DataFrame({"late": late, "good": good, "poor": poor, "origin": origin})


@contextmanager
def judged() -> Iterator[None]:
    """While this lasts, the gates know the use case and the model of `JudgedWorld`."""
    usecase = SimpleNamespace(
        name="freight",
        task="binary",
        target="late",
        slices=("origin",),
        evaluate=lambda truth, prediction: {},
    )
    with (
        mock.patch.object(evidence, "load_usecase", lambda *_: usecase),
        mock.patch("mlops.serving.score.core.load", lambda folder, digest: Linear(read_schema(folder))),
    ):
        yield
