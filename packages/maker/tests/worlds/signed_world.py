"""A signed model of one release, and keys to sign it with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlops.lifecycle.apply.sign import sign_release, verify_release
from mlops.serving import testing
from mlops.serving.score import signing
from mlops.spec.release import Data, Release, Source
from mlops.spec.signing import SigningSettings, signature_path
from mlops.targets.memory import MemoryRegistry


def make_key(folder: Path, name: str, password: str | None = None) -> tuple[Path, Path]:
    """A private and a public PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    encryption = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


class Case:
    """A signed model of one release, in a repository whose settings require it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.private, public = make_key(root, "team")
        self.settings = SigningSettings(required=True, public_key=public.name)
        self.folder = root / "model"
        self.release = release(testing.write_onnx(self.folder))
        self.registry = MemoryRegistry()
        self.registry.add(self.release, self.folder)

    @property
    def signature(self) -> Path:
        return self.root / signature_path("freight", 1)

    def sign(self, key: Path | None = None, password: str = "") -> str | None:
        environment = {signing.KEY: str(key or self.private), signing.PASSWORD: password}
        return sign_release(self.root, self.registry, self.release, self.settings, environment)

    def verify(self) -> None:
        verify_release(self.root, "freight", 1, self.folder, self.settings)


def release(digest: str) -> Release:
    source = Source(commit="0" * 40, actor="a", run_id="r", pipeline="p", pipeline_digest=digest)
    data = Data(name="d", version="1", digest=digest, window="2013-01..2013-03", test_window="2013-04")
    return Release.model_construct(
        model="freight", version=1, digest=digest, created=datetime.now(UTC), source=source, data=data,
        environment=digest, metrics={}, gates=[],
    )  # fmt: skip


def sign_by_another_key(case: Case) -> None:
    other, _ = make_key(case.root, "other")
    signing.sign(case.folder, case.signature, other)
