"""`mlops ui`: the tracking server's page for the local target."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlops.cli._app import app, err, state, verb
from mlops.errors import InvalidInput, TargetError

VIEW = "mlops"
"""The name of the columns that `mlops ui` chooses, in MLflow's address."""
_TAGS = ("mlops.verdict", "mlops.data.window", "mlops.data.test_window")
_ATTRIBUTES = ("Version", "User", "Description")


def _experiments(database: Path) -> dict[str, str]:
    """The experiment of each model by its number; those that have a run."""
    import sqlite3
    from contextlib import closing

    from mlops.lifecycle.train.runs import experiment

    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'"
        )
        numbers = {str(name): str(number) for name, number in rows}
    named = {name: experiment(state.root, name) for name in state.settings.models}
    return {name: numbers[one] for name, one in named.items() if one in numbers}


def _choose_columns(database: Path, experiment: str, model: str) -> None:
    """Say which columns MLflow's page shows where the address names `VIEW`; whoever looks may change them."""
    import json
    import sqlite3
    from contextlib import closing

    from mlops.spec.gatepolicy import load_gates

    policy = load_gates(state.root, model)
    metrics = dict.fromkeys((policy.champion.metric, *policy.metrics))
    columns = [f"metrics.`{name}`" for name in metrics]
    columns += [f"tags.`{name}`" for name in _TAGS] + [f"attributes.`{name}`" for name in _ATTRIBUTES]
    said = {"selectedColumns": columns, "orderByKey": "attributes.start_time", "orderByAsc": False}
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        connection.execute(
            "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)",
            (f"mlflow.sharedViewState.{VIEW}", json.dumps(said), int(experiment)),
        )


@app.command(epilog="Example: mlops ui --port 5050")
@verb
def ui(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's page over the local runs and models; Ctrl-C stops it."""
    import socket

    from mlops.pipeline import close_dead
    from mlops.targets.local.registry import local_tracker

    uri = state.settings.local.server()
    if uri:
        raise InvalidInput(f"this repository tracks on {uri}; open that address in a browser")
    store = state.root / state.settings.local.state
    if not (store / "mlflow.db").exists():
        raise TargetError(f"there are no runs in {store} yet; start with: mlops train")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise TargetError(f"port {port} is taken; choose another with --port")
    close_dead(store, local_tracker(store))
    err().print(f"MLflow is starting on [bold]http://127.0.0.1:{port}[/] (Ctrl-C stops it)")
    for name, place in _experiments(store / "mlflow.db").items():
        _choose_columns(store / "mlflow.db", place, name)
        # Else the page opens among traces of language models.
        asked = f"workflowType=machine_learning&viewStateShareKey={VIEW}"
        address = f"http://127.0.0.1:{port}/#/experiments/{place}/runs?{asked}"
        err().print(f"  runs of {name}: {address}", markup=False, soft_wrap=True)
    database = f"sqlite:///{store / 'mlflow.db'}"
    artifacts = str(store / "artifacts")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", database, "--artifacts-destination", artifacts, "--workers", "1"]
    # MLflow would also start runners of jobs that judge language models; nothing here asks for any.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # In a group of its own: for Ctrl-C it would print a traceback, for SIGTERM it does not.
    with subprocess.Popen(command, env=environment, process_group=0) as server:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            code = server.wait()
        except KeyboardInterrupt:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
            code = 0
    raise typer.Exit(code)
