"""Run the program of one stack without an engine and keep every registration, options and dependencies
included.

`Mocks.new_resource` never sees parents, dependencies or options; the raw request does, so the monitor is
ours. State of Pulumi's SDK that is global to the process (`SETTINGS.rpc_manager`, `SETTINGS.outputs`, the
root stack) is reset for each run, and each run has a context of its own: a run that failed would poison
the next.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_in_stack

from mlops.errors import InvalidInput, MlopsError

from ..model import UNKNOWN, Captured, Resource, Skip, texts
from .mocks import PretendAzure
from .program import main_of, part_of

ORGANIZATION = "organization"
_STACK = "pulumi:pulumi:Stack"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_NO_TEXT = "Calling __str__ on an Output"

Program = Callable[[], Any]
Edit = Callable[[dict[str, str]], None]


def capture(
    root: Path,
    stack: str,
    stack_outputs: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    preview: bool = False,
    program: Program | None = None,
    edit: Edit | None = None,
    day: date | None = None,
) -> Captured:
    """What the program in `root` registers for `stack`.

    `stack_outputs` are the exports of other stacks by full name (`organization/<project>/<stack>`). With
    `preview` values that only Azure knows stay unknown. `edit` may change the configuration (as Pulumi
    hands it over: text, objects as JSON); `program` replaces the program's own entry; `day` is today. All
    three are for tests. Raises `InvalidInput` for an invalid configuration or program.
    """
    with _no_collection(), _cheap_aliases():
        run = partial(
            _run, root, stack, stack_outputs or {}, preview=preview, program=program, edit=edit, day=day
        )
        return contextvars.copy_context().run(run)


def project_name(root: Path) -> str:
    """The name in Pulumi.yaml. Raises `InvalidInput` when the file is not there or has none."""
    import yaml

    path = root / "Pulumi.yaml"
    if not path.is_file():
        raise InvalidInput(
            f"{path} does not exist; `mlops infra` runs in the root of a repository with Pulumi.yaml"
        )
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise InvalidInput(f"{path}: name: must be the project's name")
    return str(document["name"])


def _run(
    root: Path,
    stack: str,
    stack_outputs: Mapping[str, Mapping[str, Any]],
    *,
    preview: bool,
    program: Program | None,
    edit: Edit | None,
    day: date | None,
) -> Captured:
    run = program or partial(main_of(root), root)
    load, suppress = part_of(root, "load"), part_of(root, "suppress")
    _stop_clock(root, day)
    project = project_name(root)
    config, secret = load.raw_stack_file(root, stack)
    if edit is not None:
        edit(config)
    suppress.forget()
    # set_mocks starts a task at once, so the loop must be there before.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_all_config(config, list(secret))
    azure = PretendAzure(stack_outputs, preview=preview)
    monitor = _Monitor(azure)
    mocks.set_mocks(
        azure, project=project, stack=stack, preview=preview, monitor=monitor, organization=ORGANIZATION
    )
    settings.SETTINGS.rpc_manager.clear()
    settings.SETTINGS.outputs.clear()
    # set_mocks has made a stack already; the one that exports is made by run_in_stack.
    settings.ROOT.set(None)
    monitor.seen.clear()
    with _quiet():
        try:
            loop.run_until_complete(run_in_stack(run))
        except MlopsError:
            raise
        except Exception as error:
            raise _told(stack, error) from error
        finally:
            loop.close()
            asyncio.set_event_loop(None)
    skips = tuple(Skip(s.resource, s.check, s.reason) for s in suppress.suppressions())
    captured = Captured(project, stack, _ordered(monitor.seen), monitor.exports, skips)
    _refuse_nonsense(captured)
    return captured


def _stop_clock(root: Path, day: date | None) -> None:
    """A plan has no day. The program of an older commit may not ask for one."""
    try:
        clock = part_of(root, "clock")
    except ModuleNotFoundError:
        return
    clock.pin(day or clock.NO_DAY)


def _told(stack: str, error: BaseException) -> MlopsError:
    """The sentence inside Pulumi's wrapping; an error without one keeps its type so that it can be found."""
    cause: BaseException | None = error
    # asyncio re-raises one error in several tasks, so that the chain of contexts may be a ring.
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MlopsError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return InvalidInput(f"the program of stack {stack} failed: {type(error).__name__}: {error}")


