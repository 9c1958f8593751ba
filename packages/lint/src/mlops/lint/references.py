"""What a file names: assets of a workspace or registry, and files beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlops.lint.finding import Finding
from mlops.lint.ignored import comes_later, command_gives
from mlops.lint.node import At, exists, shown
from mlops.spec.near import nearest

_NAME = r"[A-Za-z0-9_.\-/ ]+"
_SHORT = re.compile(rf"azureml:(?P<name>{_NAME})(?::(?P<version>[^:@]+)|@(?P<label>[^:@]+))?")
_LONG = re.compile(r"azureml:(/subscriptions/.+|//.+)", re.IGNORECASE)
_HOLE = "${{"
_FIRST = ("subscriptions", "datastores", "registries", "locations", "jobs")
_OF_WORKSPACE = (
    "datastores", "data", "models", "environments", "components", "codes", "jobs", "computes", "outputs",
    "onlineendpoints", "batchendpoints", "featuresets", "featurestoreentities", "connections",
)  # fmt: skip
_IN_WORKSPACE = re.compile(r"(?i)/workspaces/[^/]+/(?P<rest>.+)")
_OF_STORE = r"[^/]+(/|/paths(/.*)?)?"
_STORAGE = re.compile(r"(?i)(?:wasbs?|abfss?)://(?:[^/@]+@)?[^/@.]+\.(?:blob|dfs)\.[\w.]+(?:/.*)?")
_SCHEMES = (
    "http",
    "https",
    "azureml",
    "abfs",
    "abfss",
    "wasb",
    "wasbs",
    "adl",
    "file",
    "mongodb",
    "s3",
    "gs",
)
_TO_FILL = re.compile(r"<[^<>]*>|\{\{.*\}\}|\$\{?\w+\}?|__\w+__")


def is_placeholder(text: str) -> bool:
    """Whether a text waits to be filled in by somebody: `<ENDPOINT_NAME>`, `{{name}}`, `$NAME`."""
    return _TO_FILL.fullmatch(text.strip()) is not None


def is_remote(reference: str) -> bool:
    """Whether a reference names no file here: a workspace, a registry, a URL, a datastore, an expression."""
    if reference.lower().startswith(("azureml:", "/subscriptions/", "runs:/")) or is_placeholder(reference):
        return True
    return "://" in reference or _HOLE in reference


def check_asset(place: At) -> Iterator[Finding]:
    """`azureml:<name>:<version>`, `azureml:<name>@<label>`, or a long address; told apart, and pinned."""
    reference = place.text
    if reference is None or _HOLE in reference or not reference.lower().startswith("azureml:"):
        return
    if _LONG.fullmatch(reference):
        yield from _address(place, reference)
        if reference.lower().startswith("azureml://registries/") and not re.search(
            r"/(versions|labels)/[^/]+$", reference
        ):
            yield place.says("pin-asset", f"{reference!r} names no version; pin one (…/versions/<version>)")
        elif re.search(r"/labels/[^/]+$", reference):
            yield place.says("pin-asset", f"{reference!r} follows a label; pin one (…/versions/<version>)")
        return
    match = _SHORT.fullmatch(reference)
    if match is None:
        message = f"{reference!r} is no asset; write azureml:<name>:<version> or azureml:<name>@<label>"
        yield place.says("bad-reference", message)
    elif match["version"] is None or match["version"] == "latest":
        message = f"{reference!r} names no version; pin one (azureml:<name>:<version>)"
        yield place.says("pin-asset", message)


def _address(place: At, reference: str) -> Iterator[Finding]:
    """What a long address names: by its first word, and in a workspace by the word behind that."""
    address = reference[len("azureml:") :].lstrip("/")
    first, _, rest = address.partition("/")
    yield from _named(place, "azureml://", address, _FIRST)
    if first.lower() == "jobs" and not re.fullmatch(r"[^/]+/outputs/[^/]+(/.*)?", rest):
        message = (
            f"{reference!r} is no output of a job; write azureml://jobs/<job>/outputs/<output>/paths/<path>"
        )
        yield place.says("bad-reference", message)
    elif first.lower() == "subscriptions" and (inside := _IN_WORKSPACE.search(reference)):
        yield from _named(place, "the workspace", inside["rest"], _OF_WORKSPACE)


def _named(place: At, behind: str, part: str, known: tuple[str, ...]) -> Iterator[Finding]:
    """The word that stands `behind` something, and the path of a datastore after it."""
    word, _, path = part.partition("/")
    meant = nearest(word.lower(), known, 0.75)
    if word.lower() not in known and meant:
        message = f"{place.value!r} cannot be read: after {behind} stands {meant!r}, not {word!r}"
        yield place.says("bad-reference", message)
    elif word.lower() == "datastores" and not re.fullmatch(_OF_STORE, path):
        message = f"{place.value!r} is no path of a datastore; it ends in datastores/<name>/paths/<path>"
        yield place.says("bad-reference", message)


def _scheme(place: At, path: str) -> Iterator[Finding]:
    """`htps://…`, or a storage account without its host: an address that nothing opens."""
    scheme, there, _ = path.partition("://")
    of_storage = there and scheme.lower() in ("wasb", "wasbs", "abfs", "abfss")
    if of_storage and not _STORAGE.fullmatch(path) and not re.search(r"[<{$]", path):
        host = "<account>.<blob or dfs>.core.windows.net"
        message = f"{path!r} names no storage; write {scheme}://<container>@{host}/<path>"
        yield place.says("bad-reference", message)
    if there and re.fullmatch(r"\w+", scheme) and scheme.lower() not in _SCHEMES:
        meant = nearest(scheme.lower(), _SCHEMES, 0.7)
        if meant:
            message = f"{path!r}: there is no scheme {scheme}://; did you mean {meant}://?"
            yield place.says("bad-reference", message)


def lacks(place: At, field: str, rule: str, message: str) -> Iterator[Finding]:
    """A file without a field that it needs; a note where a script beside it gives the field."""
    if not place.loc and (script := command_gives(field, place.path)):
        yield place.says("given-later", f"has no `{field}`; {script} gives it on the command line")
    else:
        yield place.says(rule, message)


def check_compute_name(place: At, what: str = "compute") -> Iterator[Finding]:
    """A compute, or a datastore, has a name and no version."""
    text = place.text
    if text is None or _HOLE in text or is_placeholder(text) or "/" in text:
        return
    name = text[len("azureml:") :] if text.lower().startswith("azureml:") else text
    if not name.strip() or re.search(r"[:@\s]", name.strip()):
        yield place.says("bad-reference", f"{text!r} is no {what}; write azureml:<name>, without a version")


def check_path(place: At, *, what: str = "file or folder") -> Iterator[Finding]:
    """A path is an asset, an address, or something that exists beside the file."""
    path = place.text
    if path is None:
        return
    if is_remote(path):
        yield from _scheme(place, path)
        yield from check_asset(place)
        return
    there = place.beside(path.removeprefix("file:"))
    if exists(there):
        return
    if why := comes_later(there, path, place.path):
        yield place.says("given-later", f"the {what} {path!r} is not there yet, and {why}")
    else:
        message = f"the {what} {path!r} does not exist beside the file"
        if (folder := _elsewhere(place, path)) is not None:
            message += f", although it does in {folder}; a path is read from the folder of its own file"
        yield place.says("missing-file", message)


def _elsewhere(place: At, path: str) -> str | None:
    """The folder above the file, within its repository, that the path was meant for."""
    if path.startswith(("/", "..")):
        return None
    around = list(Path(os.path.abspath(place.path)).parents)  # noqa: PTH100 (resolve() raises for some names)
    root = next((number for number, folder in enumerate(around) if exists(folder / ".git")), 0)
    for folder in around[1 : root + 1]:
        if exists(folder / path.removeprefix("file:")):
            return shown(folder)
    return None
