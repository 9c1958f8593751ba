"""Sign a release's artifact where the key is, and verify it where it is used from a checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlops.errors import Blocked, IntegrityError
from mlops.serving.score import signing
from mlops.spec.release import Release
from mlops.spec.signing import Signed, SigningSettings, signature_path, signed_release
from mlops.targets.base import Registry


def sign_release(
    root: Path,
    registry: Registry,
    release: Release,
    settings: SigningSettings,
    environment: Mapping[str, str] = os.environ,
) -> str | None:
    """Write `releases/<model>/<version>.sig`; its path, or None when there is nothing to write.

    A valid signature stays as it is. Raises `Blocked` when one is required and there is no key here,
    `IntegrityError` when the key that signs is not the one that will be trusted.
    """
    if not settings.used:
        return None
    name = signature_path(release.model, release.version)
    artifact = registry.fetch(release.model, release.version, release.digest)
    wanted = Signed(
        signature=root / name,
        public_key=root / settings.public_key if settings.public_key else None,
        identity=settings.identity,
        issuer=settings.issuer,
    )
    if (root / name).is_file() and _valid(artifact, wanted):
        return None
    key = environment.get(signing.KEY, "")
    if settings.public_key and not key:
        if settings.required:
            raise Blocked(
                f"{release.model} {release.version} must be signed, and there is no key here; "
                f"set {signing.KEY} to the file of the private key of {settings.public_key}"
            )
        return None
    if settings.public_key:
        signing.sign(artifact, root / name, Path(key), environment.get(signing.PASSWORD))
    else:
        signing.sign_keyless(artifact, root / name)
    try:
        signing.verify(artifact, wanted)
    except IntegrityError:
        (root / name).unlink(missing_ok=True)
        raise
    return name


def _valid(artifact: Path, wanted: Signed) -> bool:
    try:
        signing.verify(artifact, wanted)
    except IntegrityError:
        return False
    return True


def verify_release(root: Path, model: str, version: int, artifact: Path, settings: SigningSettings) -> None:
    """Raises `IntegrityError` when the settings require a signature and the artifact's is not valid."""
    signed = signed_release(root, settings, model, version)
    if signed is not None:
        signing.verify(artifact, signed)
