"""Whether what would be served answers as the trained model does: graph, saved file and plain arrays alike.

Each of them is a candidate. It is asked for the rows that the model was asked for, in the ways in which a
shell asks, and any difference is a sentence that says for which row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import InvalidInput, MlopsError
from mlops.spec.admits import FLOAT32_MAX
from mlops.spec.tasks import is_values
from mlops.steps.probes import USUAL, Probe, drawn

if TYPE_CHECKING:
    import pandas as pd

    from mlops.serving.score.core import Scorer
    from mlops.spec.schema import Column, ModelSchema, Task

TOLERANCE = 1e-5
"""Of a probability. Of a value: this share of the largest answer, which float32 just about holds."""
_ALONE = 6
"""Rows that are also asked one by one."""
_STEPS = (1e30, 1e18, 1e12, 1e9, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1)
"""Ends of an open range, tried one after the other."""
_EARLIEST = ("1700-01-01T00:00:00", "1800-01-01T00:00:00", "1900-01-01T00:00:00", "1970-01-01T00:00:00")
_LATEST = ("2200-01-01T00:00:00", "2100-01-01T00:00:00", "2050-01-01T00:00:00")
"""The same for moments: two that are 292 years apart differ by more than 64 bits of nanoseconds."""
_FEW = 40


@dataclass(frozen=True)
class Asked:
    """Rows and what the trained model answers to them."""

    probes: Sequence[Probe]
    answers: np.ndarray[Any, Any]
    """[n, k], float64 and finite."""
    allowed: np.ndarray[Any, Any]
    """[n, 1] or [n, k]: by how much another answer may differ."""
    scale: float = 0.0
    """The largest usual answer of a regression."""


def ask(model: Scorer, probes: Sequence[Probe], scale: float = 0.0) -> Asked:
    """Ask `model`. `scale` is the largest usual answer of a regression. Raises `TargetError`."""
    answers = _flat(model.predict_rows([probe.row for probe in probes]))
    if not is_values(model.schema.task):
        return Asked(probes, answers, np.full((len(answers), 1), TOLERANCE))
    return Asked(probes, answers, TOLERANCE * np.maximum(np.abs(answers), scale), scale)


def _flat(answers: Any) -> np.ndarray[Any, Any]:
    numbers = np.asarray(answers, dtype=np.float64)
    return numbers.reshape(len(numbers), -1)


def difference(candidate: Scorer, asked: Asked) -> str | None:
    """Where `candidate` answers otherwise, after "it"; None when it does not."""
    rows = [probe.row for probe in asked.probes]
    if not rows:
        return None
    try:
        if (worst := _worst(asked, _flat(candidate.predict_rows(rows)))) is not None:
            return worst
        for index in _spread(len(rows)):
            alone = _flat(candidate.predict_rows([rows[index]]))
            if (worst := _worst(_part(asked, index), alone)) is not None:
                return f"{worst}, asked alone"
    except MlopsError as error:
        return f"fails on {_failing(candidate, asked.probes)}: {error}"
    return None


def _failing(candidate: Scorer, probes: Sequence[Probe]) -> str:
    bad = refusals(candidate, probes)
    return f"a row with {probes[next(iter(bad))].what}" if bad else "many rows at once"


def in_a_table(
    candidate: Scorer, frame: pd.DataFrame, answers: np.ndarray[Any, Any], scale: float
) -> str | None:
    """The same for a whole table, as batch scoring asks."""
    task = candidate.schema.task
    most = TOLERANCE if not is_values(task) else TOLERANCE * np.maximum(np.abs(answers), scale)
    try:
        got = _flat(candidate.predict_frame(frame))
    except MlopsError as error:
        return f"fails on a table of training rows: {error}"
    apart = np.abs(got - answers)
    if not (apart <= most).all():
        where = int(np.nan_to_num(apart, nan=np.inf).max(axis=1).argmax())
        truth = _show(answers[where])
        return (
            f"answers {_show(got[where])} where the trained model answers {truth} (row {where} of training)"
        )
    return None


def _part(asked: Asked, index: int) -> Asked:
    one = slice(index, index + 1)
    return Asked(asked.probes[one], asked.answers[one], asked.allowed[one])


def _spread(count: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, _ALONE))})


def _worst(asked: Asked, got: np.ndarray[Any, Any]) -> str | None:
    if got.shape != asked.answers.shape:
        return f"answers {got.shape[1]} values a row where the model answers {asked.answers.shape[1]}"
    with np.errstate(invalid="ignore", over="ignore"):
        excess = np.abs(got - asked.answers) / asked.allowed
    excess = np.where(np.isnan(excess), np.inf, excess)
    if (got == asked.answers).all() or (excess[got != asked.answers] <= 1).all():
        return None
    excess[got == asked.answers] = 0
    by_row = excess.max(axis=1)
    # The plainest row that shows it, and of these the worst: "null in 'size'" says more than a mixture.
    plain = np.array([probe.column is not None or probe.what == USUAL for probe in asked.probes])
    where = int(np.where(plain, by_row, 0).argmax()) if (by_row[plain] > 1).any() else int(by_row.argmax())
    return (
        f"answers {_show(got[where])} where the trained model answers {_show(asked.answers[where])} "
        f"(a row with {asked.probes[where].what})"
    )


def _show(values: np.ndarray[Any, Any]) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:5])
    return shown if len(values) == 1 else f"[{shown}{', …' if len(values) > 5 else ''}]"


def refusals(model: Scorer, probes: Sequence[Probe]) -> dict[int, str]:
    """Which probes `model` refuses, or answers with what is no finite number, and its words; not all "
    "of many."""
    refused: dict[int, str] = {}

    def look(first: int, last: int) -> None:
        if len(refused) >= _FEW:
            return
        try:
            answers = _flat(model.predict_rows([probe.row for probe in probes[first:last]]))
        except MlopsError as error:
            if last - first == 1:
                refused[first] = str(error)
                return
            middle = (first + last) // 2
            look(first, middle)
            look(middle, last)
            return
        for offset in np.flatnonzero(~np.isfinite(answers).all(axis=1)):
            refused[first + int(offset)] = f"its answer is {_show(answers[offset])}"

    if probes:
        look(0, len(probes))
    return refused


