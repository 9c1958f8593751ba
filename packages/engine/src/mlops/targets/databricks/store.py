"""Journal and lock of an environment in the volume of its catalog.

A volume appends nothing and leases nothing. What it does is to refuse a file that is there (`overwrite` is
false), and of two writers only one succeeds. So an entry of the journal is a file with the next number,
and the lock is a row of files too: who makes the next one holds it. Only its holder writes a file of the
lock again, to say that it goes on or has ended. Whether it has died, Databricks' clock tells: the file's
age by the answer's own date, never a clock of this machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from mlops.errors import IntegrityError, Locked, MlopsError, NotFound
from mlops.spec import writing
from mlops.targets._journal import Reading, contended, row_of
from mlops.targets._lease import RenewedLease, holder_sentence, this_holder
from mlops.targets.base import JournalEntry
from mlops.targets.databricks.connect import Connection
from mlops.tracking.databricks_errors import Busy, databricks_sentences

_SHORTEST = 15
_ATTEMPTS = 20
_DOWNLOADS = 8
_NUMBER = re.compile(r"/(\d{8})\.json$")
_API = "/api/2.0/fs/files"


class Volume:
    """Files of one environment's volume, by the Files API."""

    def __init__(self, connection: Connection, environment: str) -> None:
        # A lock may be narrower than its environment: `prod-retrain-<model>`.
        self.place = connection.place(environment.partition("-")[0])
        self._connection = connection

    @property
    def files(self) -> Any:
        return self._connection.client(self.place.environment).files

    def path(self, name: str) -> str:
        return f"{self.place.files}/{name}"

    def create(self, name: str, content: bytes) -> bool:
        """False when a file of that name is there, which stays as it is."""
        try:
            with databricks_sentences(f"write {self.path(name)}"):
                self.files.upload(self.path(name), io.BytesIO(content), overwrite=False)
        except Busy:
            return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        with databricks_sentences(f"write {self.path(name)}"):
            self.files.upload(self.path(name), io.BytesIO(content), overwrite=True)

    def read(self, name: str) -> bytes:
        with databricks_sentences(f"read {self.path(name)}"):
            return bytes(self.files.download(self.path(name)).contents.read())

    def delete(self, name: str) -> None:
        with contextlib.suppress(NotFound), databricks_sentences(f"delete {self.path(name)}"):
            self.files.delete(self.path(name))

    def names(self, folder: str) -> list[str]:
        """Of the files in a folder, sorted; none where there is none."""
        try:
            with databricks_sentences(f"list {self.path(folder)}"):
                entries = list(self.files.list_directory_contents(self.path(folder)))
        except NotFound:
            return []
        return sorted(f"{folder}/{entry.name}" for entry in entries if not entry.is_directory)

    def age(self, name: str) -> float:
        """Seconds since the file was written, both by Databricks' clock."""
        api = self._connection.client(self.place.environment).api_client
        with databricks_sentences(f"look at {self.path(name)}"):
            answer = api.do("HEAD", f"{_API}{self.path(name)}", response_headers=["last-modified", "date"])
        written, now = (parsedate_to_datetime(answer[key]) for key in ("last-modified", "date"))
        return (now - written).total_seconds()


class DatabricksLease(RenewedLease):
    """A file of the lock, which is written again for as long as it is held."""

    def __init__(self, volume: Volume, environment: str, number: int, holder: dict[str, Any]) -> None:
        super().__init__(environment, holder["seconds"])
        self._volume, self._number, self._holder = volume, number, holder

    def verify(self) -> None:
        """See `mlops.targets.base.Lease`: asked of Databricks, not remembered.

        Its file is written before the look at whether somebody has made the next one, and who makes the next
        one looks at the age of this one afterwards: of two, at least one sees the other.
        """
        self._extend()
        newest = _newest(self._volume, self._environment)
        if newest != self._number:
            raise Locked(
                f"this process lost the lock on {self._environment} and stopped: "
                f"{_sentence(self._volume, self._environment, newest) or 'nobody holds it now'}"
            )

    def _extend(self) -> None:
        with self._lock:
            self._volume.replace(_lock(self._environment, self._number), json.dumps(self._holder).encode())

    def _give_back(self) -> None:
        self._holder["ended"] = True
        self._extend()


