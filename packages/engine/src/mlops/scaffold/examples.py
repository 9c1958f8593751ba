"""Real data sets that come with scikit-learn, one a task: something true to run until yours is there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlops.scaffold.kinds import Example, Kind

EXAMPLES: Mapping[str, Example] = {
    "binary": Example(
        loader="load_breast_cancer",
        title="Breast cancer Wisconsin (diagnostic)",
        question="is a tumour benign, told from what a microscope measured?",
        target="benign",
        license="CC BY 4.0",
        rows=569,
        metric="roc_auc",
        direction="higher",
        max_drop=0.03,
        parity=0.00001,
        limits={"roc_auc": "{min: 0.9}", "brier": "{max: 0.15}"},
    ),
    "multiclass": Example(
        loader="load_wine",
        title="Wine recognition",
        question="which of three growers made a wine, told from its chemistry?",
        target="grower",
        license="CC BY 4.0",
        rows=178,
        metric="f1_macro",
        direction="higher",
        max_drop=0.1,
        parity=0.00001,
        limits={"accuracy": "{min: 0.8}", "log_loss": "{max: 0.6}"},
    ),
    "regression": Example(
        loader="load_diabetes",
        title="Diabetes",
        question="how far does a patient's diabetes progress within a year?",
        target="progression",
        license="public, Efron et al. 2004",
        rows=442,
        metric="mae",
        direction="lower",
        max_drop=10,
        parity=0.01,
        limits={"r2": "{min: 0.2}", "mae": "{max: 65}", "bias": "{min: -15, max: 15}"},
        options=", scaled=False",
    ),
}


def example_of(kind: Kind, task: str) -> Example:
    """The data that a new model of this kind starts with, with the names of its columns."""
    example = kind.examples.get(task) or EXAMPLES[task]
    return example.model_copy(update={"columns": _columns(example)}) if example.loader else example


def _columns(example: Example) -> list[str]:
    """Column names as the model's signature has them: lower case, words joined by underscores."""
    import sklearn.datasets

    options = {"scaled": False} if example.options else {}
    names = getattr(sklearn.datasets, example.loader)(**options).feature_names
    return [re.sub(r"[^a-z0-9]+", "_", str(name).lower()) for name in names]
