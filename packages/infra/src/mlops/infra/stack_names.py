"""The stacks of a repository, by their files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SHARED: Final = "shared"
_FIRST: Final = (SHARED, "dev", "staging", "prod")


def stack_names(root: Path) -> list[str]:
    """Stacks with a file in `environments/`: shared, then along the way to production, then the others."""
    files = (root / "environments").glob("Pulumi.?*.yaml")
    names = [p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in files]
    return sorted(names, key=lambda s: (_FIRST.index(s) if s in _FIRST else len(_FIRST), s))
