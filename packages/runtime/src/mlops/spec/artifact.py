"""What a folder may hold whose digest shall stand for all of it.

A link is a name for what lies elsewhere: what is behind it changes, and the digest stays. Two names that
differ in case only are one file on some disks. So every walker takes its files from here.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mlops.errors import IntegrityError

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}
_TOLD = 5
_NOT_ON_WINDOWS = re.compile(r'[<>"|?*]')
_DEVICE = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]", re.IGNORECASE)
_ORIGINS = ("uri", "source")
"""Keys of MLmodel that tell where something came from; nothing is read there."""


def plain_files(folder: Path) -> list[Path]:
    """Every file below `folder`, sorted by its path.

    Raises `IntegrityError` when there is anything but folders and regular files, or a name that is no text.
    """
    walked = list(_walk(folder))
    return _checked(folder, [path for path, _, _ in walked], [(path, why) for path, _, why in walked if why])


def artifact_files(folder: Path) -> list[Path]:
    """`plain_files` of a model artifact, which also holds no hard link and no name that is not portable."""
    wrong, names, walked = [], dict[str, PurePosixPath](), sorted(_walk(folder))
    for path, links, why in walked:
        name = path.relative_to(folder).as_posix()
        twin = _twin(PurePosixPath(name), names)
        if why:
            wrong.append((path, why))
        elif links > 1:
            wrong.append((path, "a hard link, so that it can be changed by another name"))
        elif "\\" in name:
            wrong.append((path, "a name with a backslash, which elsewhere is a folder"))
        elif changed := _changed_elsewhere(name):
            wrong.append((path, changed))
        elif twin:
            wrong.append((path, f"the same name as {twin} where case does not count"))
    return _checked(folder, [path for path, _, _ in walked], wrong)


def _twin(name: PurePosixPath, names: dict[str, PurePosixPath]) -> str:
    """What is called like this file, or a folder on the way to it, where case and accents do not count."""
    for place in (name, *name.parents):
        folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(place)).casefold())
        # A folder is met again with each of its files; a file of the same name is none of them.
        there = names.setdefault(folded if place == name else f"{folded}/", place)
        other = names.get(f"{folded}/" if place == name else folded)
        if there != place or other is not None:
            return str(there if there != place else other)
    return ""


def _changed_elsewhere(name: str) -> str:
    """Why a file would have another name on Windows or for a reader's eye; empty when it would not."""
    if any(unicodedata.category(char) in ("Cc", "Cf") for char in name):
        return "a name with a control character, or one that nobody sees"
    if found := _NOT_ON_WINDOWS.search(name):
        return f"a name with {found[0]}, which Windows refuses"
    if any(_DEVICE.fullmatch(part.partition(".")[0].rstrip(" ")) for part in name.split("/")):
        return "the name of a device on Windows"
    if ":" in name or any(part.endswith((".", " ")) for part in name.split("/")):
        return "a name that Windows changes: no colon, no dot or blank at the end"
    return ""


def inside(name: str) -> bool:
    """Whether a relative path leads nowhere but below its own folder, on every system; by its text alone."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    rooted = posix.is_absolute() or windows.is_absolute() or windows.drive or windows.root
    return bool(name) and not rooted and ".." not in posix.parts and ".." not in windows.parts


def leads_outside(described: Mapping[str, Any]) -> list[str]:
    """`field: value` of each path in a parsed MLmodel by which MLflow would read outside of the model; pure.

    MLflow joins such a path to the model's folder as it is. What it reads there is in no digest.
    """
    return [f"{field}: {value}" for field, value in _paths(described.get("flavors"), "flavors")]


def _paths(value: Any, field: str) -> Iterator[tuple[str, str]]:
    key = field.rpartition(".")[2]
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _paths(inner, f"{field}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, f"{field}.{index}")
    elif isinstance(value, str) and value and not key.startswith(_ORIGINS) and not inside(value):
        yield field, value


def _walk(folder: Path) -> Iterator[tuple[Path, int, str]]:
    """(path, number of names, what is wrong) of everything that is no folder; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path, told = Path(entry.path), entry.stat(follow_symlinks=False)
            kind = stat.S_IFMT(told.st_mode)
            if not _is_text(entry.name):
                yield path, 1, "a name that is not UTF-8"
            elif kind == stat.S_IFDIR:
                yield from _walk(path)
            else:
                yield path, told.st_nlink, "" if kind == stat.S_IFREG else _KINDS.get(kind, "no file")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked(folder: Path, files: list[Path], wrong: list[tuple[Path, str]]) -> list[Path]:
    if not wrong:
        return sorted(files)
    told = [f"{ascii(str(p.relative_to(folder)))[1:-1]} ({why})" for p, why in sorted(wrong)[:_TOLD]]
    more = f" and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
    raise IntegrityError(
        f"{folder} holds {', '.join(told)}{more}; only regular files count, each by one name: "
        "put a copy of the content in its place"
    )
