"""What is short is answered on the event loop; what is long must not keep probes and neighbours waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mlops.serving.http.deployment import INLINE_SECONDS, Loaded, Pace
from mlops.serving.score.core import Row, Scorer
from mlops.serving.score.request import Limits
from mlops.spec.schema import Column, ModelSchema

EACH = 1e-5
SCHEMA = ModelSchema(
    model="toy", task="regression", columns=[Column(name="text", type="string")], no_graph="text"
)


class Letters(Scorer):
    """Takes as long as there are letters, and up to twice that."""

    steady = True
    spread = 2

    def __init__(self) -> None:
        super().__init__(SCHEMA)
        self.asked: list[tuple[str, int]] = []

    def size(self, rows: Sequence[Row]) -> int:
        return sum(len(str(row[0])) for row in rows)

    def predict_rows(self, rows: Sequence[Row]) -> Any:
        here = threading.current_thread() is threading.main_thread()
        self.asked.append(("loop" if here else "thread", len(rows)))
        return np.zeros(len(rows))

    def predict_frame(self, frame: Any) -> Any:
        raise NotImplementedError


def asked(scorer: Letters, texts: list[str]) -> list[tuple[str, int]]:
    async def run() -> None:
        loaded = Loaded("blue", 1, scorer, Pace(0.0, EACH), Limits())
        done = [asyncio.get_running_loop().create_future() for _ in texts]
        for text, future in zip(texts, done, strict=True):
            loaded.submit([(text,)], future.set_result)
        answers = await asyncio.wait_for(asyncio.gather(*done), 10)
        assert all(len(answer) == 1 for answer in answers)
        loaded.close()

    asyncio.run(run())
    return scorer.asked


MOST = int(INLINE_SECONDS / 2 / EACH)


@pytest.mark.parametrize(("letters", "where"), [(1, "loop"), (MOST, "loop"), (MOST + 1, "thread")])
def test_a_long_text_is_answered_in_a_thread(letters: int, where: str) -> None:
    assert asked(Letters(), ["x" * letters]) == [(where, 1)]


def test_texts_are_answered_together_as_long_as_they_are_short_together() -> None:
    half = "x" * (MOST // 2)
    assert asked(Letters(), [half, half, half]) == [("loop", 2), ("loop", 1)]


def test_what_is_not_steady_is_answered_in_a_thread_however_short() -> None:
    scorer = Letters()
    scorer.steady = False
    assert asked(scorer, ["x"]) == [("thread", 1)]
