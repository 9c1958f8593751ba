"""Constant requests to an endpoint while a rollout happens, so that the analysis has something to judge."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from mlops.errors import TargetError
from mlops.targets.base import Endpoints

RATE = 400.0
"""Requests a second, over all threads."""
_THREADS = 4


class Traffic:
    """Sends one row after another until the block ends; counts answers and failures."""

    def __init__(self, endpoints: Endpoints, env: str, model: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.answered = 0
        self.failed = 0
        self.reasons: set[str] = set()
        self._endpoints, self._env, self._model = endpoints, env, model
        self._rows = itertools.cycle(rows)
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(_THREADS)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No request is under way when this returns; stopping twice is no error."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        pause = _THREADS / RATE
        due = time.monotonic()
        while not self._stop.is_set():
            with self._guard:
                row = next(self._rows)
            try:
                self._endpoints.score(self._env, self._model, row)
            except TargetError as refusal:
                with self._guard:
                    self.failed += 1
                    self.reasons.add(str(refusal))
            else:
                with self._guard:
                    self.answered += 1
            due = max(due + pause, time.monotonic() - 1.0)
            self._stop.wait(max(0.0, due - time.monotonic()))
