"""Every kind of model that `new-model` can make is whole: what its pipeline passes is what its code takes.

A kind is a folder. Whoever adds one gets these tests for it without a word here.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from mlops.errors import InvalidInput
from mlops.lifecycle.desired import environments as environment
from mlops.metrics.scores import Scores
from mlops.metrics.truth import encode_truth
from mlops.scaffold import kinds
from mlops.scaffold.new_model import new_model
from mlops.serving.formats import FORMATS
from mlops.serving.score import core
from mlops.spec.digest import tree_digest
from mlops.spec.settings import load_settings
from mlops.spec.tasks import is_values
from mlops.steps import artifact
from mlops.steps.about import about
from mlops.steps.asked import sides_of
from mlops.steps.estimators import fit

ROOT = Path(__file__).parents[5]
ELSEWHERE = {
    "torch": "torch starts a program when it is imported: tests/processes/scaffold/test_kinds_of_networks.py"
}


def here(kind: str, *rest: str) -> Any:
    """One case of a test that imports the library of a kind."""
    return pytest.param(kind, *rest, marks=[pytest.mark.skip(why)] if (why := ELSEWHERE.get(kind)) else [])


MADE = [here(kind, task) for kind in kinds.names() for task in kinds.kind(kind).tasks]


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """What a scaffold reads of a repository: its settings, its lock and the model to start from."""
    source = ROOT / "pipelines" / next(iter(load_settings(ROOT).models))
    for path in [*(ROOT / name for name in ("mlops.toml", "pyproject.toml", "uv.lock")), *source.rglob("*")]:
        if path.is_file():
            place = tmp_path / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return tmp_path


def made(fork: Path, kind: str, task: str | None = None, name: str = "newcomer") -> dict[str, Any]:
    """The parsed YAML files of a new model, by their names."""
    paths = new_model(fork, load_settings(fork), name, task, kind)
    return {
        Path(p).name: yaml.safe_load((fork / p).read_text()) for p in paths if p.endswith((".yml", ".yaml"))
    }


@pytest.mark.parametrize("name", ["pq", "a-name-of-27-letters-longok"])
@pytest.mark.parametrize("kind", kinds.names())
def test_a_fork_lints_what_is_made(fork: Path, kind: str, name: str) -> None:
    config = YamlLintConfig((ROOT / ".yamllint.yaml").read_text(encoding="utf-8"))
    for path in new_model(fork, load_settings(fork), name, None, kind):
        text = (fork / path).read_text(encoding="utf-8")
        if path.endswith((".yml", ".yaml")):
            assert [str(problem) for problem in linter.run(text, config, path)] == [], path
        elif path.endswith(".py"):
            assert [line for line in text.splitlines() if len(line) > 110] == [], path


@pytest.mark.parametrize(("kind", "task"), MADE)
def test_the_pipeline_passes_what_the_code_takes(
    fork: Path, kind: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if absent := [group for group in kinds.missing(kind) if util.find_spec(group) is None]:
        pytest.skip(f"not installed: {', '.join(absent)}")
    files = made(fork, kind, task)
    monkeypatch.syspath_prepend(str(fork / "src"))
    for name in [n for n in sys.modules if n.partition(".")[0] == "newcomer"]:
        monkeypatch.delitem(sys.modules, name)
    usecase = import_module("newcomer").usecase
    assert usecase.task == task
    inputs = files["train.yml"]["inputs"]
    ranged = {n: spec for n, spec in inputs.items() if isinstance(spec, dict) and "min" in spec}
    defaults = {name: spec["default"] for name, spec in ranged.items()}
    assert all(spec["min"] <= spec["default"] <= spec["max"] for spec in ranged.values())
    assert {name: files["training.yml"]["inputs"][name] for name in defaults} == defaults
    if defaults and hasattr(usecase, "build"):
        assert usecase.build(defaults) is not None
        with pytest.raises(InvalidInput, match="unknown hyper-parameter no_such"):
            usecase.build({"no_such": 1})


@pytest.mark.parametrize("kind", [here(kind) for kind in kinds.names() if kinds.kind(kind).parameters])
def test_what_a_kind_makes_is_trained_saved_and_served_on_its_own_data(
    fork: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if absent := kinds.missing(kind):
        pytest.skip(f"not installed: {', '.join(absent)}")
    # LightGBM would start a program to count cores.
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    chosen = kinds.kind(kind)
    made(fork, kind)
    monkeypatch.syspath_prepend(str(fork / "src"))
    for name in [n for n in sys.modules if n.partition(".")[0] == "newcomer"]:
        monkeypatch.delitem(sys.modules, name)
    usecase = import_module("newcomer").usecase
    if not hasattr(usecase, "build") or usecase.time is not None:
        pytest.skip("its training and its answers have tests of their own")
    (fork / "raw").mkdir()
    usecase.load(fork / "raw")
    frame = usecase.features(fork / "raw")
    test, train = frame.iloc[::4].reset_index(drop=True), frame.drop(frame.index[::4])
    inputs = list(usecase.contract().columns)
    rounds = {"n_estimators", "iterations", "max_iter"} & {p.name for p in chosen.parameters}
    few = dict.fromkeys(rounds, 20)
    model = usecase.build(few)
    fit(usecase, model, train[inputs], train)
    schema = artifact.save(fork / "model", usecase, model, train, test, package="newcomer")
    served = core.load(fork / "model", digest=tree_digest(fork / "model"))
    ask = model.predict if is_values(schema.task) else model.predict_proba
    truth = np.asarray(ask(test[inputs]))
    truth = truth[:, 1] if schema.task == "binary" else truth
    np.testing.assert_allclose(served.predict_frame(test[inputs]), truth, rtol=1e-4, atol=1e-5)
    of = [group for group in chosen.groups if group in FORMATS] or ["sklearn"]
    assert schema.library is not None and schema.library.format == of[0]
    assert schema.onnx is not None or not chosen.trains_only, schema.no_graph
    own = kind in ("quantiles", "torch")  # a class of the use case answers there, whose files travel along
    assert schema.runs_code == "" and (schema.library.code is not None) == own
    names = (yaml.safe_load((fork / "pipelines/newcomer/model.yaml").read_text()))["metrics"]
    told = about(usecase, test)
    found = Scores.of(
        schema, encode_truth(schema, test[usecase.target]), served.predict_frame(test[inputs]), told
    )
    assert all(np.isfinite(found.value(name)) for name in names), "the gates ask for what the task has"


ONE_EACH = {(kind, kinds.kind(kind).tasks[0]) for kind in kinds.names()} | {("catboost", "multiclass")}


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        here(kind, task) if (kind, task) in ONE_EACH else pytest.param(kind, task, marks=pytest.mark.slow)
        for kind in kinds.names()
        for task in kinds.kind(kind).tasks
        if kind not in ELSEWHERE
    ],
)
def test_the_tests_that_it_brings_pass_on_what_it_brings(
    fork: Path, kind: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make test` of a fresh fork runs them."""
    if absent := kinds.missing(kind):
        pytest.skip(f"not installed: {', '.join(absent)}")
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    made(fork, kind, task)
    monkeypatch.syspath_prepend(str(fork / "src"))
    monkeypatch.syspath_prepend(str(fork / "tests/unit/newcomer"))
    for name in [n for n in sys.modules if n.partition(".")[0] in ("newcomer", "test_newcomer")]:
        monkeypatch.delitem(sys.modules, name)
    brought = vars(import_module("test_newcomer"))
    raw, scratch = fork / "raw", fork / "scratch"
    for folder in (raw, scratch):
        folder.mkdir()
    usecase = brought["usecase"]
    usecase.load(raw)
    given = {"raw": raw, "tmp_path": scratch, "sides": sides_of(usecase, brought["TRAINING"], raw)}
    tests = [call for name, call in brought.items() if name.startswith("test_")]
    for call in tests:
        call(**{name: given[name] for name in inspect.signature(call).parameters})
    assert len(tests) > 2


