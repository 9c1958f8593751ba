"""A repository of the template whose verbs work on the emulated Azure, from nothing to production.

For tests that drive the whole lifecycle by the command line.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mlops.spec.settings import load_settings
from mlops.targets.azure.connect import Connection
from mlops.tracking import sqlite_uri
from tests.azure.conftest import provision, settle
from tests.azure.emulator import Emulator
from tests.azure.emulator.jobs import HEAVY
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.e2e.template_copy import MODEL, REVIEWER, Repository


@contextmanager
def subscription(folder: Path, database: Path, *asked: str) -> Iterator[Emulator]:
    """Azure with an MLflow of its own; `database` is an empty one of the right version.

    `asked`: hosts that scripts ask for, see `settle`.
    """
    shutil.copy(database, folder / "mlflow.db")
    with Emulator(folder) as made:
        made.tracking.start(sqlite_uri(folder / "mlflow.db"))
        made.jobs.preload = HEAVY
        made.entra.renew_assertion(seconds=3600)  # what a workload's platform does by itself
        yield made
        settle(made, *asked)


def repository_on(azure: Emulator, folder: Path, raw: Path) -> Repository:
    """A commit of the template with `raw` as its data, and what its stack files amount to on `azure`."""
    made = Repository.make(folder, raw)
    _hurry(made)
    provide(azure, made, MODEL)
    return made


def provide(azure: Emulator, made: Repository, model: str) -> None:
    """What the stack files of the repository amount to on `azure`, and verbs that go there."""
    provision(azure, made.root, load_settings(made.root))
    connection = Connection(made.root, load_settings(made.root))
    for env in ("staging", "prod"):
        workspace = workspace_of(azure, connection, env)
        place = connection.place(env)
        azure.online.add(workspace.id, place.endpoint("online_endpoint", model), auth="AADToken")
        azure.batch.add(workspace.id, place.endpoint("batch_endpoint", model))
    made.env |= {**azure.env, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "MLOPS_TARGET": "azure"}


def workspace_of(azure: Emulator, connection: Connection, env: str) -> Any:
    wanted = connection.place(env).workspace
    return next(w for w in azure.workspaces.workspaces.values() if w.name == wanted)


def _hurry(repository: Repository) -> None:
    """Nobody sends requests here, so apply does; and May is always found to be off its limits."""
    policy = repository.root / "environments" / "policy.yaml"
    told = yaml.safe_load(policy.read_text())
    for environment in told["environments"].values():
        environment["synthetic_traffic"] = True
    policy.write_text(yaml.safe_dump(told, sort_keys=False))
    gates = repository.root / "pipelines" / MODEL / "model.yaml"
    told = yaml.safe_load(gates.read_text())
    told["monitoring"]["performance"] = [{"metric": "calibration_gap", "min": 0.3}]
    gates.write_text(yaml.safe_dump(told, sort_keys=False))
    repository.commit("Quick canaries")
    repository.git("push", "--quiet")


def quick_steps(repository: Repository, env: str, model: str = MODEL) -> None:
    """Seconds in place of minutes; a busy machine's latency, and what a month moves, decide nothing."""
    path = repository.root / "environments" / env / f"{model}.yaml"
    told = yaml.safe_load(path.read_text())
    told["strategy"] = {
        "canary": [50, 100],
        "analysis": "1s",
        "min_requests": 20,
        "max_latency_p99_ratio": 500,
        "max_prediction_shift": 9,
    }
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    repository.commit(f"Quick steps in {env}")
    repository.git("push", "--quiet")


def merge(repository: Repository, number: int) -> None:
    repository.call("pr", "merge", str(number), "--approver", REVIEWER).ok()
    repository.git("pull", "--quiet", "--ff-only")


def promote(repository: Repository) -> None:
    """What staging serves is what production shall serve, by a pull request that somebody else has merged."""
    request = repository.call("promote", "prod", "--json").ok().json["pull_request"]
    merge(repository, request["number"])
    quick_steps(repository, "prod")
