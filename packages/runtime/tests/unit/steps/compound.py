"""Models that are made of several: ensembles of pipelines, targets transformed, parts that people write.

Each is saved, loaded and asked by every shell, for rows that nobody drew while it was saved. Not every model
stands behind every preparation: each of both meets a few of the other.
The table of all of them: `python -m tests.unit.steps.compound`.
"""

from __future__ import annotations

import io
import logging
import sys
import tempfile
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mlops.errors import InvalidInput
from mlops.serving.batch.batch_file import predicted
from mlops.serving.score.core import OnnxScorer, Scorer, load
from mlops.serving.score.request import RequestError, RequestParser
from mlops.serving.score.rows import batches, body
from mlops.spec.admits import cell_array
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema, Task
from mlops.spec.tasks import is_values
from mlops.steps import artifact
from mlops.steps.estimators import usable
from tests.unit.steps.toy import toy_of

sys.path.append(str(Path(__file__).parent / "written"))
own_parts: Any = import_module("own_parts")
"""What a use case has in `src/<model>`."""
ROWS = 160
TOLERANCE = 2e-5
NULLABLE = ("gap", "K", "h", "w")
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
Make = Callable[[Any], Any]


@dataclass(frozen=True)
class Case:
    """A model behind a preparation."""

    model: str
    preparation: str
    task: Task

    def __str__(self) -> str:
        return f"{self.task}-{self.model}-{self.preparation}"


Trial = Callable[[Case, Path], tuple[str, str]]
"""Saves, loads and asks a case, in a folder; how it ended, and why."""


def frame(seed: int = 0) -> pd.DataFrame:
    """Rows of every kind that a table has: n, d numbers; gap, K, h, w may be null; k whole, b true; g, h
    categories; t text; v, w moments."""
    rng = np.random.default_rng(seed)
    words = np.array(["red", "Green", "don't", "naïve", "x1", "blue", "Of"])
    first = pd.Timestamp("2024-01-01")
    return pd.DataFrame(
        {
            "n": rng.normal(size=ROWS).astype("float32"),
            "d": rng.normal(size=ROWS) * 50,
            "gap": pd.Series(rng.normal(size=ROWS).astype("float32")).mask(rng.random(ROWS) < 0.2),
            "k": rng.integers(0, 9, ROWS),
            "K": pd.Series(pd.array(rng.integers(0, 9, ROWS), dtype="Int64")).mask(rng.random(ROWS) < 0.2),
            "b": rng.random(ROWS) < 0.5,
            "g": rng.choice(np.array(["a", "b", "c"], dtype=object), ROWS),
            "h": rng.choice(np.array(["x", "y", None], dtype=object), ROWS),
            "t": np.array([" ".join(rng.choice(words, 5)) for _ in range(ROWS)], dtype=object),
            "v": first + pd.to_timedelta(rng.integers(0, 9000, ROWS), unit="h"),
            "w": pd.Series(first + pd.to_timedelta(rng.integers(0, 10**9, ROWS), unit="ms")).mask(
                rng.random(ROWS) < 0.2
            ),
        }
    ).astype({"v": "datetime64[ns]", "w": "datetime64[ns]"})


def labels(task: Task, rows: pd.DataFrame) -> Any:
    """What there is to learn."""
    value = np.abs(
        rows["n"] + 0.3 * rows["k"] + (rows["g"] == "a") + np.random.default_rng(1).normal(0, 0.1, ROWS)
    )
    value = value.to_numpy(dtype=float) + 0.5
    if task == "regression":
        return value
    return np.digitize(value, np.quantile(value, [0.5] if task == "binary" else [0.3, 0.6]))


# --- preparations: each a list of columns, and what makes numbers of them --------------------------------


def _columns(*parts: tuple[Any, list[str] | str], **options: Any) -> Any:
    from sklearn.compose import ColumnTransformer

    return ColumnTransformer([(f"p{i}", part, names) for i, (part, names) in enumerate(parts)], **options)


