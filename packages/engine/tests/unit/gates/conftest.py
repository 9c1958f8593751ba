from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from mlops.lifecycle.decide import gates


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], list[dict[str, Any]]]]:
    """Sets the differences that resampling gives; answers how it was called."""
    calls: list[dict[str, Any]] = []

    def use(values: Any) -> list[dict[str, Any]]:
        def drawn(metric: str, one: Any, other: Any, **options: Any) -> Any:
            if metric == "brier":  # the champion's gate of `POLICY` asks for another metric
                calls.append({"metric": metric, "rows": one.rows, "others": other.rows, **options})
            return np.asarray(values, float)

        monkeypatch.setattr(gates, "paired_differences", drawn)
        return calls

    return use
