"""Classes of the use case travel with the model; a pickle is asked for, told, and loaded once it is verified.

A model whose class has changed since it was trained answers as nobody has tested. So the class that answers
is the one in the artifact, whatever the checkout has become.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops.errors import IntegrityError, InvalidInput
from mlops.serving.score import core
from mlops.serving.score.library import LibraryScorer
from mlops.spec.digest import tree_digest
from mlops.spec.schema import Task
from mlops.steps import artifact
from mlops.steps.estimators import fit, usable
from mlops.steps.opened import opened
from tests.unit.steps.toy import Toy, toy_of

SOURCE = '''
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from owned.link import link


class Counts(RegressorMixin, BaseEstimator):
    """A Poisson regression by ten steps of Newton."""

    def __init__(self, steps=10):
        self.steps = steps

    def fit(self, X, y):
        rows, labels = np.column_stack([np.ones(len(X)), np.asarray(X, float)]), np.asarray(y, float)
        self.weights_ = np.zeros(rows.shape[1])
        for _ in range(self.steps):
            mean = np.exp(rows @ self.weights_)
            hessian = rows.T @ (rows * mean[:, None]) + 1e-6 * np.eye(rows.shape[1])
            self.weights_ += np.linalg.solve(hessian, rows.T @ (labels - mean))
        return self

    def predict(self, X):
        rows = np.column_stack([np.ones(len(X)), np.asarray(X, float)])
        return link(rows @ self.weights_)
'''
LINK = "import numpy as np\n\n\ndef link(value):\n    return np.exp(np.clip(value, -20, 20)) * {}\n"


@pytest.fixture
def owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a use case with a class of its own, imported."""
    package = tmp_path / "src" / "owned"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text(SOURCE)
    (package / "link.py").write_text(LINK.format("1"))
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    yield package
    for name in [n for n in sys.modules if n.partition(".")[0] == "owned"]:
        del sys.modules[name]


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(200, 2)).astype("float32"), columns=list("ab"))


def trained(
    owned: Path, folder: Path, *, behind: bool = False, usecase: Any = None
) -> tuple[Any, pd.DataFrame]:
    from owned.model import Counts  # type: ignore[import-not-found]

    table = rows()
    model = make_pipeline(StandardScaler(), Counts()) if behind else Counts()
    model.fit(table, np.random.default_rng(1).poisson(np.exp(0.5 * table["a"])))
    artifact.save(folder, usecase or toy_of("regression", table), model, table, package="owned")
    return model, table


@pytest.mark.parametrize("behind", [False, True], ids=["bare", "in a pipeline"])
def test_an_own_class_is_served_without_a_word_in_trusted_types(
    owned: Path, tmp_path: Path, behind: bool
) -> None:
    model, table = trained(owned, tmp_path / "model", behind=behind)
    scorer = core.load(tmp_path / "model", digest=tree_digest(tmp_path / "model"))
    np.testing.assert_allclose(scorer.predict_frame(table), model.predict(table))
    library = scorer.schema.library
    assert library is not None and library.code == "code" and "owned.model.Counts" in library.trusted
    assert not scorer.schema.runs_code and list((tmp_path / "model").rglob("*.pkl")) == []


def test_the_class_that_answers_is_the_one_of_training(owned: Path, tmp_path: Path) -> None:
    first, table = trained(owned, tmp_path / "one")
    before = first.predict(table)
    digest = tree_digest(tmp_path / "one")
    (owned / "link.py").write_text(LINK.format("1000"))
    for name in [n for n in sys.modules if n.partition(".")[0] == "owned"]:
        del sys.modules[name]
    second, _ = trained(owned, tmp_path / "two")
    # Both versions in one process, as an endpoint has them while traffic moves.
    old = core.load(tmp_path / "one", digest=digest)
    new = core.load(tmp_path / "two", digest=tree_digest(tmp_path / "two"))
    np.testing.assert_allclose(old.predict_frame(table), before)
    np.testing.assert_allclose(new.predict_frame(table), second.predict(table))
    assert new.predict_frame(table).mean() > 100 * old.predict_frame(table).mean()
    assert type(second).__module__ == "owned.model" and sys.modules["owned"].__file__ == str(
        owned / "__init__.py"
    )
    assert tree_digest(tmp_path / "one") == digest, "loading writes nothing"


