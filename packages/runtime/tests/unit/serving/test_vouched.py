"""A skops file makes only types that somebody has read; its own folder has no say in that.

MLflow writes the list of trusted types into MLmodel and reads it from there: whoever writes a model writes
the list, and a function of his choice runs when the model is loaded or asked.
"""

from __future__ import annotations

import functools
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops.errors import InvalidInput, MlopsError
from mlops.serving.formats.elsewhere import code_in
from mlops.serving.formats.vouched import refused
from mlops.serving.score import core


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Path, Path]:
    """A model that MLflow loads without a word, and the file that it writes when it is asked."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.dummy import DummyRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    rows = pd.DataFrame(np.ones((4, 2)), columns=["a", "b"])
    step = FunctionTransformer()
    model = make_pipeline(step, DummyRegressor()).fit(rows, [1.0, 2, 3, 4])
    mark = tmp_path / "mark.txt"
    step.func = functools.partial(np.savetxt, str(mark))
    mlflow.sklearn.save_model(
        model, str(tmp_path / "model"), serialization_format="skops", pip_requirements=[],
        signature=infer_signature(rows, np.ones(4)),
        skops_trusted_types=["functools.partial", "numpy.savetxt"],
    )  # fmt: skip
    return tmp_path / "model", mark


def described(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text())
    return found


def test_the_models_own_list_of_trusted_types_counts_for_nothing(hostile: tuple[Path, Path]) -> None:
    folder, mark = hostile
    assert code_in(folder, described(folder)) == ["model.skops makes numpy.savetxt"]
    columns = [{"name": name, "type": "number"} for name in "ab"]
    schema: dict[str, Any] = {"model": "toy", "task": "regression", "columns": columns}
    (folder / "serving.json").write_text(json.dumps(schema))
    with pytest.raises(MlopsError, match="run code"):
        core.load(folder)
    library = {"format": "sklearn", "dtypes": {"a": "float64", "b": "float64"}, "trusted": ["numpy.savetxt"]}
    (folder / "serving.json").write_text(json.dumps({**schema, "library": library}))
    with pytest.raises(MlopsError, match="run code"):
        core.load(folder)
    assert not mark.exists()


def test_a_type_that_the_repository_names_is_no_code(hostile: tuple[Path, Path]) -> None:
    folder, _ = hostile
    assert code_in(folder, described(folder), trusted=["numpy.savetxt"]) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"sklearn": {}}, "sklearn as pickle"),
        ({"sklearn": {"serialization_format": "cloudpickle"}}, "sklearn as cloudpickle"),
        ({"python_function": {"loader_module": "os"}}, "the loader os"),
        ({"python_function": {"loader_module": "mlflow.pyfunc.model"}}, "the loader mlflow.pyfunc.model"),
    ],
)
def test_what_mlflow_would_load_by_another_way_is_code(
    hostile: tuple[Path, Path], changes: Any, found: str
) -> None:
    folder, _ = hostile
    mlmodel = described(folder)
    flavors = {**mlmodel["flavors"], **changes}
    assert found in code_in(folder, {**mlmodel, "flavors": flavors}, ["numpy.savetxt"])


def test_a_file_under_another_name_is_looked_into(hostile: tuple[Path, Path]) -> None:
    folder, _ = hostile
    (folder / "model.skops").rename(folder / "weights.bin")
    mlmodel = described(folder)
    mlmodel["flavors"]["python_function"]["model_path"] = "weights.bin"
    assert code_in(folder, mlmodel) == ["weights.bin makes numpy.savetxt"]


def test_every_estimator_of_scikit_learn_is_vouched_for_and_none_of_its_doors() -> None:
    from sklearn.utils import all_estimators

    names = [f"{kind.__module__}.{kind.__qualname__}" for _, kind in all_estimators()]
    assert len(names) > 150 and refused(names) == []
    doors = [
        "sklearn.datasets._base.load_files",
        "sklearn.datasets._openml.fetch_openml",
        "sklearn.datasets._svmlight_format_io.dump_svmlight_file",
        "sklearn.utils._joblib.Parallel",
        "sklearn.externals._packaging.version.Version",
        "sklearn.model_selection._validation.cross_validate",
        "sklearn.utils.fixes.threadpool_info",
        "numpy.savetxt",
        "numpy.fromfile",
        "builtins.eval",
        "os.system",
        "sklearn.nothing.Such",
        "scipy.stats._continuous_distns.reciprocal_gen",
    ]
    assert set(doors) - set(refused(doors)) <= {"sklearn.utils._joblib.Parallel"}


def test_functions_that_are_vouched_for_open_no_files() -> None:
    """The modules whose functions count as pure; a new one must be read first."""
    from importlib import import_module

    from mlops.serving.formats.vouched import _PURE

    for name in _PURE:
        if not name.endswith("."):
            continue
        source = inspect.getsource(import_module(name.removesuffix(".")))
        doors = (" open(", "subprocess", "os.system", "eval(", "exec(", "import_module")
        assert not [door for door in doors if door in source], name


def test_a_model_that_names_its_own_types_is_not_registered(
    hostile: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops.lifecycle.train import register
    from mlops.lifecycle.train.lineage import Checkout

    register_external = register.register_external
    monkeypatch.setattr(register, "checkout", lambda _: Checkout("c" * 40, "main", False, "Ada"))
    folder, mark = hostile
    nobody: Any = object()
    with pytest.raises(InvalidInput, match=r"numpy\.savetxt"):
        register_external(folder.parent, nobody, folder, "toy", task="regression")
    columns = [{"name": name, "type": "number"} for name in "ab"]
    library = {"format": "sklearn", "dtypes": {"a": "float64", "b": "float64"}, "trusted": ["numpy.savetxt"]}
    own = {"model": "toy", "task": "regression", "columns": columns, "library": library}
    (folder / "serving.json").write_text(json.dumps(own))
    with pytest.raises(InvalidInput, match=r"library\.trusted"):
        register_external(folder.parent, nobody, folder, "toy", allow_pickle=True)
    assert not mark.exists()