class DatabricksStore:
    """Implements `mlops.targets.base.EnvironmentStore`: `environments/<env>/` in the volume."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._readings: dict[str, Reading] = {}

    def volume(self, environment: str) -> Volume:
        return Volume(self._connection, environment)

    @contextlib.contextmanager
    def lock(self, environment: str, owner: str, lease: float) -> Iterator[DatabricksLease]:
        """See `EnvironmentStore.lock`; it lasts 15 seconds at least, for a volume's clock counts whole
        ones."""
        volume = self.volume(environment)
        holder = this_holder(owner, max(int(lease), _SHORTEST)) | {"ended": False}
        newest = _newest(volume, environment)
        if newest and not _ended(volume, environment, newest):
            raise Locked(f"{environment} is locked: {_sentence(volume, environment, newest)}")
        if not volume.create(_lock(environment, newest + 1), json.dumps(holder).encode()):
            who = _sentence(volume, environment, newest + 1)
            raise Locked(f"{environment} is locked: {who or 'another process has just taken it'}")
        if newest and not _ended(volume, environment, newest):
            # Its holder woke up between the look and the file: it stops at its next effect, and so do we now.
            ended = json.dumps(holder | {"ended": True}).encode()
            volume.replace(_lock(environment, newest + 1), ended)
            raise Locked(f"{environment} is locked: {_sentence(volume, environment, newest)}")
        held = DatabricksLease(volume, environment, newest + 1, holder)
        try:
            with held:
                yield held
        finally:
            # What came before is of no use any more; one file always stays, so that numbers only grow.
            with contextlib.suppress(MlopsError):
                for number in _numbers(volume, f"environments/{environment}/lock"):
                    if number < newest + 1:
                        volume.delete(_lock(environment, number))

    def append(self, environment: str, entry: JournalEntry) -> None:
        """See `EnvironmentStore.append`; a repeated request finds its own entry."""
        row = row_of(entry) | {"_id": uuid.uuid4().hex}
        content = json.dumps(row, ensure_ascii=False, default=str).encode()
        volume = self.volume(environment)
        number = max(_numbers(volume, _folder(environment)), default=0)
        for _ in range(_ATTEMPTS):
            number += 1
            name = f"{_folder(environment)}/{number:08d}.json"
            # Somebody was faster, or this very request was sent twice and had arrived at first.
            if volume.create(name, content) or volume.read(name) == content:
                return
        raise contended(environment)

    def entries(self, environment: str, model: str | None = None) -> Sequence[JournalEntry]:
        """See `EnvironmentStore.entries`. An entry never changes, so each is fetched once and kept here."""
        volume = self.volume(environment)
        folder = self._connection.state / "journal-databricks" / volume.place.catalog / environment
        names = [name for name in volume.names(_folder(environment)) if _NUMBER.search(f"/{name}")]

        def fetch(name: str) -> bytes:
            path = folder / name.rpartition("/")[2]
            if not path.is_file():
                writing.write(path, volume.read(name), durable=False)
            return path.read_bytes()

        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            rows = list(pool.map(fetch, names))
        content = b"".join(_line(row) + b"\n" for row in rows)
        reading = self._readings.setdefault(environment, Reading())
        reading.all(content, partial(_damaged, volume, names))
        return reading.entries(model)


def _folder(environment: str) -> str:
    return f"environments/{environment}/journal"


def _lock(environment: str, number: int) -> str:
    return f"environments/{environment}/lock/{number:08d}.json"


def _numbers(volume: Volume, folder: str) -> list[int]:
    matches = (_NUMBER.search(f"/{name}") for name in volume.names(folder))
    return [int(match[1]) for match in matches if match]


def _newest(volume: Volume, environment: str) -> int:
    return max(_numbers(volume, f"environments/{environment}/lock"), default=0)


def _ended(volume: Volume, environment: str, number: int) -> bool:
    """Whether its holder gave the lock back, or has not renewed it for as long as it lasts."""
    name = _lock(environment, number)
    try:
        holder = json.loads(volume.read(name))
        if holder.get("ended"):
            return True
        seconds = float(holder["seconds"])
    except (ValueError, KeyError, TypeError, AttributeError):
        seconds = float(_SHORTEST)  # torn by a kill
    except NotFound:
        return True
    return volume.age(name) > seconds


def _sentence(volume: Volume, environment: str, number: int) -> str:
    """Who holds the lock, as far as its file says; empty when it says nothing."""
    try:
        return holder_sentence(volume.read(_lock(environment, number)))
    except NotFound:
        return ""


def _line(content: bytes) -> bytes:
    """The entry on one line, without the mark of who wrote it; what is no entry stays what it is."""
    try:
        row = json.loads(content)
        row.pop("_id")
    except (ValueError, KeyError, AttributeError, TypeError):
        return content.replace(b"\n", b" ")
    return json.dumps(row, ensure_ascii=False).encode()


def _damaged(volume: Volume, names: Sequence[str], number: int) -> IntegrityError:
    return IntegrityError(
        f"{volume.path(names[number - 1])}: not an entry of the journal. Somebody edited the file; "
        "put back what it was"
    )
