"""Every estimator of scikit-learn under columns of every kind: what answers for it, and that it is right.

The table of all of them: `python -m tests.unit.steps.every_estimator`.
"""

from __future__ import annotations

import inspect
import io
import logging
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops import columns as kinds_of_columns
from mlops.errors import InvalidInput
from mlops.pictures import Pixels
from mlops.serving.score.core import OnnxScorer, load
from mlops.serving.score.request import RequestError, RequestParser
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema, Task
from mlops.steps import artifact
from mlops.steps.estimators import usable
from tests.unit.steps.toy import Toy, toy_of

ROWS = 160
TOLERANCE = 2e-5
NOT_FOR_A_TABLE = {
    "MultiOutputClassifier", "MultiOutputRegressor", "ClassifierChain", "RegressorChain",
    "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV",
    "CCA", "PLSCanonical", "IsotonicRegression",
}  # fmt: skip
"""Several targets, or one column only: no task of this template."""


@dataclass(frozen=True)
class Case:
    """One model: an estimator behind a preprocessing of columns."""

    name: str
    columns: str
    recipe: str

    def __str__(self) -> str:
        return f"{self.name}-{self.columns}-{self.recipe}"


COLUMNS: Mapping[str, tuple[str, ...]] = {
    "numbers": ("n", "d"),
    "nullable": ("n", "gap", "K"),
    "mixed": ("n", "k", "b", "g"),
    "all": ("n", "gap", "k", "K", "b", "B", "g", "h"),
    "text": ("t",),
    "image": ("p",),
}
"""Kinds of columns by the name of the set; see `frame`."""
RECIPES: Mapping[str, tuple[str, ...]] = {
    "numbers": ("bare", "scaled"),
    "nullable": ("bare", "imputed"),
    "mixed": ("one-hot", "ordinal"),
    "all": ("one-hot",),
    "text": ("words",),
    "image": ("pixels",),
}


def frame(columns: str, seed: int = 0) -> pd.DataFrame:
    """Rows with the columns of a set: n, d numbers; gap, K, B may be null; k whole, b true; g, h, t text;
    p images."""
    rng = np.random.default_rng(seed)
    words = np.array(["red", "Green", "don't", "naïve", "x1", "blue", "Of"])
    made = {
        "n": rng.normal(size=ROWS).astype("float32"),
        "d": rng.normal(size=ROWS),
        "gap": pd.Series(rng.normal(size=ROWS).astype("float32")).mask(rng.random(ROWS) < 0.2),
        "k": rng.integers(0, 9, ROWS),
        "K": pd.Series(pd.array(rng.integers(0, 9, ROWS), dtype="Int64")).mask(rng.random(ROWS) < 0.2),
        "b": rng.random(ROWS) < 0.5,
        "B": pd.Series(pd.array(rng.random(ROWS) < 0.5, dtype="boolean")).mask(rng.random(ROWS) < 0.2),
        "g": rng.choice(np.array(["a", "b", "c"], dtype=object), ROWS),
        "h": rng.choice(np.array(["x", "y", None], dtype=object), ROWS),
        "t": np.array([" ".join(rng.choice(words, 5)) for _ in range(ROWS)], dtype=object),
    }
    if columns == "image":
        made["p"] = [picture(shades, "PNG") for shades in rng.integers(0, 256, (ROWS, 4, 6))]
    return pd.DataFrame({name: made[name] for name in COLUMNS[columns]})


