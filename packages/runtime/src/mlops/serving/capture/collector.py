"""Captured requests to Azure ML's data collector (`azureml-ai-monitoring`), which writes them to blobs.

Two collections, as Azure ML's monitors expect them: `model_inputs` with the model's columns and
`model_outputs` with `_prediction`, `_version` and `_deployment`. The collector's agent puts requests that
come close together into one event, whose correlation id is then that of one of them; so each row of both has
the request's id (`correlationid`, the name that Azure ML's documentation gives), its position within the
request (`_row`) and the time of the answer (`_time`) as columns. The collector samples each of the two for
itself and would tear pairs apart, so leave its `sampling_percentage` at 100 and sample by `sample_rate`. It
costs far more than files do: 0.05 or less.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mlops.errors import TargetError
from mlops.serving.capture.recorder import Record, Sink
from mlops.spec.capture import CaptureSettings

log = logging.getLogger("mlops.serving")

INPUTS = "model_inputs"
OUTPUTS = "model_outputs"
CORRELATION, ROW, TIME = "correlationid", "_row", "_time"
"""Columns of both collections, by which a row's two halves find each other."""
BACKLOG = 64
"""Payloads that may wait inside the collector. Its own bound is 1,500 of any size, which may be gigabytes."""
PATIENCE = 5.0
"""Seconds in which a collector that is behind must make room; until then rows wait in the endpoint's own
queue, which is bounded by bytes (`queue_megabytes`)."""
_LOOK = 0.01


class CollectorSink(Sink):
    """Both collections. Raises `TargetError` where the collector is not installed or not enabled."""

    def __init__(self, settings: CaptureSettings) -> None:
        try:
            from azureml.ai.monitoring import Collector
        except ImportError as error:
            raise TargetError(
                f"Azure ML's data collector is enabled, but {error.name} is not installed; the image of "
                "the deployment needs the dependency group `collector`"
            ) from None
        self._exclude = frozenset(settings.exclude)
        self._refusals: list[Exception] = []
        self._said = ""
        self._behind = False
        self._inputs: Any = Collector(name=INPUTS, on_error=self._refusals.append)
        self._outputs: Any = Collector(name=OUTPUTS, on_error=self._refusals.append)
        if self._refusals:
            raise TargetError(f"Azure ML's data collector does not start: {self._refusals[0]}")

    def add(self, group: Sequence[Record]) -> None:
        """Hand each request over, with one correlation id for what was asked and what was answered."""
        for record in group:
            rows = len(record.rows)
            if not self._room():
                self.dropped += rows
                self._say("it is behind; lower the sample rate")
                continue
            self._collect(record)
            if self._refusals:
                self.dropped += rows
                self._say(str(self._refusals[0]))
                self._refusals.clear()
            else:
                self.written += rows

    def flush(self, *, end: bool) -> None:
        """The collector sends by itself; at the end it gets no time: its host may be gone."""

    def _room(self) -> bool:
        """Whether both payloads of a request fit. A slow agent is waited for, one that hangs only once."""
        until = time.monotonic() + PATIENCE
        while _waiting() > BACKLOG - 2:
            if self._behind or time.monotonic() > until:
                self._behind = True
                return False
            time.sleep(_LOOK)
        self._behind = False
        return True

    def _collect(self, record: Record) -> None:
        import pandas as pd
        from azureml.ai.monitoring.context import BasicCorrelationContext

        origin = record.origin
        names = [c.name for c in origin.schema.columns]
        keys: dict[str, Any] = {
            CORRELATION: record.request_id,
            ROW: range(len(record.rows)),
            TIME: datetime.fromtimestamp(record.at, UTC).isoformat(timespec="microseconds"),
        }
        # As objects: beside a null, pandas would make floats of whole numbers, which have fewer digits.
        inputs = pd.DataFrame(list(record.rows), columns=names, dtype=object)
        inputs = inputs.drop(columns=[n for n in names if n in self._exclude]).assign(**keys)
        outputs = pd.DataFrame(
            {
                "_prediction": record.predictions.tolist(),
                "_version": origin.version,
                "_deployment": origin.deployment,
                **keys,
            }
        )
        context = BasicCorrelationContext(id=record.request_id, timestamp=int(record.at))
        self._inputs.collect(inputs, context)
        self._outputs.collect(outputs, context)

    def _say(self, reason: str) -> None:
        if reason != self._said:
            log.error("Azure ML's data collector drops rows: %s", reason)
        self._said = reason


def _waiting() -> int:
    from azureml.ai.monitoring.queue import get_queue

    queue = get_queue()
    return queue.length() if queue is not None else 0
