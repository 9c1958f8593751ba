"""Does a deployment answer the release's own input sample, completely and with meaningful numbers?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops.errors import IntegrityError

SAMPLE = "sample.json"


def read_sample(artifact: Path) -> dict[str, Any]:
    """`{"input_data": {"columns": […], "data": [[…]], …}}`; raises `IntegrityError` without rows."""
    path = artifact / SAMPLE
    try:
        sample = json.loads(path.read_text(encoding="utf-8"))
        rows = sample["input_data"]["data"]
    except FileNotFoundError:
        raise IntegrityError(
            f"the artifact has no {SAMPLE}; register the model again with `mlops train`"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{SAMPLE} of the artifact is not an input sample ({error!r})") from None
    if not rows:
        raise IntegrityError(f"{SAMPLE} of the artifact has no rows")
    return sample  # type: ignore[no-any-return]


def single_rows(sample: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The sample's rows, each as a request of its own, over and over."""
    data = sample["input_data"]
    while True:
        for row in data["data"]:
            yield {"input_data": {"columns": data["columns"], "index": [0], "data": [row]}}


def complaint(sample: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """What is wrong with the answer to the sample; empty when it has one finite result per row."""
    rows = len(sample["input_data"]["data"])
    predictions = answer.get("predictions")
    if not isinstance(predictions, list):
        return f"the answer has no list of predictions, but {', '.join(sorted(answer)) or 'nothing'}"
    if len(predictions) != rows:
        return f"{len(predictions)} predictions for {rows} rows"
    for index, value in enumerate(predictions):
        if not all(_meaningful(v) for v in (value if isinstance(value, list) else [value])):
            return f"prediction {index} is {value!r}"
    return ""


def numbers(answer: Mapping[str, Any]) -> list[float]:
    """One number a prediction: itself, or the last of its probabilities. Text has none."""
    values = []
    for value in answer.get("predictions") or []:
        number = value[-1] if isinstance(value, list) and value else value
        if isinstance(number, int | float):
            values.append(float(number))
    return values


def _meaningful(value: Any) -> bool:
    if isinstance(value, bool | str):
        return True
    return isinstance(value, int | float) and math.isfinite(value)
