"""Commands and the code that they run: placeholders, scripts, environment, distribution."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from mlops.lint.environment import check_environment
from mlops.lint.expression import broken, holes
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.ignored import comes_later
from mlops.lint.interface import Ports
from mlops.lint.machine import at_least, between, check_resources
from mlops.lint.node import At, exists, is_file, is_folder
from mlops.lint.references import is_remote
from mlops.lint.shape import unknown

_SEPARATOR = re.compile(r"&&|\|\||;|\n|\|")
_VARIABLES = r"^\s*(?:[A-Z_][A-Z0-9_]*=\S*\s+)*"
_PYTHON = r"python[\d.]*\s+(?:-[uBEIsO]+\s+)*"
_SCRIPT = re.compile(
    rf"{_VARIABLES}(?:{_PYTHON}(?P<py>[\w./-]+\.py)|(?:bash|sh)\s+(?P<sh>[\w./-]+\.sh)"
    r"|Rscript\s+(?P<r>[\w./-]+\.[rR]))(?=\s|$)"
)
_MODULE = re.compile(rf"{_VARIABLES}{_PYTHON}-m\s+(?P<module>[A-Za-z_][\w.]*)")
_CD = re.compile(r"^\s*cd\s+(?P<to>[\w./-]+)\s*$")
_BRINGS = re.compile(
    r"\b(git|wget|curl|unzip|tar|cp|mv|ln|azcopy|gsutil|aws|touch|tee|mkdir|cat|echo|jupyter)\b"
)
"""Programs that may bring the script along that a later part of the command runs."""
_SERVICES = ("jupyter_lab", "ssh", "tensor_board", "vs_code", "ray_dashboard", "custom")
_PLAIN_SERVICES = {name.replace("_", "") for name in (*_SERVICES, "studio", "tracking")}
_OF_DISTRIBUTION = {
    "pytorch": {"process_count_per_instance"},
    "mpi": {"process_count_per_instance"},
    "tensorflow": {"worker_count", "parameter_server_count"},
    "ray": {
        "port",
        "address",
        "include_dashboard",
        "dashboard_port",
        "head_node_additional_args",
        "worker_node_additional_args",
    },
}


def check_work(work: At, files: Files, *, declared: bool = False) -> Iterator[Finding]:
    """What every job, component (`declared`) or trial that runs a command shares."""
    yield from check_code(work)
    yield from check_includes(work)
    if "command" in work and "environment" not in work:
        yield work.says("no-environment", "needs `environment`")
    yield from check_run(work, files, declared=declared)
    command = work["command"]
    if command.text is not None and not command.text.strip():
        yield command.says("wrong-value", "is empty, so there is nothing to run")
    # Without code no script is there but those that are included: nothing lies below a file.
    folder = code_folder(work) if "code" in work else work.path / "no code"
    if command.text is not None and folder is not None and _code_is_whole(work):
        yield from check_scripts(command, command.text, folder, included(work))


def check_run(work: At, files: Files, *, declared: bool = False) -> Iterator[Finding]:
    """What a job may also set for its component: with what, with whom and how long it runs."""
    yield from check_environment(work["environment"], files)
    yield from check_resources(work, files, declared=declared)
    yield from check_variables(work["environment_variables"])
    for _, service in work["services"].fields():
        yield from between(service["port"], 1, 65535, "out-of-range")
        kind = service["type"]
        if kind.word and kind.word.replace("_", "") not in _PLAIN_SERVICES and not is_remote(kind.word):
            yield kind.says("wrong-value", f"must be one of {', '.join(_SERVICES)}; got {kind.value!r}")
    yield from check_distribution(work["distribution"])
    yield from at_least(work.at("limits", "timeout"), 1, "out-of-range")


def check_variables(place: At) -> Iterator[Finding]:
    """Environment variables are text."""
    for _, value in place.fields():
        if isinstance(value.value, dict | list):
            yield value.says("wrong-type", "a variable must be text; put it in quotes")


def check_code(work: At) -> Iterator[Finding]:
    """`code` is a folder that exists, or lies in the workspace."""
    code = work["code"]
    if code.text is None:
        return
    if code.text.startswith(("git+", "git://")) or code.text.endswith(".git"):
        message = f"{code.text!r} is a git repository, which `azure-ai-ml` refuses; name a folder"
        yield code.says("git-code", message)
    elif re.fullmatch(r"(?i)azureml:[^/:@]+", code.text):
        message = f"{code.text!r} names no version; write a folder, or azureml:<name>:<version>"
        yield code.says("bad-reference", message)
    elif not is_remote(code.text) and not exists(code.beside(code.text)):
        yield code.says("missing-file", f"the folder {code.text!r} does not exist beside the file")


def check_includes(work: At) -> Iterator[Finding]:
    """Each include is there; `x.zip` may be a folder `x` that is packed."""
    for place in work["additional_includes"].elements():
        if place.text is None or is_remote(place.text):
            continue
        path = place.beside(place.text)
        packed = path.suffix == ".zip" and is_folder(path.with_suffix(""))
        if exists(path) or packed:
            continue
        if why := comes_later(path, place.text, place.path):
            yield place.says("given-later", f"the include {place.text!r} is not there yet, and {why}")
        else:
            yield place.says("missing-file", f"the include {place.text!r} does not exist beside the file")


def code_folder(work: At) -> Path | None:
    """The folder of local code; None when there is none here."""
    code = work["code"].text
    if code is None or is_remote(code):
        return None
    path = work.beside(code)
    if not exists(path):
        return None
    return path if is_folder(path) else path.parent


def included(work: At) -> dict[str, Path]:
    """What `additional_includes` puts beside the code, by name."""
    paths = {}
    for element in work["additional_includes"].elements():
        if element.text is not None:
            path = element.beside(element.text)
            paths[path.name] = path
    return paths


def _code_is_whole(work: At) -> bool:
    """Whether all code is here: includes from elsewhere, or of the older kind, may bring more."""
    here = all(element.text is not None for element in work["additional_includes"].elements())
    code = work["code"].text or ""
    beside = work.beside(code.rstrip("/") + ".additional_includes")
    own = work.path.with_suffix(".additional_includes")
    return here and not exists(beside) and not exists(own)


def check_scripts(place: At, command: str, folder: Path, more: dict[str, Path]) -> Iterator[Finding]:
    """`python x.py`, `python -m x` and `bash x.sh` must be there, where the command stands by then."""
    where = folder
    for part in _SEPARATOR.split(command):
        if moved := _CD.match(part):
            where = where / moved["to"]
            continue
        if _BRINGS.search(part) or re.match(r"^\s*cd\b", part):
            return
        if match := _SCRIPT.match(part):
            script = match["py"] or match["sh"] or match["r"]
            if script.startswith("/") or _there(where, script, more):
                continue
            if why := comes_later(where / script, "", place.path):
                yield place.says("given-later", f"the script {script!r} is not there yet, and {why}")
            else:
                yield place.says("missing-script", f"the script {script!r} is not in the code folder")
        elif (match := _MODULE.match(part)) and not _module_there(where, match["module"]):
            yield place.says("missing-script", f"the module {match['module']!r} is not in the code folder")


def _there(where: Path, script: str, more: dict[str, Path]) -> bool:
    if is_file(where / script):
        return True
    first, _, rest = script.removeprefix("./").partition("/")
    return first in more and exists(more[first] / rest)


def _module_there(where: Path, module: str) -> bool:
    """A module that the code does not begin is one that the environment installs."""
    parts = module.split(".")
    first = where / parts[0]
    if not is_folder(first) and not is_file(first.with_suffix(".py")):
        return True
    path = where.joinpath(*parts)
    return is_file(path.with_suffix(".py")) or is_file(path / "__main__.py")


def check_distribution(place: At) -> Iterator[Finding]:
    """Settings that Azure ML drops because they belong to another type, and counts of nobody."""
    kind = place["type"].word
    allowed = _OF_DISTRIBUTION.get(kind)
    if allowed is None:
        return
    known = set().union(*_OF_DISTRIBUTION.values())
    for name, field in place.fields():
        if name in known and name not in allowed:
            message = f"is for another type of distribution; {kind} has {', '.join(sorted(allowed))}"
            yield field.says("distribution", message)
    yield from at_least(place["process_count_per_instance"], 1, "instances")
    yield from at_least(place["worker_count"], 1, "instances")
    yield from at_least(place["parameter_server_count"], 0, "instances")
    for port in ("port", "dashboard_port"):
        yield from between(place[port], 1, 65535, "distribution")


def check_placeholders(
    place: At, inputs: Ports, outputs: Ports, space: Collection[str] = (), *, declared: bool = True
) -> Iterator[Finding]:
    """Each `${{…}}` of a command or of arguments must be fillable, `$[[…]]` only around optional inputs."""
    for piece in broken(place.text or ""):
        message = f"{piece} is not closed" if piece == "$[[" else f"{piece} cannot be read; write ${{{{…}}}}"
        yield place.says("placeholder", message)
    known: dict[str, Collection[str]] = {"inputs": inputs, "outputs": outputs, "search_space": space}
    for hole in holes(place.text or ""):
        if hole.side not in known:
            if hole.side == "" or hole.side.startswith("job"):
                allowed = "${{inputs.<name>}}, ${{outputs.<name>}}"
                yield place.says("placeholder", f"{hole.text} cannot be read; allowed: {allowed}")
        elif hole.name not in known[hole.side]:
            message = f"{hole.text}: {unknown(hole.name, f'entry of {hole.side}', known[hole.side])}"
            yield place.says("placeholder", message)
        elif hole.side == "inputs" and declared:
            yield from _optional(place, hole.name, inputs[hole.name], inside=hole.optional)


def _optional(place: At, name: str, port: At, *, inside: bool) -> Iterator[Finding]:
    optional = str(port["optional"].value).lower() == "true"
    written = f"${{{{inputs.{name}}}}}"
    if inside and not optional:
        message = f"$[[…]] around {written}, which is not optional; remove the brackets, or make it so"
        yield place.says("optional-input", message)
    if not inside and optional and port["default"].value is None:
        yield place.says("optional-input", f"{written} is optional: put its part into $[[…]]")


def check_used(work: At, command: str) -> Iterator[Finding]:
    """Declared inputs and outputs that a command never mentions."""
    named = {(hole.side, hole.name) for hole in holes(command)}
    for side, rule in (("inputs", "unused-input"), ("outputs", "unused-output")):
        for name, place in work[side].fields():
            if (side, name) not in named:
                message = f"the command does not use this {side[:-1]}; remove it, or pass it on"
                yield place.says(rule, message)
