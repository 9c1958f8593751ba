"""The process of a step or of a trial: the log's first line, its environment, its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.pipeline.run.executor import Invocation, StepServer, plan_invocation
from mlops.pipeline.run.process import step_environment
from mlops.pipeline.run.spread import Spread
from mlops.pipeline.run.spread import run as run_spread
from mlops.pipeline.run.work import Workplace


@dataclass(frozen=True)
class Performer:
    """What all processes of a step, or all trials of a sweep, have in common."""

    server: StepServer
    planned: Spread
    variables: Mapping[str, str]
    """Those that the file sets."""
    python: Path | None = None
    """The program folder of the environment that it runs in; None: this one."""

    def perform(
        self,
        place: Workplace,
        tracking: Mapping[str, str],
        *,
        run: str,
        root: str,
        log: Path,
        note: str = "",
        stop: Callable[[], bool] | None = None,
        record: Path | None = None,
    ) -> tuple[int, Path]:
        """Run it to its end; exit code, negative for a signal, and the log that tells why."""
        log.write_text(f"$ {place.command}" + (f"  # {note}\n" if note else "\n"), encoding="utf-8")
        env = step_environment(tracking, run, root, self.python) | dict(self.variables)
        invocation = plan_invocation(place.command, self.variables)
        if self.python is not None:
            # A process that is forked from this one has this one's modules.
            invocation = Invocation(shell=place.command)
        return run_spread(
            self.server, self.planned, invocation, cwd=place.code, env=env, log=log, stop=stop, record=record
        )
