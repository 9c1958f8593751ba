"""Compute, workspaces and connections: sizes, counts, names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.cron import cron_problem
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.machine import at_least, check_size
from mlops.lint.node import At

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,22}[a-zA-Z0-9]")
_WORKSPACE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{1,32}")


def check_compute(compute: At, kind: str, files: Files) -> Iterator[Finding]:
    """A cluster's size and counts."""
    name = compute["name"]
    if kind in ("compute.amlcompute", "compute.computeinstance"):
        yield from check_size(compute["size"], files)
        if name.text is not None and not _NAME.fullmatch(name.text):
            message = f"must be 2 to 24 letters, digits or '-', starting with a letter; got {name.value!r}"
            yield name.says("bad-name", message)
    least, most = compute["min_instances"].number, compute["max_instances"].number
    yield from at_least(compute["min_instances"], 0, "scale")
    yield from at_least(compute["max_instances"], 0, "scale")
    if least is not None and most is not None and least > most:
        yield compute["min_instances"].says("scale", f"is more than max_instances ({most:g})")
    yield from at_least(compute["idle_time_before_scale_down"], 0, "out-of-range")
    for schedule in compute.at("schedules", "compute_start_stop").elements():
        expression = schedule.at("trigger", "expression")
        if expression.text is not None and (why := cron_problem(expression.text, parts=False)):
            yield expression.says("cron", why)


def check_workspace(workspace: At) -> Iterator[Finding]:
    """A workspace's name."""
    name = workspace["name"]
    if name.text is not None and not _WORKSPACE.fullmatch(name.text) and "<" not in name.text:
        message = f"must be 2 to 33 letters, digits, '-' or '_', not starting with these; got {name.value!r}"
        yield name.says("bad-name", message)
