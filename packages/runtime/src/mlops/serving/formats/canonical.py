"""One model, one file: skops names what it writes by addresses in memory, which are others in each run.

A version is known by the digest of its files. So the ids in `schema.json` become numbers in the order in
which they stand there, the members of the archive are named and sorted by them, and each has the same
date. The nodes of a tree are records whose gaps hold what was in memory before: they become zero. What
is loaded stays the same, and is compared with the trained model afterwards like everything that is
saved.

MLflow writes into MLmodel when it saved, and a name that it drew. Neither says anything of the model, and
MLflow loads it without them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

_SCHEMA = "schema.json"
_CHANCES = (b"model_uuid:", b"utc_time_created:")
_NODE, _ID, _MEMBER = "__loader__", "__id__", "file"


def rewrite(path: Path) -> bool:
    """Write the skops file at `path` anew under lasting names; False where it is of a form not known here."""
    try:
        with ZipFile(path) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
            schema = json.loads(members.pop(_SCHEMA))
    except (BadZipFile, KeyError, ValueError):
        return False
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}
    for node in _nodes(schema):
        if isinstance(node.get(_ID), int):
            node[_ID] = numbers.setdefault(node[_ID], len(numbers) + 1)
        if (name := node.get(_MEMBER)) in members:
            node[_MEMBER] = names.setdefault(name, f"{len(names) + 1}{PurePosixPath(name).suffix}")
    if names.keys() != members.keys():
        return False
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_STORED) as archive:
        for old, new in names.items():
            archive.writestr(ZipInfo(new), _settled(members[old]))
        archive.writestr(ZipInfo(_SCHEMA), json.dumps(schema, indent=2))
    path.write_bytes(made.getvalue())
    return True


def described(path: Path) -> None:
    """Take out of the MLmodel at `path` what differs between two savings of one model."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if not line.startswith(_CHANCES)))


def _settled(member: bytes) -> bytes:
    """The member, an array of records with nothing between their fields."""
    import numpy as np

    if not member.startswith(b"\x93NUMPY"):
        return member
    try:
        found = np.load(io.BytesIO(member), allow_pickle=False)
    except ValueError:  # of Python objects, which are not read here
        return member
    if not found.dtype.names:
        return member
    made = np.zeros(found.shape, found.dtype)  # zeros_like leaves gaps as they were
    for name in found.dtype.names:
        made[name] = found[name]
    written = io.BytesIO()
    np.save(written, made, allow_pickle=False)
    return written.getvalue()


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every saved object in the schema, in the order in which it stands there."""
    if isinstance(value, list):
        for part in value:
            yield from _nodes(part)
    elif isinstance(value, dict):
        # A dictionary of the model may have keys of any name; an object always says how it is loaded.
        if isinstance(value.get(_NODE), str):
            yield value
        for part in value.values():
            yield from _nodes(part)
