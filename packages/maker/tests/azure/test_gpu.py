"""A GPU is chosen by the step that needs it: Azure ML's own loader and the linter read the same file.

What trains there is what trains on a laptop's processor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from azure.ai.ml import load_job

from mlops.lint import lint
from mlops.scaffold.new_model import new_model
from mlops.spec.settings import load_settings

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training pipeline of a new model of the kind torch, whose step `train` asks for a GPU."""
    root = tmp_path_factory.mktemp("fork")
    source = ROOT / "pipelines" / next(iter(load_settings(ROOT).models))
    for path in [*(ROOT / name for name in ("mlops.toml", "pyproject.toml", "uv.lock")), *source.rglob("*")]:
        if path.is_file():
            place = root / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    new_model(root, load_settings(root), "nets", "binary", "torch")
    (root / ".mlops/engine/steps/mlops").mkdir(parents=True)
    made = root / "pipelines/nets/training.yml"
    asked = "    compute: azureml:gpu-cluster\n    resources: {instance_count: 1, shm_size: 8g}\n"
    text = made.read_text()
    made.write_text(
        text.replace("    component: components/train.yml\n", f"    component: components/train.yml\n{asked}")
    )
    return made


def test_azure_ml_reads_a_gpu_for_one_step_and_no_other(training: Path) -> None:
    job = load_job(training)
    train, prep = job.jobs["train"], job.jobs["prep"]
    assert train.compute in ("gpu-cluster", "azureml:gpu-cluster")
    assert train.resources.instance_count == 1 and train.resources.shm_size == "8g"
    assert prep.compute is None and "cpu-cluster" in job.settings.default_compute
    pins = yaml.safe_load((training.parent / "environment/conda.yml").read_text())["dependencies"][-1]["pip"]
    assert [pin for pin in pins if re.fullmatch(r"torch==[\d.]+", pin)], "CUDA comes with it"


def test_the_linter_has_nothing_to_say_about_it_and_knows_a_wrong_one(training: Path) -> None:
    assert [str(p) for p in lint(training)] == []
    good = training.read_text()
    training.write_text(good.replace("instance_count: 1", "instance_count: one"))
    try:
        assert "instance_count" in " ".join(str(p) for p in lint(training))
    finally:
        training.write_text(good)
