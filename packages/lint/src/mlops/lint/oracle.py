"""What `azure-ai-ml` itself refuses, asked without a network. Imported only when a file needs it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.kinds import KINDS
from mlops.lint.node import At, Loc

_LONGEST = 300
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SWITCH = "AZURE_ML_CLI_PRIVATE_FEATURES_ENABLED"
_SECONDS = 120
_PREVIEW = ("do_while", "if_else", "parallel_for")
# The command line gives them, so that a file may lack them.
_LATER = {"endpoint_name": "given-by-the-command-line"}


def installed() -> str:
    """The version of `azure-ai-ml`; empty when it is not installed. Costs no import of it."""
    try:
        if importlib.util.find_spec("azure.ai") is None:
            return ""
    except ModuleNotFoundError:  # there is no `azure`, or a module of that name that is no package
        return ""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("azure-ai-ml")
    except PackageNotFoundError:
        return ""


def refusals(top: At, kind: str) -> list[tuple[Loc, str]]:
    """Place and sentence of everything that `azure-ai-ml` refuses in a file."""
    with _quiet():
        try:
            entity = _load(top, kind)
        except Exception as error:  # noqa: BLE001 (whatever it raises is its refusal)
            return list(_of_error(error))
        try:
            verdict = entity._validate() if hasattr(entity, "_validate") else None
        except NotImplementedError:
            return []
        except Exception as error:  # noqa: BLE001
            return list(_of_error(error))
        messages = getattr(verdict, "error_messages", None)
        return [(_place(str(at)), _short(str(text))) for at, text in (messages or {}).items()]


def _load(top: At, kind: str) -> Any:
    from azure.ai.ml.entities import _load_functions as loaders

    later = _LATER.items() if kind.startswith("deployment") else ()
    given = [{name: value} for name, value in later if name not in top]
    name = KINDS[kind].loader
    if name == "load_data_import":
        from azure.ai.ml.entities._data_import.data_import import DataImport

        return loaders.load_common(DataImport, str(top.path))
    return getattr(loaders, name)(str(top.path), params_override=given)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Its warnings and logs are about itself."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _of_error(error: Exception) -> Iterator[tuple[Loc, str]]:
    text = str(error) or type(error).__name__
    lacks = re.search(r"missing \d+ required keyword-only arguments?: (.+)$", text)
    if isinstance(error, TypeError) and lacks:
        text = f"needs {lacks[1]}"
    elif isinstance(error, KeyError):
        text = f"stops at {error.args[0]!r}, which it does not know or does not find"
    yield from _of_text(text, ())


def _of_text(text: str, above: Loc) -> Iterator[tuple[Loc, str]]:
    """The places and sentences that a message holds as JSON, or the message itself."""
    start, end = text.find("{"), text.rfind("}")
    try:
        answer = json.loads(text[start : end + 1]) if start >= 0 else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        yield above, _short(text)
    elif isinstance(answer.get("errors"), list):
        for entry in answer["errors"]:
            place = _place(str(entry.get("path", ""))) if isinstance(entry, dict) else ()
            message = str(entry.get("message", entry)) if isinstance(entry, dict) else str(entry)
            yield from _of_text(message, (*above, *place))
    else:
        yield from _nested(answer, above)


def _nested(found: Any, above: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(found, dict):
        for key, inner in found.items():
            yield from _nested(inner, above if key in ("_schema", "value", "key") else (*above, key))
    elif isinstance(found, list):
        texts = [part for part in found if isinstance(part, str)]
        if texts:
            yield above, _short("; ".join(texts))
        else:
            for part in found[-1:]:
                yield from _nested(part, above)
    else:
        yield above, _short(str(found))


def _place(path: str) -> Loc:
    """`jobs.train.inputs.rows` or `a[0].b` as a place of the file."""
    parts = re.findall(r"[^.\[\]]+", "" if path == "*" else path)
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _short(text: str) -> str:
    """One line, without colours; of a page with details and resolutions, the first detail."""
    flat = re.sub(r"\s+", " ", _COLOUR.sub("", text)).strip()
    if detail := re.search(r"Details: \(x\) (.+?)(?= Resolutions?:| \(x\)|$)", flat):
        flat = detail[1]
    flat = flat.rstrip(".")
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def needs_preview(top: At) -> bool:
    """Whether a pipeline has nodes that `azure-ai-ml` refuses unless its private preview is on."""
    return any(node["type"].word in _PREVIEW for _, node in top["jobs"].fields())


def in_preview(top: At, kind: str) -> list[tuple[Loc, str]]:
    """Its refusals of what it reads in its private preview only: that is switched on before it is imported,
    so in a process of its own. None when that process cannot say."""
    words = [sys.executable, "-m", "mlops.lint.oracle", str(top.path), kind]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, _SWITCH: "true"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        refusals = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return []
    # What it says of jobs that it cannot rebuild is about itself.
    return [(tuple(place), text) for place, text in refusals if "Not supported pipeline job type" not in text]


def ask(top: At, kind: str, own: list[Finding]) -> list[Finding]:
    """Its refusals as findings, without what is known already from the same place."""
    known = [f.field for f in own if f.level == "error" and f.file == top.document.name]
    findings = []
    for place, text in in_preview(top, kind) if needs_preview(top) else refusals(top, kind):
        dotted = ".".join(str(part) for part in place)
        if any(_near(field, dotted) for field in known):
            continue
        if "not in set" in text and any(field.startswith(f"{_parent(dotted)}.") for field in known):
            continue  # it tries another type of what is wrong for a reason that is told
        line = top.document.line(place)
        findings.append(Finding("refused", top.document.name, line, dotted, f"azure-ai-ml: {text}"))
    return findings


def _parent(field: str) -> str:
    return field.rpartition(".")[0]


def _near(one: str, other: str) -> bool:
    """Whether two places are the same or one is inside of the other; the file holds all."""
    inside = one.startswith(f"{other}.") or other.startswith(f"{one}.")
    return inside or one == other or "" in (one, other)


def _answer(path: str, kind: str) -> None:
    """What `in_preview` reads: the last line of this process's output."""
    opened = Files().open(Path(path))
    said = refusals(opened, kind) if isinstance(opened, At) else []
    sys.stdout.write("\n" + json.dumps([[list(place), text] for place, text in said]) + "\n")


if __name__ == "__main__":
    _answer(*sys.argv[1:3])
