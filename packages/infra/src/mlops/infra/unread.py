"""Keys of a stack file that nobody would read: Pulumi ignores them, and so a typo would switch a protection
off."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from mlops.spec.near import hint, nearest

_FILE: Final = ("config", "environment", "encryptedkey", "encryptionsalt", "secretsprovider")
"""What Pulumi reads at the top of a stack file."""
_PROVIDER: Final = (
    "auxiliaryTenantIds", "clientId", "disableInstanceDiscovery", "disablePulumiPartnerId", "environment",
    "metadataHost", "msiEndpoint", "oidcTokenFilePath", "partnerId", "subscriptionId", "tenantId",
    "useDefaultAzureCredential", "useMsi", "useOidc",
)  # fmt: skip
"""Of the provider `azure-native`, without its secrets and without `location`: every resource here has its
own."""
_PULUMI: Final = ("autonaming", "disable-default-providers", "tags")
_REFUSED: Final = {
    "azure-native:location": "has no effect here: every resource takes its region from mlops:location",
    "azure-native:clientSecret": "must not be here: workflows log in with OIDC, people with az login",
    "azure-native:clientCertificatePassword": "must not be here: workflows log in with OIDC",
}
_GUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_VALUES: Final = {
    **{
        f"azure-native:{name}": (_GUID, "must be a UUID such as 00000000-0000-0000-0000-000000000001")
        for name in ("clientId", "partnerId", "subscriptionId", "tenantId")
    },
    **{
        f"azure-native:{name}": ("true|false", "must be true or false")
        for name in (
            "disableInstanceDiscovery", "disablePulumiPartnerId", "useDefaultAzureCredential", "useMsi",
            "useOidc",
        )
    },
    "azure-native:environment": ("public", "must be public, as the regions of mlops:location are"),
}  # fmt: skip
"""Of keys that a provider reads, what it takes; a wrong one ends an update after its plan was approved."""
_CLOSE: Final = 0.6


def unread_keys(keys: Iterable[str], namespace: str, fields: Collection[str]) -> Iterator[tuple[str, str]]:
    """(key, sentence) for each `<namespace>:<name>` that neither the program nor a provider reads.

    Names below `namespace` are not judged here; its model does that.
    """
    known = {namespace: tuple(sorted(fields)), "azure-native": _PROVIDER, "pulumi": _PULUMI}
    for key in sorted(keys):
        first, colon, name = key.partition(":")
        if first == namespace and colon:
            continue
        if key in _REFUSED:
            yield key, _REFUSED[key]
        elif first in known and name in known[first]:
            continue
        elif first in known:
            yield (
                key,
                f"{first} reads no such key; allowed: {', '.join(known[first])}"
                + hint(name, known[first], _CLOSE),
            )
        else:
            yield key, _foreign(first, name, namespace, known)


def wrong_values(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(key, sentence) for each value that the provider would refuse, or not find."""
    for key, value in sorted(values.items()):
        pattern, said = _VALUES.get(key, ("", ""))
        if pattern and not re.fullmatch(pattern, value):
            yield key, f"{said}; got {value!r}"


def unread_fields(fields: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(field, sentence) for each field at the top of a stack file that Pulumi ignores."""
    for field in fields:
        if str(field) not in _FILE:
            yield (
                str(field),
                f"Pulumi ignores this field; allowed: {', '.join(_FILE)}" + hint(str(field), _FILE, _CLOSE),
            )


def _foreign(first: str, name: str, namespace: str, known: dict[str, tuple[str, ...]]) -> str:
    sentence = f"nothing reads keys of {first!r}; known: {', '.join(sorted(known))}"
    near = nearest(first.lower(), known, _CLOSE)
    owner = near or next((n for n, names in known.items() if name in names), "")
    if not owner:
        return sentence
    return f"{sentence}; did you mean {owner}:{nearest(name, known[owner], _CLOSE) or name}?"
