"""A model from elsewhere enters the registry only if it can be served, and never if loading it runs code."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import skops.io
import yaml

from mlops.errors import InvalidInput
from mlops.lifecycle.train import register
from mlops.lifecycle.train.lineage import Checkout
from mlops.lifecycle.train.register import register_external
from mlops.spec.digest import tree_digest
from mlops.targets.base import ModelVersion

COLUMNS = [
    {"type": "string", "name": "carrier", "required": True},
    {"type": "double", "name": "distance", "required": False},
]
MLMODEL: dict[str, Any] = {
    "flavors": {
        "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.skops"},
        "sklearn": {"serialization_format": "skops"},
    },
    "signature": {"inputs": json.dumps(COLUMNS)},
    "saved_input_example_info": {"artifact_path": "input_example.json", "type": "dataframe"},
}


class Records:
    """Keeps what would be registered."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, bytes], dict[str, str]]] = []
        self.added: dict[str, list[str]] = {}
        self.tagged: dict[str, str] = {}
        self.there: dict[str, str] | None = None
        """Tags of a version with this digest, when there is one."""

    def register(self, model: str, folder: Path, digest: str, tags: dict[str, str]) -> Any:
        assert digest == tree_digest(folder)
        self.calls.append((model, {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}, tags))
        found = tags if self.there is None else self.there
        return ModelVersion(model, 1, "run", str(folder), found, datetime.now(UTC))

    def add_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        self.added[f"{run_id}/{path}"] = sorted(p.name for p in folder.iterdir())

    def tag(self, model: str, version: int, tags: dict[str, str]) -> None:
        self.tagged |= tags


@pytest.fixture(autouse=True)
def commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "checkout", lambda _: Checkout("c" * 40, "main", False, "Ada"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    describe(path)
    (path / "model.skops").write_bytes(skops.io.dumps([1.0]))
    (path / "input_example.json").write_text(
        json.dumps({"columns": ["carrier", "distance"], "data": [["AA", 1.0]]})
    )
    return path


def describe(path: Path, **changes: Any) -> None:
    (path / "MLmodel").write_text(yaml.safe_dump({**MLMODEL, **changes}))


def take(folder: Path, there: dict[str, str] | None = None, **options: Any) -> Records:
    records = Records()
    records.there = there
    options.setdefault("task", "binary")
    options.setdefault("classes", ["no", "yes"])
    register_external(folder.parent, records, folder, "freight", **options)
    return records


def test_it_comes_with_schema_sample_and_provenance(folder):
    before = tree_digest(folder)
    [(model, files, tags)] = take(folder).calls
    serving = json.loads(files["serving.json"])
    assert model == serving["model"] == "freight"
    assert [(c["name"], c["type"], c["nullable"]) for c in serving["columns"]] == [
        ("carrier", "string", False),
        ("distance", "number", True),
    ]
    assert json.loads(files["sample.json"])["input_data"]["data"] == [["AA", 1.0]]
    assert (tags["mlops.source"], tags["mlops.actor"], tags["mlops.commit"]) == ("external", "Ada", "c" * 40)
    assert tree_digest(folder) == before, "the user's folder is not changed"


def test_only_regular_files_are_taken_and_nothing_outside_of_the_folder(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match=r"more \(a symbolic link\)"):
        take(folder)
    (folder / "more").unlink()
    describe(folder, flavors={"python_function": {"loader_module": "x", "data": "../elsewhere"}})
    with pytest.raises(InvalidInput, match=r"MLmodel: names files outside.*flavors\.python_function\.data"):
        take(folder)


def test_an_example_outside_of_the_folder_is_not_read(folder, tmp_path):
    shutil.move(folder / "input_example.json", tmp_path / "rows.json")
    describe(folder, saved_input_example_info={"artifact_path": "../rows.json"})
    assert "sample.json" not in take(folder).calls[0][1]


def test_its_own_schema_is_kept_but_must_be_of_this_model(folder):
    own = {"model": "freight", "task": "regression", "columns": [{"name": "carrier", "type": "string"}]}
    (folder / "serving.json").write_text(json.dumps(own))
    assert json.loads(take(folder).calls[0][1]["serving.json"]) == own
    (folder / "serving.json").write_text(json.dumps({**own, "model": "other"}))
    with pytest.raises(InvalidInput, match="is of the model 'other'"):
        take(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"flavors": {"sklearn": {"serialization_format": "cloudpickle"}}},
        {"flavors": {"python_function": {"code": "code"}}},
        {"flavors": {"python_function": {"python_model": "x"}}},
    ],
)
def test_a_model_that_runs_code_is_refused(folder, changes):
    describe(folder, **changes)
    with pytest.raises(InvalidInput, match="can run code when it is loaded"):
        take(folder)
    [(_, files, _)] = take(folder, allow_pickle=True).calls
    assert json.loads(files["serving.json"])["runs_code"], "the gates then ask who allows it"


def test_a_pickle_anywhere_is_refused(folder):
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "encoder.PKL").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"artifacts/encoder\.PKL"):
        take(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"signature": None}, "has no signature"),
        ({"signature": {"inputs": "[{}]"}}, "must name its input columns"),
        ({"signature": {"inputs": '[{"name": "a", "type": "binary"}]'}}, r"a \(binary\)"),
        ({"flavors": None}, "names no flavors"),
    ],
)
def test_what_cannot_be_served_is_refused(folder, changes, sentence):
    describe(folder, **changes)
    with pytest.raises(InvalidInput, match=sentence):
        take(folder)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"task": None}, "--task"),
        ({"classes": []}, "--classes, in the order"),
        ({"task": "regression"}, "a regression has none"),
    ],
)
def test_what_the_folder_does_not_say_must_be_given(folder, options, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        take(folder, **options)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="is no MLflow model"):
        take(tmp_path)


def evidence(folder: Path, to: Path) -> dict[str, str]:
    """What `examine` makes, in short; the model's folder is complete by then."""
    assert (folder / "serving.json").is_file() and (folder / "sample.json").is_file()
    for name in ("report/evaluation.json", "evaluation/test.parquet"):
        (to / name).parent.mkdir(parents=True)
        (to / name).touch()
    return {"mlops.data.window": "2013-01"}


EVIDENCE = {"run/report": ["evaluation.json"], "run/evaluation": ["test.parquet"]}


def test_evidence_for_the_gates_comes_with_it(folder):
    records = take(folder, examine=evidence)
    [(_, files, tags)] = records.calls
    assert (tags["mlops.source"], tags["mlops.data.window"]) == ("external", "2013-01")
    assert records.added == EVIDENCE and "evaluation.json" not in files


def test_a_version_without_evidence_gets_it_when_it_is_registered_again(folder):
    records = take(folder, there={"mlops.source": "external"}, examine=evidence)
    assert records.added == EVIDENCE and records.tagged == {"mlops.data.window": "2013-01"}


def test_the_evidence_of_a_version_that_was_trained_here_stays(folder):
    records = take(folder, there={"mlops.pipeline": "pipelines/freight/training.yml"}, examine=evidence)
    assert records.added == {} and records.tagged == {}


def test_what_cannot_be_examined_is_not_registered(folder):
    def refused(*_: object) -> dict[str, str]:
        raise InvalidInput("no such rows")

    records = Records()
    with pytest.raises(InvalidInput, match="no such rows"):
        register_external(
            folder.parent, records, folder, "freight", task="binary", classes=["no", "yes"], examine=refused
        )
    assert records.calls == []