# --- a model that refuses what the contract admits ------------------------------------------------------


def settled(
    schema: ModelSchema, model: Scorer, inputs: pd.DataFrame, stated: set[str]
) -> tuple[ModelSchema, list[str]]:
    """`schema` without what `model` refuses, and a sentence for each thing that was taken out.

    Only what nobody has stated is taken out: a range that the contract leaves open, and unknown categories
    where it lists none (`stated` names the columns whose contract says what an unknown one means). Raises
    `InvalidInput` when the model refuses what the contract admits in so many words.
    """
    open_ends = {
        c.name: (c.minimum is None and c.earliest is None, c.maximum is None and c.latest is None)
        for c in schema.columns
    }
    notes: dict[str, str] = {}
    for _ in range(len(_STEPS) + len(schema.columns) + 2):
        probes = drawn(schema, inputs)
        bad = refusals(model, probes)
        if not bad:
            return schema, list(notes.values())
        changed = {c.name: c for c in schema.columns}
        problems: dict[str, str] = {}
        alone = {i: why for i, why in bad.items() if probes[i].column is not None}
        for index, why in (alone or bad).items():
            probe = probes[index]
            names = [probe.column] if probe.column is not None else list(changed)
            done = False
            for name in names:
                old = next(c for c in schema.columns if c.name == name)
                new = _narrowed(old, probe, open_ends[name], name in stated, inputs[name])
                if new is not None:
                    changed[name], done = _both(changed[name], new), True
                    notes[name] = (
                        f"column {name!r}: {_taken_out(new)}, because the model refuses more ({why})"
                    )
            if not done:
                problems.setdefault(f"{probe.column}{probe.what}", f"a row with {probe.what}: {why}")
        if problems:
            raise InvalidInput(_refusal(list(problems.values()), any("null" in p for p in problems.values())))
        schema = schema.model_copy(update={"columns": [changed[c.name] for c in schema.columns]})
    raise InvalidInput(
        _refusal([f"a row with {probes[i].what}: {why}" for i, why in bad.items()], null=False)
    )


def _refusal(problems: list[str], null: bool) -> str:
    shown = "; ".join(problems[:4]) + (f"; and {len(problems) - 4} more" if len(problems) > 4 else "")
    ways = "impute it in the estimator (SimpleImputer), or say nullable=False" if null else (
        "narrow the contract (a range, isin, or a rule for the text), or let the estimator take it "
        "(handle_unknown='ignore', a transformer that clips)"
    )  # fmt: skip
    if any("half an image" in problem for problem in problems):
        ways = (
            "name width, height or mode in the contract (mlops.columns.image), so that each image is read "
            "before the model sees it"
        )
    return f"the trained model refuses what the contract admits: {shown}. A client would get an error: {ways}"


