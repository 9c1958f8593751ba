"""What a job of a pipeline can be given and gives: the ports of its component, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlops.lint.classify import kind_of
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.kinds import KINDS
from mlops.lint.node import At, is_file
from mlops.lint.references import check_asset, is_remote

Ports = dict[str, At]
FLOW = ("do_while", "if_else", "parallel_for")


@dataclass(frozen=True)
class Interface:
    """Ports of a job. None: nobody here knows them, because the component is in a workspace or registry."""

    name: str
    inputs: Ports | None = None
    outputs: Ports | None = None
    component: At | None = None
    """The component where it can be read: a file of its own, or a part of the pipeline."""
    own: bool = False
    """The job is written in place: its ports are what it gives."""
    findings: tuple[Finding, ...] = field(default=())


def ports(place: At) -> Ports:
    """Ports of an `inputs` or `outputs` mapping."""
    return dict(place.fields())


def name_of(node: At) -> str:
    """The key of a job in its pipeline; of a file, its name."""
    return str(node.loc[-1]) if node.loc else node.path.name


def reference_of(node: At) -> At:
    """Where a job names its component: `trial` of a sweep, `component` of any other."""
    return node["trial"] if kind_of_node(node) == "sweep" and "component" not in node else node["component"]


def kind_of_node(node: At) -> str:
    """`type` of a job; a job without one is a command."""
    return node["type"].word or "command"


def interface_of(node: At, files: Files) -> Interface:
    """The ports of a job, and what is wrong with the reference to its component."""
    kind = kind_of_node(node)
    name = name_of(node)
    if kind in FLOW:
        return Interface(name, {}, {})
    if kind == "automl":
        return Interface(name, {}, None, own=True)
    reference = reference_of(node)
    if isinstance(reference.value, dict) and kind != "sweep":
        return Interface(name, ports(reference["inputs"]), ports(reference["outputs"]), reference)
    if reference.text is None:
        return Interface(name, ports(node["inputs"]), ports(node["outputs"]), own=True)
    return _referred(name, reference, reference.text, files)


def _referred(name: str, reference: At, text: str, files: Files) -> Interface:
    if is_remote(text):
        findings = [*check_asset(reference)]
        message = f"{text!r} is a component of a workspace or registry; its ports cannot be checked here"
        if not findings:
            findings = [reference.says("workspace-component", message)]
        return Interface(name, findings=tuple(findings))
    path = reference.beside(text.removeprefix("file:"))
    if not is_file(path):
        message = f"the component {text!r} does not exist beside the file"
        return Interface(name, findings=(reference.says("missing-file", message),))
    top = files.top(path)
    if top is None:
        message = f"the component {text!r} cannot be read; see there"
        return Interface(name, findings=(reference.says("missing-file", message),))
    given = top["name"].text or name
    there = kind_of(top.value)
    if there in KINDS and not there.startswith(("component.", "job.")):
        message = f"{text!r} is no component, but a file of kind {KINDS[there].label}"
        return Interface(name, findings=(reference.says("bad-reference", message),))
    if not there.startswith(("component.", "job.")):
        return Interface(given)  # promptflow's flows and the like have ports of their own
    return Interface(given, ports(top["inputs"]), ports(top["outputs"]), top)


def described(interface: Interface) -> str:
    """How a sentence calls the owner of ports."""
    return f"job {interface.name!r}" if interface.own else f"component {interface.name}"


def required(interface: Interface) -> Iterator[tuple[str, At]]:
    """Inputs that must be given."""
    for name, port in ({} if interface.own else interface.inputs or {}).items():
        optional = str(port["optional"].value).lower() == "true"
        if not optional and port["default"].value is None and isinstance(port.value, dict):
            yield name, port