def test_it_loads_where_the_use_case_is_not(
    owned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image, which has the server and no use case."""
    model, table = trained(owned, tmp_path / "model")
    expected = model.predict(table)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(owned.parent)])
    for name in [n for n in sys.modules if n.partition(".")[0] == "owned"]:
        del sys.modules[name]
    scorer = core.load(tmp_path / "model", digest=tree_digest(tmp_path / "model"))
    np.testing.assert_allclose(scorer.predict_frame(table), expected)


def test_own_classes_are_not_run_before_they_are_verified(owned: Path, tmp_path: Path) -> None:
    _, table = trained(owned, tmp_path / "model")
    digest = tree_digest(tmp_path / "model")
    (tmp_path / "model" / "code" / "owned" / "link.py").write_text("raise SystemExit('run')\n")
    with pytest.raises(IntegrityError, match="runs Python"):
        core.load(tmp_path / "model", trusted=["owned.model.Counts"])
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        core.load(tmp_path / "model", digest=digest)
    schema = core.read_schema(tmp_path / "model")
    with pytest.raises(IntegrityError, match="runs Python"):
        LibraryScorer.load(schema, tmp_path / "model", trusted=[])
    assert len(table)


def test_a_class_of_another_package_still_needs_a_word(owned: Path, tmp_path: Path) -> None:
    from owned.model import Counts

    table = rows()
    model = Counts().fit(table, np.ones(len(table)))
    with pytest.raises(InvalidInput, match=r"owned\.model\.Counts, for which nobody vouches"):
        artifact.save(tmp_path / "model", toy_of("regression", table), model, table)


SHAPES = """
import numpy as np
import pandas as pd


class Plain:
    param_grid = {"a": 1}

    def fit(self, X, y):
        self.estimator = "mean"
        self.estimators_ = {"a": 1}
        return self

    def scores(self, X):
        return 1 / (1 + np.exp(-np.asarray(X, float).sum(axis=1)))

    def predict(self, X):
        return self.scores(X)

    def predict_proba(self, X):
        yes = self.scores(X)
        return np.column_stack([1 - yes, yes])

    def get_params(self):
        return {"n_jobs": 4}


class Table(Plain):
    def predict_proba(self, X):
        return pd.DataFrame(super().predict_proba(X), columns=["no", "yes"])

    def predict(self, X):
        return pd.Series(self.scores(X), index=range(7, 7 + len(X)))


class Lists(Plain):
    def predict_proba(self, X):
        return super().predict_proba(X).tolist()

    def predict(self, X):
        return self.scores(X)[:, None].tolist()
"""


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("name", ["Plain", "Table", "Lists"])
def test_a_class_need_not_be_made_from_scikit_learns(
    owned: Path, tmp_path: Path, name: str, task: Task
) -> None:
    """`fit` and `predict` are enough; what it calls its own things means nothing to anybody else."""
    (owned / "shapes.py").write_text(SHAPES)
    made = getattr(import_module("owned.shapes"), name)()
    table = rows()
    truth = np.where(table["a"] > 0, "yes", "no") if task == "binary" else table["a"]
    usecase, every = toy_of(task, table), table.assign(y=truth)
    fit(usecase, usable(made, task), table, every)
    artifact.save(tmp_path / "model", usecase, made, every, package="owned")
    scorer = core.load(tmp_path / "model", digest=tree_digest(tmp_path / "model"))
    np.testing.assert_allclose(scorer.predict_frame(table), made.scores(table), rtol=1e-6)
    np.testing.assert_allclose(
        scorer.predict_rows(list(table.head(3).itertuples(index=False, name=None))),
        made.scores(table.head(3)),
    )
    assert scorer.schema.classes == (["no", "yes"] if task == "binary" else [])


NAMED = """
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge


class Named(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.inner = Ridge().fit(X, y)
        return self

    def predict(self, X):
        return self.inner.predict(X)
"""


def test_what_scikit_learn_takes_for_unfitted_is_refused_with_the_way_out(
    owned: Path, tmp_path: Path
) -> None:
    """A pipeline looks for names that end in an underscore before it asks its last step."""
    (owned / "named.py").write_text(NAMED)
    table = rows()
    model = make_pipeline(StandardScaler(), import_module("owned.named").Named()).fit(table, table["a"])
    with pytest.raises(InvalidInput, match=r"not fitted yet.*names that end in '_'"):
        artifact.save(tmp_path / "model", toy_of("regression", table), model, table, package="owned")


class Pickled(Toy):
    pickled = True


def test_a_pickle_is_asked_for_told_and_verified(owned: Path, tmp_path: Path) -> None:
    usecase = Pickled("regression", {"a": "float32", "b": "float32"})
    model, table = trained(owned, tmp_path / "model", usecase=usecase)
    schema = core.read_schema(tmp_path / "model")
    assert schema.library is not None and schema.library.format == "pickle"
    assert schema.runs_code == "its file is a pickle"
    with pytest.raises(IntegrityError, match="a pickle"):
        core.load(tmp_path / "model")
    # A step of the pipeline that has just made it may; any other use case may not.
    np.testing.assert_allclose(opened(tmp_path / "model", usecase).predict_frame(table), model.predict(table))
    served = core.load(tmp_path / "model", digest=tree_digest(tmp_path / "model"))
    np.testing.assert_allclose(served.predict_frame(table), model.predict(table))
