"""A delivery as a local folder or file, from wherever it is."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops.errors import InvalidInput, TargetError

_SECONDS = 60.0
_MOST = 4 << 30
"""Bytes of one file; a source that sends for ever shall not fill the disk."""


@contextlib.contextmanager
def fetched(source: str, names: Sequence[str]) -> Iterator[Path]:
    """`source` itself, or for a web address a temporary folder with what is there.

    An address that ends in `/` is a folder that cannot be listed: each of `names` is asked for, and one that
    is not there (404) is left out. Raises `InvalidInput` for a source that is not there, `TargetError`
    when it does not answer.
    """
    if "://" not in source:
        path = Path(source)
        if not path.exists():
            raise InvalidInput(
                f"--source {source} does not exist; it is a file, a folder or an https:// address"
            )
        yield path
        return
    parts = urlsplit(source)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise InvalidInput(
            f"--source {source}: raw data are fetched by https only, so that nobody changes them"
        )
    with tempfile.TemporaryDirectory(prefix="mlops-source-") as folder:
        place = Path(folder)
        if parts.path.endswith("/"):
            there = [name for name in names if _download(f"{source}{name}", place / name)]
            if not there:
                raise InvalidInput(f"--source {source} has none of {', '.join(names)}")
            yield place
        else:
            name = Path(parts.path).name
            if not name or not _download(source, place / name):
                raise InvalidInput(f"--source {source} does not exist")
            yield place / name


def _secure(url: str) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    if parts.scheme != "https" and not local:
        raise InvalidInput(f"--source {url}: raw data are fetched by https only, so that nobody changes them")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """An address may lead elsewhere; that must be as secure."""

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        _secure(args[-1])
        return super().redirect_request(*args)


_OPENER = urllib.request.build_opener(_Redirects)


def _download(url: str, path: Path) -> bool:
    """Whether it is there."""
    try:
        with (
            _OPENER.open(url, timeout=_SECONDS) as answer,
            path.open("wb") as stream,
        ):
            expected = answer.headers.get("content-length")
            if expected is not None and int(expected) > _MOST:
                raise TargetError(f"{url} has {int(expected):,} bytes, and {_MOST:,} are the most")
            shutil.copyfileobj(_Bounded(answer, url), stream)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise TargetError(f"{url} answered {error.code}") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise TargetError(f"{url} cannot be fetched: {getattr(error, 'reason', error)}") from None
    return True


class _Bounded:
    """Reads at most `_MOST` bytes."""

    def __init__(self, stream: http.client.HTTPResponse, url: str) -> None:
        self._stream, self._url, self._left = stream, url, _MOST

    def read(self, size: int = -1) -> bytes:
        part: bytes = self._stream.read(size)
        self._left -= len(part)
        if self._left < 0:
            raise TargetError(f"{self._url} has more than {_MOST:,} bytes")
        return part
