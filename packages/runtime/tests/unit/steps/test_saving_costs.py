"""Saving a model lists no file of any package, and does not spread a few rows over threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_info

from mlops.serving.formats import as_installed
from mlops.steps import artifact
from tests.unit.steps.toy import toy_of


class Watched(LinearRegression):  # type: ignore[misc]
    """How many threads its predictions may use."""

    seen: set[int] = set()

    def predict(self, rows: Any) -> Any:
        """As ever."""
        self.seen |= {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}
        return super().predict(rows)


@pytest.mark.parametrize(("count", "expected"), [(60, {1}), (artifact._FEW_ROWS, {2})])
def test_a_few_rows_are_compared_in_one_thread(
    count: int, expected: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from threadpoolctl import threadpool_limits

    monkeypatch.setattr(Watched, "seen", set())
    rows = pd.DataFrame({"a": np.arange(count, dtype=np.float64)})
    model = Watched().fit(rows, rows.a)
    monkeypatch.setattr(artifact, "_save", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with threadpool_limits(2, "openmp"), pytest.raises(KeyboardInterrupt):
        artifact.save(tmp_path / "model", toy_of("regression", rows), model, rows)
    assert Watched.seen == expected


def test_requirements_that_are_what_is_installed_are_not_compared_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.utils import environment

    asked: list[Any] = []
    monkeypatch.setattr(environment, "warn_dependency_requirement_mismatches", asked.append)
    with as_installed():
        environment._process_pip_requirements([], ["numpy==0.1"])
    assert not asked
    environment._process_pip_requirements([], ["numpy==0.1"])
    assert len(asked) == 1, "whoever saves in another way is warned as ever"
