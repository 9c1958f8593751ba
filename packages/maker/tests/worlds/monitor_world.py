"""A release that is live, its reference, and traffic that was captured: all that `mlops monitor` reads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mlops.errors import NotFound
from mlops.monitoring.profile import FILE as PROFILE
from mlops.monitoring.profile import PREDICTION, profile_file, profile_values
from mlops.spec.digest import tree_digest
from mlops.spec.evaluation import FILE as EVALUATION
from mlops.spec.gates import Interval
from mlops.spec.schema import FILE as SERVING
from mlops.spec.schema import Column, ModelSchema, OnnxGraph
from mlops.targets.base import Target
from mlops.targets.local.observations import LocalObservations
from mlops.targets.local.store import LocalStore
from mlops.targets.memory import MemoryRegistry

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENV, MODEL = "prod", "toy"
SCHEMA = ModelSchema(
    model=MODEL,
    task="binary",
    columns=[
        Column(name="origin", type="string", categories=["EWR", "JFK"]),
        Column(name="seats", type="number", minimum=0, maximum=900),
    ],
    classes=["0", "1"],
    onnx=OnnxGraph(strings="s", floats="f", output="p"),
)
MONITOR = {
    "create_monitor": {
        "monitoring_signals": {
            "quality": {
                "type": "data_quality",
                "production_data": {"data_window": {"lookback_window_size": "P1D"}},
                "metric_thresholds": {"numerical": {"null_value_rate": 0.05, "out_of_bounds_rate": 0.001}},
            },
            "drift": {
                "type": "data_drift",
                "metric_thresholds": {
                    "numerical": {
                        "population_stability_index": 0.2,
                        "two_sample_kolmogorov_smirnov_test": 0.01,
                    },
                    "categorical": {"population_stability_index": 0.2, "pearsons_chi_squared_test": 0.01},
                },
            },
            "predictions": {
                "type": "prediction_drift",
                "metric_thresholds": {"numerical": {"population_stability_index": 0.2}},
            },
        }
    }
}
MONITORING = {
    "min_rows": 200,
    "min_labels": 200,
    "performance": [
        {"metric": "roc_auc", "max_loss": 0.05},
        {"metric": "calibration_gap", "min": -0.1, "max": 0.1},
    ],
    "slices": [{"column": "origin", "metric": "roc_auc", "min": 0.6, "min_rows": 200}],
    "retrain": {"train": True, "cooldown": "7d", "at_most": 2, "per": "30d"},
}


class Registry(MemoryRegistry):
    """With artifacts of runs: files below `folder`/<run>."""

    folder: Path

    def artifacts(self, run_id: str, path: str) -> Path:
        found = self.folder / run_id / path
        if not found.exists():
            raise NotFound(f"run {run_id} has no {path}")
        return found


class MonitorWorld:
    """The repository `root`, the target, and the traffic of release 1 (seats 100 to 200, AUC about 0.9)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.observations = LocalObservations(root / ".mlops")
        self.registry = Registry()
        self.registry.folder = root / "runs"
        self.target = Target(
            name="memory",
            jobs=None,  # type: ignore[arg-type]
            registry=self.registry,  # type: ignore[arg-type]
            endpoints=None,  # type: ignore[arg-type]
            store=LocalStore(root / ".mlops"),
            data=None,  # type: ignore[arg-type]
            observations=self.observations,
        )
        (root / "mlops.toml").write_text('[project]\nname = "toy"\n[models.toy]\nusecase = "toy"\n')
        (root / "environments").mkdir()
        (root / "environments/policy.yaml").write_text(
            "order: [staging, prod]\nenvironments: {staging: {}, prod: {}}\n"
        )
        self.write_settings()
        self.release(1)

    def write_settings(self, **monitoring: object) -> None:
        folder = self.root / "pipelines" / MODEL
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "monitor.yml").write_text(yaml.safe_dump(MONITOR))
        gates = min((Path(__file__).parents[4] / "pipelines").glob("*/model.yaml"))
        real = yaml.safe_load(gates.read_text(encoding="utf-8"))
        real["monitoring"] = {**MONITORING, **monitoring}
        (folder / "model.yaml").write_text(yaml.safe_dump(real))

    def release(self, number: int, *, live: bool = True, profile: bool = True) -> None:
        folder = self.root / f"artifact-{number}"
        folder.mkdir()
        (folder / SERVING).write_text(SCHEMA.model_dump_json())
        (folder / "weights").write_text(str(number))
        digest = tree_digest(folder)
        run = self.root / "runs" / f"run-{number}"
        (run / "monitoring").mkdir(parents=True)
        (run / "report").mkdir()
        train = run / "train.parquet"
        rows(4000, seed=1).to_parquet(train)
        made = profile_file(train, SCHEMA.columns, "training rows of 2013-01..2013-03")
        predictions = profile_values(PREDICTION, pa.array(rows(2000, seed=2)["_prediction"]), "number")
        if profile:
            text = made.model_copy(update={"prediction": predictions}).model_dump_json()
            (run / "monitoring" / PROFILE).write_text(text)
        evaluation = {
            "task": "binary",
            "rows": 2000,
            "confidence": 0.95,
            "resamples": 200,
            "seed": 1,
            "metrics": {"roc_auc": Interval(value=0.9, low=0.88, high=0.92).model_dump()},
            "artifact_bytes": 10,
            "latency": {"seconds": 0.001, "repeats": 5, "reference_seconds": 0.001},
        }
        (run / "report" / EVALUATION).write_text(json.dumps(evaluation))
        tags = {
            "mlops.data.window": "2013-01..2013-03",
            "mlops.data.test_window": "2013-04",
            "mlops.data.name": "raw",
            "mlops.data.version": "1",
        }
        made_version = self.registry.register(MODEL, folder, digest, tags)
        assert made_version.version == number
        self.registry._versions[MODEL, number] = replace(made_version, run_id=f"run-{number}")
        if live:
            for other in self.registry.versions(MODEL):
                self.registry.tag(MODEL, other.version, {f"mlops.env.{ENV}": None})
            self.registry.tag(MODEL, number, {f"mlops.env.{ENV}": "live"})

    def capture(self, frame: pd.DataFrame, version: int = 1) -> pd.DataFrame:
        folder = self.root / ".mlops/endpoints" / ENV / MODEL / "capture"
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.iterdir()))
        table = frame.drop(columns="truth").assign(_version=version)
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / f"{number:03d}.parquet")
        return frame

    def labels(self, frame: pd.DataFrame, name: str = "labels.parquet", **columns: object) -> Path:
        path = self.root / name
        made = pd.DataFrame(
            {"request_id": frame["_request_id"], "row": frame["_row"], "label": frame["truth"]}
        )
        made.assign(**columns).to_parquet(path, index=False)
        return path


def rows(count: int, *, seed: int = 0, before: timedelta = timedelta(hours=23), seats: float = 0.0,
         noise: float = 1.0, bias: float = 0.0) -> pd.DataFrame:  # fmt: skip
    """Captured rows of two a request, from `NOW - before` on, an hour long; `truth` is what came out."""
    generator = np.random.default_rng(seed)
    score = generator.normal(size=count)
    truth = (score + 0.5 * noise * generator.normal(size=count) + bias > 0).astype(int)
    return pd.DataFrame(
        {
            "_request_id": [f"{seed}-{i // 2}" for i in range(count)],
            "_time": [NOW - before + i * timedelta(hours=1) / count for i in range(count)],
            "_deployment": "blue",
            "_row": np.arange(count, dtype=np.int32) % 2,
            "_prediction": 1 / (1 + np.exp(-3 * score)),
            "origin": generator.choice(["EWR", "JFK"], count),
            "seats": generator.uniform(100, 200, count) + seats,
            "truth": truth,
        }
    )
