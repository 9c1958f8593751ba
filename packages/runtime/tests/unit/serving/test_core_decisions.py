"""What the core loads without a digest, and which graphs it takes: each condition by itself.

A model that runs code when it loads, and that nobody verified, is somebody else's program in our server. A
column that no input of the graph takes is left out of every prediction, and no request shows it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from mlops.errors import IntegrityError, InvalidInput, TargetError
from mlops.serving.score import core
from mlops.spec.schema import FILE, Column, ModelSchema, OnnxGraph

TEXT, NUMBER = Column(name="carrier", type="string"), Column(name="distance", type="number")
SKOPS: dict[str, Any] = {
    "python_function": {"loader_module": "mlflow.sklearn"},
    "sklearn": {"serialization_format": "skops"},
}


def schema(*columns: Column, task: str = "regression", **graph: Any) -> ModelSchema:
    onnx = OnnxGraph(output="out", **graph) if graph else None
    classes = {"binary": ["0", "1"], "multiclass": ["a", "b", "c"], "multilabel": ["a", "b"]}.get(task, [])
    return ModelSchema(model="freight", task=task, columns=list(columns), classes=classes, onnx=onnx)  # type: ignore[arg-type]


def artifact(folder: Path, flavors: Any) -> Path:
    (folder / FILE).write_text(schema(TEXT).model_dump_json(), "utf-8")
    (folder / "MLmodel").write_text(yaml.safe_dump(flavors), "utf-8")
    return folder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that MLflow would have been given."""
    found: list[Path] = []
    monkeypatch.setattr(core, "PyfuncScorer", lambda _, folder: found.append(folder))
    return found


def changed(flavor: str, **fields: Any) -> dict[str, Any]:
    return {"flavors": {**SKOPS, flavor: {**SKOPS[flavor], **fields}}}


@pytest.mark.parametrize(
    "flavors",
    [
        changed("python_function", code="code"),
        changed("python_function", loader_module="mlflow.pyfunc.model"),
        changed("sklearn", serialization_format="cloudpickle"),
        changed("sklearn", pickled_model="m" * 5000),  # a name that no file system can look for
        {"flavors": {"python_function": SKOPS["python_function"]}},
        {"flavors": {"sklearn": SKOPS["sklearn"]}},
        {"flavors": [SKOPS]},
        {},
        ["no", "mapping"],
    ],
)
def test_what_can_run_code_is_not_loaded_without_its_digest(
    tmp_path: Path, loaded: list[Path], flavors: Any
) -> None:
    with pytest.raises(IntegrityError):
        core.load(artifact(tmp_path, flavors))
    assert loaded == []


def test_skops_without_code_is_loaded_without_a_digest(tmp_path: Path, loaded: list[Path]) -> None:
    core.load(artifact(tmp_path, {"flavors": SKOPS}))
    assert loaded == [tmp_path]


def test_another_digest_loads_nothing(tmp_path: Path, loaded: list[Path]) -> None:
    folder = artifact(tmp_path, {"flavors": SKOPS})
    with pytest.raises(IntegrityError):
        core.load(folder, digest="sha256:" + "0" * 64)
    with pytest.raises(IntegrityError):
        core.load(folder / "nowhere", digest="sha256:" + "0" * 64)
    right = core.tree_digest(folder)
    for wrong in ("", right[:-1], right[:-1] + ("1" if right[-1] == "0" else "0"), right.upper()):
        with pytest.raises(IntegrityError):
            core.load(folder, digest=wrong)
    assert loaded == []


def test_with_its_digest_a_model_with_code_is_loaded(tmp_path: Path, loaded: list[Path]) -> None:
    folder = artifact(tmp_path, changed("python_function", code="code"))
    core.load(folder, digest=core.tree_digest(folder))
    assert loaded == [folder]


class Graph:
    """Stands in for the session of ONNX Runtime: names, and what it was given."""

    def __init__(self, inputs: tuple[str, ...], outputs: tuple[str, ...] = ("out",)) -> None:
        self._inputs, self._outputs = inputs, outputs
        self.fed: dict[str, Any] = {}

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self._inputs]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self._outputs]

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
        assert outputs == ["out"]
        self.fed = feeds
        return [np.zeros((len(next(iter(feeds.values()))), 1), np.float32)]


