"""Models that give several answers a row (labels, values), and those without a truth: clusters and novelties.

The same rows, preparations and shells as in `compound`.
The table of all of them: `python -m tests.unit.steps.several`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops.errors import InvalidInput
from mlops.serving.score.core import OnnxScorer, load
from mlops.spec.digest import tree_digest
from mlops.spec.schema import Task
from mlops.steps import artifact
from mlops.steps.estimators import fit, usable
from tests.unit.steps.compound import (
    NULLABLE,
    Case,
    different,
    frame,
    labels,
    preparations,
    prepared,
    table,
)
from tests.unit.steps.toy import Toy, toy_of

LABELS = ("dark", "rich", "strong")
Make = Callable[[], Any]


def usecase(task: Task, rows: pd.DataFrame) -> Any:
    """A use case for these rows that says what its task needs besides."""
    made: Any = toy_of(task, rows, [name for name in NULLABLE if name in rows])
    if task == "custom":
        made.outputs = ("one", "two")
    return made


def target(task: Task) -> pd.Series[Any]:
    """What there is to learn of each row of `frame()`."""
    value = labels("regression", frame())
    if task == "multilabel":
        rng = np.random.default_rng(5)
        marks = np.c_[value > np.median(value), rng.random(len(value)) < 0.4, frame()["k"] > 4]
        return pd.Series([[n for n, has in zip(LABELS, row, strict=True) if has] for row in marks])
    if task == "custom":
        return pd.Series(np.c_[value, -value + frame()["k"]].tolist())
    return pd.Series(value)


def models() -> Mapping[tuple[Task, str], Make]:
    """By task and name."""
    import sklearn.ensemble as e
    import sklearn.linear_model as lin
    import sklearn.multioutput as several
    import sklearn.tree as trees
    from sklearn.cluster import KMeans
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.mixture import GaussianMixture
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import OneClassSVM

    def logistic() -> Any:
        return lin.LogisticRegression(max_iter=300)

    many: dict[str, Make] = {
        "chain": lambda: several.ClassifierChain(logistic(), order=[2, 0, 1]),
        "chain of trees": lambda: several.ClassifierChain(trees.DecisionTreeClassifier(max_depth=3)),
        "each": lambda: several.MultiOutputClassifier(logistic()),
        "each boosted": lambda: several.MultiOutputClassifier(
            e.HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5)
        ),
        "rest": lambda: OneVsRestClassifier(logistic()),
        "forest": lambda: e.RandomForestClassifier(8, random_state=0),
        "extra trees": lambda: e.ExtraTreesClassifier(8, random_state=0),
        "tree": lambda: trees.DecisionTreeClassifier(max_depth=4, random_state=0),
        "neighbours": lambda: KNeighborsClassifier(3),
        "network": lambda: MLPClassifier(hidden_layer_sizes=(6,), max_iter=60, random_state=0),
    }
    values: dict[str, Make] = {
        "ridge": lin.Ridge,
        "lasso of tasks": lambda: lin.MultiTaskLasso(0.01),
        "net of tasks": lambda: lin.MultiTaskElasticNet(0.01),
        "chain": lambda: several.RegressorChain(lin.Ridge()),
        "each boosted": lambda: several.MultiOutputRegressor(
            e.GradientBoostingRegressor(n_estimators=5, random_state=0)
        ),
        "forest": lambda: e.RandomForestRegressor(8, random_state=0),
        "tree": lambda: trees.DecisionTreeRegressor(max_depth=4, random_state=0),
        "neighbours": lambda: KNeighborsRegressor(3, weights="distance"),
        "network": lambda: MLPRegressor(hidden_layer_sizes=(6,), max_iter=60, random_state=0),
        "least squares of parts": lambda: PLSRegression(2),
        "scaled targets": lambda: TransformedTargetRegressor(lin.Ridge(), transformer=StandardScaler()),
    }
    numbers: dict[str, Make] = {
        "clusters": lambda: KMeans(3, n_init=2, random_state=0),
        "mixture": lambda: GaussianMixture(2, random_state=0, reg_covar=1e-2),
        "novelty": lambda: OneClassSVM(nu=0.1),
        "isolation": lambda: e.IsolationForest(n_estimators=10, random_state=0),
    }
    return {
        **{("multilabel", name): make for name, make in many.items()},
        **{("custom", name): make for name, make in values.items()},
        **{("regression", name): make for name, make in numbers.items()},
    }


def cases() -> Iterator[Case]:
    """Each model behind two preparations, one after the other."""
    # What looks at one target cannot be fitted on a table of them.
    of_one = ("target", "table within", "own class")
    behind = [name for name in preparations() if name not in of_one]
    for at, (task, model) in enumerate(models()):
        for turn in (0, 5):
            yield Case(model, behind[(2 * at + turn) % len(behind)], task)


def tried(case: Case, folder: Path) -> tuple[str, str]:
    """As `compound.tried`."""
    from sklearn.pipeline import make_pipeline

    rows, prepare = prepared(case)
    made: Toy = usecase(case.task, rows)
    truth = target(case.task)
    training = rows.assign(**{made.target: truth})
    try:
        model = usable(make_pipeline(prepare, models()[case.task, case.model]()), case.task)
        fit(made, model, rows, training)
    except (InvalidInput, ValueError, TypeError) as error:
        return "refused", f"fit: {type(error).__name__}: {str(error)[:200]}"
    try:
        schema = artifact.save(folder, made, model, training, package="own_parts")
    except InvalidInput as error:
        return "refused", str(error)[:300]
    scorer = load(folder, digest=tree_digest(folder))
    for problem in different(scorer, schema, lambda seen: _asked(model, case.task, seen)):
        return "different", problem
    return ("graph" if isinstance(scorer, OnnxScorer) else "library"), schema.no_graph


def _asked(model: Any, task: Task, seen: pd.DataFrame) -> Any:
    if task != "multilabel":
        return model.predict(seen)
    told = model.predict_proba(seen)
    return np.stack([one[:, -1] for one in told], axis=1) if isinstance(told, list) else told


if __name__ == "__main__":
    sys.exit(table(cases(), tried))
