"""The tag that says where a version is live: `mlops.env.<environment>: live`. Other values say it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LIVE: Final = "live"
_PREFIX: Final = "mlops.env."


def live_tag(env: str) -> str:
    """Its name, for one environment."""
    return f"{_PREFIX}{env}"


def live_in(tags: Mapping[str, str]) -> list[str]:
    """Environments in which a version with these tags is live, sorted."""
    return sorted(k.removeprefix(_PREFIX) for k, v in tags.items() if k.startswith(_PREFIX) and v == LIVE)
