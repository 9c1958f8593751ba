"""The customer-managed key as the resources that it encrypts need it. Plain data, no resource of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """A key in the vault and the identity that may unwrap it.

    `ready` must exist before the first use: Azure checks the role when the encrypted resource is made.
    """

    identity_id: pulumi.Input[str]
    client_id: pulumi.Input[str]
    vault_id: pulumi.Input[str]
    vault_uri: pulumi.Input[str]
    key_name: pulumi.Input[str]
    key_uri: pulumi.Input[str]
    """With the key's version."""
    ready: Sequence[pulumi.Resource]
