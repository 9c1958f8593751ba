"""A dump of OSV's advisories of one day, for places without a network; it answers as the service does.

It is `https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip`: one JSON file an advisory.
"""

from __future__ import annotations

import json
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from mlops.audit.pins import normal
from mlops.errors import InvalidInput, TargetError

ECOSYSTEM = "PyPI"
Advisory = Mapping[str, Any]


class Database:
    """Advisories by package. `date`: of the newest change in it, so a copy of an old file is no new one."""

    def __init__(self, advisories: Iterator[Advisory]) -> None:
        self._by_name: dict[str, list[Advisory]] = defaultdict(list)
        newest = ""
        for one in advisories:
            newest = max(newest, str(one.get("modified", "")))
            if one.get("withdrawn"):
                continue
            names = {normal(a["package"]["name"]) for a in one.get("affected", []) if _ours(a)}
            for name in names:
                self._by_name[name].append(one)
        if not newest:
            raise InvalidInput("the advisory database is empty")
        self.date = datetime.fromisoformat(newest.replace("Z", "+00:00")).astimezone(UTC)

    @classmethod
    def read(cls, path: Path) -> Database:
        """Raises `InvalidInput`."""
        try:
            with zipfile.ZipFile(path) as archive:
                return cls(json.loads(archive.read(n)) for n in archive.namelist() if n.endswith(".json"))
        except FileNotFoundError:
            raise InvalidInput(f"there is no advisory database {path}") from None
        except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{path} is no dump of OSV ({error}); fetch its all.zip for PyPI") from None

    def fresh(self, now: datetime, days: float) -> None:
        """Raises `TargetError` for one that is older: what came out since is not in it."""
        age = now - self.date
        if age > timedelta(days=days):
            raise TargetError(
                f"the advisory database is of {self.date:%Y-%m-%d}, {age.days} days old, allowed {days:g}; "
                "fetch a new one, or say --max-age"
            )

    def about(self, name: str, version: str) -> list[Advisory]:
        """What is known against one version of a package."""
        return [
            one
            for one in self._by_name.get(normal(name), ())
            if any(_ours(a) and normal(a["package"]["name"]) == normal(name) and _hits(a, version)
                   for a in one["affected"])
        ]  # fmt: skip


def _ours(affected: Mapping[str, Any]) -> bool:
    return str(affected.get("package", {}).get("ecosystem", "")) == ECOSYSTEM


def _hits(affected: Mapping[str, Any], version: str) -> bool:
    if version in affected.get("versions", ()):
        return True
    try:
        mine = Version(version)
    except InvalidVersion:
        return False
    return any(
        _within(r.get("events", ()), mine) for r in affected.get("ranges", ()) if r.get("type") == "ECOSYSTEM"
    )


def _within(events: Any, version: Version) -> bool:
    """Whether the last event at or before this version is one that introduces the flaw."""
    order = {"introduced": 0, "fixed": 1, "last_affected": 2}
    changes = [(Version(v), order[kind]) for event in events for kind, v in event.items() if kind in order]
    inside = False
    for at, kind in sorted(changes):
        if kind == order["introduced"] and version >= at:
            inside = True
        elif (kind == order["fixed"] and version >= at) or (kind == order["last_affected"] and version > at):
            inside = False
    return inside


@contextmanager
def served(database: Database) -> Iterator[str]:
    """The address of a server on this machine that answers OSV's queries from the database."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            flaws = database.about(asked["package"]["name"], asked["version"])
            body = json.dumps({"vulns": flaws} if flaws else {}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the verb says what was found."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()