def preparations() -> Mapping[str, tuple[tuple[str, ...], Make]]:
    import sklearn.preprocessing as p
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next import possible
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
    from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif, f_regression
    from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline, make_union

    def filled() -> Any:
        return make_pipeline(SimpleImputer(), p.StandardScaler())

    def best(task: Task) -> Any:
        return SelectKBest(f_regression if task == "regression" else f_classif, k=3)

    ordinal = {"handle_unknown": "use_encoded_value", "unknown_value": -1, "encoded_missing_value": -2}
    return {
        "sparse": (
            ("n", "gap", "g", "h"),
            lambda task: _columns(
                (p.OneHotEncoder(handle_unknown="ignore"), ["g", "h"]),
                (filled(), ["n", "gap"]),
                sparse_threshold=1.0,
            ),
        ),
        "rare": (
            ("n", "g", "h"),
            lambda task: _columns(
                (
                    p.OneHotEncoder(
                        handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False
                    ),
                    ["g", "h"],
                ),
                (p.RobustScaler(), ["n"]),
            ),
        ),
        "ordinal": (
            ("n", "gap", "g", "h"),
            lambda task: _columns(
                (p.OrdinalEncoder(**ordinal, min_frequency=5), ["g", "h"]),
                (SimpleImputer(strategy="median"), ["n", "gap"]),
            ),
        ),
        "target": (
            ("n", "k", "g", "h"),
            lambda task: _columns(
                (p.TargetEncoder(target_type="continuous" if task == "regression" else "auto"), ["g", "h"]),
                ("passthrough", ["n", "k"]),
            ),
        ),
        "function": (
            ("n", "d", "k"),
            lambda task: make_pipeline(
                _columns(
                    (p.FunctionTransformer(np.log1p), ["k"]), (p.FunctionTransformer(np.tanh), ["n", "d"])
                ),
                p.StandardScaler(),
            ),
        ),
        "own function": (
            ("n", "d", "k"),
            lambda task: make_pipeline(
                p.FunctionTransformer(own_parts.ratios, kw_args={"by": 3.0}), p.StandardScaler()
            ),
        ),
        "words and numbers": (
            ("n", "gap", "t"),
            lambda task: _columns((TfidfVectorizer(sublinear_tf=True), "t"), (filled(), ["n", "gap"])),
        ),
        "letters": (
            ("t", "k"),
            lambda task: make_pipeline(
                _columns(
                    (CountVectorizer(analyzer="char_wb", ngram_range=(1, 2)), "t"),
                    (HashingVectorizer(n_features=16, alternate_sign=False), "t"),
                    ("passthrough", ["k"]),
                    sparse_threshold=1.0,
                ),
                p.MaxAbsScaler(),
                TruncatedSVD(5, random_state=0),
            ),
        ),
        "moments": (
            ("n", "v", "w"),
            lambda task: make_pipeline(
                _columns((own_parts.Moments(), ["v", "w"]), ("passthrough", ["n"])),
                SimpleImputer(),
                p.StandardScaler(),
            ),
        ),
        "moments by function": (
            ("n", "v"),
            lambda task: _columns((p.FunctionTransformer(own_parts.hours), ["v"]), ("passthrough", ["n"])),
        ),
        "table within": (
            ("n", "gap", "K", "b"),
            lambda task: make_pipeline(SimpleImputer(), p.StandardScaler(), best(task)).set_output(
                transform="pandas"
            ),
        ),
        "union": (
            ("n", "d", "k"),
            lambda task: make_union(
                PCA(2, random_state=0),
                p.PolynomialFeatures(2),
                make_pipeline(p.StandardScaler(), VarianceThreshold()),
            ),
        ),
        "shapes": (
            ("n", "d", "k"),
            lambda task: _columns(
                (p.QuantileTransformer(n_quantiles=20, random_state=0), ["n"]),
                (p.PowerTransformer(), ["d"]),
                (p.KBinsDiscretizer(4, encode="onehot", quantile_method="averaged_inverted_cdf"), ["d"]),
                (p.SplineTransformer(4, degree=2), ["k"]),
            ),
        ),
        "neighbours": (
            ("n", "gap", "k"),
            lambda task: make_pipeline(KNNImputer(n_neighbors=3), p.Normalizer()),
        ),
        "iterated": (
            ("n", "gap", "K"),
            lambda task: make_union(
                IterativeImputer(random_state=0, max_iter=3), MissingIndicator(features="all")
            ),
        ),
        "own class": (("n", "d", "g"), lambda task: make_pipeline(own_parts.Means("g"), p.StandardScaler())),
    }


