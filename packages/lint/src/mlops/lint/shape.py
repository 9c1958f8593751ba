"""Fields, types and words of a file, held against the shapes that `azure-ai-ml` has for its kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from mlops.lint.finding import Finding
from mlops.lint.node import At, number_of
from mlops.spec.near import hint

Rule = dict[str, Any]
_TRUE_OR_FALSE = ("true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0")
# What is passed on to the service although the shape does not name it.
_ALSO = {
    "SparkComponent+open": {"identity", "resources"},
    "PipelineComponent+open": {"settings"},
    "PipelineJobSettings+open": {"on_init", "on_finalize"},
    "PipelineParallelJob+open": {"identity"},
}
_LIKELY = {"arm": 0, "word": 1, "registry": 2}
"""Which alternative a sentence names when a value is as far from several."""
_TELLING = ("type", "task", "kind")
_OF_OTHER_JOBS = {"component", "trial", "task", "entry", "jobs", "body", "condition", "source"}
"""What tells a job without a type from a command."""
_OF_NODES = {"name", "display_name", "description", "tags"}
_OF_PORTS = {"is_control", "early_available"}
_PORT_SHAPES = ("PrimitiveOutput+open", "OutputPort", "InputPort")
# `az ml … create` takes them on the command line, and public files leave them to it.
_GIVEN_LATER = {"endpoint_name"}
_FLOW = ("do_while", "if_else", "parallel_for")


@cache
def shapes() -> dict[str, Any]:
    """What `mlops.lint.derive` wrote."""
    written: dict[str, Any] = json.loads(Path(__file__).with_name("shapes.json").read_text(encoding="utf-8"))
    return written


def check_shape(place: At, kind: str) -> Iterator[Finding]:
    """Fields that are unknown, missing, or of a wrong type or word."""
    kinds = shapes()["kinds"]
    name = kinds.get(f"{kind}.{_plain(place['type'].word)}") if kind == "connection" else None
    name = name or kinds.get(kind)
    if name is not None:
        yield from _object(place, name)


def fields_of(kind: str) -> list[str]:
    """The fields that a kind of file has."""
    return list(shapes()["shapes"][shapes()["kinds"][kind]]["fields"])


def unknown(name: str, kind: str, names: Iterable[str]) -> str:
    """The sentence for a name that is not among `names`."""
    known = sorted(names)
    return f"there is no {kind} {name!r}; there is: {', '.join(known) or 'none'}{hint(name, known)}"


def _object(place: At, name: str) -> Iterator[Finding]:
    shape = shapes()["shapes"][name]
    if shape.get("file") and place.word.startswith("file:"):
        return
    if not isinstance(place.value, dict):
        yield place.says("wrong-type", f"must be a mapping of fields; got {_said(place.value)}")
        return
    for key, inner in place.fields():
        rule = shape["fields"].get(key)
        if rule is None and not _passed_on(name, key, shape):
            yield _unknown(inner, key, shape)
        elif rule is None:
            continue
        else:
            yield from _field(inner, rule)
    for key, rule in shape["fields"].items():
        if rule.get("required") and key not in place:
            if key in _GIVEN_LATER:
                yield place.says("given-later", f"has no `{key}`; the command line has to give it")
            else:
                rule_id = "no-environment" if key == "environment" else "missing-field"
                yield place.says(rule_id, f"needs `{key}`")


def _passed_on(name: str, key: str, shape: dict[str, Any]) -> bool:
    """Whether a field that the shape does not have counts all the same."""
    if key in _ALSO.get(name, ()) or key.startswith("_"):
        return True
    if name in _PORT_SHAPES and key in _OF_PORTS:
        return True
    is_node = shape["drops"] and not shape["fields"].keys().isdisjoint(("component", "trial", "task"))
    return is_node and key in _OF_NODES


def _unknown(place: At, key: str, shape: dict[str, Any]) -> Finding:
    allowed = sorted(shape["fields"])
    fate = "which nobody refuses and nothing reads" if shape["drops"] else "which Azure ML refuses"
    message = f"unknown field, {fate}; allowed: {', '.join(allowed)}{hint(key, allowed)}"
    return place.says("dropped-field" if shape["drops"] else "unknown-field", message)


def _field(place: At, rule: Rule) -> Iterator[Finding]:
    value = place.value
    kind = rule["t"]
    if kind in ("any", "ignored") or (isinstance(value, str) and "${{" in value):
        return
    if value is None:
        if not rule.get("null"):
            yield place.says("wrong-type", "has no value; give one, or remove the line")
        return
    if kind == "object":
        yield from _object(place, rule["shape"])
    elif kind == "union":
        yield from _union(place, rule)
    elif kind == "map":
        yield from _map(place, rule)
    elif kind == "list":
        yield from _list(place, rule)
    else:
        yield from _scalar(place, rule)


def _map(place: At, rule: Rule) -> Iterator[Finding]:
    if not isinstance(place.value, dict):
        yield place.says("wrong-type", f"must be a mapping; got {_said(place.value)}")
    for _, inner in place.fields():
        yield from _field(inner, rule["of"])


def _list(place: At, rule: Rule) -> Iterator[Finding]:
    if not isinstance(place.value, list):
        yield place.says("wrong-type", f"must be a list; got {_said(place.value)}")
    for inner in place.elements():
        yield from _field(inner, rule["of"])


def _union(place: At, rule: Rule) -> Iterator[Finding]:
    options = list(rule["of"])
    if "types" in rule:
        word = place[rule["by"]].word
        if rule["by"] == "type" and word in _FLOW and "command" in rule["types"]:
            yield from _object(place, shapes()["kinds"][f"node.{word}"])
            return
        chosen = {str(key).lower(): value for key, value in rule["types"].items()}
        if word == "command" and set(chosen) == {"sweep"}:
            word = "sweep"  # a trial in place may say what it is, although the schema does not list it
        if word and word not in chosen and isinstance(place.value, dict):
            message = f"must be one of {', '.join(sorted(chosen))}; got {place[rule['by']].value!r}"
            yield place[rule["by"]].says("wrong-value", message)
            return
        if not word and "command" in chosen and _OF_OTHER_JOBS.isdisjoint(place.names()):
            word = "command"  # what a job without a type is
        options += chosen.get(word) or [option for findings in chosen.values() for option in findings]
    tried = []
    for option in options:
        findings = list(_field(place, option))
        if not findings:
            return
        tried.append((_distance(place, findings, option), findings))
    yield from (
        _no_such_word(place, options)
        or _no_such_type(place, [findings for _, findings in tried])
        or min(tried, key=lambda pair: pair[0])[1]
    )


def _no_such_word(place: At, options: list[Rule]) -> list[Finding]:
    """The word that tells the alternatives apart is none of theirs: all of their words are allowed."""
    shapes_of = [shapes()["shapes"][option["shape"]] for option in options if option["t"] == "object"]
    for key in _TELLING:
        rules = [shape["fields"][key] for shape in shapes_of if key in shape["fields"]]
        words = sorted({word for rule in rules if rule["t"] == "word" for word in rule["words"]})
        if not words or not place[key].word or any(rule["t"] != "word" for rule in rules):
            continue
        if _plain(place[key].word) not in {_plain(word) for word in words} and "${{" not in place[key].word:
            given = place[key]
            return [given.says("wrong-value", f"must be one of {', '.join(words)}; got {_said(given.value)}")]
    return []


def _no_such_type(place: At, tried: list[list[Finding]]) -> list[Finding]:
    """No alternative takes a value of this type: one sentence that names all of them."""
    if not all(
        len(findings) == 1 and findings[0].id == "wrong-type" and findings[0].field == _own(place)
        for findings in tried
    ):
        return []
    said = dict.fromkeys(
        findings[0].message.partition("; got")[0].removeprefix("must ") for findings in tried
    )
    if "be a number" in said:
        said.pop("be a whole number", None)
    return [place.says("wrong-type", f"must {', or '.join(said)}; got {_said(place.value)}")]


def _distance(place: At, found: list[Finding], option: Rule) -> tuple[int, ...]:
    """How far a value is from an alternative: its own type and fields count most, then how much is wrong."""
    own = [f.id for f in found if f.field == _own(place)]
    told = [f for f in found if f.id == "wrong-value" and f.field.rsplit(".", 1)[-1] in _TELLING]
    missing = own.count("missing-field") + own.count("no-environment")
    likeness = _LIKELY.get(option["t"], 1 if isinstance(place.value, dict) else 3)
    bare = option["t"] == "object" and not shapes()["shapes"][option["shape"]]["fields"].keys() - {"type"}
    nothing = int(bare and bool(place.names()))
    return (own.count("wrong-type"), len(told), nothing, missing, len(found), likeness)


def _own(place: At) -> str:
    return ".".join(str(part) for part in place.loc)


def _scalar(place: At, rule: Rule) -> Iterator[Finding]:
    value, kind = place.value, rule["t"]
    why = _TYPES[kind](value, rule)
    if why:
        wrong_word = kind == "word" and isinstance(value, str)
        yield place.says("wrong-value" if wrong_word else "wrong-type", f"{why}; got {_said(value)}")
        return
    if "choices" in rule and value not in rule["choices"]:
        choices = ", ".join(map(str, rule["choices"]))
        yield place.says("wrong-value", f"must be one of {choices}; got {value!r}")
    number = number_of(value)
    if number is not None and "min" in rule and number < rule["min"]:
        yield place.says("out-of-range", f"must be at least {rule['min']}; got {value!r}")
    if number is not None and "max" in rule and number > rule["max"]:
        yield place.says("out-of-range", f"must be at most {rule['max']}; got {value!r}")


def _word(value: Any, rule: Rule) -> str:
    known = {_plain(word) for word in rule["words"]}
    right = isinstance(value, str) and _plain(value) in known
    return "" if right else f"must be one of {', '.join(rule['words'])}"


def _plain(word: str) -> str:
    """Azure takes words in any case, and with or without `_`."""
    return word.strip().lower().replace("_", "")


def _whole(value: Any, rule: Rule) -> str:
    number = number_of(value)
    if number is None or number != int(number) or (rule.get("strict") and not isinstance(value, int)):
        return "must be a whole number"
    return ""


def _float(value: Any, rule: Rule) -> str:
    if number_of(value) is None or (rule.get("strict") and isinstance(value, str)):
        return "must be a number"
    return ""


def _bool(value: Any, _: Rule) -> str:
    return "" if str(value).lower() in _TRUE_OR_FALSE else "must be true or false"


def _text(value: Any, _: Rule) -> str:
    return "" if isinstance(value, str) else "must be text (put it in quotes)"


def _date(value: Any, _: Rule) -> str:
    return "" if isinstance(value, str | date) else "must be a date and time, as 2026-01-31T08:00:00"


def _version(value: Any, _: Rule) -> str:
    return "must be a version, as text or a number" if isinstance(value, dict | list | bool) else ""


def _arm(value: Any, _: Rule) -> str:
    good = isinstance(value, str) and value.startswith(("azureml:", "/subscriptions/"))
    return "" if good else "must name something of the workspace, as azureml:<name>"


def _registry(value: Any, _: Rule) -> str:
    good = isinstance(value, str) and value.startswith("azureml://")
    return "" if good else "must name something of a registry, as azureml://registries/<registry>/…"


def _binding(value: Any, _: Rule) -> str:
    return "must be a binding, as ${{parent.jobs.<job>}}"


_TYPES = {
    "word": _word,
    "int": _whole,
    "float": _float,
    "bool": _bool,
    "text": _text,
    "file": _text,
    "date": _date,
    "version": _version,
    "arm": _arm,
    "registry": _registry,
    "binding": _binding,
}


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if len(repr(value)) < 80 else repr(value)[:77] + "…"
