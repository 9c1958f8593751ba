"""`mlops train` again and again: the second one finds MLflow, pandas and scikit-learn imported.

The first that finds something to run starts a process that imports third-party libraries and nothing of the
project, and stays (`pipeline/run/warm.py`). It then goes on as a fork of that, as do its steps and the next
ones, so that nothing is imported twice. The process ends after ten minutes without work, and at once when a
file that it has imported is another one on disk. With MLOPS_WARM=off, and in CI, there is none.

Standard library only: what this module imports is what it saves.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ADDRESS = "MLOPS_WARM"
OFF = "off"
IDLE_SECONDS = 600
STARTS = ("train",)
"""Verbs that start a server."""
_TAKES = (*STARTS, "runs", "compare", "gate", "tune")
"""Verbs that are forked from it."""
# They need this process's terminal, or are about another one.
_NOT_WITH = frozenset(("--here", "--pdb", "--detach", "--resume", "--help", "-h", "--show-completion"))
_CI = ("CI", "TF_BUILD", "GITHUB_ACTIONS")
_WITH_VALUE = ("--target", "-C")
_OF_VERBS = (
    "pydantic",
    "rich.console",
    "rich.table",
    "typer",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
)
_OF_STEPS = ("scipy.stats", "narwhals._duckdb.namespace")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Around one call of the program: ends it with the answer of a fork, where there is a server."""
    variables = dict(os.environ)
    called = verb(sys.argv[1:])
    place = address(variables) if called in _TAKES and Path(sys.argv[0]).name == "mlops" else None
    if variables.get(ADDRESS):
        from mlops.pipeline.run import warm_start

        warm_start.came(variables)
    if place is None:
        yield
        return
    from mlops.pipeline.run.warm_client import connect, run

    connection = connect(str(place), variables) if place.exists() else None
    if connection is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.exit(run(connection, str(place), sys.argv, variables))
    if called in STARTS:
        from mlops.pipeline.run import warm_start

        warm_start.may(place, variables, lambda: start(place, variables))
    yield


class Elsewhere(Exception):
    """The verb goes on in a fork of the server: what this process has opened is closed first."""


def go_on() -> None:
    """In `Elsewhere`: end this process with the answer of a fork; returns where no server can be had."""
    from mlops.pipeline.run import warm_start

    sys.stdout.flush()
    sys.stderr.flush()
    if (code := warm_start.run_there(sys.argv)) is not None:
        sys.exit(code)


def verb(argv: list[str]) -> str | None:
    """The verb of a command line that a fork may answer."""
    if _NOT_WITH & set(argv):
        return None
    words = iter(argv)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def address(variables: Mapping[str, str]) -> Path | None:
    """Where the server of what is installed here listens; None where there shall be none."""
    if variables.get(ADDRESS) or any(variables.get(name) for name in _CI):
        return None
    from mlops.pipeline.run import warm_place

    folder = warm_place.folder()
    return folder and folder / f"train-{warm_place.name(*_installed())}"


def _installed() -> Iterator[str]:
    """Of the interpreter, its packages and what a fork cannot change: another one has its own server."""
    yield f"{sys.executable}\n{sys.version}\n{_bounds()}\n"
    for entry in sys.path:
        if entry.endswith("-packages") and Path(entry).is_dir():
            with os.scandir(entry) as files:
                packages = sorted(
                    (file.name, file.stat().st_mtime_ns)
                    for file in files
                    if file.name.endswith((".dist-info", ".pth", ".egg-link"))
                )
            yield repr((entry, packages))


def _bounds() -> list[object]:
    """What a fork has from its server: what may be seen of the machine and used of it. Who runs a training
    with a smaller disk, less memory or after others (`unshare`, `ulimit`, `nice`, a scope of systemd) means
    that training, not the one before."""
    mask = os.umask(0)
    os.umask(mask)
    limits = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    bounds: list[object] = [
        mask,
        os.nice(0),
        [resource.getrlimit(getattr(resource, name)) for name in limits],
    ]
    with contextlib.suppress(OSError):  # only Linux has these
        own = Path("/proc/self/ns")
        bounds += [os.readlink(own / name) for name in sorted(os.listdir(own))]  # noqa: PTH115, PTH208
        bounds.append(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    return bounds


def start(place: Path, variables: Mapping[str, str]) -> None:
    """See that a server is there, or soon will be; a machine that has no room for one goes without."""
    from mlops.pipeline.run import warm_place
    from mlops.pipeline.run.executor import PRELOAD

    modules = (*PRELOAD, *_OF_STEPS, *_OF_VERBS)
    with contextlib.suppress(OSError):
        warm_place.start(sys.executable, place, IDLE_SECONDS, modules, variables)
