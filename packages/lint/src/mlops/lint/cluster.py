"""Compute, workspaces and connections: sizes, counts, names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.identity import check_identity
from mlops.lint.machine import at_least, between, check_size
from mlops.lint.monitor import minutes_of
from mlops.lint.node import At
from mlops.lint.references import is_placeholder, is_remote
from mlops.lint.schedule import check_trigger
from mlops.spec.naming import REGIONS
from mlops.spec.near import nearest

_IDLE = (15, 4320)
"""Minutes after which a compute instance may be shut down: a quarter of an hour to three days."""
_SHORT = 2
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,22}[a-zA-Z0-9]")
_OF_STORES = {
    "name": (re.compile(r"[A-Za-z0-9_]{1,255}"), "letters, digits and '_'"),
    "account_name": (re.compile(r"[a-z0-9]{3,24}"), "3 to 24 small letters and digits"),
    "container_name": (
        re.compile(r"\$?(?=.{3,63}\Z)[a-z0-9](?:-?[a-z0-9])+"),
        "3 to 63 small letters, digits and single '-'",
    ),
    **dict.fromkeys(
        ("filesystem", "file_share_name"),
        (re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:-?[a-z0-9])+"), "3 to 63 small letters, digits and single '-'"),
    ),
}
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ALMOST_GUID = re.compile(r"[0-9a-f-]{24,}", re.IGNORECASE)
"""A name that waits to be filled in is none."""
_REGIONS = (
    *REGIONS,
    "centraluseuap", "eastus2euap", "francesouth", "germanynorth", "jioindiawest", "norwaywest",
    "southafricawest", "swedensouth", "uaecentral",
    "usgovarizona", "usgovtexas", "usgovvirginia",
    "chinaeast", "chinaeast2", "chinanorth", "chinanorth2", "chinanorth3",
)  # fmt: skip
"""Known to say what was meant; a region that is like none of them may be newer."""
_RULES = ("fqdn", "service_tag", "private_endpoint")
_PROTOCOLS = ("tcp", "udp", "icmp", "*")
_LAST_PORT = 65_535
_SCHEMES = ("https", "http", "wasbs", "wasb", "abfss", "abfs")
_OPEN = "allow_internet_outbound"
_CONNECTION = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")
_WORKSPACE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{1,32}")


def check_compute(compute: At, kind: str, files: Files) -> Iterator[Finding]:
    """A cluster's size and counts."""
    name = compute["name"]
    word = kind.partition(".")[2]
    if word and compute["type"].text is not None and compute["type"].word != word:
        yield compute["type"].says("wrong-value", f"must be {word}; got {compute['type'].value!r}")
    yield from check_identity(compute["identity"])
    yield from _subnet(compute["network_settings"])
    if kind == "compute.computeinstance" and name.text is not None and len(name.text) == _SHORT:
        yield name.says("bad-name", f"must be at least 3 characters for an instance; got {name.value!r}")
    if kind in ("compute.amlcompute", "compute.computeinstance"):
        yield from check_size(compute["size"], files)
        if name.text is not None and not _NAME.fullmatch(name.text):
            message = f"must be 2 to 24 letters, digits or '-', starting with a letter; got {name.value!r}"
            yield name.says("bad-name", message)
    if kind == "compute.kubernetes" and "resource_id" not in compute:
        yield compute.says("given-later", "has no `resource_id`; the command line has to give it")
    least, most = compute["min_instances"].number, compute["max_instances"].number
    yield from at_least(compute["min_instances"], 0, "scale")
    yield from at_least(compute["max_instances"], 0, "scale")
    if least is not None and most is not None and least > most:
        yield compute["min_instances"].says("scale", f"is more than max_instances ({most:g})")
    yield from at_least(compute["idle_time_before_scale_down"], 0, "out-of-range")
    idle = compute["idle_time_before_shutdown"]
    waits = minutes_of(idle.text) if idle.text is not None else _IDLE[0]
    if waits is None:
        yield idle.says("window", f"must be a duration such as PT30M; got {idle.value!r}")
    elif not _IDLE[0] <= waits <= _IDLE[1]:
        yield idle.says("out-of-range", f"must be from PT15M to P3D; got {idle.value!r}")
    yield from between(compute["idle_time_before_shutdown_minutes"], *_IDLE, "out-of-range")
    for schedule in compute.at("schedules", "compute_start_stop").elements():
        yield from check_trigger(schedule["trigger"], parts=False)


def check_datastore(store: At) -> Iterator[Finding]:
    """Names of a datastore, its account and its container."""
    for field, (pattern, allowed) in _OF_STORES.items():
        place = store[field]
        if place.text is not None and not is_remote(place.text) and not pattern.fullmatch(place.text):
            yield place.says("bad-name", f"must be {allowed}; got {place.value!r}")
    for field in ("tenant_id", "client_id"):
        place = store["credentials"][field]
        if place.text is not None and _ALMOST_GUID.fullmatch(place.text) and not _GUID.fullmatch(place.text):
            yield place.says("wrong-value", f"is no GUID, which has 8-4-4-4-12 digits; got {place.value!r}")
    endpoint = store["endpoint"]
    if endpoint.text is not None and "://" in endpoint.text:
        message = f"is the end of a host, as core.windows.net, without a scheme; got {endpoint.value!r}"
        yield endpoint.says("wrong-value", message)
    protocol = store["protocol"]
    if protocol.text is not None and protocol.word not in _SCHEMES:
        yield protocol.says("wrong-value", f"must be https, wasbs or abfss; got {protocol.value!r}")


