"""Names of what monitoring keeps: labels, verdicts and retrains, whichever target holds them."""

from __future__ import annotations

import re

from mlops.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


def require_record_name(name: str) -> None:
    """Raise `InvalidInput` for what is no file name."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a record; letters, digits, '.', '_' and '-' are")
