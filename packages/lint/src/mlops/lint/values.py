"""When a literal or an output fits an input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mlops.lint.finding import Finding
from mlops.lint.node import At, number_of

DATA = ("uri_folder", "uri_file", "mltable", "mlflow_model", "custom_model", "triton_model")
NUMERIC = ("integer", "number")
PRIMITIVE = ("integer", "number", "boolean", "string")
_MODELS = ("uri_folder", "mlflow_model", "custom_model", "triton_model")
_FOLDERS = ("mltable", *_MODELS)
_KNOWN = {*DATA, *PRIMITIVE}
_READS = ("ro_mount", "download", "eval_mount", "eval_download")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE = re.compile(r"[+-]?\d+")


def type_of_port(port: At | None) -> str:
    """The type that a declaration or a given value has; empty when it cannot be told."""
    if port is None or not isinstance(port.value, dict):
        return ""
    word = port["type"].word
    return word or ("uri_folder" if "path" in port else "")


def mismatch(value: Any, port: At) -> str:
    """Why the literal `value` does not fit a declared input; empty when it does."""
    kind = type_of_port(port)
    if kind in DATA:
        return "" if isinstance(value, str) else f"must be a path or an asset ({kind}); got {value!r}"
    if kind in NUMERIC:
        return _number(value, port, kind)
    if kind == "boolean":
        right = str(value).lower() in ("true", "false")
        return "" if right else f"must be true or false (boolean); got {value!r}"
    words = [element.value for element in port["enum"].elements()]
    if kind in ("string", "enum") and words and str(value) not in map(str, words):
        return f"must be one of {', '.join(map(str, words))}; got {value!r}"
    return ""


def _number(value: Any, port: At, kind: str) -> str:
    number = number_of(value)
    if number is None or (kind == "integer" and not _whole(value)):
        return f"must be {'a whole number (integer)' if kind == 'integer' else 'a number'}; got {value!r}"
    least, most = port["min"].number, port["max"].number
    if least is not None and number < least:
        return f"must be at least {least:g}; got {value!r}"
    if most is not None and number > most:
        return f"must be at most {most:g}; got {value!r}"
    words = [number_of(element.value) for element in port["enum"].elements()]
    if words and number not in words:
        return f"must be one of {', '.join(str(e.value) for e in port['enum'].elements())}; got {value!r}"
    return ""


def _whole(value: Any) -> bool:
    return _WHOLE.fullmatch(str(value).strip()) is not None


def fits(produced: str, wanted: str) -> bool:
    """Whether an output of one type may feed an input of another; unknown types fit."""
    if produced == wanted or not {produced, wanted} <= _KNOWN:
        return True
    if produced in PRIMITIVE and wanted in PRIMITIVE:
        return wanted == "string" or (produced == "integer" and wanted == "number")
    return (wanted == "uri_folder" and produced in _FOLDERS) or (wanted in _MODELS and produced in _MODELS)


def check_port_name(port: At, name: str) -> Iterator[Finding]:
    """Azure ML takes port names of letters, digits and `_`."""
    if not _NAME.fullmatch(name):
        yield port.says("bad-name", f"{name!r} must be letters, digits and '_', not starting with a digit")


def check_ports(component: At) -> Iterator[Finding]:
    """Declared ports: their names, ends that cross, and a default that its own declaration refuses."""
    for side in ("inputs", "outputs"):
        for name, port in component[side].fields():
            yield from check_port_name(port, name)
    for _, port in component["outputs"].fields():
        if port["mode"].word in _READS:
            message = f"an output is written: rw_mount, upload or direct; got {port['mode'].value!r}"
            yield port["mode"].says("wrong-value", message)
    for name, port in component["inputs"].fields():
        least, most = port["min"].number, port["max"].number
        if least is not None and most is not None and least > most:
            yield port["min"].says("bad-literal", f"min ({least:g}) is more than max ({most:g}) of {name!r}")
            continue
        yield from _ends(port, type_of_port(port))
        if port["enum"].value == []:
            yield port["enum"].says("bad-literal", "has no word, so no value can be given")
        default = port["default"]
        if default.value is None or isinstance(default.value, dict | list):
            continue
        if (kind := type_of_port(port)) in DATA:
            yield default.says("bad-literal", f"data ({kind}) have no default; make the input optional")
            continue
        if why := mismatch(default.value, port):
            yield default.says("bad-literal", f"the default {why}")


def _ends(port: At, kind: str) -> Iterator[Finding]:
    """`min` and `max` are numbers of the input's own type; no other type has them."""
    for end in (port["min"], port["max"]):
        if end.value is None or "${{" in str(end.value):
            continue
        if kind in (*DATA, "string", "boolean"):
            yield end.says("bad-literal", f"{kind} has no min and no max; numbers have")
        elif kind in NUMERIC and end.number is None:
            yield end.says("bad-literal", f"must be a number; got {end.value!r}")
        elif kind == "integer" and end.number is not None and end.number != int(end.number):
            yield end.says("bad-literal", f"must be a whole number (integer); got {end.value!r}")
