"""Every way the lifecycle can refuse: one root, one sentence and one exit code per subclass.

Exit codes are an interface: CI branches on them.

| code | meaning |
|---|---|
| 0 | done, or nothing to do |
| 2 | changes are pending (`mlops diff`), or the command line is wrong |
| 3 | blocked: a gate, a policy or an analysis said no |
| 4 | the judgement itself failed: no metrics, no credential, no answer; not a verdict |
| 5 | a file in git, an option or the data is invalid |
| 6 | the target is in the way: locked, unreachable, full, or it lacks what was named |
| 7 | integrity: a digest, a signature or a provenance record does not match |
| 8 | a pipeline step failed |
| 130 | interrupted |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MlopsError(Exception):
    """Root of all refusals. `str(error)` is a sentence for the person who must act."""

    exit_code = 6


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in one place.

    `where` is `file:line` when both are known; `field` is a dotted path inside the file.
    """

    where: str
    message: str
    field: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: {self.field}" if self.field else self.where
        return f"{place}: {self.message}"


class Unproven(Problem):
    """A release says something else than the lifecycle recorded: no mistake in a file, a matter of trust."""


class InvalidInput(MlopsError):
    """A file, an option or a data set is not what it must be; lists every problem at once."""

    exit_code = 5

    def __init__(self, problems: Sequence[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            self.problems: tuple[Problem, ...] = ()
            super().__init__(problems)
            return
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class ContractViolation(InvalidInput):
    """The data break the data contract of the use case."""


class Blocked(MlopsError):
    """A gate, a policy, a freeze, a hold or an analysis refuses. This is a verdict."""

    exit_code = 3


class Inconclusive(MlopsError):
    """An analysis could not be made. Nothing is known about the model; traffic stays where it is."""

    exit_code = 4


class TargetError(MlopsError):
    """The target cannot do what was asked: unreachable, full, or without the thing that was named."""

    exit_code = 6


class Forbidden(TargetError):
    """This identity may not do that; another one may."""


class NotFound(TargetError):
    """The named version, run, release, deployment or endpoint does not exist."""


class Unavailable(TargetError):
    """The service behind the target did not answer, failed by itself or asked to come back later: the same
    request may work in a moment."""


class Locked(TargetError):
    """Somebody else is at work in this environment; the sentence says who and since when."""


class IntegrityError(MlopsError):
    """A digest, signature or provenance record does not match: nothing was loaded or deployed."""

    exit_code = 7


class StepFailed(MlopsError):
    """A pipeline step ended with a failure; the sentence names the step and its log."""

    exit_code = 8
