"""What a file names: assets of a workspace or registry, and files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.finding import Finding
from mlops.lint.ignored import comes_later
from mlops.lint.node import At, exists

_NAME = r"[A-Za-z0-9_.\-/ ]+"
_SHORT = re.compile(rf"azureml:(?P<name>{_NAME})(?::(?P<version>[^:@]+)|@(?P<label>[^:@]+))?")
_LONG = re.compile(r"azureml:(/subscriptions/.+|//.+)", re.IGNORECASE)
_HOLE = "${{"
_TO_FILL = re.compile(r"<[^<>]*>|\{\{.*\}\}|\$\{?\w+\}?|__\w+__")


def is_placeholder(text: str) -> bool:
    """Whether a text waits to be filled in by somebody: `<ENDPOINT_NAME>`, `{{name}}`, `$NAME`."""
    return _TO_FILL.fullmatch(text.strip()) is not None


def is_remote(reference: str) -> bool:
    """Whether a reference names no file here: a workspace, a registry, a URL, a datastore, an expression."""
    if reference.lower().startswith(("azureml:", "/subscriptions/")) or is_placeholder(reference):
        return True
    return "://" in reference or _HOLE in reference


def check_asset(place: At) -> Iterator[Finding]:
    """`azureml:<name>:<version>`, `azureml:<name>@<label>`, or a long address; told apart, and pinned."""
    reference = place.text
    if reference is None or _HOLE in reference or not reference.lower().startswith("azureml:"):
        return
    if _LONG.fullmatch(reference):
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


def check_path(place: At, *, what: str = "file or folder") -> Iterator[Finding]:
    """A path is an asset, an address, or something that exists beside the file."""
    path = place.text
    if path is None:
        return
    if is_remote(path):
        yield from check_asset(place)
        return
    there = place.beside(path.removeprefix("file:"))
    if exists(there):
        return
    if why := comes_later(there, path, place.path):
        yield place.says("given-later", f"the {what} {path!r} is not there yet, and {why}")
    else:
        yield place.says("missing-file", f"the {what} {path!r} does not exist beside the file")
