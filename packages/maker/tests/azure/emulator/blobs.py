"""Azure Blob Storage, as much as Azure's own clients use here: containers, block and append blobs, leases.

A request needs a token or a SAS that this module signed. Blobs are kept in memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
import uuid
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

_KEY = b"the emulator's storage key"
_DATE = "%Y-%m-%dT%H:%M:%SZ"


@dataclass
class Blob:
    """One blob. `changed` counts up, so that an ETag never comes back."""

    data: bytes = b""
    kind: str = "BlockBlob"
    metadata: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, bytes] = field(default_factory=dict)
    appended: int = 0
    etag: str = field(default_factory=lambda: f'"0x{uuid.uuid4().hex[:15].upper()}"')
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    lease: str = ""
    lease_until: float = 0.0
    lease_seconds: float = 60.0
    committed: bool = True

    def touch(self) -> None:
        self.etag, self.modified = f'"0x{uuid.uuid4().hex[:15].upper()}"', time.time()

    @property
    def leased(self) -> bool:
        return bool(self.lease) and time.time() < self.lease_until


class Blobs:
    """All accounts; `files[account][container][name]`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._lock = threading.RLock()
        self.accounts: dict[str, dict[str, dict[str, Blob]]] = {}

    # --- for tests and other modules

    def write(self, account: str, container: str, name: str, data: bytes) -> None:
        with self._lock:
            self.container(account, container)[name] = Blob(data)

    def append(self, account: str, container: str, name: str, data: bytes) -> None:
        """To an append blob; the container must be there."""
        with self._lock:
            blob = self.accounts[account][container].setdefault(name, Blob(kind="AppendBlob"))
            blob.data += data
            blob.touch()

    def read(self, account: str, container: str, name: str) -> bytes | None:
        """Its bytes, or None."""
        found = self.accounts.get(account, {}).get(container, {}).get(name)
        return found.data if found is not None and found.committed else None

    def names(self, account: str, container: str, prefix: str = "") -> list[str]:
        with self._lock:
            there = self.accounts.get(account, {}).get(container, {})
            return sorted(n for n, b in there.items() if n.startswith(prefix) and b.committed)

    def container(self, account: str, name: str) -> dict[str, Blob]:
        """The blobs of a container, which is made when it is not there."""
        with self._lock:
            return self.accounts.setdefault(account, {}).setdefault(name, {})

    def url(self, account: str, container: str, name: str = "", seconds: float = 3600) -> str:
        """A URL with a SAS for all that lies below it."""
        until = time.strftime(_DATE, time.gmtime(time.time() + seconds))
        place = f"{account}/{container}" + (f"/{name}" if name else "")
        query = {"sv": "2022-11-02", "se": until, "sr": "b" if name else "c", "sp": "racwdl"}
        query["sig"] = _sign(place, until)
        path = f"/{container}" + (f"/{quote(name)}" if name else "")
        return f"https://{account}.blob.core.windows.net{path}?{urlencode(query)}"

    # --- requests

    def handle(self, request: Request) -> Answer:
        account = request.host.split(".")[0]
        container, _, name = request.path.lstrip("/").partition("/")
        self._authorize(request, account, container, name)
        with self._lock:
            try:
                if not name:
                    answer = self._container(request, account, container)
                else:
                    answer = self._blob(request, account, container, name)
            except Refused as refusal:
                error = refusal.answer.body["error"]
                raise _Xml(refusal.answer.status, error["code"], error["message"]) from None
        answer.headers.setdefault("x-ms-version", "2022-11-02")
        answer.headers.setdefault("date", formatdate(usegmt=True))
        return answer

    def _authorize(self, request: Request, account: str, container: str, name: str) -> None:
        if given := request.query.get("sig"):
            until = request.query.get("se", "")
            places = {f"{account}/{container}", f"{account}/{container}/{name}"}
            good = any(hmac.compare_digest(given, _sign(place, until)) for place in places)
            if not good or until < time.strftime(_DATE, time.gmtime()):
                raise _Xml(403, "AuthenticationFailed", "Server failed to authenticate the request.")
            return
        try:
            self._emulator.entra.check(request)
        except Refused as refusal:
            error = refusal.answer.body["error"]
            raise _Xml(refusal.answer.status, "InvalidAuthenticationInfo", error["message"]) from None

    def _container(self, request: Request, account: str, name: str) -> Answer:
        there = self.accounts.get(account, {})
        operation = request.query.get("comp", "")
        if request.method == "PUT" and not operation:
            if name in there:
                raise Refused(409, "ContainerAlreadyExists", "The specified container already exists.")
            self.container(account, name)
            return Answer(201, None, _stamps(Blob()))
        if name not in there:
            raise Refused(404, "ContainerNotFound", "The specified container does not exist.")
        if operation == "list":
            return self._list(request, name, there[name])
        if request.method == "DELETE":
            del there[name]
            return Answer(202)
        return Answer(200, None, _stamps(Blob()))

    def _list(self, request: Request, container: str, blobs: dict[str, Blob]) -> Answer:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        rows, folders = [], []
        for name in sorted(n for n, b in blobs.items() if n.startswith(prefix) and b.committed):
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                folder = f"{prefix}{head}{delimiter}"
                if folder not in folders:
                    folders.append(folder)
                    rows.append(f"<BlobPrefix><Name>{escape(folder)}</Name></BlobPrefix>")
                continue
            rows.append(_row(name, blobs[name], "metadata" in request.query.get("include", "")))
        body = (
            '<?xml version="1.0" encoding="utf-8"?>'
            f'<EnumerationResults ContainerName="{container}"><Prefix>{escape(prefix)}</Prefix>'
            f"<Blobs>{''.join(rows)}</Blobs><NextMarker /></EnumerationResults>"
        )
        return Answer(200, body.encode(), {"content-type": "application/xml"})

    def _blob(self, request: Request, account: str, container: str, name: str) -> Answer:
        if container not in self.accounts.get(account, {}):
            raise Refused(404, "ContainerNotFound", "The specified container does not exist.")
        blobs = self.accounts[account][container]
        blob = blobs.get(name)
        _conditions(request, blob if blob is not None and blob.committed else None)
        operation = request.query.get("comp", "")
        if request.method == "PUT" and operation in ("", "block", "blocklist"):
            return _write(request, blobs, name, operation)
        if blob is None or not blob.committed:
            raise Refused(404, "BlobNotFound", "The specified blob does not exist.")
        if operation == "lease":
            return _lease(request, blob)
        if request.method in ("GET", "HEAD"):
            return _read(request, blob)
        _holder(request, blob)
        if request.method == "DELETE":
            del blobs[name]
            return Answer(202)
        if operation == "metadata":
            blob.metadata = _metadata(request)
        elif operation == "appendblock":
            at = request.headers.get("x-ms-blob-condition-appendpos")
            if at is not None and int(at) != len(blob.data):
                raise Refused(
                    412, "AppendPositionConditionNotMet", "The append position condition was not met."
                )
            offset, blob.data = len(blob.data), blob.data + request.body
            blob.appended += 1
            blob.touch()
            count = {
                "x-ms-blob-append-offset": str(offset),
                "x-ms-blob-committed-block-count": str(blob.appended),
            }
            return Answer(201, None, _stamps(blob) | count)
        elif operation != "properties":
            raise Refused(400, "InvalidQueryParameterValue", f"comp={operation} is not emulated")
        blob.touch()
        return Answer(200, None, _stamps(blob))


