"""Rows about verbs that are hindered: killed, on a disk that is full, where nobody may write.

Run again they end as if nothing had been.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops.errors import TargetError
from tests.pressure.acts import ACTS, Act
from tests.pressure.processes import CLEAN, SENTENCE, ended, forked, killed

NOBODY = 65534
_NUMBERS = itertools.count()


def kills_of_verbs(times: int, folder: Path) -> dict[str, int]:
    """batch, monitor, events flush, ingest and release die at any moment; run again, they end the same."""
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
    """The same verbs on a full or read-only disk: a sentence, and the same end once it is mended."""
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
    """By a name of its own: a data base that is gone is remembered by its path."""
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / str(next(_NUMBERS))
    place.mkdir(parents=True)
    return place


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
