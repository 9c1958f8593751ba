"""The measurements behind the choice of server and JSON library: `python benchmarks/serving/choices.py`.

JSON: what it takes to get from a body to checked rows, by several libraries with the same contract.
Servers: requests/s and CPU time of the same no-op app on each, one worker. Both interleaved, medians.
What is not installed is left out: `uv pip install granian hypercorn orjson` for all of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contenders import HERE, Contender, free_port, launch, score_bodies
from load import drive, request
from pydantic import TypeAdapter, create_model
from rich.console import Console
from rich.table import Table

from mlops.serving.score.core import read_schema
from mlops.serving.score.request import RequestParser
from mlops.spec.schema import Column, ModelSchema

CONNECTIONS = 8


def main() -> int:
    parser = argparse.ArgumentParser(prog="choices.py", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a model artifact")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    console = Console(width=120)
    _json(options.model, options.rounds, console)
    _servers(options.model, options.rounds, options.seconds, console)
    return 0


# --- JSON -----------------------------------------------------------------------------------------------


def _json(model: Path, rounds: int, console: Console) -> None:
    schema = read_schema(model)
    ways = _ways(schema)
    table = Table(title="from a body to checked rows, us of CPU time (ours as a multiple)")
    for column in ("library", "1 row", "100 rows"):
        table.add_column(column, justify="left" if column == "library" else "right")
    figures: dict[tuple[str, int], list[float]] = defaultdict(list)
    bodies = {n: several[0] for n, several in score_bodies(model).items()}
    wanted = ways["msgspec, typed (ours)"](bodies[100])
    for name, parse in ways.items():
        # A library that checks less would win for the wrong reason: all give the same rows.
        if [tuple(r) for r in parse(bodies[100])] != wanted:
            raise RuntimeError(f"{name} reads other rows")
    for _ in range(rounds):
        for name, parse in ways.items():
            for n, body in bodies.items():
                times = 2_000 // n
                begun = time.process_time()
                for _ in range(times):
                    parse(body)
                figures[name, n].append((time.process_time() - begun) / times * 1e6)
    ours = {n: statistics.median(figures["msgspec, typed (ours)", n]) for n in bodies}
    for name in ways:
        cells = [statistics.median(figures[name, n]) for n in bodies]
        table.add_row(name, *(f"{c:.1f} ({c / o:.1f}x)" for c, o in zip(cells, ours.values(), strict=True)))
    console.print(table)


def _ways(schema: ModelSchema) -> dict[str, Callable[[bytes], Any]]:
    row = tuple[tuple(_python(c) for c in schema.columns)]  # type: ignore[misc]
    split = create_model("Split", columns=(list[str], ...), data=(list[row], ...), index=(list[Any], []))  # type: ignore[valid-type]
    envelope = TypeAdapter(create_model("Envelope", input_data=(split, ...)))
    ours = RequestParser(schema)
    ways: dict[str, Callable[[bytes], Any]] = {
        "msgspec, typed (ours)": lambda body: ours.parse(body, "score"),
        "pydantic, from JSON": lambda body: envelope.validate_json(body, strict=False).input_data.data,
        "json + pydantic": lambda body: envelope.validate_python(json.loads(body)).input_data.data,
        "json + Python checks": lambda body: _checked(schema, json.loads(body)),
    }
    if importlib.util.find_spec("orjson"):
        import orjson

        ways["orjson + pydantic"] = lambda body: envelope.validate_python(orjson.loads(body)).input_data.data
        ways["orjson + Python checks"] = lambda body: _checked(schema, orjson.loads(body))
    return ways


def _python(column: Column) -> Any:
    kind: Any = {"string": str, "boolean": bool}.get(column.type, float)
    return kind | None if column.nullable else kind


def _checked(schema: ModelSchema, body: Any) -> list[tuple[Any, ...]]:
    """The least that a hand-written check has to do: type, null, range, category."""
    rows = []
    for row in body["input_data"]["data"]:
        for column, value in zip(schema.columns, row, strict=True):
            if value is None:
                good = column.nullable
            elif column.type == "string":
                known = column.unknown_category == "accept" or value in (column.categories or ())
                good = isinstance(value, str) and known
            else:
                good = type(value) in (int, float)
                good = good and (column.minimum is None or value >= column.minimum)
                good = good and (column.maximum is None or value <= column.maximum)
            if not good:
                raise ValueError(column.name)
        rows.append(tuple(row))
    return rows


# --- servers --------------------------------------------------------------------------------------------


def _servers(model: Path, rounds: int, seconds: float, console: Console) -> None:
    bodies = score_bodies(model)
    commands: dict[str, Callable[[str], list[str]]] = {
        "uvicorn, httptools, uvloop": lambda port: _uvicorn(port, "httptools", "uvloop"),
        "uvicorn, httptools, asyncio": lambda port: _uvicorn(port, "httptools", "asyncio"),
        "uvicorn, h11, uvloop": lambda port: _uvicorn(port, "h11", "uvloop"),
        "ours, no-op app": lambda port: [sys.executable, str(HERE / "noop.py"), "app", port],
        "ours, no-op scorer": lambda port: [sys.executable, str(HERE / "noop.py"), "scorer", port],
    }
    if importlib.util.find_spec("granian"):
        commands["granian, ASGI"] = lambda port: _granian(port, "asgi")
        commands["granian, RSGI"] = lambda port: _granian(port, "rsgi")
    if importlib.util.find_spec("hypercorn"):
        commands["hypercorn, uvloop"] = lambda port: [
            sys.executable, "-m", "hypercorn", "--workers", "0", "-k", "uvloop",
            "--bind", f"127.0.0.1:{port}", "noop:app",
        ]  # fmt: skip
    running: list[Contender] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, command in commands.items():
                port = free_port()
                work = Path(folder) / str(port)
                work.mkdir()
                process = launch(work, command(str(port)), {"PYTHONPATH": _path()})
                running.append(Contender(name, process, port, "/score", bodies))
                running[-1].wait(time.monotonic())
            _compare(running, rounds, seconds, console)
        finally:
            for contender in running:
                contender.stop()


def _compare(running: list[Contender], rounds: int, seconds: float, console: Console) -> None:
    figures: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for _ in range(rounds):
        for contender in running:
            wires = [request(contender.path, body, None) for body in contender.bodies[1]]
            drive(contender.port, wires, CONNECTIONS, seconds / 10)
            spent = contender.cpu()
            result = drive(contender.port, wires, CONNECTIONS, seconds)
            cpu = (contender.cpu() - spent) / max(result.answers, 1) * 1e6
            figures[contender.name].append((result.rate, result.quantile(0.99) * 1000, cpu))
    table = Table(title=f"a no-op app, 1 row, {CONNECTIONS} connections, one worker")
    for column in ("server", "requests/s", "p99 ms", "CPU us a request", "MB"):
        table.add_column(column, justify="left" if column == "server" else "right")
    for contender in running:
        rate, p99, cpu = (statistics.median(column) for column in zip(*figures[contender.name], strict=True))
        table.add_row(contender.name, f"{rate:.0f}", f"{p99:.2f}", f"{cpu:.0f}", f"{contender.memory():.0f}")
    console.print(table)


def _uvicorn(port: str, http: str, loop: str) -> list[str]:
    return [
        sys.executable, "-m", "uvicorn", "noop:app", "--port", port, "--http", http, "--loop", loop,
        "--lifespan", "off", "--no-access-log", "--log-level", "critical",
    ]  # fmt: skip


def _granian(port: str, interface: str) -> list[str]:
    return [
        sys.executable, "-m", "granian", "--interface", interface, "--port", port, "--workers", "1",
        "--loop", "uvloop", "--no-ws", "--log-level", "critical",
        "noop:app" if interface == "asgi" else "noop:rsgi",
    ]  # fmt: skip


def _path() -> str:
    return os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])


if __name__ == "__main__":
    sys.exit(main())
