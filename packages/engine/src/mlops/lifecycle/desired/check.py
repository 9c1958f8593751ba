"""`mlops check`: is every file that decides what is served valid, and may each change since a base be made?

It answers all problems at once and never stops at the first: a pull request is read once, not five times.
`tree` reads, `check_rules` judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import Forbidden, Problem, TargetError
from mlops.forge.git import Git
from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.desired import check_rules as rules
from mlops.lifecycle.desired import dependencies, parameters, rows, tree
from mlops.lifecycle.desired.approvals import Scales
from mlops.spec.gates import GateResult
from mlops.targets.base import Target

if TYPE_CHECKING:
    from mlops.lifecycle.desired.pending import Weigh


def _quiet(_: str) -> None:
    pass


def check(
    root: Path,
    base: str | None,
    *,
    now: datetime,
    target: Target | None = None,
    note: Callable[[str], None] = _quiet,
) -> list[Problem]:
    """Problems of the work tree, in a stable order; empty when everything may be merged.

    `base`: also judge every change since that commit. `target`: also compare each release with what the
    registry recorded of it (`Unproven` where they differ), and judge a change by what is served, as promote
    and apply do; who may not read the journals judges changes by the files, and `note` gets that sentence.
    Raises `InvalidInput` when `base` is no commit.
    """
    there, problems = tree.read(root, base, target, note)
    by_files = rules.by_files(there, now)
    judge = by_files
    if target is not None:
        commit = Git(root).head()
        judge = by_target(there, commit, target, now, weigh=Scales(root), otherwise=by_files, note=note)
    for rule in rules.FILES:
        problems += rule(there)
    for model in there.settings.models if there.settings is not None else ():
        problems += [*parameters.problems(root, model), *dependencies.problems(root, model)]
        problems += rows.problems(root, model)
    problems += rules.may_stay(there, by_files)
    problems += rules.may_move(there, judge)
    return sorted(set(problems), key=str)


def by_target(
    there: tree.Tree,
    commit: str,
    target: Target,
    now: datetime,
    *,
    weigh: Weigh,
    otherwise: rules.Judge,
    note: Callable[[str], None] = _quiet,
) -> rules.Judge:
    """Judges by what is served and what the journals say, as apply does; `otherwise` where that is barred."""

    from mlops.lifecycle.desired.pending import plan_for

    def judge(asked: rules.Asked) -> Sequence[GateResult]:
        wanted = asked.wanted
        intent = Intent(
            env=wanted.env,
            model=wanted.model,
            desired=wanted.state,
            release=asked.release,
            policy=asked.policy,
            freeze=there.freeze,
            commit=commit,
            file_commit="",  # Of the merge that is yet to come: a person's new decision.
            lineage=transitions.lineage([wanted.state, *wanted.older]),
        )
        try:
            return plan_for(intent, target, now, weigh).gates
        except Forbidden as error:
            note(f"the move of {wanted.model} in {wanted.env} is judged by the files alone: {error}")
            return otherwise(asked)
        except TargetError as error:
            unknown = GateResult(
                name="order", verdict="blocked", observed="unknown", limit="", detail=str(error)
            )
            return [unknown]

    return judge