class _Monitor(mocks.MockMonitor):
    """The mock monitor of the SDK, which also keeps what it was asked to register."""

    def __init__(self, azure: PretendAzure) -> None:
        super().__init__(azure)
        self.seen: list[Resource] = []
        self.exports: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the protocol's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != _STACK:
            self.seen.append(_resource(request, response))
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802  the protocol's name
        if f"::{_STACK}::" in request.urn:
            raw = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
            self.exports = {k: _plain(v) for k, v in raw.items()}
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def _resource(request: Any, response: Any) -> Resource:
    raw = rpc.deserialize_properties(request.object, keep_unknowns=True)
    urns = {k: tuple(sorted(set(v.urns))) for k, v in request.propertyDependencies.items()}
    return Resource(
        urn=response.urn,
        id=response.id,
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        inputs={k: _plain(v) for k, v in raw.items() if v is not None},
        dependencies=tuple(sorted({*request.dependencies, *(u for us in urns.values() for u in us)})),
        property_dependencies={k: v for k, v in sorted(urns.items()) if v},
        options=_options(request),
        secret=frozenset(k for k, v in raw.items() if _is_secret(v)),
    )


def _options(request: Any) -> dict[str, Any]:
    timeouts = {
        k: getattr(request.customTimeouts, k)
        for k in ("create", "update", "delete")
        if getattr(request.customTimeouts, k)
    }
    options = {
        "import": request.importId,
        "protect": request.protect,
        "retain_on_delete": request.retainOnDelete,
        "delete_before_replace": request.deleteBeforeReplace,
        "ignore_changes": sorted(request.ignoreChanges),
        "replace_on_changes": sorted(request.replaceOnChanges),
        "additional_secret_outputs": sorted(request.additionalSecretOutputs),
        "timeouts": timeouts,
        "aliases": sorted(a.spec.name for a in request.aliases if a.spec.name),
        "deleted_with": request.deletedWith,
        "on_error": sorted(request.hooks.on_error),
    }
    return {k: v for k, v in options.items() if v}


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(_SIGNATURE) == "1b47061264138c4ac30d75fd1eb44270"


def _plain(value: Any) -> Any:
    """Secrets unwrapped, unknowns named, whole numbers as integers (protobuf's Struct has doubles only)."""
    if _is_secret(value):
        return _plain(value.get("value"))
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, pulumi.output.Unknown) or value == rpc.UNKNOWN:
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _ordered(seen: list[Resource]) -> tuple[Resource, ...]:
    """Registration order is an accident of scheduling."""
    return tuple(sorted(seen, key=lambda r: r.urn))


def _refuse_nonsense(captured: Captured) -> None:
    """What the engine would refuse, or Azure would take literally, and mocks let pass."""
    urns: set[str] = set()
    for resource in captured:
        if resource.urn in urns:
            raise InvalidInput(
                f"stack {captured.stack}: two resources of type {resource.type} are named {resource.name!r}; "
                "the engine refuses the second"
            )
        urns.add(resource.urn)
        if any(_NO_TEXT in text for text in texts(resource.inputs)):
            raise InvalidInput(
                f"stack {captured.stack}: {resource.name}: an Output was put into a text; "
                "use pulumi.Output.concat or .apply"
            )


@contextmanager
def _no_collection() -> Iterator[None]:
    """azure-native's type modules make hundreds of thousands of objects; collecting them costs a third of
    the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def _cheap_aliases() -> Iterator[None]:
    """Every type of azure-native has an alias for each version of its API, thirteen a resource, and the SDK
    makes a URN of each by tasks of its own: nine tenths of a run. Only children of such a resource would read
    them, and the request has the aliases as they were given; so one that names a type only stays as it is."""
    library: Any = pulumi.resource
    there = getattr(library, "collapse_alias_to_urn", None)
    if there is None:
        yield
        return

    def collapse(alias: Any, name: str, kind: str, parent: Any) -> Any:
        given = vars(alias) if isinstance(alias, pulumi.Alias) else {}
        if {key for key, value in given.items() if value is not ...} == {"type_"}:
            return given["type_"]
        return there(alias, name, kind, parent)

    library.collapse_alias_to_urn = collapse
    try:
        yield
    finally:
        library.collapse_alias_to_urn = there


@contextmanager
def _quiet() -> Iterator[None]:
    """A failed run leaves tasks behind that asyncio would report beside our own sentence."""
    logger = logging.getLogger("asyncio")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