@pytest.mark.parametrize("kind", [kind for kind in kinds.names() if kinds.kind(kind).groups])
def test_a_library_of_its_own_is_pinned_wherever_the_model_is_loaded(fork: Path, kind: str) -> None:
    files = made(fork, kind)
    chosen = kinds.kind(kind)
    wanted = environment.pins(ROOT, chosen.groups)
    for name in ("conda.yml", "serving-conda.yml", "batch-conda.yml"):
        pinned = dict(line.split("==") for line in files[name]["dependencies"][-1]["pip"])
        if name == "conda.yml" or not chosen.trains_only:
            assert wanted.items() <= pinned.items(), name
        else:
            assert not wanted.keys() & pinned.keys(), name
        assert list(pinned) == sorted(pinned), name
    # Azure ML never changes a registered environment: other content needs another name.
    other = "mlops-serving" if chosen.trains_only else f"mlops-serving-{chosen.groups[0]}"
    assert files["serving.yml"]["name"] == files["serving-conda.yml"]["name"] == other
    # Images are read where they are compared, too.
    watched = "mlops-monitor-pillow" if "pillow" in chosen.groups else "mlops-monitor"
    assert files["monitor-conda.yml"]["name"] == watched


def test_the_image_and_the_set_up_take_what_a_kind_needs_and_no_more(fork: Path) -> None:
    made(fork, "torch")
    text = (fork / "pyproject.toml").read_text()
    tool = tomllib.loads(text)["tool"]
    assert "torch" in tool["uv"]["default-groups"] and "torch" not in tool["mlops"]["image"]
    made(fork, "image", name="digits")
    tool = tomllib.loads((fork / "pyproject.toml").read_text())["tool"]
    assert "pillow" in tool["mlops"]["image"]
    before = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["default-groups"]
    assert tool["uv"]["default-groups"] == [*before, "torch"]
    # A line that only this repository has keeps its mark.
    kept = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if "# <home/>" in line]
    assert all(line in text.splitlines() for line in kept)


