"""Records of a shared registry, sealed by the key of the identity that trains: `[signing]` of mlops.toml.

Several identities write a registry's tags; `promote` does, to say what is live. So what training decided is
signed, and whoever believes it has the public key from git. In Azure the private key never leaves its vault
(decision 0028).
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlops.errors import Blocked, IntegrityError, InvalidInput, Problem
from mlops.spec._yaml import read_text
from mlops.spec.seal import Seal
from mlops.spec.settings import FILE, Settings
from mlops.spec.signing import SigningSettings

KEY = "MLOPS_SIGNING_KEY"
PASSWORD = "MLOPS_SIGNING_KEY_PASSWORD"  # noqa: S105 - the name of a variable
PURPOSE = b"mlops record of a model version, 1\n"
"""Before what is signed, so that no signature made for something else is one of a record."""
_BLOCK = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?", re.DOTALL)
_HALF = 32
"""Bytes of each of the two numbers that a signature is."""


def record_seal(root: Path, settings: Settings) -> Seal | None:
    """What seals records of a registry that several machines share; None where nobody set a key up."""
    return RecordKey(root, settings.signing) if settings.signing.records else None


class RecordKey:
    """Implements `mlops.spec.seal.Seal` with ECDSA on P-256 and SHA-256."""

    strict = True

    def __init__(
        self, root: Path, signing: SigningSettings, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._root, self._signing, self._environment = root, signing, environment

    @property
    def by(self) -> str:
        return f"a key of {self._signing.records}"

    def made(self, message: bytes) -> str:
        """Raises `Blocked` where there is no key to sign with, `IntegrityError` for one that nobody trusts,
        `Forbidden` and `TargetError` where a vault does not sign."""
        seal = base64.urlsafe_b64encode(self._signer()(PURPOSE + message)).decode().rstrip("=")
        if not self.holds(message, seal):
            where = self._signing.records_key or self._environment.get(KEY, "")
            raise IntegrityError(
                f"{where} is not the private half of {self.by}, so nobody would believe what it signs; "
                "add its public key to that file"
            )
        return seal

    def holds(self, message: bytes, seal: str) -> bool:
        """Raises `InvalidInput` where the file of public keys is none."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        try:
            raw = base64.urlsafe_b64decode(seal + "=" * (-len(seal) % 4))
        except (ValueError, binascii.Error):
            return False
        if len(raw) != 2 * _HALF:
            return False
        numbers = int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big")
        for key in self._public:
            try:
                key.verify(encode_dss_signature(*numbers), PURPOSE + message, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                continue
            return True
        return False

    @functools.cached_property
    def _public(self) -> list[Any]:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        name = self._signing.records
        blocks = _BLOCK.findall(read_text(self._root / name, name))
        try:
            keys = [load_pem_public_key(block.encode()) for block in blocks]
        except ValueError:
            keys = []
        if not keys or not all(_is_p256(key) for key in keys):
            raise InvalidInput(
                Problem(name, f"must hold public keys on P-256 in PEM, as `signing.records` of {FILE} says")
            )
        return keys

    def _signer(self) -> Callable[[bytes], bytes]:
        if url := self._signing.records_key:
            from mlops.targets.azure.vault import sign

            return functools.partial(sign, url)
        path = self._environment.get(KEY, "")
        if not path:
            raise Blocked(
                f"what gates decide is recorded with {self.by}, and there is no key here to sign with; "
                f"only who trains has one: set signing.records_key in {FILE}, or {KEY} to the file of "
                "the private key"
            )
        return functools.partial(_sign, _private(Path(path), self._environment.get(PASSWORD)))


def public_pem(x: bytes, y: bytes) -> str:
    """A point of P-256 as a file of public keys has it. Raises `ValueError` for what is no such point."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    pem: bytes = point.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def _sign(key: Any, message: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def _private(path: Path, password: str | None) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password.encode() if password else None)
    except OSError as error:
        raise InvalidInput(
            f"the signing key {path} cannot be read ({error.strerror}); {KEY} names it"
        ) from None
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{path} is no key to sign with ({error}); see {KEY} and {PASSWORD}") from None
    if not _is_p256(key):
        raise InvalidInput(
            f"{path} is no key on P-256; make one: openssl ecparam -name prime256v1 -genkey -noout"
        )
    return key


def _is_p256(key: Any) -> bool:
    return getattr(getattr(key, "curve", None), "name", "") == "secp256r1"
