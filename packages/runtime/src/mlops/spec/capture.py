"""What an endpoint captures of its requests and answers: `[models.<name>.capture]` of mlops.toml."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from pydantic import Field

from mlops.errors import InvalidInput, Problem
from mlops.spec._base import Spec

SYNTHETIC = "mlops-sample-"
"""How the `x-request-id` of a request begins that is no client's: a rollout asks a release for a sample,
which says nothing of what clients send. It is answered like any other, and not captured."""


class CaptureSettings(Spec):
    """How much is captured, what never is, and how much room it may take."""

    enabled: bool = False
    """Off until somebody has decided which columns are personal data."""
    sample_rate: float = Field(default=1.0, ge=0, le=1)
    """Share of the requests; a request is captured as a whole or not at all."""
    exclude: list[str] = []
    """Input columns that are personal data; they never leave the request."""
    file_seconds: float = Field(default=60.0, gt=0)
    """A file is closed after this time; a killed server loses at most the rows of it."""
    file_megabytes: float = Field(default=8.0, gt=0)
    """… or at this size in memory, whichever comes first."""
    disk_megabytes: float = Field(default=256.0, gt=0)
    """Of all files of an endpoint; the oldest go first."""
    queue_megabytes: float = Field(default=16.0, gt=0)
    """Request bodies that may wait for the writer; what comes beyond is not captured, and counted."""


def synthetic_id() -> str:
    """A new `x-request-id` of such a request."""
    return f"{SYNTHETIC}{uuid.uuid4().hex}"


def check_capture(
    settings: CaptureSettings, columns: Iterable[str], where: str = "mlops.toml", field: str = "capture"
) -> None:
    """Raises `InvalidInput` when a column to leave out is no input of the model: a typing error there
    would put personal data on the disk."""
    known = list(columns)
    if unknown := [name for name in settings.exclude if name not in known]:
        raise InvalidInput(
            Problem(
                where,
                f"{', '.join(map(repr, unknown))} is no input of the model, so nothing would be left out; "
                f"its inputs are {', '.join(known)}",
                f"{field}.exclude",
            )
        )
