"""Signatures of model artifacts in the format of OpenSSF model signing, made and verified by its library.

The digest says that an artifact is the one that a release names; the signature says who made it, also where
nobody has the release file. The library takes most of a second and 60 MB to import, so a server verifies in
a process of its own: `python -m mlops.serving.score.signing`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.errors import IntegrityError, InvalidInput, TargetError
from mlops.spec import writing
from mlops.spec.signing import GITHUB, Signed

KEY = "MLOPS_SIGNING_KEY"
"""Environment variable: PEM file of the private key. It is never in the repository."""
PASSWORD = "MLOPS_SIGNING_KEY_PASSWORD"  # noqa: S105 - the name of a variable
SIGNATURE = "MLOPS_MODEL_SIGNATURE"
"""Environment variables of a deployment: the signature, and whose it must be. Signature and public key are
the file's path, or its text where nothing but the model can be mounted."""
PUBLIC_KEY = "MLOPS_SIGNING_PUBLIC_KEY"
IDENTITY = "MLOPS_SIGNING_IDENTITY"
ISSUER = "MLOPS_SIGNING_ISSUER"
_SECONDS = 120
_TEXTS = ("{", "-----BEGIN")
"""How a Sigstore bundle and a PEM file begin; a path does not."""


def sign(folder: Path, signature: Path, key: Path, password: str | None = None) -> None:
    """Sign every file of `folder` with an elliptic-curve key. Raises `InvalidInput` for what is none."""
    if not key.is_file():
        raise InvalidInput(f"the signing key {key} does not exist; {KEY} names it")
    signing = _library("signing")
    try:
        # The library hands the password on as it is, and cryptography wants bytes.
        secret = password.encode() if password else None
        config = signing.Config().use_elliptic_key_signer(private_key=key, password=secret)
    # cryptography raises these three for a file that is no key, is encrypted, or has another password.
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{key} is no key to sign with ({error}); see {KEY} and {PASSWORD}") from None
    _write(config, folder, signature)


def sign_keyless(folder: Path, signature: Path) -> None:
    """Sign as the workflow that runs this: Sigstore certifies its OIDC token, no key exists.

    Raises `TargetError` when there is no such token, or Sigstore cannot be reached.
    """
    config = _library("signing").Config().use_sigstore_signer(use_ambient_credentials=True)
    try:
        _write(config, folder, signature)
    # Network, token and certificate authority: the client has no common root for what can go wrong there.
    except Exception as error:
        raise TargetError(
            f"the model cannot be signed without a key: {error}; a workflow needs `id-token: write`"
        ) from error


def _write(config: Any, folder: Path, signature: Path) -> None:
    with writing.replacing(signature) as draft:
        config.sign(folder, draft)


def verify(folder: Path, signed: Signed) -> None:
    """Raises `IntegrityError` unless every file of `folder`, and no other, is signed as `signed` says."""
    if not signed.signature.is_file():
        raise IntegrityError(
            f"{signed.signature} does not exist, and models must be signed here; nothing was loaded. "
            "Release the version again where the signing key is"
        )
    if signed.public_key is not None and not signed.public_key.is_file():
        raise IntegrityError(f"the public key {signed.public_key} does not exist; nothing was loaded")
    verifying = _library("verifying")
    try:
        config = verifying.Config()
        if signed.public_key is not None:
            config.use_elliptic_key_verifier(public_key=signed.public_key)
        else:
            config.use_sigstore_verifier(identity=signed.identity, oidc_issuer=signed.issuer)
        config.verify(folder, signed.signature)
    # A signature is what somebody may have tampered with, and the library has no common root: whatever it
    # raises means that the model is not proven to be ours.
    except Exception as error:  # noqa: BLE001
        by = signed.public_key or signed.identity
        raise IntegrityError(
            f"{folder} is not signed by {by} as {signed.signature} claims ({_reason(error)}); nothing was "
            "loaded. Find out who changed the model or its signature, or which key is the right one"
        ) from None


def verify_apart(folder: Path, signed: Signed) -> None:
    """`verify` in a process of its own; for servers. Raises `IntegrityError`."""
    command = [sys.executable, "-m", "mlops.serving.score.signing", str(folder), signed.model_dump_json()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise IntegrityError(f"the signature of {folder} was not verified within {_SECONDS} s") from None
    if done.returncode:
        said = done.stderr.strip() or f"the verification ended with code {done.returncode}"
        raise IntegrityError(said if done.returncode == IntegrityError.exit_code else said.splitlines()[-1])


def signed_from(environment: Mapping[str, str] = os.environ) -> Signed | None:
    """What a deployment's environment asks for; None when it names neither key nor identity.

    Raises `IntegrityError` when it does, but names no signature.
    """
    key, identity = environment.get(PUBLIC_KEY, ""), environment.get(IDENTITY, "")
    if not key and not identity:
        return None
    if not environment.get(SIGNATURE):
        raise IntegrityError(f"models must be signed here, but {SIGNATURE} names no signature")
    return Signed(
        signature=_file(environment[SIGNATURE]),
        public_key=_file(key) if key else None,
        identity=identity,
        issuer=environment.get(ISSUER) or GITHUB,
    )


def variables(signed: Signed) -> dict[str, str]:
    """What `signed_from` reads, with the files' texts. Raises `IntegrityError` when one is missing."""
    texts = {SIGNATURE: signed.signature, **({PUBLIC_KEY: signed.public_key} if signed.public_key else {})}
    values = {IDENTITY: signed.identity, ISSUER: signed.issuer} if signed.identity else {}
    for name, path in texts.items():
        try:
            values[name] = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise IntegrityError(
                f"{path} does not exist, and models must be signed here; nothing was deployed. "
                "Release the version again where the signing key is"
            ) from None
    return values


def _file(value: str) -> Path:
    """The file of a path, or a new one with the text."""
    if not value.lstrip().startswith(_TEXTS):
        return Path(value)
    with tempfile.NamedTemporaryFile("w", prefix="mlops-signing-", encoding="utf-8", delete=False) as file:
        file.write(value)
    return Path(file.name)


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def _library(part: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"model_signing.{part}")
    except ImportError as error:
        raise TargetError(
            f"models must be signed, but {error.name} is not installed; install the group `signing`"
        ) from None


def main(arguments: list[str]) -> int:
    """Verify one folder: its path, and a `Signed` as JSON."""
    from mlops.errors import MlopsError

    folder, signed = arguments
    try:
        verify(Path(folder), Signed.model_validate_json(signed))
    except MlopsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