def _narrowed(
    column: Column, probe: Probe, open_ends: tuple[bool, bool], stated: bool, seen: pd.Series[Any]
) -> Column | None:
    """The column without what `probe` had there; None when that is the contract's own word."""
    value = probe.value if probe.column is not None else None
    if column.type == "string":
        fits = (
            isinstance(value, str)
            and not stated
            and column.unknown_category == "accept"
            and column.categories
        )
        if fits and value not in (column.categories or []):
            return column.model_copy(update={"unknown_category": "refuse"})
        return None
    if column.type not in ("number", "integer", "datetime") or (probe.column is not None and value is None):
        return None
    several = probe.column is None
    if column.type == "datetime":
        return _sooner(column, None if several else str(value), open_ends, seen)
    update: dict[str, float] = {}
    low = -FLOAT32_MAX if column.minimum is None else float(column.minimum)
    high = FLOAT32_MAX if column.maximum is None else float(column.maximum)
    least, most = (float(seen.min()), float(seen.max())) if seen.notna().any() else (0.0, 0.0)
    number = 0.0 if several else float(value)  # type: ignore[arg-type]
    if open_ends[1] and (several or number > most):
        step = next((s for s in _STEPS if s < high and s >= most), None)
        update |= {"maximum": step} if step is not None else {}
    if open_ends[0] and (several or number < least):
        step = next((s for s in _STEPS if s < -low and -s <= least), None)
        update |= {"minimum": -step} if step is not None else {}
    return column.model_copy(update=update) if update else None


def _sooner(
    column: Column, value: str | None, open_ends: tuple[bool, bool], seen: pd.Series[Any]
) -> Column | None:
    """The moments without those beyond `value`; None says that several columns were special."""
    import pandas as pd

    present = seen.dropna()
    if present.empty:
        return None
    first, last, at = present.min(), present.max(), None if value is None else pd.Timestamp(value)
    update: dict[str, str] = {}
    if open_ends[0] and (at is None or at < first):
        wanted = (s for s in _EARLIEST if s > (column.earliest or "") and pd.Timestamp(s) <= first)
        update |= {"earliest": step} if (step := next(wanted, None)) is not None else {}
    if open_ends[1] and (at is None or at > last):
        wanted = (s for s in _LATEST if s < (column.latest or "9") and pd.Timestamp(s) >= last)
        update |= {"latest": step} if (step := next(wanted, None)) is not None else {}
    return column.model_copy(update=update) if update else None


def _both(one: Column, other: Column) -> Column:
    """What either of two narrowings took out is out."""
    if one.type == "string":
        return one if one.unknown_category == "refuse" else other
    if one.type == "datetime":
        starts = [c.earliest for c in (one, other) if c.earliest is not None]
        ends = [c.latest for c in (one, other) if c.latest is not None]
        return one.model_copy(
            update={"earliest": max(starts, default=None), "latest": min(ends, default=None)}
        )
    lows = [c.minimum for c in (one, other) if c.minimum is not None]
    highs = [c.maximum for c in (one, other) if c.maximum is not None]
    update = {"minimum": max(lows) if lows else None, "maximum": min(highs) if highs else None}
    return one.model_copy(update=update)


def _taken_out(column: Column) -> str:
    if column.type == "string":
        return "only categories of training are admitted"
    if column.type == "datetime":
        ends = [f"from {column.earliest}"] if column.earliest else []
        ends += [f"up to {column.latest}"] if column.latest else []
        return f"only moments {' '.join(ends)} are admitted"
    low, high = ("" if v is None else f"{v:g}" for v in (column.minimum, column.maximum))
    return f"only numbers from {low} to {high} are admitted" if low and high else (
        f"only numbers of at least {low} are admitted" if low else f"only numbers up to {high} are admitted"
    )  # fmt: skip


def scale_of(task: Task, answers: np.ndarray[Any, Any]) -> float:
    """The largest usual answer of a regression; 0 for probabilities."""
    return float(np.abs(answers).max()) if is_values(task) and len(answers) else 0.0