def _models() -> Mapping[str, Make]:
    import sklearn.ensemble as e
    import sklearn.linear_model as lin
    import sklearn.tree as trees
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler
    from sklearn.svm import SVC, SVR, LinearSVC

    def linear(task: Task) -> Any:
        return lin.Ridge() if task == "regression" else lin.LogisticRegression(max_iter=300)

    def pick(of_numbers: Any, of_classes: Any) -> Make:
        return lambda task: of_numbers() if task == "regression" else of_classes()

    def named(task: Task) -> list[tuple[str, Any]]:
        tree = trees.DecisionTreeRegressor if task == "regression" else trees.DecisionTreeClassifier
        return [
            ("line", make_pipeline(StandardScaler(with_mean=False), linear(task))),
            ("tree", tree(max_depth=3, random_state=0)),
        ]

    def targets(**how: Any) -> Make:
        return lambda task: TransformedTargetRegressor(lin.Ridge(), **how)

    return {
        "linear": linear,
        "forest": pick(
            lambda: e.RandomForestRegressor(8, random_state=0),
            lambda: e.RandomForestClassifier(8, random_state=0),
        ),
        "stacking": lambda task: (e.StackingRegressor if task == "regression" else e.StackingClassifier)(
            named(task), linear(task), cv=3, passthrough=True
        ),
        "voting": pick(
            lambda: e.VotingRegressor(named("regression")),
            lambda: e.VotingClassifier(named("binary"), voting="soft"),
        ),
        "bagging of pipelines": lambda task: (
            e.BaggingRegressor if task == "regression" else e.BaggingClassifier
        )(make_pipeline(StandardScaler(with_mean=False), linear(task)), 4, max_features=0.7, random_state=0),
        "boosted": pick(
            lambda: e.AdaBoostRegressor(n_estimators=5, random_state=0),
            lambda: e.AdaBoostClassifier(n_estimators=5, random_state=0),
        ),
        "searched": lambda task: GridSearchCV(
            make_pipeline(StandardScaler(with_mean=False), linear(task)),
            {("ridge__alpha" if task == "regression" else "logisticregression__C"): [0.1, 1.0]},
            cv=3,
        ),
        "neighbours": pick(
            lambda: KNeighborsRegressor(3, weights="distance"),
            lambda: KNeighborsClassifier(3, weights="distance"),
        ),
        "network": pick(
            lambda: MLPRegressor(hidden_layer_sizes=(5,), max_iter=80, random_state=0),
            lambda: MLPClassifier(hidden_layer_sizes=(5,), max_iter=80, random_state=0),
        ),
        "kernel": pick(SVR, lambda: CalibratedClassifierCV(SVC(), cv=3, ensemble=False)),
        "trivial": pick(
            lambda: DummyRegressor(strategy="quantile", quantile=0.3),
            lambda: DummyClassifier(strategy="prior"),
        ),
        "own estimator": pick(own_parts.Level, own_parts.Share),
        "own ensemble": pick(
            lambda: own_parts.Mean([("a", lin.Ridge()), ("b", trees.DecisionTreeRegressor(max_depth=3))]),
            own_parts.Share,
        ),
        # Of one task alone.
        "log of the target": targets(func=np.log1p, inverse_func=np.expm1),
        "ranks of the target": targets(
            transformer=QuantileTransformer(n_quantiles=20, output_distribution="normal")
        ),
        "own scale of the target": targets(func=own_parts.root, inverse_func=own_parts.square),
        "counts": lambda task: lin.PoissonRegressor(),
        "tweedie": lambda task: lin.TweedieRegressor(power=1.5, link="log"),
        "quantile": lambda task: e.GradientBoostingRegressor(loss="quantile", alpha=0.9, n_estimators=10),
        "isotonic": lambda task: CalibratedClassifierCV(
            e.RandomForestClassifier(5, random_state=0), method="isotonic", cv=3
        ),
        "calibrated margins": lambda task: CalibratedClassifierCV(LinearSVC(), cv=3),
        "one against the rest": lambda task: OneVsRestClassifier(
            make_pipeline(StandardScaler(with_mean=False), linear(task))
        ),
        "threshold": lambda task: TunedThresholdClassifierCV(linear(task), cv=3),
        "naive": lambda task: GaussianNB(),
    }


