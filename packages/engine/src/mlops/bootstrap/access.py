"""New role assignments take minutes to work; Pulumi would fail on the first and leave half a stack."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from mlops.bootstrap.grants import container_path, key_path
from mlops.bootstrap.steps import Look
from mlops.bootstrap.world import KEY, RECORDS, STATE, World
from mlops.errors import TargetError
from mlops.tracking.azure_errors import azure_sentences

_SECONDS: Final = 900.0
_BETWEEN: Final = 10.0
_STORAGE: Final = "https://storage.azure.com/.default"
_VAULT: Final = "https://vault.azure.net/.default"


@dataclass(frozen=True)
class Access:
    """Waits until the login can list Pulumi's state and read both keys."""

    world: World
    between: float = _BETWEEN
    key: str = "state:access"
    title: str = "your access to Pulumi's state and keys"
    needs: str = "the two roles on Pulumi's state and key"

    def look(self) -> Look:
        arm = self.world.arm
        paths = (container_path(self.world), key_path(self.world), key_path(self.world, RECORDS))
        there = all(arm.get(path) is not None for path in paths)
        missing = self.missing() if there else "Pulumi's state is not there yet"
        return Look("create", "waits until the assignments work") if missing else Look("keep")

    def make(self, look: Look) -> None:
        until = time.monotonic() + _SECONDS
        while missing := self.missing():
            if time.monotonic() > until:
                raise TargetError(f"{missing} after {_SECONDS / 60:.0f} minutes; run the same command again")
            time.sleep(self.between)

    def ours(self) -> str:
        return ""

    def remove(self) -> None:
        """Nothing was made."""

    def missing(self) -> str:
        """What cannot be reached yet, in words; empty when all is well."""
        state = f"https://{self.world.account}.blob.core.windows.net/{STATE}"
        query = {"restype": "container", "comp": "list", "maxresults": "1"}
        if not self._reads(state, query, _STORAGE, {"x-ms-version": "2023-11-03"}):
            return f"the login still cannot read the container {STATE} of {self.world.account}"
        for name in (KEY, RECORDS):
            if not self._reads(self.world.key_url(name), {"api-version": "7.4"}, _VAULT, {}):
                return f"the login still cannot read the key {name} of {self.world.vault}"
        return ""

    def _reads(self, url: str, query: dict[str, str], scope: str, headers: dict[str, str]) -> bool:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
        from azure.core.rest import HttpRequest

        policies: list[Any] = [
            RetryPolicy(retry_total=3),
            BearerTokenCredentialPolicy(self.world.credential, scope),
        ]
        with azure_sentences(f"read {url}"), PipelineClient(url, policies=policies) as client:
            answer = client.send_request(HttpRequest("GET", url, params=query, headers=headers))
            if answer.status_code in (401, 403, 404):
                return False
            answer.raise_for_status()
        return True