def picture(shades: Any, kind: str) -> bytes:
    """A file with these shades of grey."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.broadcast_to(shades, (4, 6)).astype(np.uint8)).save(file, kind)
    return file.getvalue()


def contract(case: Case, task: Task, rows: pd.DataFrame) -> Any:
    """A use case for the columns of `case`."""
    if case.columns == "image":
        return Toy(task, {"p": kinds_of_columns.image(width=6, height=4, mode="L")})
    return toy_of(task, rows, nullable(case.columns))


def _signal(case: Case, rows: pd.DataFrame) -> Any:
    """A number a row that the labels follow."""
    if case.columns == "image":
        return Pixels(width=6, height=4).transform(rows).mean(axis=1) * 10
    return (rows.iloc[:, 0].map(len) if case.columns == "text" else pd.to_numeric(rows["n"])).to_numpy(
        dtype=float
    )


def nullable(columns: str) -> list[str]:
    """The columns of a set that may be null; "nullable" has one that was never null in training."""
    found = {"gap", "K", "B", "h"} | ({"n"} if columns == "nullable" else set())
    return [name for name in COLUMNS[columns] if name in found]


def behind(estimator: Any, case: Case) -> Any:
    """`estimator` behind the case's preprocessing."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    if case.recipe == "bare":
        return estimator
    if case.recipe == "scaled":
        return make_pipeline(StandardScaler(), estimator)
    if case.recipe == "imputed":
        return make_pipeline(SimpleImputer(), StandardScaler(), estimator)
    names = COLUMNS[case.columns]
    if case.recipe == "pixels":
        return make_pipeline(Pixels(width=6, height=4), estimator)
    if case.recipe == "words":
        return make_pipeline(
            ColumnTransformer([("t", TfidfVectorizer(), "t")], sparse_threshold=0), estimator
        )
    texts = [name for name in names if name in "gh"]
    encoder: Any = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    if case.recipe == "ordinal":
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        )
    rest = make_pipeline(SimpleImputer(), StandardScaler())
    others = [name for name in names if name not in texts]
    return make_pipeline(ColumnTransformer([("c", encoder, texts), ("n", rest, others)]), estimator)


def made(kind: Any, task: Task) -> Any:
    """An estimator with as few arguments as it takes, small."""
    from sklearn.linear_model import LogisticRegression, Ridge

    inner: Any = Ridge() if task == "regression" else LogisticRegression()
    known = inspect.signature(kind).parameters
    given: dict[str, Any] = {}
    for name in ("estimator", "base_estimator"):
        if name in known and known[name].default is inspect.Parameter.empty:
            given[name] = inner
    if "estimators" in known:
        given["estimators"] = [("one", inner), ("two", type(inner)())]
    if "param_grid" in known or "param_distributions" in known:
        given["param_grid" if "param_grid" in known else "param_distributions"] = {}
    small: dict[str, Any] = {"n_estimators": 8, "random_state": 0, "max_iter": 100}
    tiny = {"GaussianProcessRegressor": {"alpha": 0.1}, "RANSACRegressor": {"min_samples": 20}}
    given |= {name: value for name, value in small.items() if name in known and name not in given}
    return kind(**given, **tiny.get(kind.__name__, {}))


def estimators(task: Task) -> dict[str, Any]:
    """Every classifier or regressor of scikit-learn that has one target."""
    from sklearn.utils import all_estimators

    of = "regressor" if task == "regression" else "classifier"
    return {name: kind for name, kind in all_estimators(type_filter=of) if name not in NOT_FOR_A_TABLE}


def cases(task: Task) -> Iterator[Case]:
    for name in estimators(task):
        for columns, recipes in RECIPES.items():
            for recipe in recipes:
                yield Case(name, columns, recipe)


def tried(case: Case, task: Task, folder: Path) -> tuple[str, str]:
    """How the case ends: `graph`, `library`, `refused` (with the sentence), or `different`: a bug."""
    rows = frame(case.columns)
    rng = np.random.default_rng(1)
    value = np.abs(_signal(case, rows) + rng.normal(0, 0.1, ROWS)) + 0.5
    cuts = np.quantile(value, [0.5] if task == "binary" else [0.3, 0.6])
    truth: Any = value if task == "regression" else np.digitize(value, cuts)
    try:
        model = usable(behind(made(estimators(task)[case.name], task), case), task)
        model.fit(rows, truth)
    except (InvalidInput, ValueError, TypeError) as error:
        return "refused", f"{type(error).__name__}: {str(error)[:160]}"
    try:
        schema = artifact.save(folder, contract(case, task, rows), model, rows)
    except InvalidInput as error:
        return "refused", str(error)[:240]
    scorer = load(folder, digest=tree_digest(folder))
    for problem in _differences(scorer, schema, model, case, task):
        return "different", problem
    return ("graph" if isinstance(scorer, OnnxScorer) else "library"), schema.no_graph


