"""Azure ML's own client accepts the pipeline files: one definition for laptop and cloud, or it is two."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[4]
PIPELINE = ROOT / "pipelines" / "flights"
COMPONENTS = sorted((PIPELINE / "components").glob("*.yml"))
STEPS = ["prep", "validate", "train", "evaluate", "explain", "register"]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _no_home_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))


def _read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_pipeline_loads_validates_and_becomes_a_request() -> None:
    from azure.ai.ml import load_job

    job = load_job(PIPELINE / "training.yml")
    result = job._validate()
    assert result.passed, result.error_messages
    assert list(job.jobs) == STEPS
    sent = job._to_rest_object().properties
    assert sent.inputs["raw"].uri == "nycflights:1"
    assert sent.inputs["window"].value == "2013-01..2013-03"
    assert set(sent.outputs) == {"model", "registered"}


def test_a_wrong_pipeline_is_not_accepted(tmp_path: Path) -> None:
    """The check above can fail."""
    from azure.ai.ml import load_job

    text = (PIPELINE / "training.yml").read_text().replace("components/", f"{PIPELINE}/components/")
    wrong = tmp_path / "training.yml"
    wrong.write_text(text.replace("      train: ${{parent.jobs.prep.outputs.train}}\n", "", 1))
    assert not load_job(wrong)._validate().passed


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda p: p.stem)
def test_each_component_loads_validates_and_names_its_file(path: Path) -> None:
    from azure.ai.ml import load_component

    component = load_component(path)
    result = component._validate()
    assert result.passed, result.error_messages
    assert component.name == path.stem
    assert component.is_deterministic is (path.stem not in ("register", "monitor"))


def test_there_is_a_component_for_every_step() -> None:
    ingests = ["ingest"]  # of ingest.yml: a pipeline of its own
    others = ["prep_spark"]  # the same step on Spark, for a pipeline that chooses it
    watches = ["monitor"]  # of drift.yml: `mlops monitor` as a job
    assert sorted([*STEPS, *ingests, *others, *watches]) == [p.stem for p in COMPONENTS]


def test_data_and_environment_load() -> None:
    from azure.ai.ml import load_data, load_environment

    data = load_data(PIPELINE / "data.yml")
    assert f"azureml:{data.name}:{data.version}" == _read(PIPELINE / "training.yml")["inputs"]["raw"]["path"]
    environment = load_environment(PIPELINE / "environment" / "environment.yml")
    assert environment.version
    assert re.search(r":\d{8}\.v\d+$", environment.image), "a floating tag is another image tomorrow"


def _options(module: str) -> dict[str, argparse.Action]:
    """Every option that the step's parser has, asked of the real parser."""
    found: dict[str, argparse.Action] = {}
    original = argparse.ArgumentParser.parse_args

    def spy(self: argparse.ArgumentParser, *_: Any) -> Any:
        found.update({o: a for a in self._actions for o in a.option_strings if o.startswith("--")})
        raise SystemExit(0)

    argparse.ArgumentParser.parse_args = spy  # type: ignore[assignment, method-assign]
    try:
        import_module(module).main([])
    except SystemExit:
        pass
    finally:
        argparse.ArgumentParser.parse_args = original  # type: ignore[method-assign]
    return found


def _command(component: dict[str, Any]) -> str:
    """What runs; `on_spark.py` runs the module that its arguments begin with."""
    if component["type"] == "command":
        return str(component["command"])
    assert component["entry"] == {"file": "on_spark.py"}
    return f"python -m {component['args']}"


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda p: p.stem)
def test_the_command_gives_the_script_what_it_needs_and_nothing_unknown(path: Path) -> None:
    component = _read(path)
    words = shlex.split(_command(component))
    if words[:3] == ["python", "-m", "mlops.cli"]:
        typed = [_default(component, word) for word in words[3:]]
        assert _verb(*typed) == 0
        assert _verb(*typed, "--unknown") == 2
    else:
        module = words[2]
        assert words[:2] == ["python", "-m"]
        assert importlib.util.find_spec(module), module
        options = _options(module)
        given = {w for w in words if w.startswith("--")}
        required = {o for o, action in options.items() if action.required}
        assert required <= given <= set(options)
    used = set(re.findall(r"\$\{\{(inputs|outputs)\.(\w+)\}\}", _command(component)))
    declared = {(kind, name) for kind in ("inputs", "outputs") for name in component.get(kind, {})}
    assert used == declared


def _verb(*words: str) -> int:
    """Exit code of the script that runs verbs, which reads all options before it helps."""
    command = [sys.executable, "-m", "mlops.cli", *words, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def _default(component: dict[str, Any], word: str) -> str:
    """A word of a command, with an input's default in the place of the input."""
    return re.sub(r"\$\{\{inputs\.(\w+)\}\}", lambda m: str(component["inputs"][m[1]]["default"]), word)


def test_hyper_parameters_are_those_of_the_use_case_with_the_same_defaults() -> None:
    from flights.model import DEFAULTS

    inputs = _read(PIPELINE / "components" / "train.yml")["inputs"]
    ranged = {name: spec for name, spec in inputs.items() if spec["type"] in ("number", "integer")}
    assert {name: spec["default"] for name, spec in ranged.items()} == DEFAULTS
    assert all(spec["min"] <= spec["default"] <= spec["max"] for spec in ranged.values())
    pipeline = _read(PIPELINE / "training.yml")["inputs"]
    assert {name: pipeline[name] for name in DEFAULTS} == DEFAULTS


def _pins(name: str) -> dict[str, str]:
    (pip,) = (d["pip"] for d in _read(PIPELINE / "environment" / name)["dependencies"] if isinstance(d, dict))
    return dict(pin.split("==") for pin in pip)


@pytest.mark.parametrize("name", ["conda.yml", "monitor-conda.yml", "serving-conda.yml", "spark/conda.yml"])
def test_the_environment_pins_what_the_lock_pins(name: str) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked: dict[str, set[str]] = {}
    for package in lock["package"]:
        locked.setdefault(package["name"], set()).add(package.get("version", ""))
    for package, version in _pins(name).items():
        assert version in locked[package], f"{package}=={version}; uv.lock has {locked[package]}"


def test_the_environment_has_what_the_group_core_has() -> None:
    project = tomllib.loads((ROOT / "packages/runtime/pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[<>=]", p)[0] for p in project["optional-dependencies"]["train"]}
    assert wanted <= _pins("conda.yml").keys()


@pytest.mark.parametrize("name", ["conda.yml", "serving-conda.yml", "batch-conda.yml"])
def test_wherever_a_model_is_loaded_its_own_library_can_answer(name: str) -> None:
    from mlops.serving.formats import find

    wanted = set(find("sklearn").REQUIREMENTS) - ({"mlflow-skinny"} if name != "conda.yml" else set())
    assert wanted <= _pins(name).keys()
