"""Types that a skops file may name: reviewed here, never read from the model's own files.

skops refuses what it does not know, and it knows little of what scikit-learn's own estimators are made of. A
type is vouched for when making one from any state whatever, and calling it on rows, runs no code but its own:

- every class of scikit-learn (its estimators, trees, kernels, scorers), but of the modules in `_NOT`;
- functions of scikit-learn that compute and do nothing else, by their modules in `_PURE`;
- the few of NumPy, SciPy, Python, LightGBM, XGBoost and CatBoost in `REVIEWED`.

Not vouched for, on purpose: `scipy.stats` distributions execute a text of their own state when they are
loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

REVIEWED = frozenset(
    {
        "builtins.object",  # a type to select columns by
        "catboost.core.CatBoost",  # here and below, of these libraries: reads its own format
        "catboost.core.CatBoostClassifier",
        "catboost.core.CatBoostRanker",
        "catboost.core.CatBoostRegressor",
        "collections.OrderedDict",
        "collections.defaultdict",  # what makes its values is judged by its own name
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRanker",
        "lightgbm.sklearn.LGBMRegressor",
        "mlops.networks.NetworkClassifier",  # its module is judged by its own name, its weights are numbers
        "mlops.networks.NetworkRegressor",
        "mlops.pictures.Pixels",  # reads images by Pillow
        "mlops.pretrained.OnnxEncoder",  # runs a graph by ONNX Runtime
        "functools.partial",  # holds a function, which is judged by its own name
        "numpy.dtype",
        "numpy.clip",
        "numpy.generic",
        "numpy.mean",
        "numpy.nan_to_num",
        "numpy.number",
        "numpy.round",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",  # of BSpline
        "scipy.interpolate._bsplines.BSpline",  # SplineTransformer: arrays of knots and coefficients
        *(  # arrays of numbers and their places: rows that neighbours and kernels keep
            f"scipy.sparse._{form}.{form}_{kind}"
            for form in ("bsr", "coo", "csc", "csr", "dia")
            for kind in ("array", "matrix")
        ),
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRanker",
        "xgboost.sklearn.XGBRegressor",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
    }
)
"""Beside scikit-learn: each was read, and takes numbers and gives numbers, or reads its own format."""

_PURE = (
    "sklearn.cluster._kmeans.",
    "sklearn.feature_selection._mutual_info.",
    "sklearn.feature_selection._univariate_selection.",
    "sklearn.metrics._classification.",
    "sklearn.metrics._ranking.",
    "sklearn.metrics._regression.",
    "sklearn.metrics.pairwise.",
    "sklearn.utils.validation.check_array",
)
_NOT = {"conftest", "datasets", "externals", "tests", "_testing", "estimator_checks"}
"""Parts of scikit-learn that read files, fetch, or run what they are given."""


def refused(names: Iterable[str], further: Iterable[str] = ()) -> list[str]:
    """Those of `names` that nobody vouches for; `further` are types that the repository itself names."""
    own = set(further)
    return sorted(name for name in names if name not in own and not _vouched(name))


def _vouched(name: str) -> bool:
    if name in REVIEWED or name.startswith(_PURE):
        return True
    module, _, attribute = name.rpartition(".")
    if not module.startswith("sklearn.") or _NOT & set(module.split(".")):
        return False
    try:
        return isinstance(getattr(import_module(module), attribute, None), type)
    except ImportError:
        return False
