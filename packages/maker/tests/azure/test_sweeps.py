"""The sweep that runs on a laptop runs on Azure ML: the same file, a best trial that can be taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.spec.settings import load_settings
from mlops.targets.azure import open_azure
from mlops.targets.base import TrialResult
from tests.azure import tiny
from tests.azure.emulator import Emulator


def test_a_sweep_is_submitted_as_it_is(tracked: Emulator, tmp_path: Path):
    sweep = tiny.make(tmp_path / "repository").with_name("sweep.yml")
    root = tmp_path / "repository"
    target = open_azure(root, load_settings(root))
    assert target.sweeps is not None
    target.data.push("tiny")
    told: list[TrialResult] = []

    def run(**inputs: str):
        return target.sweeps.run(
            sweep, inputs, {"mlops.commit": "c"}, trials=3, workers=2, progress=told.append
        )

    with pytest.raises(InvalidInput, match="boni"):
        run(boni="2")
    assert not tracked.calls("PUT", "/jobs/")

    result = run(bonus="10")
    (put,) = [e.request.json["properties"] for e in tracked.calls("PUT", "/jobs/")]
    assert put["searchSpace"] == {"x": ["choice", [[1, 2, 3, 4, 5, 6]]]}
    assert (put["limits"]["maxTotalTrials"], put["limits"]["maxConcurrentTrials"]) == (3, 2)
    assert [t.state for t in result.trials] == ["finished"] * 3
    best = result.best
    assert best is not None
    assert best.value == best.values["x"] + 10 == max(t.value or 0 for t in result.trials)
    assert {t.number for t in told} == {0, 1, 2}
    assert result.url.startswith("https://ml.azure.com/runs/")
