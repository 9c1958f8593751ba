"""The example's model, trained as every release is, and the month after its training as the test set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.harness import Example


@pytest.fixture(scope="session")
def example(raw_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Trained on January to March 2013; the test set is the whole of April. Read only."""
    from flights import usecase
    from mlops.spec.window import Window
    from mlops.steps.artifact import save

    folder = tmp_path_factory.mktemp("example") / "model"
    names = list(usecase.contract().columns)
    train = usecase.features(raw_flights, Window.parse("2013-01..2013-03"))
    estimator = usecase.build({}).fit(train[names], train[usecase.target])
    save(folder, usecase, estimator, train[names])
    test = usecase.features(raw_flights, Window.parse("2013-04..2013-04"))[names].reset_index(drop=True)
    return Example(folder, test, estimator.predict_proba(test)[:, 1])
