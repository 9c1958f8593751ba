"""What a fork says about itself: few answers, each checked against what Azure and the forge allow."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from mlops.errors import InvalidInput, Problem
from mlops.scaffold import kinds
from mlops.spec._base import ModelName, Spec
from mlops.spec.forges import HOSTED, Kind
from mlops.spec.naming import REGIONS, RULES, Names
from mlops.spec.schema import Task
from mlops.template import sources

STACKS = ("shared", "dev", "staging", "prod")


def _region(value: str) -> str:
    if value not in REGIONS:
        raise ValueError(f"must be a public region of Azure, one of {', '.join(sorted(REGIONS))}")
    return value


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise ValueError("must be an e-mail address")
    return value


def _engine(value: str) -> str:
    if value:
        sources.parsed(value)
    return value


class Answers(Spec):
    """One fork. The same answers give the same files, whoever runs it and however often."""

    project: ModelName
    """What the team calls it; in every name in Azure."""
    organisation: str = Field("", pattern=r"^([a-z][a-z0-9]{0,11})?$")
    """Up to 12 lower-case letters and digits in front of the project's name, where a company wants that."""
    region: Annotated[str, AfterValidator(_region)] = "westeurope"
    """Of every stack, until its file says otherwise."""
    forge: Kind = "local"
    repository: str = ""
    """`owner/name` on GitHub, `organization/project/name` on Azure DevOps; empty for local."""
    contact: Annotated[str, AfterValidator(_email)]
    """Who gets alerts and warnings of the budget."""
    model: ModelName | None = None
    """The first model, in place of the example; None keeps the example."""
    kind: str = kinds.DEFAULT
    """What the first model is made with."""
    task: Task = "binary"
    """What the first model answers."""
    engine: Annotated[str, AfterValidator(_engine)] = ""
    """Where the packages come from: `git+URL`, `index+URL`, or a folder of wheels."""

    @property
    def name(self) -> str:
        """The project's name in Azure and in `mlops.toml`."""
        return f"{self.organisation}-{self.project}" if self.organisation else self.project

    @property
    def owner(self) -> str:
        """Whose teams CODEOWNERS names."""
        if self.forge == "github":
            return self.repository.partition("/")[0]
        return self.organisation or self.project

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.forge == "local" and self.repository:
            raise ValueError("repository: must be empty with the forge `local`")
        if self.forge != "local":
            hosted = HOSTED[self.forge]
            if hosted.split(self.repository) is None:
                raise ValueError(
                    f"repository: must be {hosted.shape} on {self.forge}; got {self.repository!r}"
                )
        if len(self.name) > 27:
            raise ValueError(
                f"project: {self.name!r} has {len(self.name)} characters; organisation included, 27 may be"
            )
        self._made()
        try:
            for stack in STACKS:
                self._named(Names(self.name, stack, self.region))
        except InvalidInput as error:
            raise ValueError(f"project: {error}") from None
        return self

    def _made(self) -> None:
        if self.kind not in kinds.names():
            raise ValueError(f"kind: must be one of {', '.join(kinds.names())}; got {self.kind!r}")
        if self.model:
            try:
                kinds.task_of(kinds.kind(self.kind), self.task)
            except InvalidInput as error:
                raise ValueError(f"task: {error}") from None

    def _named(self, names: Names) -> None:
        for kind in RULES:
            if not kind.endswith("_endpoint") or kind == "private_endpoint":
                names(kind)
        if self.model:
            names.endpoint("online_endpoint", self.model)
            names.endpoint("batch_endpoint", self.model)

    @property
    def ci(self) -> str:
        """Whose workflow files the fork has; the local forge runs those of GitHub."""
        return "github" if self.forge == "local" else self.forge

    def source(self) -> sources.Source | None:
        """Where the engine comes from; None in a fork of a version that had the engine inside."""
        return sources.parsed(self.engine) if self.engine else None

    def told(self) -> dict[str, str]:
        """Fields that are not as they are without an answer, by name."""
        return {k: str(v) for k, v in self.model_dump(exclude_defaults=True, exclude_none=True).items()}


def answers(**given: object) -> Answers:
    """Checked answers; raises `InvalidInput` with every wrong option, called as the command line has it."""
    try:
        return Answers.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        raise InvalidInput([_problem(e["loc"], e["msg"]) for e in error.errors()]) from None


def _problem(place: tuple[int | str, ...], message: str) -> Problem:
    sentence = message.removeprefix("Value error, ")
    option, colon, rest = sentence.partition(": ")
    if not place and colon:
        return Problem(f"--{option}", rest)
    if sentence == "Field required":
        sentence = "is needed"
    return Problem(f"--{'.'.join(map(str, place))}", sentence)
