"""What bootstrap made on GitHub, which has no place for tags: the variable MLOPS_BOOTSTRAP of the repository.

It is written before each change: a run that was killed is undone as well as one that ended.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mlops.errors import InvalidInput
from mlops.forge.github_settings import GitHubSettings

RECORD: Final = "MLOPS_BOOTSTRAP"
NEEDS: Final = "the role Admin in the repository (a token with the scope `repo`)"


class Record:
    """What was made (`null`) or changed (what it was before), by key."""

    def __init__(self, settings: GitHubSettings) -> None:
        self._settings = settings
        self._known: dict[str, Any] | None = None

    def read(self, *, fresh: bool = False) -> dict[str, Any]:
        if self._known is None or fresh:
            text = self._settings.variables().get(RECORD, "")
            try:
                self._known = dict(json.loads(text)) if text else {}
            except ValueError:
                raise InvalidInput(
                    f"the variable {RECORD} of {self._settings.repository} is not what bootstrap wrote; "
                    f"delete it with: gh variable delete {RECORD}"
                ) from None
        return self._known

    def note(self, key: str, before: Any) -> None:
        """Before something is made or changed. The first note of a key wins: it holds the true past."""
        known = self.read(fresh=True)
        if key not in known:
            self._write({**known, key: before})

    def forget(self, key: str) -> None:
        """After it was removed or put back."""
        known = self.read(fresh=True)
        if key in known:
            self._write({k: v for k, v in known.items() if k != key})

    def _write(self, known: dict[str, Any]) -> None:
        text = json.dumps(known, sort_keys=True)
        if not known:
            self._settings.delete_variable(RECORD)
        elif RECORD in self._settings.variables():
            self._settings.update_variable(RECORD, text)
        else:
            self._settings.create_variable(RECORD, text)
        self._known = known
