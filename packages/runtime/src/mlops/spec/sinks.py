"""`[events]` of `mlops.toml`: where events go, and what acts on those that come in."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from mlops.spec._base import Spec
from mlops.spec.events import EventType

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_METADATA = (
    "metadata", "metadata.google.internal", "metadata.azure.internal", "168.63.129.16", "fd00:ec2::254",
    "100.100.100.200", "192.0.0.192",
)  # fmt: skip
_CARRIERS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/96", "::ffff:0:0:0/96", "::/96")))
"""NAT64, its local prefix, and two older ways to write an IPv4 address as one of IPv6."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_url(value: str) -> str:
    """An https address, or http on this machine; raises `ValueError`."""
    parts = urlsplit(value)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname:
        raise ValueError("must be an https:// address (http:// only on this machine)")
    if parts.username or parts.password:
        raise ValueError("must not contain a user or a password; name a variable with `url_env` instead")
    if of_the_machine(parts.hostname):
        raise ValueError("must be the address of a receiver; this one belongs to the machine or its cloud")
    return value


def leads_astray(host: str, address: str) -> bool:
    """Whether a name that was let through leads to this machine or its cloud after all."""
    if of_the_machine(address):
        return True
    there = ipaddress.ip_address(address.partition("%")[0])
    return (_carried(there) or there).is_loopback and not _names_this_machine(host)


def _names_this_machine(host: str) -> bool:
    try:
        return host in _LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def of_the_machine(host: str) -> bool:
    """Addresses at which a cloud answers with an identity's tokens, and those that are nobody's."""
    plain = host.lower().partition("%")[0].rstrip(".")
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        try:
            # As a resolver reads 2852039166, 0xA9FEA9FE, 0251.0376.0251.0376 and 169.254.43518.
            address = ipaddress.ip_address(socket.inet_aton(plain))
        except (OSError, UnicodeError):
            return plain in _METADATA
    mapped = _carried(address) or address
    if isinstance(mapped, ipaddress.IPv4Address) and mapped.is_reserved:
        return True  # 255.255.255.255 is everybody
    return str(mapped) in _METADATA or mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified


def _carried(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, Teredo, or translated (NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if inner is None and int(address) > 1 and any(address in network for network in _CARRIERS):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner


def _optional(value: str) -> str:
    return check_url(value) if value else value


def _path(value: str) -> str:
    windows = PureWindowsPath(value)
    if PurePosixPath(value).is_absolute() or windows.is_absolute() or ".." in windows.parts:
        raise ValueError("must be a path inside the repository")
    return value


class _Sink(Spec):
    name: str = Field(default="", pattern=r"^[a-z0-9-]*$")
    """Told in messages and kept with what was delivered; default: the kind."""
    types: list[EventType] = []
    """Which events it gets; empty means all."""

    def takes(self, event_type: str) -> bool:
        return not self.types or event_type in self.types


class FileSink(_Sink):
    """One JSON document a line."""

    kind: Literal["file"]
    """A file on this machine."""
    path: Annotated[str, AfterValidator(_path)] = ".mlops/events.jsonl"
    """Relative to the repository."""


class WebhookSink(_Sink):
    """CloudEvents over HTTP, structured mode, signed as Standard Webhooks says."""

    kind: Literal["webhook"]
    """An HTTP request for each event."""
    url: Annotated[str, AfterValidator(_optional)] = ""
    """The https:// address that is called (http:// only on this machine), without user and password; this or
    `url_env`."""
    url_env: str = Field(default="", pattern=_VARIABLE + "|^$")
    """Environment variable with the address, where the address itself is a secret."""
    secret_env: str = Field(default="MLOPS_WEBHOOK_SECRET", pattern=_VARIABLE)
    """Environment variable with the signing key; the key itself is never in a file."""
    sign: bool = True
    """Whether to sign; a receiver that cannot check who calls should not act on what it hears."""

    @model_validator(mode="after")
    def _one_address(self) -> WebhookSink:
        if bool(self.url) == bool(self.url_env):
            raise ValueError("give either url or url_env")
        return self


class EventGridSink(_Sink):
    """A custom topic of Azure Event Grid whose input schema is CloudEvents 1.0."""

    kind: Literal["eventgrid"]
    """A topic of Azure Event Grid."""
    endpoint: Annotated[str, AfterValidator(check_url)]
    """For example https://<topic>.<region>-1.eventgrid.azure.net/api/events; no key, Entra ID only."""


Sink = Annotated[FileSink | WebhookSink | EventGridSink, Field(discriminator="kind")]


class HandlerSettings(Spec):
    """What `mlops events handle` does with an event that comes in."""

    run: str = Field(default="dispatch", pattern=r"^(dispatch|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")
    """`dispatch` starts a workflow of the forge; `package.module:function` calls the fork's own code."""
    types: list[EventType] = Field(min_length=1)
    """On which events; nothing runs on all of them by accident."""


class EventSettings(Spec):
    """Without any of it events are kept in the outbox, where `mlops events list` shows them."""

    sinks: list[Sink] = []
    """Where events go, each with a name of its own."""
    handlers: list[HandlerSettings] = []
    """What acts on the events that `mlops events handle` is given."""
    dispatch_webhook: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$")
    """Azure DevOps: the name of the incoming webhook that the handler `dispatch` calls."""

    @model_validator(mode="after")
    def _names(self) -> EventSettings:
        names = [sink_name(sink) for sink in self.sinks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two sinks are called {', '.join(twice)}; give each a `name` of its own")
        return self


def sink_name(sink: FileSink | WebhookSink | EventGridSink) -> str:
    """Its name, or its kind."""
    return sink.name or sink.kind
