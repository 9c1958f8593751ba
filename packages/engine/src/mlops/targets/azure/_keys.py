"""New keys of an endpoint with keys: the first one becomes the second, so that no caller is turned away.

By ARM's own action, because `MLClient.online_endpoints.begin_regenerate_keys` cannot say which value a key
shall have. Needs the right `onlineEndpoints/regenerateKeys/action`, which no identity of a workflow has.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from mlops.errors import TargetError
from mlops.targets.azure.arm import Arm
from mlops.targets.azure.connect import Connection
from mlops.tracking.azure_errors import azure_sentences

_SECONDS = 120.0


def rotate(connection: Connection, environment: str, name: str, endpoint_id: str) -> None:
    """Raises `TargetError` when Azure does not keep the first key, which then stays as it is."""
    arm = Arm(connection.credential, endpoint_id.split("/")[2])
    what = f"make new keys for {name}"
    with azure_sentences(f"read the keys of {name}"):
        client = connection.client(environment).online_endpoints
        before = client.get_keys(name)

    def regenerate(which: str, value: str, was: str) -> Any:
        body = {"keyType": which, "keyValue": value}
        arm.post(f"{endpoint_id}/regenerateKeys", body, what=what)
        until = time.monotonic() + _SECONDS
        while True:
            with azure_sentences(f"read the keys of {name}"):
                keys_now = client.get_keys(name)
            if getattr(keys_now, f"{which.lower()}_key") != was:
                return keys_now
            if time.monotonic() > until:
                raise TargetError(
                    f"cannot {what}: not finished after {_SECONDS:.0f} s; run the command again"
                )
            time.sleep(1.0)

    if before.secondary_key != before.primary_key:
        now = regenerate("Secondary", str(before.primary_key), str(before.secondary_key))
        if now.secondary_key != before.primary_key:
            raise TargetError(
                f"Azure made a second key of its own for {name}, so the first one is left as it is. Have "
                "callers use the second one, then run: az ml online-endpoint regenerate-keys "
                f"--name {name} --key-type primary"
            )
    regenerate("Primary", secrets.token_urlsafe(32), str(before.primary_key))