class _Xml(Refused):
    """Storage says errors in XML and in a header."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        said = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        body = f'<?xml version="1.0" encoding="utf-8"?>{said}'
        self.answer = Answer(
            status, body.encode(), {"content-type": "application/xml", "x-ms-error-code": code}
        )


def _conditions(request: Request, blob: Blob | None) -> None:
    wanted, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
    if wanted and (blob is None or wanted not in ("*", blob.etag)):
        raise Refused(
            412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."
        )
    if unwanted and blob is not None and unwanted in ("*", blob.etag):
        if request.method in ("GET", "HEAD"):
            raise Refused(304, "ConditionNotMet", "not modified")
        code = "BlobAlreadyExists" if unwanted == "*" else "ConditionNotMet"
        raise Refused(409 if unwanted == "*" else 412, code, "The specified blob already exists.")


def _holder(request: Request, blob: Blob) -> None:
    """A leased blob is changed only by who names the lease."""
    given = request.headers.get("x-ms-lease-id", "")
    if blob.leased and given != blob.lease:
        code = "LeaseIdMismatchWithBlobOperation" if given else "LeaseIdMissing"
        raise Refused(
            412, code, "There is currently a lease on the blob and no matching lease ID was specified."
        )
    if given and not blob.leased:
        raise Refused(412, "LeaseNotPresentWithBlobOperation", "There is currently no lease on the blob.")


def _write(request: Request, blobs: dict[str, Blob], name: str, operation: str) -> Answer:
    blob = blobs.get(name)
    if blob is not None:
        _holder(request, blob)
    if operation == "block":
        blob = blobs.setdefault(name, Blob(committed=False))
        blob.blocks[request.query["blockid"]] = request.body
        return Answer(201, None, {"x-ms-request-server-encrypted": "true"})
    kept = (blob.lease, blob.lease_until) if blob is not None else ("", 0.0)
    if operation == "blocklist":
        ids = [e.text or "" for e in ElementTree.fromstring(request.body)]  # noqa: S314  our own client's XML
        staged = blob.blocks if blob is not None else {}
        if missing := [i for i in ids if i not in staged]:
            raise Refused(400, "InvalidBlockList", f"unknown blocks {missing}")
        data = b"".join(staged[i] for i in ids)
    else:
        data = request.body
    kind = request.headers.get("x-ms-blob-type", "BlockBlob")
    types = {"content-type": request.headers.get("x-ms-blob-content-type", "application/octet-stream")}
    blobs[name] = Blob(data, kind, _metadata(request), types, lease=kept[0], lease_until=kept[1])
    return Answer(201, None, _stamps(blobs[name]) | {"content-md5": _md5(request.body)})


def _read(request: Request, blob: Blob) -> Answer:
    headers = _stamps(blob) | blob.headers | {"accept-ranges": "bytes", "x-ms-blob-type": blob.kind}
    headers |= {f"x-ms-meta-{k}": v for k, v in blob.metadata.items()}
    headers["x-ms-lease-state"] = "leased" if blob.leased else "available"
    headers["x-ms-lease-status"] = "locked" if blob.leased else "unlocked"
    wanted = request.headers.get("x-ms-range") or request.headers.get("range")
    size = len(blob.data)
    if request.method == "HEAD":
        return Answer(200, None, headers | {"content-length": str(size)})
    if not wanted:
        return Answer(200, blob.data, headers)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or size - 1), size - 1)
    if start >= size:
        raise Refused(
            416, "InvalidRange", "The range specified is invalid for the current size of the resource."
        )
    headers["content-range"] = f"bytes {start}-{end}/{size}"
    return Answer(206, blob.data[start : end + 1], headers)


def _lease(request: Request, blob: Blob) -> Answer:
    action, given = request.headers["x-ms-lease-action"], request.headers.get("x-ms-lease-id", "")
    held = Refused(409, "LeaseAlreadyPresent", "There is already a lease present.")
    lost = Refused(
        409, "LeaseIdMismatchWithLeaseOperation", "The lease ID specified did not match the lease ID."
    )
    headers = _stamps(blob)
    if action == "acquire":
        proposed = request.headers.get("x-ms-proposed-lease-id") or str(uuid.uuid4())
        if blob.leased and proposed != blob.lease:
            raise held
        blob.lease, blob.lease_seconds = proposed, float(request.headers["x-ms-lease-duration"])
    elif action == "break":
        blob.lease_until = 0.0
        return Answer(202, None, headers | {"x-ms-lease-time": "0"})
    elif given != blob.lease or (action == "renew" and not blob.lease):
        raise lost
    elif action == "release":
        blob.lease, blob.lease_until = "", 0.0
        return Answer(200, None, headers)
    blob.lease_until = float("inf") if blob.lease_seconds < 0 else time.time() + blob.lease_seconds
    return Answer(201 if action == "acquire" else 200, None, headers | {"x-ms-lease-id": blob.lease})


def _row(name: str, blob: Blob, with_metadata: bool) -> str:
    extra = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in blob.metadata.items()) if with_metadata else ""
    return (
        f"<Blob><Name>{escape(name)}</Name><Properties>"
        f"<Creation-Time>{formatdate(blob.created, usegmt=True)}</Creation-Time>"
        f"<Last-Modified>{formatdate(blob.modified, usegmt=True)}</Last-Modified>"
        f"<Etag>{blob.etag}</Etag><Content-Length>{len(blob.data)}</Content-Length>"
        f"<Content-Type>application/octet-stream</Content-Type><BlobType>{blob.kind}</BlobType>"
        f"<LeaseStatus>{'locked' if blob.leased else 'unlocked'}</LeaseStatus></Properties>"
        f"<Metadata>{extra}</Metadata></Blob>"
    )


def _stamps(blob: Blob) -> dict[str, str]:
    return {"etag": blob.etag, "last-modified": formatdate(blob.modified, usegmt=True)}


def _metadata(request: Request) -> dict[str, str]:
    start = "x-ms-meta-"
    return {k.removeprefix(start): v for k, v in request.headers.items() if k.startswith(start)}


def _sign(place: str, until: str) -> str:
    return base64.b64encode(hmac.new(_KEY, f"{place}\n{until}".encode(), hashlib.sha256).digest()).decode()


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def install(emulator: Emulator) -> Blobs:
    """Routes of all storage accounts."""
    blobs = Blobs(emulator)
    emulator.router.add("*", r"[a-z0-9]+\.blob\.core\.windows\.net", r"/.*", blobs.handle)
    return blobs