OF_NUMBERS = (
    "log of the target", "ranks of the target", "own scale of the target", "counts", "tweedie", "quantile",
)  # fmt: skip
OF_CLASSES = ("isotonic", "calibrated margins", "one against the rest", "threshold", "naive")


def cases() -> Iterator[Case]:
    """Each preparation before three models, each model behind three preparations, in turn by task."""
    behind = list(preparations())
    models = list(_models())
    found = dict.fromkeys(
        Case(model, preparation, TASKS[(at + turn) % 3])
        for at, preparation in enumerate(behind)
        for turn, model in enumerate(("linear", "forest", "stacking"))
    )
    for at, model in enumerate(models):
        for turn in range(3):
            task = _task(model, TASKS[(at + turn) % 3])
            found[Case(model, behind[(3 * at + 5 * turn) % len(behind)], task)] = None
    yield from found


def _task(model: str, wanted: Task) -> Task:
    """What is nearest to `wanted` that the model can do."""
    if model in OF_NUMBERS:
        return "regression"
    return "binary" if model == "threshold" or (model in OF_CLASSES and wanted == "regression") else wanted


def prepared(case: Case) -> tuple[pd.DataFrame, Any]:
    """The training rows of a case, and what makes numbers of them."""
    names, prepare = preparations()[case.preparation]
    return frame()[list(names)], prepare(case.task)


def tried(case: Case, folder: Path) -> tuple[str, str]:
    """How the case ends: `graph`, `library`, `refused` (with the sentence), or `different`: a bug."""
    from sklearn.pipeline import make_pipeline

    rows, prepare = prepared(case)
    names = list(rows)
    made = _models()[case.model](case.task)
    try:
        model = usable(make_pipeline(prepare, made), case.task)
        model.fit(rows, labels(case.task, frame()))
    except (InvalidInput, ValueError, TypeError) as error:
        return "refused", f"fit: {type(error).__name__}: {str(error)[:200]}"
    toy = toy_of(case.task, rows, [name for name in NULLABLE if name in names])
    try:
        schema = artifact.save(folder, toy, model, rows, package="own_parts")
    except InvalidInput as error:
        return "refused", str(error)[:300]
    scorer = load(folder, digest=tree_digest(folder))

    def truth(seen: pd.DataFrame) -> Any:
        if case.task == "regression":
            return model.predict(seen)
        return model.predict_proba(seen)[:, 1] if case.task == "binary" else model.predict_proba(seen)

    for problem in different(scorer, schema, truth):
        return "different", problem
    return ("graph" if isinstance(scorer, OnnxScorer) else "library"), schema.no_graph


ODD: Mapping[str, list[Any]] = {
    "n": [0.25, -3.5, 1e4], "d": [1e-9, 2.0**-30, 1 / 3, -7.1], "gap": [None, 3.25, -1e5],
    "k": [0, 8, 77, 2**40], "K": [None, 3, 10**6], "b": [True, False], "g": ["a", "zz", "", "A"],
    "h": [None, "", "x", "nan"], "t": ["", "RED red", "İ ß", "naïve naïve", "q" * 300, "12, \"x\"\ny"],
    "v": ["1970-01-01", "2024-02-29T23:59:59.999999999", "2100-01-01"],
    "w": [None, "2024-03-01T12:30:00", "1999-12-31T23:59:59.000001"],
}  # fmt: skip


def _asked(schema: ModelSchema, names: list[str]) -> list[Any]:
    """Rows that the endpoint admits and nobody drew while the model was saved."""
    from mlops.steps.latency import rows_of

    parser, rng, found = RequestParser(schema), np.random.default_rng(3), []
    for base in rows_of(schema, frame(seed=7)[names].head(60), 60):
        row = [
            ODD[name][int(rng.integers(len(ODD[name])))] if rng.random() < 0.4 else cell
            for name, cell in zip(names, base, strict=True)
        ]
        try:
            found += parser.parse(
                msgspec.json.encode({"input_data": {"columns": names, "data": [row]}}), "score"
            )
        except RequestError:
            continue
    return found


