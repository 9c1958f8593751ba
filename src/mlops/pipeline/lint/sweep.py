"""Sweep jobs: limits, search space, objective and early termination."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.binding import holes
from mlops.pipeline.lint.command import module_exists
from mlops.pipeline.lint.environment import environment_problems, unpinned_reference
from mlops.pipeline.lint.graph import unknown
from mlops.pipeline.read import Loc, resolve_environment
from mlops.pipeline.sweep.models import Sweep, Trial
from mlops.pipeline.sweep.space import BAYESIAN, POSITIVE, SHAPES, shape_fields
from mlops.pipeline.sweep.stopping import POLICIES
from mlops.spec._yaml import Document

_COMMON = ("type", "evaluation_interval", "delay_evaluation")


def check_sweep(document: Document, path: Path) -> Iterator[Problem]:
    """Problems of a sweep file. Raises `InvalidInput` when its fields are wrong."""
    sweep = document.parse(Sweep)
    limits = sweep.limits
    if limits.max_concurrent_trials is not None and limits.max_concurrent_trials > limits.max_total_trials:
        message = f"is more than max_total_trials ({limits.max_total_trials})"
        yield document.problem(("limits", "max_concurrent_trials"), message)
    if (
        limits.timeout is not None
        and limits.trial_timeout is not None
        and limits.trial_timeout > limits.timeout
    ):
        yield document.problem(
            ("limits", "trial_timeout"), f"is longer than the sweep's timeout ({limits.timeout} s)"
        )
    for name, space in sweep.search_space.items():
        yield from _space(document, ("search_space", name), space, sweep.sampling_algorithm.type)
    if sweep.early_termination is not None:
        yield from _termination(document, sweep.early_termination)
    if isinstance(sweep.trial, Trial):
        yield from _trial(document, sweep, sweep.trial, path)


def _space(document: Document, loc: Loc, space: dict[str, Any], algorithm: str) -> Iterator[Problem]:
    kind = str(space.get("type"))
    if kind not in SHAPES:
        yield document.problem((*loc, "type"), unknown(kind, "distribution", SHAPES))
        return
    allowed = shape_fields(kind)
    for key in space.keys() - {"type", *allowed}:
        yield document.problem((*loc, key), unknown(str(key), f"field of {kind}", allowed))
    if algorithm == "grid" and kind != "choice":
        yield document.problem((*loc, "type"), f"grid sampling knows only choice; got {kind}")
    if algorithm == "bayesian" and kind not in BAYESIAN:
        yield document.problem((*loc, "type"), f"bayesian sampling knows {', '.join(BAYESIAN)}; got {kind}")
    for key in allowed:
        if key not in space:
            yield document.problem(loc, f"{kind} needs `{key}`")
        elif key == "values":
            if not isinstance(space[key], list) or not space[key]:
                yield document.problem((*loc, key), "must be a list of at least one value")
        elif isinstance(space[key], bool) or not isinstance(space[key], int | float):
            yield document.problem((*loc, key), f"must be a number; got {space[key]!r}")
        elif key in POSITIVE and space[key] <= 0:
            yield document.problem((*loc, key), f"must be more than 0; got {space[key]!r}")
    low, high = space.get("min_value"), space.get("max_value")
    if isinstance(low, int | float) and isinstance(high, int | float) and low >= high:
        yield document.problem((*loc, "min_value"), f"must be less than max_value ({high}); got {low}")


def _termination(document: Document, policy: dict[str, Any]) -> Iterator[Problem]:
    loc: Loc = ("early_termination",)
    kind = str(policy.get("type"))
    if kind not in POLICIES:
        yield document.problem((*loc, "type"), unknown(kind, "early termination policy", POLICIES))
        return
    allowed = POLICIES[kind].model_fields.keys()
    wrong = policy.keys() - allowed
    for key in sorted(map(str, wrong)):
        own = [name for name in allowed if name not in _COMMON]
        yield document.problem((*loc, key), unknown(key, f"field of {kind}", own))
    given = {"slack_factor", "slack_amount"} & policy.keys()
    if kind == "bandit" and len(given) != 1:
        yield document.problem(loc, "bandit needs `slack_factor` or `slack_amount`, one of them")
    try:
        POLICIES[kind].model_validate({k: v for k, v in policy.items() if k not in wrong})
    except ValidationError as error:
        for found in error.errors():
            yield document.problem((*loc, *found["loc"]), f"{found['msg']}; got {found['input']!r}")


def _trial(document: Document, sweep: Sweep, trial: Trial, path: Path) -> Iterator[Problem]:
    loc: Loc = ("trial", "command")
    used: set[str] = set()
    for hole in holes(trial.command):
        sides: dict[str, Collection[str]] = {
            "inputs": sweep.inputs,
            "search_space": sweep.search_space,
            "outputs": sweep.outputs,
        }
        known = sides.get(hole.side)
        if known is None:
            yield document.problem(
                loc, f"{hole.text} cannot be read; allowed: inputs, outputs and search_space"
            )
        elif hole.name not in known:
            yield document.problem(loc, f"{hole.text}: {unknown(hole.name, f'entry of {hole.side}', known)}")
        used.add(hole.name if hole.side == "search_space" else "")
    for name in sorted(sweep.search_space.keys() - used):
        yield document.problem(
            ("search_space", name), "the trial's command does not use it, so all trials are alike"
        )
    try:
        environment, where, place, file = resolve_environment(
            trial.environment, document, ("trial", "environment"), path
        )
    except InvalidInput as error:
        yield from error.problems
    else:
        if environment is not None:
            yield from environment_problems(environment, where, place, file)
        elif why := unpinned_reference(trial.environment.reference or ""):
            yield document.problem(place, why)
    yield from _trial_code(document, trial, path)


def _trial_code(document: Document, trial: Trial, path: Path) -> Iterator[Problem]:
    if trial.code is None or "://" in trial.code:
        return
    folder = path.parent / trial.code
    if not folder.is_dir():
        yield document.problem(("trial", "code"), f"the folder {trial.code!r} does not exist")
        return
    for match in re.finditer(
        r"\bpython3?\s+(?:-m\s+(?P<module>[\w.]+)|(?P<script>[\w./-]+\.py)\b)", trial.command
    ):
        missing = (
            not (folder / match["script"]).is_file()
            if match["script"]
            else not module_exists(folder, match["module"])
        )
        if missing:
            name = match["script"] or match["module"]
            yield document.problem(("trial", "command"), f"{name!r} is not in the code folder {trial.code!r}")
