"""Identities that a resource or an endpoint runs as."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.lint.finding import Finding
from mlops.lint.node import At


def check_identity(identity: At) -> Iterator[Finding]:
    """An identity that users assign names which one."""
    kind = identity["type"].word.replace("_", "")
    if kind == "userassigned" and not identity["user_assigned_identities"].value:
        yield identity.says("missing-field", "user_assigned needs `user_assigned_identities`")
