"""Whose signature a model must carry to be loaded: `[signing]` of mlops.toml."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from mlops.spec._base import Spec

GITHUB = "https://token.actions.githubusercontent.com"


class SigningSettings(Spec):
    """By a key of the team, or keyless by the identity of a workflow; one of the two."""

    required: bool = False
    """Whether a release without a valid signature is refused wherever it would be loaded."""
    public_key: str = ""
    """PEM file of the team's key (elliptic curve), relative to the repository."""
    identity: str = ""
    """Keyless: who signs, for example
    https://github.com/owner/name/.github/workflows/train.yml@refs/heads/main."""
    issuer: str = GITHUB
    """Keyless: who vouches for that identity."""
    records: str = ""
    """PEM file with the public keys (P-256) by which gates and releases are recorded in a registry that
    several machines share, relative to the repository. Empty: whoever may write its tags is believed."""
    records_key: str = Field(
        default="", pattern=r"^(https://[A-Za-z0-9-]+\.vault\.azure\.net/keys/[A-Za-z0-9-]+)?$"
    )
    """The key that signs them, in an Azure key vault; empty: the file that MLOPS_SIGNING_KEY names."""

    @model_validator(mode="after")
    def _one_way(self) -> SigningSettings:
        if self.public_key and self.identity:
            raise ValueError("give public_key or identity, not both")
        if self.required and not (self.public_key or self.identity):
            raise ValueError("required needs public_key or identity: whose signature would count?")
        if self.records_key and not self.records:
            raise ValueError(
                "records_key needs records: by which public key would its signatures be checked?"
            )
        return self

    @property
    def used(self) -> bool:
        """Whether releases are signed at all."""
        return bool(self.public_key or self.identity)


class Signed(Spec):
    """Where the signature of one artifact lies, and whose it must be."""

    signature: Path
    public_key: Path | None = None
    identity: str = ""
    issuer: str = GITHUB


def signature_path(model: str, version: int) -> str:
    """The signature of a release, relative to the repository: a Sigstore bundle, beside the release file."""
    return f"releases/{model}/{version}.sig"


def signed_release(root: Path, settings: SigningSettings, model: str, version: int) -> Signed | None:
    """What loading this release asks for; None where signatures are not required."""
    if not settings.required:
        return None
    return Signed(
        signature=(root / signature_path(model, version)).resolve(),
        public_key=(root / settings.public_key).resolve() if settings.public_key else None,
        identity=settings.identity,
        issuer=settings.issuer,
    )
