"""Verbs on events: list, flush, replay, handle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import JsonOption, err, group, out, print_json, state, verb
from mlops.errors import InvalidInput, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from mlops.events.handle import Handler
    from mlops.events.outbox import Outbox
    from mlops.spec.sinks import HandlerSettings

events = group("events", "CloudEvents: what was told to whom, and what comes in.")


def _outbox() -> Outbox:
    from mlops.events.outbox import Outbox
    from mlops.events.publish import outbox_path

    return Outbox(outbox_path(state.root, state.settings))


@events.command("list", epilog="Example: mlops events list --limit 10")
@verb
def list_events(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show what was told, newest first, and which sinks have it."""
    from mlops.events import envelope

    stored = _outbox().events(limit)
    if as_json:
        print_json(
            [envelope.plain(s.event) | {"deliveries": [vars(d) for d in s.deliveries]} for s in stored]
        )
        return
    if not stored:
        out().print("nothing was told yet; train, gate and apply do")
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("when", "type", "subject", "sinks"):
        table.add_column(title, overflow="fold")
    for row in stored:
        event = row.event
        when = event.get_time()
        sinks = ", ".join(f"{d.sink} {d.state}" for d in row.deliveries)
        stamp = f"{when:%Y-%m-%d %H:%M:%S}" if when else ""
        table.add_row(stamp, event.get_type(), escape(event.get_subject() or ""), escape(sinks))
    out().print(table)
    for row in stored:
        for delivery in row.deliveries:
            if delivery.error and delivery.state != "delivered":
                out().print(
                    f"{delivery.sink}: {row.event.get_id()} {delivery.state} after {delivery.attempts} "
                    f"attempts: {delivery.error}",
                    markup=False,
                )


@events.command(epilog="Example: mlops events flush")
@verb
def flush() -> None:
    """Deliver what waits, with patience; exit 6 when a sink does not take its events."""
    from mlops.events import flush as deliver

    if not state.settings.events.sinks:
        out().print("no sink is configured; add [[events.sinks]] to mlops.toml", markup=False)
        return
    troubles = deliver(state.root, patient=True)
    if troubles:
        raise TargetError("\n".join(troubles))
    out().print("every sink has every event")


@events.command(epilog="Example: mlops events replay --since 2026-11-01T00:00+00:00 --sink webhook")
@verb
def replay(
    since: Annotated[str, typer.Option(help="A time with its zone, for example 2026-11-01T00:00+00:00.")],
    sink: Annotated[str | None, typer.Option(help="Only this sink; default: all.")] = None,
) -> None:
    """Tell again what was told since then, and what the target's journals say: for a sink that lost its
    memory or came later, or after a CI agent died with its outbox. Ids stay the same.
    """
    from mlops.events import flush as deliver
    from mlops.events import publish
    from mlops.lifecycle.train.facts import moves
    from mlops.spec.sinks import sink_name

    start = _moment(since)
    known = [sink_name(s) for s in state.settings.events.sinks]
    if sink is not None and sink not in known:
        raise InvalidInput(f"there is no sink {sink!r}; mlops.toml has {', '.join(known) or 'none'}")
    for model in state.settings.models:
        for env in state.policy.order:
            for fact, at in moves(env, state.target.store.entries(env, model), start):
                publish(state.root, fact, at)
    due = _outbox().replay([sink] if sink else known, start)
    out().print(f"{due} deliveries are due")
    troubles = deliver(state.root, patient=True)
    if troubles:
        raise TargetError("\n".join(troubles))


def _moment(text: str) -> datetime:
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(f"--since must be a time with its zone, as 2026-11-01T00:00+00:00; got {text!r}")
    return moment


@events.command(epilog="Example: mlops events handle event.json; then: mlops events handle -")
@verb
def handle(
    path: Annotated[
        str, typer.Argument(metavar="FILE|-", help="CloudEvents in JSON: one, a batch, or one a line.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Run the handlers of mlops.toml on events that came in, ours or Azure ML's own; each acts once.

    Ends with 6 when a handler failed, so that whoever delivers tries again.
    """
    from mlops.events.envelope import source_of
    from mlops.events.handle import handle as run
    from mlops.events.handle import read

    settings = state.settings
    if not settings.events.handlers:
        raise InvalidInput("mlops.toml has no [[events.handlers]], so nothing would happen")
    received = read(_text(path), "standard input" if path == "-" else path, source_of(settings.project.name))
    rows = run(received, [(h, _handler(h)) for h in settings.events.handlers], _outbox())
    if as_json:
        print_json([vars(row) for row in rows])
    else:
        for row in rows:
            out().print(f"{row.type} {row.event}: {row.handler}: {row.outcome}", markup=False)
        if not rows:
            out().print(f"{len(received)} events, none that a handler wants")
    failed = [f"{row.handler} failed on {row.event}: {row.detail}" for row in rows if row.outcome == "failed"]
    if failed:
        raise TargetError("\n".join(failed))


def _text(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is no UTF-8 text: {error.reason}") from None


def _handler(settings: HandlerSettings) -> Handler:
    if settings.run != "dispatch":
        from mlops.events.handle import resolve

        return resolve(settings, state.root)

    def dispatch(event: Mapping[str, Any]) -> None:
        from mlops.forge.dispatch import open_dispatcher

        open_dispatcher(state.settings, state.root).start(event)

    return dispatch


def deliver_quietly() -> None:
    """At the end of a verb: what it told goes out; a sink that is down costs one line and nothing else."""
    from rich.markup import escape

    from mlops.errors import MlopsError
    from mlops.events import flush as deliver
    from mlops.events import touched

    for root in touched():
        try:
            troubles = deliver(root)
        except (MlopsError, OSError) as error:
            troubles = [f"events were not delivered: {error}"]
        for trouble in troubles:
            err().print(f"[yellow]note[/] {escape(' '.join(trouble.split()))}")
