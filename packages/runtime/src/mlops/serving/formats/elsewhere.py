"""What an MLflow model that somebody else made would run when it is loaded, found without loading it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mlops.serving.formats.vouched import refused

_PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill")
_LOADERS = ("mlflow.onnx", "mlflow.sklearn", "mlflow.lightgbm", "mlflow.xgboost", "mlflow.catboost")
"""Flavours that were read: they load data, when it is a graph, a file of skops, or as `_READS` says."""
_READS = {
    "lightgbm": ("model_class", ("lightgbm.basic.Booster",)),
    "xgboost": ("model_class", ("xgboost.core.Booster", "xgboost.sklearn.XGB")),
    "catboost": ("model_type", ("CatBoost",)),
}
"""By flavour: the key that says which class reads the file, and how the name of one begins that only reads.
For any other MLflow reads a pickle, or makes what the name says."""


def code_in(folder: Path, described: dict[str, Any], trusted: Collection[str] = ()) -> list[str]:
    """What would run, in words; empty when loading makes only types that somebody vouches for.

    `described` is the content of MLmodel, `trusted` are types that this repository names. The list of
    trusted types that MLmodel brings along counts for nothing: whoever wrote the model wrote the list.
    """
    sentences = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in _PICKLES]
    flavors = {name: value if isinstance(value, dict) else {} for name, value in described["flavors"].items()}
    function = flavors.get("python_function", {})
    if any(function.get(key) for key in ("code", "python_model", "model_code_path")):
        sentences.append("Python code of its own")
    if any(folder.rglob("*.py")):
        sentences.append("Python code of its own")
    loader = function.get("loader_module")
    if loader is not None and loader not in _LOADERS:
        sentences.append(f"the loader {loader}")
    for name, (key, known) in _READS.items():
        # Without a word about it, MLflow takes the class that reads.
        made = str(flavors.get(name, {}).get(key, known[0]))
        if not (made.startswith(known) and made.rpartition(".")[2].isidentifier()):
            sentences.append(f"{name} as {made}")
    scikit = flavors.get("sklearn", {})
    # Without a word about it, MLflow reads a pickle.
    form = scikit.get("serialization_format", "pickle")
    if (scikit or loader == "mlflow.sklearn") and form != "skops":
        sentences.append(f"sklearn as {form}")
    elif scikit or loader == "mlflow.sklearn":
        named = {scikit.get("pickled_model"), function.get("model_path"), function.get("data")} - {None}
        files = {folder / str(name) for name in named} | set(folder.rglob("*.skops"))
        for path in sorted(p for p in files if p.is_file()):
            sentences += [
                f"{path.relative_to(folder).as_posix()} makes {kind}" for kind in _foreign(path, trusted)
            ]
    return sorted(set(sentences))


def _foreign(path: Path, trusted: Collection[str]) -> list[str]:
    from skops import io

    try:
        return refused(io.get_untrusted_types(file=path), trusted)
    # A broken or hostile file: whatever skops makes of it, it must not be loaded.
    except Exception as error:  # noqa: BLE001
        return [f"what skops cannot read ({type(error).__name__})"]
