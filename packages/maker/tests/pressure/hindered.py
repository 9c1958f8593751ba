"""Rows about verbs that are hindered: killed, on a disk that is full, where nobody may write.

Run again they end as if nothing had been.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from event_world import SETTINGS, fact
from monitor_world import ENV, MODEL, NOW, MonitorWorld, rows

from mlops.errors import TargetError
from mlops.events import flush, publish
from mlops.lifecycle.watch.monitor import monitor
from mlops.serving import testing
from mlops.serving.batch.job import score_folder
from tests.pressure.processes import CLEAN, SENTENCE, ended, forked, killed

NOBODY = 65534


@dataclass(frozen=True)
class Act:
    """A verb in a folder of its own. `says`: what came of it, the same however often it was begun."""

    work: Callable[[], object]
    says: Callable[[], object]


def batch(folder: Path) -> Act:
    """Eight files are scored in two processes."""
    chance = np.random.default_rng(1)
    testing.write_onnx(folder / "model")
    (folder / "in").mkdir()
    for number in range(8):
        frame = pd.DataFrame(
            {"carrier": chance.choice(["AA", "UA"], 20_000), "distance": chance.uniform(1, 900, 20_000)}
        )
        frame.to_parquet(folder / "in" / f"{number}.parquet")

    def says() -> object:
        kept = sorted((folder / "out").glob("*.parquet"))
        left = [p.name for p in folder.rglob("*") if p.name.endswith((".tmp", ".draft"))]
        return left, {p.name: _digest(pd.read_parquet(p)) for p in kept}

    return Act(lambda: score_folder(folder / "model", folder / "in", folder / "out", workers=2), says)


def monitoring(folder: Path) -> Act:
    """A window of captured traffic is judged, and a breach announced."""
    world = MonitorWorld(folder)
    world.capture(rows(4000, seats=120.0))

    def says() -> object:
        kept = sorted((folder / ".mlops").rglob("20261121*.json"))
        # Hindered only where it was told that it was: an outbox that cannot be written is a warning.
        return {p.name: json.loads(p.read_text())["outcome"] for p in kept}

    return Act(lambda: monitor(folder, world.target, ENV, MODEL, now=NOW), says)


def events(folder: Path) -> Act:
    """Fifty facts are told and delivered to a file."""
    (folder / "mlops.toml").write_text(f'{SETTINGS}[[events.sinks]]\nkind = "file"\n')

    def work() -> None:
        for number in range(50):
            if not publish(folder, fact(number + 1), NOW):
                raise TargetError("it was not kept")
        if said := flush(folder):
            raise TargetError(said[0])

    def says() -> object:
        lines = (folder / ".mlops/events.jsonl").read_bytes().split(b"\n")
        assert lines.pop() == b"", "the last line has no end"
        return sorted({json.loads(line)["data"]["version"] for line in lines})

    return Act(work, says)


ACTS: dict[str, Callable[[Path], Act]] = {"batch": batch, "monitor": monitoring, "events flush": events}


def kills_of_verbs(times: int, folder: Path) -> dict[str, int]:
    """batch, monitor and events flush die at any moment; run again, they end as if nothing had been."""
    chance = random.Random(5)  # noqa: S311
    at_work = 0
    for name, make in ACTS.items():
        wanted, took = _undisturbed(make, folder / f"{name} in peace")
        for number in range(times):
            act = make(_new(folder / name))
            for _ in range(1 + number % 3):
                at_work += killed(act.work, chance.uniform(0.0, took))
            _ends_well(act, wanted, name)
    return {"worlds": times * len(ACTS), "kills while at work": at_work, "other ends": 0}


def verbs_on_bad_disks(times: int, folder: Path) -> dict[str, int]:
    """batch, monitor, events flush on a full or read-only disk: a sentence, and the end once it is mended."""
    chance = random.Random(6)  # noqa: S311
    folder.chmod(0o755)  # others may read
    refused = 0
    for name, make in ACTS.items():
        wanted, _ = _undisturbed(make, folder / f"{name} in peace")
        for number in range(times):
            place = _new(folder / name)
            act = make(place)
            room = int(2 ** chance.uniform(0, 18))
            work = _within(room, act.work) if number % 2 else _as_nobody(act.work)
            code = ended(forked(work))
            assert code in (CLEAN, SENTENCE), f"{name}, {room} bytes a file: {code}"
            refused += code == SENTENCE
            _ends_well(act, wanted, name)
    return {"worlds": times * len(ACTS), "refused with a sentence": refused, "other ends": 0}


def _undisturbed(make: Callable[[Path], Act], folder: Path) -> tuple[object, float]:
    """How it ends in peace, and how long it takes. Once here first: nobody may read what is imported late."""
    make(_new(folder)).work()
    act = make(_new(folder))
    began = time.monotonic()
    assert ended(forked(act.work)) == CLEAN
    return act.says(), time.monotonic() - began


def _ends_well(act: Act, wanted: object, name: str) -> None:
    assert ended(forked(act.work)) == CLEAN, f"{name} does not end"
    assert act.says() == wanted, f"{name} ends otherwise"


def _new(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _digest(frame: pd.DataFrame) -> str:
    return hashlib.sha256(pd.util.hash_pandas_object(frame).to_numpy().tobytes()).hexdigest()


def _within(room: int, work: Callable[[], object]) -> Callable[[], object]:
    """No file may be longer than `room` bytes: every write beyond fails, SQLite's and Arrow's too."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        with _plainly():
            work()

    return limited


def _as_nobody(work: Callable[[], object]) -> Callable[[], object]:
    """As somebody who may read everything here and write nothing; root gives itself up for it."""

    def other() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with _plainly():
            work()

    return other


@contextmanager
def _plainly() -> Iterator[None]:
    """As the command line does: what the system refuses is a sentence."""
    try:
        yield
    except OSError as error:
        raise TargetError(str(error)) from None
