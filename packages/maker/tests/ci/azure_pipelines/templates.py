"""Template expressions: what a file says once parameters, variables and conditions on them are put in.

`${{ if }}`, `${{ elseif }}`, `${{ else }}`, `${{ each x in y }}` and `${{ insert }}` change the structure,
any other `${{ … }}` a text. A `template:` in `stages`, `jobs`, `steps` or `variables` is replaced by what its
file holds there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from azure_pipelines import source
from azure_pipelines.expressions import Context, as_text, evaluate, truth
from azure_pipelines.source import Items, Mapping, Node, Text, refuse

_EXPRESSION = re.compile(r"\$\{\{((?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")
_EACH = re.compile(r"each (\w+) in (.+)")
_LISTS = ("stages", "jobs", "steps", "variables")
_DEEPEST = 20
"""Levels of templates, the limit of Azure Pipelines."""
_TYPES = ("string", "boolean", "object")


@dataclass(frozen=True)
class Scope:
    """What template expressions see while one file is expanded."""

    root: Path
    parameters: Map[str, Any]
    variables: Map[str, str]
    loops: Map[str, Any]
    depth: int = 0

    def context(self) -> Context:
        lowered = {name.lower(): value for name, value in self.variables.items()}

        def parameter(name: str) -> Any:
            if name not in self.parameters:
                raise KeyError(f"there is no parameter {name!r}")
            return self.parameters[name]

        loops = {name: _member_of(value) for name, value in self.loops.items()}
        return Context(
            {"parameters": parameter, "variables": lambda name: lowered.get(name.lower()), **loops},
            whole=self.loops,
        )


def _member_of(value: Any) -> Any:
    return lambda key: value.get(key) if isinstance(value, Map) else None


def expand(node: Node, scope: Scope, kind: str = "") -> Any:
    """`node` without any template expression. `kind` is the key that it stands below."""
    if isinstance(node, Text):
        return _text(node, scope)
    return _items(node, scope, kind) if isinstance(node, Items) else _mapping(node, scope)


def bind(declared: Node, given: Map[str, Any], place: Node, scope: Scope) -> dict[str, Any]:
    """Values of the parameters that a file declares, from what its user gives."""
    found: dict[str, Any] = {}
    for entry in source.items(declared):
        spec = source.known(
            source.mapping(entry), "a parameter", ("name", "type"), ("default", "values", "displayName")
        )
        name, kind = source.text(spec["name"]), source.text(spec["type"])
        if kind not in _TYPES:
            refuse(
                kind, f"the interpreter knows no parameter type {str(kind)!r}; it knows {', '.join(_TYPES)}"
            )
        if name not in given and "default" not in spec:
            refuse(place, f"the parameter {str(name)!r} is not given and has no default")
        value = given[name] if name in given else expand(spec["default"], scope)
        found[name] = _typed(value, kind, spec, place)
    for name in given:
        if name not in found:
            refuse(place, f"there is no parameter {str(name)!r}; there are {', '.join(found) or 'none'}")
    return found


def _typed(value: Any, kind: Text, spec: Mapping, place: Node) -> Any:
    if kind == "object":
        return value
    if not isinstance(value, str):
        refuse(place, f"the parameter {str(spec['name'])!r} must be a text")
    if kind == "boolean":
        if value.lower() not in ("true", "false"):
            refuse(place, f"the parameter {str(spec['name'])!r} must be true or false; got {str(value)!r}")
        return value.lower() == "true"
    allowed = source.texts(spec["values"]) if "values" in spec else [value]
    if value not in allowed:
        refuse(
            place,
            f"the parameter {str(spec['name'])!r} must be one of {', '.join(allowed)}; got {str(value)!r}",
        )
    return value


def _text(node: Text, scope: Scope) -> Any:
    alone = _EXPRESSION.fullmatch(node)
    if alone:
        value = evaluate(alone[1], scope.context(), node.place)
        return value if isinstance(value, Mapping | Items) else Text(as_text(value), node.place)

    def inner(found: re.Match[str]) -> str:
        value = evaluate(found[1], scope.context(), node.place)
        if isinstance(value, Mapping | Items):
            refuse(node, f"{found[0]} is no text and cannot stand inside one")
        return as_text(value)

    return Text(_EXPRESSION.sub(inner, node), node.place)


def _directive(key: Text) -> str:
    """What stands in `${{ … }}` when that is all of a key and changes the structure; else empty."""
    found = _EXPRESSION.fullmatch(key)
    words = found[1].strip() if found else ""
    return words if words.partition(" ")[0] in ("if", "elseif", "else", "each", "insert") else ""


class _Branches:
    """Follows one `if … elseif … else` and says what to take."""

    def __init__(self) -> None:
        self.open = self.taken = False

    def take(self, directive: str, key: Text, scope: Scope) -> bool:
        word, _, condition = directive.partition(" ")
        if word == "if":
            self.open, self.taken = True, False
        elif not self.open:
            refuse(key, f"{str(key)!r} follows no if")
        chosen = not self.taken and (word == "else" or truth(evaluate(condition, scope.context(), key.place)))
        self.taken = self.taken or chosen
        self.open = word != "else"
        return chosen


def _mapping(node: Mapping, scope: Scope) -> Mapping:
    made = Mapping(node.place)
    branches = _Branches()
    for key, value in node.items():
        directive = _directive(key)
        word = directive.partition(" ")[0]
        if word in ("if", "elseif", "else"):
            if branches.take(directive, key, scope):
                _merge(made, expand(value, scope), key)
            continue
        branches.open = False
        if word == "each":
            for inner in _loops(directive, key, scope):
                _merge(made, expand(value, inner), key)
        elif word == "insert":
            _merge(made, expand(value, scope), key)
        else:
            name = _text(key, scope)
            _merge(made, _single(name, expand(value, scope, name)), key)
    return made


def _items(node: Items, scope: Scope, kind: str) -> Items:
    made = Items(node.place)
    branches = _Branches()
    for item in node:
        key = next(iter(item)) if isinstance(item, Mapping) and len(item) == 1 else None
        directive = _directive(key) if key is not None else ""
        word = directive.partition(" ")[0]
        if key is not None and word in ("if", "elseif", "else"):
            if branches.take(directive, key, scope):
                made += source.items(expand(item[key], scope, kind))
            continue
        branches.open = False
        if key is not None and word == "each":
            for inner in _loops(directive, key, scope):
                made += source.items(expand(item[key], inner, kind))
            continue
        value = expand(item, scope)
        if isinstance(value, Mapping) and "template" in value and kind in _LISTS:
            value = _template(value, scope, kind)
        made += value if isinstance(value, Items) else [value]
    return made


def _template(entry: Mapping, scope: Scope, kind: str) -> Any:
    source.known(entry, "a template", ("template",), ("parameters",))
    name = source.text(entry["template"])
    if scope.depth >= _DEEPEST:
        refuse(name, f"more than {_DEEPEST} levels of templates")
    file = (PurePosixPath(name.place.file).parent / name).as_posix()
    if not (scope.root / file).is_file():
        refuse(name, f"there is no template {file}")
    content = source.known(source.read(scope.root, file), f"a template of {kind}", (kind,), ("parameters",))
    inner = replace(scope, parameters={}, loops={}, depth=scope.depth + 1)
    given = source.mapping(entry["parameters"]) if "parameters" in entry else {}
    bound = bind(content.get("parameters", Items(name.place)), given, name, inner)
    return expand(content[kind], replace(inner, parameters=bound), kind)


def _loops(directive: str, key: Text, scope: Scope) -> list[Scope]:
    found = _EACH.fullmatch(directive)
    if found is None:
        refuse(key, f"cannot read {str(key)!r}; it must be of the form each NAME in LIST")
    values = evaluate(found[2], scope.context(), key.place)
    if isinstance(values, Mapping):
        values = [{"key": name, "value": value} for name, value in values.items()]
    elif not isinstance(values, Items):
        refuse(key, f"{found[2]!r} is neither a sequence nor a mapping")
    return [replace(scope, loops={**scope.loops, found[1]: value}) for value in values]


def _single(name: Text, value: Any) -> Mapping:
    made = Mapping(name.place)
    made[name] = value
    return made


def _merge(made: Mapping, more: Any, key: Text) -> None:
    if not isinstance(more, Mapping):
        refuse(key, f"what {str(key)!r} gives is no mapping")
    for name, value in more.items():
        if name in made:
            refuse(name, f"the key {str(name)!r} is there twice")
        made[name] = value