def scorer(monkeypatch: pytest.MonkeyPatch, graph: Graph, described: ModelSchema) -> core.OnnxScorer:
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: graph)
    return core.OnnxScorer(described, Path("model"))


@pytest.mark.parametrize(
    ("columns", "described", "inputs", "outputs"),
    [
        pytest.param((TEXT, NUMBER), {"floats": "f"}, ("f",), ("out",), id="text without an input"),
        pytest.param((TEXT, NUMBER), {"strings": "s"}, ("s",), ("out",), id="numbers without an input"),
        pytest.param((TEXT, NUMBER), {"strings": "s", "floats": "f"}, ("s",), ("out",), id="input is gone"),
        pytest.param((NUMBER,), {"floats": "f"}, ("f", "more"), ("out",), id="input of nothing"),
        pytest.param((NUMBER,), {"floats": "f"}, ("f",), ("label",), id="another output"),
    ],
)
def test_a_graph_that_does_not_take_the_columns_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    columns: tuple[Column, ...],
    described: dict[str, str],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    with pytest.raises(TargetError):
        scorer(monkeypatch, Graph(inputs, outputs), schema(*columns, **described))


def test_a_schema_without_a_graph_is_no_onnx_model() -> None:
    with pytest.raises(TargetError):
        core.OnnxScorer(schema(TEXT), Path("model"))


@pytest.mark.parametrize("nullable", [True, False])
def test_an_absent_text_is_empty_where_it_may_be_absent(
    monkeypatch: pytest.MonkeyPatch, nullable: bool
) -> None:
    graph = Graph(("s", "f"), ("out", "label"))
    text = TEXT.model_copy(update={"nullable": nullable})
    number = NUMBER.model_copy(update={"nullable": True})
    found = scorer(monkeypatch, graph, schema(number, text, strings="s", floats="f"))
    assert found.predict_rows([(1.5, None), (2.5, "AA")]).tolist() == [0.0, 0.0]
    assert graph.fed["s"].tolist() == [["" if nullable else None], ["AA"]]
    assert graph.fed["f"].tolist() == [[1.5], [2.5]] and graph.fed["f"].dtype == np.float32


@pytest.mark.parametrize(
    ("task", "raw", "wanted"),
    [
        ("regression", np.zeros((2, 1)), (2,)),
        ("regression", np.zeros(2, int), (2,)),
        ("binary", np.zeros((2, 2), np.float32), (2,)),
        ("binary", np.zeros((2, 2)), (2,)),
        ("binary", np.zeros((2, 1)), (2,)),
        ("multiclass", np.zeros((2, 3)), (2, 3)),
        ("regression", np.zeros((2, 2)), None),
        ("regression", np.zeros(3), None),
        ("regression", np.array(["a", "b"]), None),
        ("binary", np.zeros(2, int), None),  # labels, not probabilities
        ("binary", np.zeros((2, 3)), None),
        ("binary", np.zeros((3, 2), np.float32), None),
        ("multiclass", np.zeros((2, 2)), None),
        ("multiclass", np.zeros(2), None),
        ("multiclass", [np.zeros((2, 2))] * 3, None),  # several labels, where one of three was asked for
        ("multilabel", np.zeros((2, 2), np.float32), (2, 2)),
        ("multilabel", [np.zeros((2, 2))] * 2, (2, 2)),
        ("multilabel", np.zeros((2, 3)), None),
        ("binary", np.zeros((2, 2), bool), None),
        ("regression", np.zeros(2, bool), None),
    ],
)
def test_what_a_model_returns_is_a_prediction_of_its_task_or_refused(
    monkeypatch: pytest.MonkeyPatch, task: str, raw: Any, wanted: tuple[int, ...] | None
) -> None:
    found = scorer(monkeypatch, Graph(("f",)), schema(NUMBER, task=task, floats="f"))
    if wanted is None:
        with pytest.raises(TargetError):
            found._shaped(raw, 2)
    else:
        assert found._shaped(raw, 2).shape == wanted


