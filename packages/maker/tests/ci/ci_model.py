"""What a pipeline does, in words that both systems share, and the expressions that they write differently."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[4]
MODELS: dict[str, str] = {
    name: model["usecase"].replace(".", "/")
    for name, model in tomllib.loads((ROOT / "mlops.toml").read_text(encoding="utf-8"))["models"].items()
}
"""The folder below `src` of each model of mlops.toml; every one has a pipeline that trains it."""
TRAINING = {name: f"train-{name}" for name in MODELS}
NAMES = ("ci", *TRAINING.values(), "release", "infra", "monitor", "destroy")
RUN = ".github/scripts/run "


@dataclass
class Unit:
    """One job of GitHub, one stage of Azure Pipelines."""

    needs: set[str]
    condition: str
    environments: list[str]
    locked: bool
    minutes: int
    head: bool
    """Works on the head of main instead of the commit that started the run."""
    pulumi: bool
    login: str | None
    """When it logs in to Azure: a condition, empty for always, None for never."""
    writes: bool
    """Whether it gets a token that may push branches and open pull requests."""
    model: str
    """The one that its verbs are about, as MLOPS_MODEL tells them; empty for all of mlops.toml."""
    commands: list[tuple[str, str]] = field(default_factory=list)
    """Each command in order, with its condition."""


@dataclass
class Pipeline:
    branches: list[str]
    """Whose pushes start it."""
    paths: list[str]
    pull_requests: bool
    inputs: dict[str, list[str]]
    """What a person is asked for, with the values allowed."""
    events: list[str]
    """Types of the lifecycle's own events that start it."""
    about: str
    """The model whose events start it; empty for any."""
    schedule: list[str]
    """When it starts by itself: cron, UTC."""
    cancels: bool
    """Whether a newer commit of a pull request ends the run of the older one."""
    units: dict[str, Unit]


def read(path: Path) -> dict[str, Any]:
    """A YAML file, with `on` as a word and every scalar as the text that it is (both systems see texts)."""
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  texts only
    assert isinstance(loaded, dict), f"{path} is not a mapping"
    return loaded


def command_of(script: str) -> str:
    """The command behind our wrapper, with what the wrapper itself is told."""
    return " ".join(script.split()).removeprefix(RUN)


def without_options(command: str) -> str:
    """A command alone, as somebody types it."""
    return re.sub(r"^(--(show|capture|output) \S+ |--verdict )+", "", command)


_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][\w.-]*(?:\['[^']+'\])?)|(&&|\|\||==|!=|!|[(),]))")
_VALUES = {
    "PullRequest": "pull_request",
    "ResourceTrigger": "repository_dispatch",
    "Manual": "workflow_dispatch",
    "Schedule": "schedule",
}
_CALLS = {"failure": "failed", "canceled": "cancelled"}


def canonical(expression: str) -> str:
    """One spelling for a condition of either system; empty for "when nothing before it failed"."""
    text = expression.strip().removeprefix("${{").removesuffix("}}")
    tokens = list(_tokens(text))
    if not tokens:
        return ""
    parsed, rest = _either(tokens)
    assert not rest, f"cannot read {expression!r} from {rest[0]!r} on"
    return "" if parsed == "true" else parsed


def both(first: str, second: str) -> str:
    """`first` and `second`, each canonical."""
    return _joined("and", [text or "true" for text in (first, second)]).removeprefix("true")


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        assert found, f"cannot read {text[at:]!r}"
        yield found[0].strip()
        at = found.end()


def _either(tokens: list[str]) -> tuple[str, list[str]]:
    return _chain(tokens, "||", "or", _all)


def _all(tokens: list[str]) -> tuple[str, list[str]]:
    return _chain(tokens, "&&", "and", _compared)


def _chain(tokens: list[str], sign: str, name: str, inner: Any) -> tuple[str, list[str]]:
    first, tokens = inner(tokens)
    parts = [first]
    while tokens and tokens[0] == sign:
        part, tokens = inner(tokens[1:])
        parts.append(part)
    return (_joined(name, parts) if len(parts) > 1 else first), tokens


def _compared(tokens: list[str]) -> tuple[str, list[str]]:
    left, tokens = _one(tokens)
    if tokens and tokens[0] in ("==", "!="):
        name = "eq" if tokens[0] == "==" else "ne"
        right, tokens = _one(tokens[1:])
        return f"{name}({left}, {right})", tokens
    return left, tokens


def _one(tokens: list[str]) -> tuple[str, list[str]]:
    head, tokens = tokens[0], tokens[1:]
    if head == "!":
        inner, tokens = _one(tokens)
        return f"not({inner})", tokens
    if head == "(":
        inner, tokens = _either(tokens)
        assert tokens[0] == ")", f"a bracket is open before {tokens[0]!r}"
        return inner, tokens[1:]
    if head.startswith("'"):
        return f"'{_VALUES.get(head[1:-1], head[1:-1])}'", tokens
    return _call(head, tokens) if tokens[:1] == ["("] else (_name(head), tokens)


def _call(head: str, tokens: list[str]) -> tuple[str, list[str]]:
    arguments, tokens = [], tokens[1:]
    while tokens[0] != ")":
        argument, tokens = _either(tokens)
        arguments.append(argument)
        tokens = tokens[1:] if tokens[0] == "," else tokens
    if head in ("succeeded", "success"):
        return "true", tokens[1:]
    if head in ("and", "or"):
        return _joined(head, arguments), tokens[1:]
    return f"{_CALLS.get(head, head)}({', '.join(arguments)})", tokens[1:]


def _joined(name: str, parts: list[str]) -> str:
    kept: list[str] = []
    for part in parts:
        inner = re.fullmatch(rf"{name}\((.*)\)", part)
        kept += _split(inner[1]) if inner else [part]
    kept = sorted({part for part in kept if name == "or" or part != "true"})
    return f"{name}({', '.join(kept)})" if len(kept) > 1 else (kept or ["true"])[0]


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def _name(text: str) -> str:
    if text in ("github.event_name", "variables['Build.Reason']"):
        return "event"
    if found := re.fullmatch(r"needs\.(\w+)\.outputs\.(\w+)", text):
        return f"output.{found[1]}.{found[2]}"
    if found := re.fullmatch(r"dependencies\.(\w+)\.outputs\['(?:\w+\.)+(\w+)'\]", text):
        return f"output.{found[1]}.{found[2]}"
    spellings = {"vars.": "", "variables.": "", "env.": "", "inputs.": "input.", "parameters.": "input."}
    for prefix, ours in spellings.items():
        if text.startswith(prefix):
            return ours + text.removeprefix(prefix)
    return text


def reduced(units: Mapping[str, Unit]) -> None:
    """Leave out what a unit needs through another one anyway."""

    def above(name: str) -> set[str]:
        return units[name].needs.union(*(above(n) for n in units[name].needs))

    far = {name: set().union(*(above(n) for n in unit.needs)) for name, unit in units.items()}
    for name, unit in units.items():
        unit.needs -= far[name]
