"""A search space means here what it means on Azure ML, else the best trial is another one there."""

from __future__ import annotations

import math
import re
from importlib import metadata
from pathlib import Path
from statistics import fmean, median, pstdev

import pytest

from mlops.pipeline.sweep.space import SHAPES, Draw, Pick, shape_of


def _draws(raw: dict[str, object], count: int = 2001) -> list[float]:
    """Values at evenly spread draws."""
    shape = shape_of(raw)
    source = shape.source
    assert isinstance(source, Draw)
    low, high = (math.log(source.low), math.log(source.high)) if source.log else (source.low, source.high)
    points = [low + (high - low) * (i + 0.5) / count for i in range(count)]
    if source.whole:
        points = [round(p) for p in points]
    return [float(shape.value(math.exp(p) if source.log else p)) for p in points]


def test_every_shape_of_azure_ml_is_known() -> None:
    # Read and not imported, which would take seconds.
    module = metadata.distribution("azure-ai-ml").locate_file("azure/ai/ml/sweep/__init__.py")
    public = re.findall(r'^    "(\w+)",$', Path(str(module)).read_text(encoding="utf-8"), re.MULTILINE)
    theirs = {name.lower() for name in public if name.lower() in SHAPES}
    named = {
        n.lower() for n in public if n in ("Choice", "Randint", "Normal") or "Uniform" in n or "Normal" in n
    }
    assert theirs == set(SHAPES) == named


def test_ends_of_loguniform_are_exponents() -> None:
    values = _draws({"type": "loguniform", "min_value": -2, "max_value": 1})
    assert math.exp(-2) <= min(values) < 0.14
    assert 2.7 < max(values) <= math.exp(1)
    assert median(values) == pytest.approx(math.exp(-0.5), rel=1e-6)


@pytest.mark.parametrize(
    ("raw", "allowed"),
    [
        ({"type": "quniform", "min_value": 1, "max_value": 2, "q": 0.25}, {1, 1.25, 1.5, 1.75, 2}),
        ({"type": "qloguniform", "min_value": 0, "max_value": 2, "q": 2}, {0, 2, 4, 6, 8}),
        ({"type": "randint", "upper": 3}, {0, 1, 2}),
    ],
)
def test_quantised(raw: dict[str, object], allowed: set[float]) -> None:
    values = set(_draws(raw))
    assert values <= allowed
    assert len(values) >= len(allowed) - 1


def test_ends_of_quniform_are_drawn_half_as_often() -> None:
    values = _draws({"type": "quniform", "min_value": 0, "max_value": 4, "q": 1}, 4000)
    assert values.count(0) * 2 == pytest.approx(values.count(2), abs=2)


def test_quantised_values_are_short() -> None:
    assert 0.3 in _draws({"type": "quniform", "min_value": 0, "max_value": 1, "q": 0.1})


@pytest.mark.parametrize("kind", ["normal", "lognormal", "qnormal", "qlognormal"])
def test_normal_shapes(kind: str) -> None:
    raw: dict[str, object] = {"type": kind, "mu": 1, "sigma": 0.5}
    if kind.startswith("q"):
        raw["q"] = 0.01
    values = _draws(raw)
    logs = [math.log(v) for v in values] if "log" in kind else values
    assert fmean(logs) == pytest.approx(1, abs=0.01)
    assert pstdev(logs) == pytest.approx(0.5, rel=0.02)


def test_choice_keeps_types() -> None:
    shape = shape_of({"type": "choice", "values": [1, "a", True]})
    assert isinstance(shape.source, Pick)
    assert [shape.value(v) for v in shape.source.values] == [1, "a", True]