def _differences(scorer: Any, schema: ModelSchema, model: Any, case: Case, task: Task) -> Iterator[str]:
    """Rows that nobody drew while the model was saved: other values, other mixtures, other gaps."""
    parser = RequestParser(schema)
    names = list(COLUMNS[case.columns])
    later = frame(case.columns, seed=7).head(60)
    rng = np.random.default_rng(3)
    odd = {
        "n": [0.25, -3.5, 1e4, None], "d": [1e-9, 2.0**-30, 1 / 3, -7.1], "gap": [None, 3.25, -1e5],
        "k": [0, 8, 77, -5, 2**40], "K": [None, 3, 10**6], "b": [True, False], "B": [None, True],
        "g": ["a", "zz", "", "A"], "h": [None, "", "x", "nan"],
        "p": [picture(0, "PNG"), picture(255, "BMP"), picture(np.arange(24).reshape(4, 6) * 10, "JPEG")],
        "t": ["", "RED red", "İ ß", "naïve naïve", "q" * 3000],
    }  # fmt: skip
    import msgspec

    from mlops.steps.latency import rows_of

    for base in rows_of(schema, later, 60):
        row = tuple(
            odd[name][int(rng.integers(len(odd[name])))] if rng.random() < 0.4 else cell
            for name, cell in zip(names, base, strict=True)
        )
        try:
            (read,) = parser.parse(
                msgspec.json.encode({"input_data": {"columns": names, "data": [row]}}), "score"
            )
        except RequestError:
            continue
        seen = pd.DataFrame({n: _column(n, v) for n, v in zip(names, read, strict=True)})
        truth = np.asarray(
            model.predict(seen) if task == "regression" else model.predict_proba(seen), dtype=float
        )
        truth = truth[:, 1] if task == "binary" else truth
        got = np.asarray(scorer.predict_rows([read]), dtype=float)
        if not np.allclose(got.ravel(), truth.ravel(), rtol=TOLERANCE, atol=TOLERANCE):
            yield f"{read}: served {got}, trained {truth}"


def _column(name: str, value: Any) -> Any:
    """One cell as training had its column, made without the code under test."""
    if name in "ghtp":
        return pd.Series([value], dtype=object)
    kinds = {
        "n": "float32",
        "d": "float64",
        "gap": "float32",
        "k": "int64",
        "K": "Int64",
        "b": "bool",
        "B": "boolean",
    }
    return pd.Series([np.nan if value is None and name in ("n", "gap") else value]).astype(kinds[name])


def main() -> int:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    count: dict[str, Counter[str]] = {}
    found: list[str] = []
    chosen: list[Task] = ["binary", "multiclass", "regression"]
    for task in [t for t in chosen if t in sys.argv[1:] or not sys.argv[1:]]:
        for case in cases(task):
            with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
                try:
                    end, why = tried(case, task, Path(folder) / "model")
                except Exception as error:  # noqa: BLE001 - the table goes on, and says so
                    end, why = "crashed", repr(error)[:300]
            count.setdefault(f"{task} {case.columns} {case.recipe}", Counter())[end] += 1
            sys.stdout.write(f"{end:9} {task} {case}: {' '.join(why.split())}\n")
            sys.stdout.flush()
            if end in ("different", "crashed"):
                found.append(f"{task} {case}: {why}")
    kinds = ("graph", "library", "refused", "different", "crashed")
    for row, ends in count.items():
        sys.stdout.write(f"| {row} | {' | '.join(str(ends[kind]) for kind in kinds)} |\n")
    sys.stdout.write("\n".join(found) + "\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
