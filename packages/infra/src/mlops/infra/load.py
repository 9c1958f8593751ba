"""From Pulumi's raw configuration to the typed stack, with errors that name file and line."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.infra.config import SECRETS, EnvironmentStack, SharedStack
from mlops.infra.naming import check_stack
from mlops.infra.unread import unread_fields, unread_keys, wrong_values
from mlops.spec._yaml import Document, fields_at, problems_of

NAMESPACE = "mlops"
_KINDS: Mapping[str, type[EnvironmentStack | SharedStack]] = {
    "environment": EnvironmentStack,
    "shared": SharedStack,
}
_FIELDS = frozenset({*SECRETS, *EnvironmentStack.model_fields, *SharedStack.model_fields})


@dataclass(frozen=True)
class StackFile:
    """Where the configuration of a stack was read; only errors need it."""

    path: Path
    name: str

    @classmethod
    def of(cls, root: Path, stack: str) -> StackFile:
        """Raises `InvalidInput` for a name that no stack may have."""
        check_stack(stack)
        relative = f"environments/Pulumi.{stack}.yaml"
        return cls(root / relative, relative)

    def locate(self, problem: Problem) -> Problem:
        """`problem` with the line of its field, when the file is there and has it."""
        if not self.path.is_file():
            return problem
        document = Document.read(self.path, self.name)
        first, *rest = problem.field.split(".") if problem.field else [""]
        if ":" in problem.field:
            first, rest = problem.field, []
        parts: list[str | int] = [int(p) if p.isdigit() else p for p in rest]
        keys = (document.value or {}).get("config") or {}
        key = f"{NAMESPACE}:{first}" if f"{NAMESPACE}:{first}" in keys else first
        return Problem(
            f"{self.name}:{document.line(['config', key, *parts])}", problem.message, problem.field
        )


def parse_stack(
    raw: Mapping[str, str], secret: Collection[str], file: StackFile
) -> EnvironmentStack | SharedStack:
    """The typed stack from `raw`, the keys `mlops:*` as Pulumi hands them over (text; objects as JSON).

    `secret` names the keys that Pulumi decrypted. Raises `InvalidInput` with every problem at once.
    """
    own = {k.removeprefix(f"{NAMESPACE}:"): v for k, v in raw.items() if k.startswith(f"{NAMESPACE}:")}
    hidden = {k.removeprefix(f"{NAMESPACE}:") for k in secret}
    plain = {k: v for k, v in raw.items() if k not in secret}
    problems = [
        Problem(file.name, said, key)
        for key, said in (*unread_keys(raw, NAMESPACE, _FIELDS), *wrong_values(plain))
    ]
    problems += [
        Problem(file.name, "must be encrypted: pulumi config set --secret", key)
        for key in sorted(SECRETS & set(own) - hidden)
    ] + [
        Problem(file.name, f"only {', '.join(sorted(SECRETS))} may be encrypted; write it in plain text", key)
        for key in sorted((hidden & set(own)) - SECRETS)
    ]
    if problems:
        raise InvalidInput([file.locate(p) for p in problems])
    values = {k: _plain(v) for k, v in own.items() if k not in SECRETS}
    model = _KINDS.get(str(values.get("kind")))
    if model is None:
        sentence = f"must be one of {', '.join(sorted(_KINDS))}; got {values.get('kind')!r}"
        raise InvalidInput(file.locate(Problem(file.name, sentence, "kind")))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [_addressed(p, model) for p in problems_of(error, model, file.name)]
        raise InvalidInput([file.locate(p) for p in problems]) from None


def _addressed(problem: Problem, model: type[BaseModel]) -> Problem:
    """A problem of several fields together names the one to look at before its sentence."""
    field, colon, said = problem.message.partition(": ")
    above = tuple(problem.field.split(".")) if problem.field else ()
    if not colon or field.split(".")[0] not in fields_at(model, above):
        return problem
    return Problem(problem.where, said, ".".join((*above, field)))


@contextlib.contextmanager
def located(root: Path) -> Iterator[None]:
    """Problems of stack files that are raised inside get the line of their field."""
    try:
        yield
    except InvalidInput as error:
        problems = [_in_its_file(root, p) for p in error.problems]
        if problems == list(error.problems):
            raise
        raise InvalidInput(problems) from None


def _in_its_file(root: Path, problem: Problem) -> Problem:
    match = re.fullmatch(r"environments/Pulumi\.(.+)\.yaml", problem.where)
    return StackFile.of(root, match[1]).locate(problem) if match else problem


def check_file(file: StackFile) -> None:
    """Raise `InvalidInput` for what Pulumi would ignore beside `config`; a file that is not there is fine."""
    if not file.path.is_file():
        return
    document = Document.read(file.path, file.name)
    if isinstance(document.value, dict):
        problems = [document.problem((key,), said) for key, said in unread_fields(document.value)]
        if problems:
            raise InvalidInput(problems)


def raw_stack_file(root: Path, stack: str) -> tuple[dict[str, str], list[str]]:
    """What `pulumi up` would hand over for `stack`, without the CLI: (values, keys that are encrypted).

    Encrypted values are not decrypted; a placeholder stands in. Raises `InvalidInput` when the file is
    unusable.
    """
    file = StackFile.of(root, stack)
    document = Document.read(file.path, file.name)
    check_file(file)
    config = (document.value or {}).get("config") if isinstance(document.value, dict | None) else None
    if not isinstance(config, dict):
        raise InvalidInput(Problem(f"{file.name}:1", "must be a mapping with the field `config`"))
    values: dict[str, str] = {}
    secret: list[str] = []
    for key, value in config.items():
        if not isinstance(key, str):
            raise InvalidInput(document.problem(("config", key), "must be a text such as mlops:location"))
        name = key if ":" in key else f"{NAMESPACE}:{key}"
        if name in values:
            raise InvalidInput(document.problem(("config", key), f"is {name}, which is given already"))
        if isinstance(value, dict) and set(value) == {"secure"}:
            secret.append(name)
            values[name] = f"https://secret.invalid/{name.replace(':', '/')}"
        else:
            # Pulumi hands a key without a value over as an empty text.
            empty_or_text = "" if value is None else value
            values[name] = empty_or_text if isinstance(empty_or_text, str) else json.dumps(value, default=_go)
    return values, secret


def _plain(text: Any) -> Any:
    """A value as YAML reads it: Pulumi hands over text, but the models want numbers, lists and mappings."""
    if not isinstance(text, str):
        return text
    try:
        return _dated(json.loads(text))
    except json.JSONDecodeError:
        return _dated(text)


_DAY = re.compile(r"(\d{4}-\d{2}-\d{2}) 00:00:00 \+0000 UTC")
"""How Pulumi hands over what YAML takes for a date; seen with its own CLI."""


def _go(value: Any) -> str:
    """A date as Pulumi hands it over: the plan reads what an update reads."""
    return f"{value} 00:00:00 +0000 UTC" if type(value) is date else str(value)


def _dated(value: Any) -> Any:
    """`value` with the days in it as a person writes them."""
    if isinstance(value, str) and (match := _DAY.fullmatch(value)):
        return match[1]
    if isinstance(value, list):
        return [_dated(v) for v in value]
    return {k: _dated(v) for k, v in value.items()} if isinstance(value, dict) else value