def check_registry(registry: At) -> Iterator[Finding]:
    """A registry's name and places."""
    yield from _named(registry["name"])
    yield from _region(registry["location"])
    if registry["replication_locations"].value == []:
        yield registry["replication_locations"].says("missing-field", "needs at least one location")
    for place in registry["replication_locations"].elements():
        yield from _region(place["location"])
        if isinstance(place.value, dict) and "location" not in place:
            yield place.says("missing-field", "needs `location`")


def _region(place: At) -> Iterator[Finding]:
    region = place.word.replace(" ", "")
    meant = nearest(region, _REGIONS, 0.85)
    if region and region not in _REGIONS and meant:
        message = f"there is no region {place.value!r}; did you mean {meant!r}?"
        yield place.says("wrong-value", message)


def _outbound(rule: At) -> Iterator[Finding]:
    """A rule of a managed network: of a kind that exists, to a protocol and ports that do."""
    kind = rule["type"]
    if kind.text is not None and kind.word not in _RULES:
        yield kind.says("wrong-value", f"must be one of {', '.join(_RULES)}; got {kind.value!r}")
    host = rule["destination"]
    if host.text is not None and ("/" in host.text or ":" in host.text) and not is_placeholder(host.text):
        yield host.says("wrong-value", f"must be the name of a host, as *.example.com; got {host.value!r}")
    target = rule.at("destination", "service_resource_id")
    if target.text is not None and not is_remote(target.text):
        yield target.says("bad-reference", f"must be /subscriptions/…, a resource's id; got {target.value!r}")
    protocol, ports = rule.at("destination", "protocol"), rule.at("destination", "port_ranges")
    if protocol.text is not None and protocol.word not in _PROTOCOLS:
        yield protocol.says("wrong-value", f"must be TCP, UDP, ICMP or *; got {protocol.value!r}")
    for part in str(ports.value).split(",") if isinstance(ports.value, str | int) else ():
        first, dash, last = (word.strip() for word in part.partition("-"))
        ends = [first, last] if dash else [first]
        numbers = [int(end) for end in ends if end.isdecimal()]
        right = len(numbers) == len(ends) and numbers == sorted(numbers) and numbers[-1] <= _LAST_PORT
        if not right and part.strip() != "*":
            yield ports.says(
                "out-of-range", f"{part.strip()!r} is no port, and no range from a lower to a higher one"
            )


def _subnet(network: At) -> Iterator[Finding]:
    """A subnet by its name belongs to a network that is named; by its id it says which."""
    subnet = network["subnet"]
    if subnet.text is not None and not is_remote(subnet.text) and "vnet_name" not in network:
        message = f"{subnet.value!r} needs `vnet_name`, or is the id of a subnet, /subscriptions/…"
        yield subnet.says("missing-field", message)
    if "vnet_name" in network and "subnet" not in network:
        yield network["vnet_name"].says("missing-field", "needs `subnet`, which of this network")


def check_connection(connection: At) -> Iterator[Finding]:
    """A connection's name."""
    name = connection["name"]
    if name.text is not None and not is_placeholder(name.text) and not _CONNECTION.fullmatch(name.text):
        message = f"must be letters, digits, '-' or '_', not starting with these; got {name.value!r}"
        yield name.says("bad-name", message)


def _network(network: At) -> Iterator[Finding]:
    """The rules of a managed network: each alone, and what its mode lets in."""
    names: list[object] = []
    for rule in network["outbound_rules"].elements():
        yield from _outbound(rule)
        name = rule["name"]
        if name.value in names:
            yield name.says("wrong-value", f"two rules are called {name.value!r}; the later one would win")
        names.append(name.value)
        kind = rule["type"]
        if network["isolation_mode"].word == _OPEN and kind.word in ("fqdn", "service_tag"):
            message = f"{kind.value} rules need isolation_mode allow_only_approved_outbound; it is {_OPEN}"
            yield kind.says("wrong-value", message)


def check_workspace(workspace: At) -> Iterator[Finding]:
    """A workspace's name, region, key, identity and rules of its network."""
    yield from _network(workspace["managed_network"])
    yield from check_identity(workspace["identity"])
    key = workspace["customer_managed_key"]
    for field in ("key_vault", "key_uri") if isinstance(key.value, dict) else ():
        if field not in key:
            yield key.says("missing-field", f"needs `{field}`")
    yield from _region(workspace["location"])
    yield from _named(workspace["name"])


def _named(name: At) -> Iterator[Finding]:
    if name.text is not None and not _WORKSPACE.fullmatch(name.text) and "<" not in name.text:
        message = f"must be 2 to 33 letters, digits, '-' or '_', not starting with these; got {name.value!r}"
        yield name.says("bad-name", message)