def different(scorer: Scorer, schema: ModelSchema, ask: Make) -> Iterator[str]:
    """Where a shell answers otherwise than `ask`, which gives the trained model's answers to a table."""
    names = [column.name for column in schema.columns]
    rows = _asked(schema, names)
    assert len(rows) > 10, "the contract admits next to nothing"
    seen = pd.DataFrame({n: _column(n, v) for n, v in zip(names, zip(*rows, strict=True), strict=True)})
    truth = np.asarray(ask(seen), dtype=float)
    scale = float(np.abs(truth).max()) if is_values(schema.task) else 1.0
    alone = [scorer.predict_rows([row])[0] for row in rows]
    table = pa.table(
        {
            c.name: cell_array(c, values)
            for c, values in zip(schema.columns, zip(*rows, strict=True), strict=True)
        }
    )
    ways = {"one by one": alone, "many at once": scorer.predict_rows(rows)}
    with tempfile.TemporaryDirectory() as folder:
        for name, write in {"rows.parquet": pq.write_table, "rows.csv": _csv}.items():
            path = Path(folder) / name
            write(table, path)
            ways[f"batch of {name}"] = np.concatenate(
                [predicted(scorer, batch) for batch in batches(schema, path)]
            )
            sent = RequestParser(schema).parse(msgspec.json.encode(body(schema, path)), "score")
            ways[f"score of {name}"] = scorer.predict_rows(sent)
    for way, answers in ways.items():
        got = np.asarray(answers, dtype=float).reshape(truth.shape)
        apart = np.abs(got - truth).reshape(len(rows), -1).max(axis=1)
        if not (apart <= TOLERANCE * max(scale, 1.0)).all():
            at = int(np.nan_to_num(apart, nan=np.inf).argmax())
            yield f"{way}, {rows[at]}: served {got[at]}, trained {truth[at]}"


def _csv(table: Any, path: Path) -> None:
    """As the reader's own page has it: an empty field is null, a quoted one an empty text."""
    file = io.StringIO()
    file.write(",".join(table.column_names) + "\n")
    for row in table.to_pylist():
        file.write(",".join(map(_field, row.values())) + "\n")
    path.write_text(file.getvalue(), encoding="utf-8", newline="")


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return (
        str(value).lower()
        if isinstance(value, bool)
        else repr(value)
        if isinstance(value, float)
        else str(value).replace(" ", "T")
    )


def _column(name: str, values: Any) -> Any:
    """Cells as training had their column, made without the code under test."""
    kinds = {"n": "float32", "d": "float64", "gap": "float32", "k": "int64", "K": "Int64", "b": "bool"}
    if name in "vw":
        return pd.Series([pd.NaT if v is None else pd.Timestamp(v) for v in values], dtype="datetime64[ns]")
    if name in "ght":
        return pd.Series(list(values), dtype=object)
    return pd.Series([np.nan if v is None and name == "gap" else v for v in values]).astype(kinds[name])


def ended(trial: Trial, case: Case, folder: Path) -> str:
    """How one case ended: answered as trained, or refused with a sentence."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        end, why = trial(case, folder)
    assert end != "different", f"{case}: {why}"
    assert end == "graph" or why, f"{case} is {end} without a word"
    return end


def table(matrix: Iterable[Case], trial: Trial) -> int:
    """A line a case; 1 when any answers otherwise or ends in an error of its own."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    bad = 0
    for case in matrix:
        with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
            try:
                end, why = trial(case, Path(folder) / "model")
            except Exception as error:  # noqa: BLE001 - the table goes on, and says so
                end, why = "crashed", repr(error)[:400]
        bad += end in ("different", "crashed")
        sys.stdout.write(f"{end:9} {case}: {' '.join(why.split())}\n")
        sys.stdout.flush()
    return bool(bad)


if __name__ == "__main__":
    sys.exit(table(cases(), tried))
