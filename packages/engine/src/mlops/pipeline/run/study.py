"""The memory of a sweep on this machine: Optuna's study in a journal that a kill cannot tear."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.pipeline.sweep.models import SweepSpec
from mlops.pipeline.sweep.result import TrialResult, TrialState
from mlops.pipeline.sweep.space import Draw, Literal_, Pick

if TYPE_CHECKING:
    import optuna

_JOURNAL = "study.log"
_NAME = "sweep"
_SEED = 2013
"""Of sweeps that name none: a sweep that goes on must not draw what it has drawn already."""


class Study:
    """Draws trials and remembers them. Not safe for threads: the caller serialises the calls.

    A trial that was running when its process died is drawn again, with the same values.
    """

    def __init__(self, folder: Path, sweep: SweepSpec) -> None:
        self._sweep = sweep
        self._shapes = sweep.shapes
        self._study = _open(folder, sweep)
        self._open: dict[int, optuna.trial.Trial] = {}
        self._again()
        if sweep.sampling_algorithm.type == "grid":
            self._enqueue_grid()

    @property
    def parent(self) -> str:
        """The MLflow run that the trials belong to; empty before `parent` was set."""
        return str(self._study.user_attrs.get("run", ""))

    @parent.setter
    def parent(self, run_id: str) -> None:
        self._study.set_user_attr("run", run_id)

    def ask(self) -> TrialResult | None:
        """The next trial; None when a grid has no point left."""
        from optuna.trial import TrialState as State

        waiting = self._study.get_trials(deepcopy=False, states=(State.WAITING,))
        if self._sweep.sampling_algorithm.type == "grid" and not waiting:
            return None
        trial = self._study.ask(fixed_distributions=_distributions(self._sweep))
        values = {name: shape.value(trial.params[name]) for name, shape in self._shapes.items()}
        trial.set_user_attr("values", values)
        self._open[trial.number] = trial
        return TrialResult(trial.number, "running", values)

    def begun(self, number: int, run_id: str) -> None:
        """Remember the MLflow run of a trial."""
        self._open[number].set_user_attr("run", run_id)

    def tell(self, number: int, state: TrialState, reports: Sequence[float], detail: str = "") -> TrialResult:
        """A trial has ended. A finished one needs a last report that is a finite number."""
        from optuna.trial import TrialState as State

        trial = self._open.pop(number)
        for step, value in enumerate(reports):
            if math.isfinite(value):
                trial.report(value, step)
        trial.set_user_attr("state", state)
        trial.set_user_attr("detail", detail)
        if state == "finished":
            self._study.tell(trial, reports[-1])
        else:
            self._study.tell(trial, state=State.PRUNED if state == "stopped" and reports else State.FAIL)
        return next(t for t in self.trials() if t.number == number)

    def trials(self) -> tuple[TrialResult, ...]:
        """Every trial that was started, by number."""
        from optuna.trial import TrialState as State

        results = []
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state == State.WAITING:
                continue
            attributes = trial.user_attrs
            state = attributes.get("state", "running" if trial.number in self._open else "killed")
            values: Mapping[str, Literal_] = attributes.get("values", {})
            last = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)][-1:]
            value = trial.value if state == "finished" else (last[0] if last else None)
            run, detail = attributes.get("run", ""), attributes.get("detail", "")
            results.append(TrialResult(trial.number, state, values, value, run, detail))
        return tuple(results)

    def _again(self) -> None:
        """Draw the trials of a dead process once more; what was drawn is kept."""
        from optuna.trial import TrialState as State

        for trial in self._study.get_trials(deepcopy=True, states=(State.RUNNING,)):
            self._study.tell(trial.number, state=State.FAIL)
            if trial.params:
                self._study.enqueue_trial(trial.params)

    def _enqueue_grid(self) -> None:
        points = [[*source.values] for source in _picks(self._sweep).values()]
        grid = [dict(zip(self._shapes, point, strict=True)) for point in itertools.product(*points)]
        random.Random(self._sweep.sampling_algorithm.seed or _SEED).shuffle(grid)  # noqa: S311 (an order)
        for point in grid[: self._sweep.limits.max_total_trials]:
            self._study.enqueue_trial(point, skip_if_exists=True)


def _open(folder: Path, sweep: SweepSpec) -> optuna.Study:
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"a sweep on this machine needs {error.name}, which is not installed; "
            "install the dependency group `local`, or run it with --target azure"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / _JOURNAL)))
    known = {s.study_name for s in optuna.get_all_study_summaries(storage)}
    drawn = 0
    if _NAME in known:
        drawn = len(optuna.load_study(study_name=_NAME, storage=storage).get_trials(deepcopy=False))
    return optuna.create_study(
        storage=storage,
        study_name=_NAME,
        direction=sweep.objective.goal,
        load_if_exists=True,
        sampler=_sampler(sweep, drawn),
    )


def _sampler(sweep: SweepSpec, drawn: int) -> Any:
    """Seeded by what was drawn before, so that going on does not repeat the beginning."""
    import optuna

    algorithm = sweep.sampling_algorithm
    seed = (_SEED if algorithm.seed is None else algorithm.seed) + drawn
    if algorithm.type == "bayesian":
        # `constant_liar`: trials that run at the same time look away from each other.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    if algorithm.rule == "sobol":
        return optuna.samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
    return optuna.samplers.RandomSampler(seed=seed)


def _distributions(sweep: SweepSpec) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    distributions: dict[str, Any] = {}
    for name, shape in sweep.shapes.items():
        source = shape.source
        if isinstance(source, Pick):
            distributions[name] = CategoricalDistribution(source.values)
        elif source.whole:
            distributions[name] = IntDistribution(int(source.low), int(source.high))
        else:
            distributions[name] = FloatDistribution(source.low, source.high, log=source.log)
    return distributions


def _picks(sweep: SweepSpec) -> dict[str, Pick]:
    """The sources of a grid, all of which lint has found to be choices."""
    sources: dict[str, Pick | Draw] = {name: shape.source for name, shape in sweep.shapes.items()}
    return {name: source for name, source in sources.items() if isinstance(source, Pick)}
