"""Spark jobs, nodes and components: what Azure ML refuses, or drops without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mlops.lint.command import check_code, check_placeholders, code_folder
from mlops.lint.environment import check_environment
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.ignored import comes_later
from mlops.lint.interface import ports
from mlops.lint.node import At, exists, is_file, number_of
from mlops.lint.references import is_remote
from mlops.lint.values import DATA

INSTANCE_TYPES = tuple(f"standard_e{size}s_v3" for size in (4, 8, 16, 32, 64))
RUNTIMES = ("3.2", "3.3", "3.4", "3.5")
_FIXED = "spark.executor.instances"
_DYNAMIC = "spark.dynamicAllocation.enabled"
_LEAST, _MOST = "spark.dynamicAllocation.minExecutors", "spark.dynamicAllocation.maxExecutors"
_CORES = ("spark.driver.cores", "spark.executor.cores")
_MEMORY = ("spark.driver.memory", "spark.executor.memory")
_SIZE = re.compile(r"\d+[kKmMgGtTpP][bB]?")
_OF_COMMANDS = ("command", "distribution", "limits")


def check_spark(work: At, files: Files) -> Iterator[Finding]:
    """Problems of Spark work that is written here: entry, modes, conf, arguments."""
    yield from check_code(work)
    yield from check_environment(work["environment"], files)
    if "class_name" in work["entry"]:
        yield work["entry"]["class_name"].says("spark", "is not supported; name the script by `file`")
    script, folder = work.at("entry", "file"), code_folder(work)
    if script.text is not None and folder is not None and not is_file(folder / script.text):
        yield script.says("missing-script", f"the script {script.value!r} is not in the code folder")
    for field in ("py_files", "jars", "files", "archives"):
        for place in work[field].elements():
            yield from _brought(place, folder)
    yield from _modes(work)
    yield from check_conf(work)
    inputs, outputs = ports(work["inputs"]), ports(work["outputs"])
    yield from check_placeholders(work["args"], inputs, outputs)


def _brought(place: At, folder: Path | None) -> Iterator[Finding]:
    """A file that Spark is given lies below the code."""
    if place.text is None or folder is None or is_remote(place.text) or exists(folder / place.text):
        return
    if why := comes_later(folder / place.text, place.text, place.path):
        yield place.says("given-later", f"the file {place.text!r} is not there yet, and {why}")
    else:
        yield place.says("missing-file", f"the file {place.text!r} is not in the code folder")


def check_place(job: At) -> Iterator[Finding]:
    """Where a Spark job runs: serverless with a size and a runtime, or an attached pool."""
    resources = job["resources"]
    if ("resources" in job) == ("compute" in job):
        message = "needs `resources` (serverless Spark) or `compute` (an attached pool), one of them"
        yield job.says("no-compute", message)
    for field in _OF_COMMANDS:
        if field in job:
            yield job[field].says("spark", "a job of type spark has no such field; see its component")
    yield from _one_of(resources["instance_type"], INSTANCE_TYPES)
    yield from check_runtime(resources["runtime_version"])


def check_runtime(place: At) -> Iterator[Finding]:
    """A version of Spark that Azure ML has: 3.4, also written 3.4.0."""
    text = str(place.value)
    written = isinstance(place.value, str | int | float)
    if written and "${{" not in text and ".".join(text.split(".")[:2]) not in RUNTIMES:
        yield place.says("spark", f"must be one of {', '.join(RUNTIMES)}; got {place.value!r}")


def _one_of(place: At, allowed: tuple[str, ...]) -> Iterator[Finding]:
    if place.text is not None and "${{" not in place.text and place.word not in allowed:
        yield place.says("spark", f"must be one of {', '.join(allowed)}; got {place.value!r}")


def _modes(work: At) -> Iterator[Finding]:
    for side in ("inputs", "outputs"):
        for _, port in work[side].fields():
            mode = port["mode"]
            if port["type"].word in DATA and mode.text is not None and mode.word != "direct":
                message = f"must be direct, Spark opens addresses itself; got {mode.value!r}"
                yield mode.says("spark", message)


def check_conf(work: At) -> Iterator[Finding]:
    """`conf` says how many executors there are, and how large."""
    conf = work["conf"]
    for key in _MEMORY:
        value = conf[key].value
        text = str(value) if isinstance(value, str | int | float) else None
        if text is not None and not _SIZE.fullmatch(text) and "${{" not in text:
            yield conf[key].says("spark", f"must be a size such as 28g; got {value!r}")
    for key in (*_CORES, _FIXED, _LEAST, _MOST):
        number = conf[key].number
        if "${{" in str(conf[key].value) or conf[key].value is None:
            continue
        if number is None or number < 1 or number != int(number):
            yield conf[key].says("spark", f"must be a whole number of at least 1; got {conf[key].value!r}")
    least, most = number_of(conf[_LEAST].value), number_of(conf[_MOST].value)
    if least is not None and most is not None and least > most:
        yield conf[_LEAST].says("spark", f"is more than {_MOST} ({most:g})")
    count = conf[_FIXED].number
    outside = count is not None and count >= 1 and not (least or 1) <= count <= (most or count)
    if outside and str(conf[_DYNAMIC].value).lower() == "true":
        yield conf[_FIXED].says("spark", f"must be from {_LEAST} to {_MOST}; got {conf[_FIXED].value!r}")


def check_whole_conf(job: At, component: At | None) -> Iterator[Finding]:
    """The conf that is in force, a job's own over its component's: nothing is missing, nothing idle."""
    own = component["conf"].value if component is not None else None
    conf: dict[str, object] = dict(own) if isinstance(own, dict) else {}
    place = job["conf"] if "conf" in job or component is None else component["conf"]
    if isinstance(job["conf"].value, dict):
        conf |= job["conf"].value
    elif "conf" in job:
        return  # the shape says that it is no mapping
    dynamic = str(conf.get(_DYNAMIC)).lower() == "true"
    for key in (*_CORES, *_MEMORY, *((_LEAST, _MOST) if dynamic else (_FIXED,))):
        if key not in conf:
            yield place.says("spark", f"needs {key}")
    for key in (_LEAST, _MOST):
        if key in conf and not dynamic:
            where = place[key] if place[key].there else place
            yield where.says("spark", f"{key} counts only when {_DYNAMIC} is true")
