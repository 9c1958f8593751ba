"""Graphs of libraries beside scikit-learn: LightGBM and XGBoost by onnxmltools, CatBoost by itself.

A converter is registered when its library has been imported: no model can hold what nobody has imported.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlops.spec.parts import inside
from mlops.spec.schema import OnnxGraph

_CLASSIFIER = {"zipmap": [True, False, "columns"], "nocl": [True, False, "output_class_labels"]}
OPSETS = {"": 21, "ai.onnx.ml": 3}
"""The newest that the converters write."""


def register() -> dict[str, int] | None:
    """Tell skl2onnx of what was imported; the opsets to ask for, None when the choice is skl2onnx's own."""
    registered = [_LIBRARIES[name]() for name in _LIBRARIES if name in sys.modules]
    return OPSETS if any(registered) else None


def _lightgbm() -> bool:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

    _add(LGBMClassifier, "LightGbmLGBMClassifier", convert_lightgbm)
    _add(LGBMRegressor, "LightGbmLGBMRegressor", convert_lightgbm, {"split": None})
    return True


def _xgboost() -> bool:
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from xgboost import XGBClassifier, XGBRegressor

    _add(XGBClassifier, "XGBoostXGBClassifier", convert_xgboost)
    _add(XGBRegressor, "XGBoostXGBRegressor", convert_xgboost, {})
    return True


_LIBRARIES: dict[str, Callable[[], bool]] = {"lightgbm": _lightgbm, "xgboost": _xgboost}


def _add(kind: type, alias: str, convert: Any, options: dict[str, Any] | None = None) -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes

    classifies = options is None
    shape = (
        shapes.calculate_linear_classifier_output_shapes
        if classifies
        else shapes.calculate_linear_regressor_output_shapes
    )
    update_registered_converter(
        kind, alias, shape, convert, overwrite=True, options=_CLASSIFIER if classifies else options
    )


def ready(part: Any, down: Callable[[Any], Any]) -> None:
    """Prepare every foreign model in `part`, a copy, for its converter; `down` rounds down to float32."""
    for inner in inside(part):
        ready(inner, down)
    module = type(part).__module__
    if module.startswith("xgboost.") and getattr(part, "_Booster", None) is not None:
        # Its converter counts the columns and takes no names.
        booster = part.get_booster()
        booster.feature_names = booster.feature_types = None
    elif module.startswith("lightgbm.") and hasattr(part, "booster_"):
        _lower(part, down)


def _lower(model: Any, down: Callable[[Any], Any]) -> None:
    """Let a LightGBM model split at the largest float32 that is not above its own threshold.

    The graph rounds to the nearest: rounded up, a threshold between two neighbouring float32 values sends the
    larger one down the other branch.
    """
    import numpy as np
    from lightgbm import Booster

    def lowered(line: re.Match[str]) -> str:
        values = down(np.array(line.group(2).split(), dtype=np.float64))
        return line.group(1) + " ".join(f"{value:.17g}" for value in values)

    text = model.booster_.model_to_string()
    # The lengths of the trees have changed; without them LightGBM looks for where each one begins.
    text = re.sub(r"(?m)^tree_sizes=.*\n", "", text)
    model._Booster = Booster(model_str=re.sub(r"(?m)^(threshold=)(.+)$", lowered, text))


def of_catboost(model: Any, graph: OnnxGraph) -> bytes:
    """The graph that CatBoost writes, with the names of `graph`. Raises what it raises for categories."""
    import onnx

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        model.save_model(str(path), format="onnx")
        made = onnx.load(str(path))
    trees = made.graph.node[0]
    # Behind the trees of a classifier comes a list of dictionaries, which costs more than all trees.
    del made.graph.node[1:]
    trees.input[0], trees.output[-1] = graph.floats, graph.output
    made.graph.input[0].name = graph.floats
    width = 1 if len(trees.output) == 1 else len(model.classes_)
    del made.graph.output[:]
    made.graph.output.append(
        onnx.helper.make_tensor_value_info(graph.output, onnx.TensorProto.FLOAT, [None, width])
    )
    data: bytes = made.SerializeToString()
    return data


def renamed(model: Any, names: Mapping[str, str]) -> bytes:
    """A graph with other names for its inputs and outputs."""
    for node in model.graph.node:
        for several in (node.input, node.output):
            for place, name in enumerate(several):
                several[place] = names.get(name, name)
    for value in [*model.graph.input, *model.graph.output]:
        value.name = names.get(value.name, value.name)
    data: bytes = model.SerializeToString()
    return data


def behind(front: Any, network: Any, names: tuple[str, str], output: str) -> bytes:
    """`network` asked with what `front` gives; `names` are those of its input and its answer."""
    import onnx

    given, answer = names
    front.ir_version = network.ir_version
    ours = next(o.version for o in network.opset_import if o.domain in ("", "ai.onnx"))
    theirs = next(o.version for o in front.opset_import if o.domain in ("", "ai.onnx"))
    if ours != theirs:
        front = onnx.version_converter.convert_version(front, ours)
    merged = onnx.compose.merge_models(
        onnx.compose.add_prefix(front, "front_", rename_inputs=False),
        onnx.compose.add_prefix(network, "network_"),
        io_map=[(f"front_{front.graph.output[0].name}", f"network_{given}")],
    )
    return renamed(merged, {f"network_{answer}": output})
