"""The public half of the key of records in git, and which key that is: by it everybody checks signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlops.bootstrap import files, grants
from mlops.bootstrap.steps import Look, Step
from mlops.bootstrap.world import RECORDS, World
from mlops.errors import InvalidInput
from mlops.spec import writing
from mlops.spec.settings import FILE
from mlops.targets._record_seal import public_pem
from mlops.targets.azure import vault

PUBLIC: Final = "environments/records.pub"


@dataclass(frozen=True)
class PublicKey:
    """The file of public keys. One that is there stays in it: what an earlier key signed goes on counting."""

    world: World
    key: str = "file:records"
    title: str = f"the public key of records in {PUBLIC}"
    needs: str = "the role Key Vault Crypto User on the key of records"

    def look(self) -> Look:
        if self.world.arm.get(grants.key_path(self.world, RECORDS)) is None:
            return Look("create", "as soon as the key is there")
        if (pem := self._pem()) is None:
            return Look("create", "as soon as the key can be read")
        return Look("keep") if pem in self._there() else Look("change", "the key of the vault is added")

    def make(self, look: Look) -> None:
        pem = self._pem()
        if pem is None:
            raise InvalidInput(f"{self.world.records_url} cannot be read yet; run the same command again")
        writing.write(self.world.root / PUBLIC, self._there() + pem)

    def ours(self) -> str:
        return ""

    def remove(self) -> None:
        """Files are in git: it knows what they said."""

    def _there(self) -> str:
        path = self.world.root / PUBLIC
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _pem(self) -> str | None:
        key = vault.read_key(self.world.credential, self.world.records_url)
        return public_pem(vault.decoded(key["x"]), vault.decoded(key["y"])) if key else None


def record_steps(world: World) -> list[Step]:
    """The public key, then `[signing]`: a setting that names a file which is not there refuses everything.

    Nothing where a person has chosen another key: what that has signed must go on counting.
    """
    signing = world.settings.signing
    if signing.records and signing.records_key != world.records_url:
        return []

    def wanted(text: str) -> str:
        return files.with_signing(text, records=PUBLIC, records_key=world.records_url)

    return [PublicKey(world), files.Edit(world, "file:signing", f"[signing] of {FILE}", FILE, wanted)]
