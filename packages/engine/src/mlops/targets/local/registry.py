"""The laptop's registry and tracking: SQLite and files below the state folder, or an MLflow server."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from mlops.errors import TargetError
from mlops.spec import writing
from mlops.spec.seal import MachineKey, Seal
from mlops.targets._mlflow_registry import MlflowRegistry
from mlops.targets.base import TrainingRun
from mlops.tracking import PipelineTracker, sqlite_uri

KEY = "seal.key"
"""In the state folder: what records on versions are sealed with. It never leaves this machine."""
_BYTES = 32


def local_tracker(state: Path, tracking_uri: str = "") -> PipelineTracker:
    """Tracking at `tracking_uri`, or in `<state>/mlflow.db` and `<state>/artifacts` when that is empty."""
    if tracking_uri:
        return PipelineTracker(tracking_uri)
    return PipelineTracker(sqlite_uri(state / "mlflow.db"), state / "artifacts")


class LocalRegistry(MlflowRegistry):
    """Implements `mlops.targets.base.Registry` beside the tracking of `local_tracker`."""

    def __init__(
        self, state: Path, tracking_uri: str = "", root: Path | None = None, seal: Seal | None = None
    ) -> None:
        super().__init__(local_tracker(state, tracking_uri), state / "models", root, seal=seal)
        self._state = state
        self._key = None if tracking_uri else state / KEY

    def runs(self, experiment: str, tags: Mapping[str, str], limit: int) -> list[TrainingRun]:
        """See `mlops.targets.base.Registry.runs`; runs that were killed are closed first."""
        from mlops.pipeline import close_dead

        close_dead(self._state, self._tracker)
        return super().runs(experiment, tags, limit)

    def seal(self, make: bool = False) -> Seal | None:
        """A key beside the database; for a server what `mlops.toml` says, see `record_seal`."""
        if self._key is None:
            return super().seal(make)
        try:
            if make and not (self._key.exists() or self._key.is_symlink()):
                writing.create(self._key, secrets.token_bytes(_BYTES), mode=0o600)
            # A pipe is never read to its end.
            secret = b"" if self._key.exists() and not self._key.is_file() else self._key.read_bytes()
        except FileNotFoundError:
            if not self._key.is_symlink():
                return MachineKey(b"")
            secret = b""
        except OSError as error:
            raise TargetError(f"the key {self._key} cannot be used: {error.strerror}") from None
        if len(secret) != _BYTES:
            # A new key in its place would make every record of this machine count for nothing, unasked.
            raise TargetError(
                f"the key {self._key} is damaged: it is no file of {_BYTES} bytes. Put a copy of it back; "
                "where there is none, delete it, and `mlops gate <version>` records again what counts"
            )
        return MachineKey(secret)