def test_of_two_probabilities_the_last_class_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scorer(monkeypatch, Graph(("f",)), schema(NUMBER, task="binary", floats="f"))
    for kind in (np.float32, np.float64):
        assert found._shaped(np.array([[0.25, 0.75], [1, 0]], kind), 2).tolist() == [0.75, 0.0]


def test_of_two_labels_each_is_the_probability_that_it_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scorer(monkeypatch, Graph(("f",)), schema(NUMBER, task="multilabel", floats="f"))
    tables = [np.array([[0.25, 0.75], [1, 0]]), np.array([[0.5, 0.5], [0.125, 0.875]])]
    assert found._shaped(tables, 2).tolist() == [[0.75, 0.5], [0.0, 0.875]]
    given = np.array([[0.25, 0.75], [1, 0]], np.float32)
    assert found._shaped(given, 2).tolist() == given.tolist()


def test_only_text_is_text_for_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph(("s", "f"))
    columns = (Column(name="late", type="boolean"), TEXT, Column(name="stops", type="integer"))
    found = scorer(monkeypatch, graph, schema(*columns, strings="s", floats="f"))
    found.predict_rows([(True, "AA", 2), (False, "UA", 0)])
    assert graph.fed["s"].tolist() == [["AA"], ["UA"]]
    assert graph.fed["f"].tolist() == [[1.0, 2.0], [0.0, 0.0]]


def test_who_may_make_types_of_its_own_is_asked_only_without_a_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops.serving.score import library

    given: list[Any] = []
    monkeypatch.setattr(library.LibraryScorer, "load", lambda *args, trusted: given.append((*args, trusted)))
    described = schema(TEXT).model_copy(update={"library": SimpleNamespace()})
    monkeypatch.setattr(core, "read_schema", lambda _: described)
    core.load(artifact(tmp_path, {}), trusted=["mine.Type"])
    core.load(tmp_path, digest=core.tree_digest(tmp_path), trusted=["mine.Type"])
    assert given == [(described, tmp_path, ["mine.Type"]), (described, tmp_path, None)]


def test_a_model_that_names_files_outside_of_it_is_not_loaded(tmp_path: Path, loaded: list[Path]) -> None:
    """Its digest does not count them, so even with one nobody knows what would be loaded."""
    flavors = {**SKOPS, "python_function": {**SKOPS["python_function"], "data": "../elsewhere"}}
    folder = artifact(tmp_path, {"flavors": flavors})
    for digest in (None, core.tree_digest(folder)):
        with pytest.raises(IntegrityError):
            core.load(folder, digest=digest)
    assert loaded == []


class Foreign:
    """Stands in for a model of MLflow: remembers what it was asked, fails when it is told to."""

    def __init__(self, dtypes: dict[str, Any] | None) -> None:
        names = [
            SimpleNamespace(name=n, type=SimpleNamespace(to_pandas=lambda t=t: t))
            for n, t in (dtypes or {}).items()
        ]
        self.metadata = SimpleNamespace(get_input_schema=lambda: names if dtypes is not None else None)
        self.asked: Any = None

    def predict(self, table: Any) -> Any:
        self.asked = table
        return np.zeros(len(table))


@pytest.mark.parametrize(
    ("dtypes", "values", "wanted"),
    [
        ({"a": np.dtype("int64")}, [1.0, 2.0], "int64"),
        ({"a": np.dtype("int64")}, [1.0, None], "float32"),
        ({"a": np.dtype("float64")}, [1.0, 2.0], "float64"),
        ({"other": np.dtype("int64")}, [1.0, 2.0], "float32"),
        (None, [1.0, 2.0], "float32"),
    ],
)
def test_a_foreign_model_gets_the_types_of_its_signature_and_what_a_null_allows(
    monkeypatch: pytest.MonkeyPatch, dtypes: dict[str, Any] | None, values: list[Any], wanted: str
) -> None:
    import mlflow.pyfunc

    model = Foreign(dtypes)
    monkeypatch.setattr(mlflow.pyfunc, "load_model", lambda *_, **__: model)
    found = core.PyfuncScorer(schema(Column(name="a", type="number"), TEXT), Path("model"))
    found.predict_rows([(value, text) for value, text in zip(values, ["AA", None], strict=True)])
    assert list(model.asked.columns) == ["a", "carrier"]
    assert str(model.asked["a"].dtype) == wanted
    assert model.asked["carrier"].tolist() == ["AA", None], "a null of text stays one"