def installed(fork: Path) -> list[str]:
    """Groups that the lock says a laptop installs."""
    lock = tomllib.loads((fork / "uv.lock").read_text())
    (root,) = (p for p in lock["package"] if p["source"] == {"editable": "."})
    return list(root["default-groups"])


def test_the_lock_follows_its_project_without_an_index(fork: Path) -> None:
    project = fork / "pyproject.toml"
    for kind in ("lightgbm", "xgboost"):
        project.write_text(re.sub(rf'\s*"{kind}",(?=[^\]]*\])', "", project.read_text()))
    assert environment.install(fork, []) == [] and "xgboost" in installed(fork), "nothing to do"
    paths = new_model(fork, load_settings(fork), "newcomer", None, "lightgbm")
    assert {"pyproject.toml", "uv.lock"} <= set(paths)
    wanted = tomllib.loads(project.read_text())["tool"]["uv"]["default-groups"]
    assert installed(fork) == sorted(wanted) and "lightgbm" in wanted and "xgboost" not in wanted


def test_a_model_starts_without_the_packages_of_the_one_that_it_is_copied_from(fork: Path) -> None:
    """Of the same name and version, Azure ML keeps the environment that it saw first."""
    first = next(iter(load_settings(fork).models))
    clean = (fork / f"pipelines/{first}/environment/conda.yml").read_text()
    project = fork / "pyproject.toml"
    project.write_text(
        project.read_text().replace(
            "[dependency-groups]\n", f'[dependency-groups]\n{first} = ["narwhals", "patsy"]\n', 1
        )
    )
    lock = fork / "uv.lock"
    lock.write_text(lock.read_text() + '\n[[package]]\nname = "patsy"\nversion = "1.0"\nsource = {}\n')
    for path in (fork / f"pipelines/{first}/environment").glob("*.yml"):
        text = environment.with_pins(path.read_text(), ["xgboost"], environment.pins(fork, ["xgboost"]))
        text = environment.add_pins(text, {"patsy": "1.0"}) if environment.loads_the_model(text) else text
        path.write_text(environment.named(text, first) if environment.loads_the_model(text) else text)
    dirty = (fork / f"pipelines/{first}/environment/conda.yml").read_text()
    assert f"name: mlops-training-xgboost-{first}" in dirty and "patsy==" in dirty and "xgboost" in dirty
    made(fork, "sklearn")
    assert (fork / "pipelines/newcomer/environment/conda.yml").read_text() == clean


def test_a_second_kind_does_not_lose_the_first_ones_library(fork: Path) -> None:
    made(fork, "lightgbm", name="first")
    text = (fork / "pipelines/first/environment/conda.yml").read_text()
    assert environment.with_pins(text, ["lightgbm"], {"lightgbm": "0"}) == text
    both = environment.with_pins(text, ["xgboost"], {"xgboost-cpu": "3.2.0"})
    assert re.search(r"(?m)^name: mlops-training-lightgbm-xgboost$", both)
    assert "lightgbm==" in both and "xgboost-cpu==3.2.0" in both


def test_a_kind_that_is_not_there_and_a_task_that_it_cannot_answer_write_nothing(fork: Path) -> None:
    settings = load_settings(fork)
    before = sorted(fork.rglob("*"))
    with pytest.raises(InvalidInput, match=r"no kind of model 'prophet'; there are sklearn, "):
        new_model(fork, settings, "newcomer", None, "prophet")
    with pytest.raises(InvalidInput, match=r"has the task binary or multiclass or regression, not 'poetry'$"):
        new_model(fork, settings, "newcomer", "poetry", "sklearn")
    with pytest.raises(InvalidInput, match=r"not 'ranking'; take --kind ranking$"):
        new_model(fork, settings, "newcomer", "ranking", "sklearn")
    with pytest.raises(InvalidInput, match="no such group of dependencies"):
        environment.pins(fork, ["theano"])
    assert sorted(fork.rglob("*")) == before


def test_an_image_whose_requirements_cannot_be_written_is_no_half_model(
    fork: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outdated(_: Path) -> bool:
        raise InvalidInput("the lock is behind its project")

    monkeypatch.setattr(environment, "write_image", outdated)
    paths = new_model(fork, load_settings(fork), "newcomer", None, "lightgbm")
    assert "pyproject.toml" in paths and "container/requirements.txt" not in paths
    assert all((fork / path).is_file() for path in paths)
    assert '"lightgbm"' in re.findall(r"(?m)^image = .*$", (fork / "pyproject.toml").read_text())[0]
