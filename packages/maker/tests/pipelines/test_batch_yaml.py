"""Azure ML's own client accepts the batch job, and its environment can run what the job calls."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[4]
PIPELINE = ROOT / "pipelines" / "flights"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
BATCH = PIPELINE / "batch.yml"
HELD_BACK = {"numpy": "2.3.2", "pyarrow": "23.0.1"}
"""azureml-dataset-runtime 1.62.0.post1 admits nothing newer."""
RUNNER = {"azureml-core", "azureml-dataset-runtime[fuse]"}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _no_home_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))


def _read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def _pins(path: Path) -> dict[str, str]:
    (pip,) = (d["pip"] for d in _read(path)["dependencies"] if isinstance(d, dict))
    return dict(pin.split("==") for pin in pip)


def test_the_job_loads_validates_and_becomes_a_request() -> None:
    from azure.ai.ml import load_job

    job = load_job(BATCH)
    result = job._validate()
    assert result.passed, result.error_messages
    node = job._to_rest_object().properties.jobs["score"]
    assert node["type"] == "parallel"
    assert node["task"]["entry_script"] == "batch.py"
    assert node["input_data"] == "${{inputs.data}}"
    assert set(node["inputs"]) == {"data", "model", "digest"}


def test_a_wrong_job_is_not_accepted(tmp_path: Path) -> None:
    """The check above can fail."""
    from azure.ai.ml import load_job

    wrong = PIPELINE / "batch.yml"
    text = wrong.read_text().replace("file:environment", f"file:{PIPELINE}/environment")
    path = tmp_path / "batch.yml"
    path.write_text(text.replace("type: run_function", "type: run_funktion"))
    with pytest.raises(Exception, match="run_function"):
        load_job(path)._validate(raise_error=True)


def test_the_arguments_are_those_that_the_entry_script_knows() -> None:
    given = set(re.findall(r"--[\w-]+", _read(BATCH)["jobs"]["score"]["task"]["program_arguments"]))
    source = (ROOT / "packages/runtime/src/mlops/serving/azure/batch.py").read_text()
    known = set(re.findall(r'add_argument\("(--[\w-]+)"', source))
    assert {"--model", "--output"} <= given <= known


def test_the_environment_pins_what_the_lock_pins_but_for_what_the_runner_holds_back() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked: dict[str, set[str]] = {}
    for package in lock["package"]:
        locked.setdefault(package["name"], set()).add(package.get("version", ""))
    pins = _pins(PIPELINE / "environment" / "batch-conda.yml")
    assert pins.keys() >= RUNNER
    for name, version in pins.items():
        if name in HELD_BACK:
            assert version == HELD_BACK[name]
        elif name not in RUNNER:
            assert version in locked[name], f"{name}=={version}; uv.lock has {locked[name]}"


def test_the_environment_has_what_the_entry_script_imports() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import mlops.serving.azure.batch, pyarrow.parquet, pyarrow.csv, onnxruntime\n"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    of_module = packages_distributions()
    needed = {of_module[m][0].lower().replace("_", "-") for m in done.stdout.split() if m in of_module}
    installed = {name.partition("[")[0] for name in _pins(PIPELINE / "environment" / "batch-conda.yml")}
    # What the pinned packages bring themselves; pyarrow takes cloudpickle when it is there.
    brought = {"annotated-types", "cloudpickle", "flatbuffers", "packaging", "pydantic-core"}
    brought |= {"typing-extensions", "typing-inspection", PROJECT}
    assert {"msgspec", "onnxruntime", "pyarrow", "pydantic"} <= needed, "the list was not made"
    assert needed - installed - brought == set()
