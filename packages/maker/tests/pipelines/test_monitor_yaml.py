"""`monitor.yml` means the same to Azure ML's own loader and to `mlops monitor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from mlops.monitoring.thresholds import PREDICTIONS, load_thresholds, monitor_path
from mlops.pipeline import lint

ROOT = Path(__file__).parents[4]
PATH = ROOT / monitor_path("flights")


@pytest.fixture(scope="module")
def theirs():
    from azure.ai.ml.entities._load_functions import load_schedule

    return load_schedule(PATH).create_monitor


def test_both_read_the_same_thresholds(theirs):
    assert lint(PATH) == []
    ours = load_thresholds(ROOT, "flights")
    for name, rules in (("quality", ours.quality), ("drift", ours.drift), ("predictions", ours.prediction)):
        assert rules is not None
        signal = theirs.monitoring_signals[name]
        for kind, limits in rules.limits.items():
            found = getattr(signal.metric_thresholds, kind)
            set_there = {k: v for k, v in vars(found).items() if v is not None} if found else {}
            if name == "predictions" and not set_there:
                assert limits == PREDICTIONS[kind], "what a file leaves out has limits of ours"
                continue
            assert set_there == dict(limits), f"{name}.{kind}"


def test_both_look_at_the_same_features_and_days(theirs):
    ours = load_thresholds(ROOT, "flights")
    assert ours.drift is not None
    assert tuple(theirs.monitoring_signals["drift"].features) == ours.drift.features
    for signal in theirs.monitoring_signals.values():
        assert signal.production_data.data_window.lookback_window_size == f"P{ours.lookback.days}D"
    assert asdict(ours)["lookback"].days == 7


def test_the_target_is_the_endpoint_that_environments_name(theirs):
    assert theirs.monitoring_target.ml_task.lower() == "classification"
    assert theirs.monitoring_target.endpoint_deployment_id == "azureml:flights-prod:blue"