@pytest.mark.parametrize("fails", [False, True])
def test_loading_a_foreign_model_writes_no_byte_code_and_leaves_the_switch_as_it_was(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    import mlflow.pyfunc

    seen: list[bool] = []

    def load(*_: Any, **__: Any) -> Foreign:
        seen.append(sys.dont_write_bytecode)
        if fails:
            raise ModuleNotFoundError("no such module")
        return Foreign(None)

    monkeypatch.setattr(mlflow.pyfunc, "load_model", load)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    if fails:
        with pytest.raises(TargetError):
            core.PyfuncScorer(schema(TEXT), Path("model"))
    else:
        core.PyfuncScorer(schema(TEXT), Path("model"))
    assert (seen, sys.dont_write_bytecode) == ([True], False)


@pytest.mark.parametrize(
    ("depths", "there"), [(("",), True), (("a",), True), (("a/b",), True), (("a/b/c",), False)]
)
def test_an_artifact_is_found_two_levels_below_its_mount(
    tmp_path: Path, depths: tuple[str, ...], there: bool
) -> None:
    for depth in depths:
        (tmp_path / depth).mkdir(parents=True, exist_ok=True)
        (tmp_path / depth / FILE).write_text("{}")
    if there:
        assert core.find_artifact(tmp_path) == tmp_path / depths[0]
    else:
        with pytest.raises(InvalidInput):
            core.find_artifact(tmp_path)


def test_two_artifacts_are_one_too_many(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text("{}")
    with pytest.raises(InvalidInput):
        core.find_artifact(tmp_path)


@pytest.mark.parametrize("text", ["", "{", json.dumps({"model": "freight"}), '{"model": 1}'])
def test_a_schema_that_is_none_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InvalidInput) as refused:
        core.read_schema(tmp_path)
    assert {problem.where for problem in refused.value.problems} and FILE in str(refused.value)
    with pytest.raises(InvalidInput):
        core.read_schema(tmp_path / "nowhere")


def test_a_sample_is_read_or_absent_or_refused(tmp_path: Path) -> None:
    assert core.sample_rows(tmp_path) is None
    (tmp_path / core.SAMPLE).write_text('{"a": [1]}')
    assert core.sample_rows(tmp_path) == {"a": [1]}
    (tmp_path / core.SAMPLE).write_text("[1]")
    with pytest.raises(InvalidInput):
        core.sample_rows(tmp_path)


# --- what the core tells ONNX Runtime and MLflow ------------------------------------------------------------


def test_the_size_of_a_call_is_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scorer(monkeypatch, Graph(("f",)), schema(NUMBER, floats="f"))
    assert [found.size([(1.0,)] * count) for count in (0, 1, 3)] == [0, 1, 3]
    assert found.spread == 1, "no rows take longer than as many others"


def test_the_sample_of_an_artifact_is_where_training_writes_it() -> None:
    """What was released before has it there."""
    assert core.SAMPLE == "sample.json"


def test_only_a_graph_takes_a_time_that_follows_from_its_rows() -> None:
    kinds = (core.Scorer, core.OnnxScorer, core.PyfuncScorer)
    assert [kind.steady for kind in kinds] == [False, True, False]


def test_a_graph_runs_on_one_thread_and_keeps_no_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server runs calls side by side; a pool of memory for each shape would never shrink."""
    given: list[Any] = []

    def session(*args: Any, **named: Any) -> Graph:
        given.append((args, named))
        return Graph(("f",))

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    core.OnnxScorer(schema(NUMBER, floats="f"), Path("model"))
    (((path, options), named),) = given
    assert path == str(Path("model/onnx/model.onnx")) and named == {"providers": ["CPUExecutionProvider"]}
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
    assert options.log_severity_level == 4


def test_a_graph_that_fails_is_the_models_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph(("f",))
    found = scorer(monkeypatch, graph, schema(NUMBER, floats="f"))
    monkeypatch.setattr(graph, "run", lambda *_: (_ for _ in ()).throw(RuntimeError("bad\nnode 7")))
    with pytest.raises(TargetError) as caught:
        found.predict_rows([(1.0,)])
    assert str(caught.value).endswith("bad")


@pytest.mark.parametrize("arrow", [False, True])
def test_a_frame_gives_each_input_its_columns_by_name(monkeypatch: pytest.MonkeyPatch, arrow: bool) -> None:
    import pandas as pd
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "more": [1, 2],
        "stops": [2, None],
        "carrier": [None, "UA"],
        "distance": [1.5, None],
        "origin": ["EWR", "JFK"],
    }
    frame = pa.table(columns) if arrow else pd.DataFrame(columns)
    given = (TEXT, NUMBER, Column(name="origin", type="string"), Column(name="stops", type="integer"))
    graph = Graph(("s", "f"))
    found = scorer(monkeypatch, graph, schema(*given, strings="s", floats="f"))
    assert found.predict_frame(frame).shape == (2,)
    assert graph.fed["s"].tolist() == [["", "EWR"], ["UA", "JFK"]]
    assert graph.fed["f"].dtype == np.float32
    np.testing.assert_array_equal(graph.fed["f"], [[1.5, 2], [np.nan, np.nan]])
    for left in (["carrier"], ["carrier", "stops"]):
        less = frame.drop_columns(left) if arrow else frame.drop(columns=left)
        with pytest.raises(InvalidInput) as caught:
            found.predict_frame(less)
        assert str(caught.value).endswith(f"lacks the columns {', '.join(left)}")


def test_a_whole_number_that_float32_rounds_is_rounded_in_any_table(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd
    import pyarrow as pa

    graph = Graph(("f",))
    found = scorer(monkeypatch, graph, schema(NUMBER, floats="f"))
    columns = {"distance": [2**24 + 1, 2**40 + 1]}
    for frame in (pd.DataFrame(columns), pa.table(columns)):
        found.predict_frame(frame)
        assert graph.fed["f"].tolist() == [[2.0**24], [2.0**40]]


@pytest.mark.parametrize(("column", "value"), [(TEXT, "AA"), (NUMBER, 1.5)])
def test_a_graph_with_one_input_gets_one(monkeypatch: pytest.MonkeyPatch, column: Column, value: Any) -> None:
    import pandas as pd

    name = "s" if column is TEXT else "f"
    graph = Graph((name,))
    found = scorer(monkeypatch, graph, schema(column, **{"strings" if column is TEXT else "floats": name}))
    for predict in (
        lambda: found.predict_rows([(value,), (value,)]),
        lambda: found.predict_columns({column.name: [value, value]}),
        lambda: found.predict_frame(pd.DataFrame({column.name: [value, value]})),
    ):
        assert predict().shape == (2,)
        assert {key: fed.tolist() for key, fed in graph.fed.items()} == {name: [[value], [value]]}


def test_rows_give_each_input_its_cells_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    optional = Column(name="origin", type="string", nullable=True)
    columns = (TEXT, NUMBER, optional, Column(name="stops", type="integer"))
    graph = Graph(("s", "f"))
    found = scorer(monkeypatch, graph, schema(*columns, strings="s", floats="f"))
    found.predict_rows([("AA", 1.5, None, 2), ("UA", 2.5, "JFK", 0), ("DL", 0.5, "", 1)])
    assert graph.fed["s"].tolist() == [["AA", ""], ["UA", "JFK"], ["DL", ""]], "one text may be absent"
    assert graph.fed["f"].tolist() == [[1.5, 2], [2.5, 0], [0.5, 1]]


def test_columns_of_other_lengths_are_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scorer(monkeypatch, Graph(("s", "f")), schema(TEXT, NUMBER, strings="s", floats="f"))
    with pytest.raises(ValueError, match="argument 2"):
        found.predict_columns({"carrier": ["AA"], "distance": [1.0, 2.0]})
    with pytest.raises(InvalidInput):
        found.predict_columns({"carrier": ["AA"]})


def test_a_graph_comes_before_the_library_that_trained_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = schema(NUMBER, floats="f").model_copy(update={"library": SimpleNamespace()})
    monkeypatch.setattr(core, "read_schema", lambda _: described)
    monkeypatch.setattr(core, "OnnxScorer", lambda *_: "the graph")
    assert core.load(tmp_path) == "the graph"


def test_without_a_word_nobody_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops.serving.score import library

    given: list[Any] = []
    monkeypatch.setattr(library.LibraryScorer, "load", lambda *_, trusted: given.append(list(trusted)))
    described = schema(TEXT).model_copy(update={"library": SimpleNamespace()})
    monkeypatch.setattr(core, "read_schema", lambda _: described)
    core.load(artifact(tmp_path, {}))
    assert given == [[]]


@pytest.mark.parametrize("text", [None, "[1]", "{", "a: [", "\udcff"])
def test_what_describes_nothing_is_left_to_mlflow_to_tell(
    tmp_path: Path, loaded: list[Path], text: str | None
) -> None:
    (tmp_path / FILE).write_text(schema(TEXT).model_dump_json(), "utf-8")
    if text is not None:
        (tmp_path / "MLmodel").write_bytes(text.encode("utf-8", "surrogateescape"))
    core.load(tmp_path, digest=core.tree_digest(tmp_path))
    assert loaded == [tmp_path]
    with pytest.raises(IntegrityError):
        core.load(tmp_path)


def test_a_foreign_model_gets_a_copy_of_its_columns_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.pyfunc
    import pandas as pd
    import pyarrow as pa

    asked: list[Any] = []
    model = Foreign(None)
    monkeypatch.setattr(
        mlflow.pyfunc, "load_model", lambda *args, **named: asked.append((args, named)) or model
    )
    columns = (Column(name="late", type="boolean"), TEXT, NUMBER)
    found = core.PyfuncScorer(schema(*columns), Path("model"))
    assert asked == [(("model",), {"suppress_warnings": True})]
    frame = pd.DataFrame({"distance": [1, 2], "carrier": ["AA", None], "late": [True, False], "more": 1})
    for given in (frame, pa.Table.from_pandas(frame)):
        assert found.predict_frame(given).shape == (2,)
        assert {name: str(kind) for name, kind in model.asked.dtypes.items()} == {
            "late": "bool",
            "carrier": "object",
            "distance": "float32",
        }
        assert list(model.asked.columns) == ["late", "carrier", "distance"]
    assert str(frame["distance"].dtype) == "int64", "the caller's table is not touched"
    with pytest.raises(InvalidInput):
        found.predict_frame(frame.drop(columns="late"))
    monkeypatch.setattr(model, "predict", lambda _: (_ for _ in ()).throw(KeyError("seats\nat line 3")))
    with pytest.raises(TargetError) as caught:
        found.predict_frame(frame)
    assert "seats" in str(caught.value) and "failed" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError(" one\ntwo"), "one"),
        (ValueError(""), "ValueError"),
        (ValueError("  "), "ValueError"),
        (ValueError("x" * 500), "x" * 400),
    ],
)
def test_a_sentence_has_one_line_of_what_foreign_code_says(error: Exception, words: str) -> None:
    assert core.first_line(error) == words


def test_a_mount_says_how_many_artifacts_it_has(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        core.find_artifact(tmp_path)
    assert "no model artifact" in str(caught.value)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text("{}")
    with pytest.raises(InvalidInput) as caught:
        core.find_artifact(tmp_path)
    assert "2 model artifacts" in str(caught.value)


def test_a_sample_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b'{"a": "\xff"}', b"{"):
        (tmp_path / core.SAMPLE).write_bytes(content)
        with pytest.raises(InvalidInput):
            core.sample_rows(tmp_path)
