"""A model that its own library answers: on the rows as training had them, in one thread a call."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import IntegrityError, TargetError
from mlops.serving.formats import RUNS_CODE, Answer, open_model
from mlops.serving.score.core import Predictions, Row, Scorer, first_line
from mlops.serving.score.inputs import Inputs
from mlops.serving.score.own_code import imported_from
from mlops.spec.schema import FILE, Library, ModelSchema
from mlops.spec.tasks import asked_as

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class LibraryScorer(Scorer):
    """`answer` on what `serving.json` says of the training rows."""

    def __init__(self, schema: ModelSchema, library: Library, answer: Answer) -> None:
        super().__init__(schema)
        self._by_characters = bool(getattr(answer, "by_characters", False)) and library.columns
        # Numbers, or texts of which each character costs the same: anything else takes as long as it takes.
        self.steady = library.arrays or self._by_characters
        # The shortest words are the most.
        self.spread = 4 if self._by_characters else 1
        self._inputs = Inputs(schema, library)
        self._answer = answer

    @classmethod
    def load(
        cls, schema: ModelSchema, folder: Path, *, trusted: Collection[str] | None = None
    ) -> LibraryScorer:
        """The saved model. `trusted` are types to trust beside those of the format; None means those that
        `serving.json` names: only for an artifact that was verified, or has just been made.

        Raises `TargetError` when it does not load, `IntegrityError` when it would run what is not verified.
        """
        library = schema.library
        if library is None:
            raise TargetError(f"model {schema.model}: {FILE} names no library that could answer")
        if trusted is not None and (library.code is not None or library.format in RUNS_CODE):
            raise IntegrityError(
                f"{folder} holds a model whose loading runs Python (a pickle, or classes of its use case); "
                "name its digest so that it can be verified first"
            )
        further = library.trusted if trusted is None else sorted(trusted)
        with imported_from(folder / library.code) if library.code is not None else nullcontext():
            return cls(schema, library, open_model(folder, library.format, asked_as(schema.task), further))

    def size(self, rows: Sequence[Row]) -> int:
        if not self._by_characters:
            return len(rows)
        return len(rows) + sum(len(cell) for row in rows for cell in row if isinstance(cell, str))

    def predict_rows(self, rows: Sequence[Row]) -> Predictions:
        return self._call(self._inputs.of_rows, rows, len(rows))

    def predict_frame(self, frame: pd.DataFrame | pa.Table | pa.RecordBatch) -> Predictions:
        table: Any = frame
        is_pandas = hasattr(table, "iloc")
        self._require(table.columns if is_pandas else table.schema.names)
        return self._call(self._inputs.of_table, table, len(table) if is_pandas else table.num_rows)

    def as_it_is(self, table: Any) -> Predictions:
        """Ask with `table` untouched. Raises what the library raises."""
        return self._shaped(self._answer(table), len(table))

    def _call(self, make: Any, given: Any, count: int) -> Predictions:
        try:
            raw = self._answer(make(given))
        # Foreign code runs here: whatever it raises is the model's failure.
        except Exception as error:
            raise TargetError(f"the model failed: {first_line(error)}") from error
        return self._shaped(raw, count)
