"""The table of ids in docs/lint.md, between two marks of a page that people write."""

from __future__ import annotations

import re
from pathlib import Path

from mlops.lint import RULES
from mlops.lint.kinds import KINDS
from mlops.reference.markdown import table

PAGE = "docs/lint.md"
_LEVELS = {"error": "error", "rule": "house rule", "note": "note"}


def page(root: Path) -> str:
    """docs/lint.md with the ids and the kinds as the code has them."""
    path = root / PAGE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    rows = [[f"`{name}`", _LEVELS[rule.level], rule.means] for name, rule in RULES.items()]
    text = between(text, "rules", table(["id", "level", "what it means"], rows))
    labels = dict.fromkeys(kind.label for kind in KINDS.values())
    return between(text, "kinds", ", ".join(labels) + ".")


def between(text: str, mark: str, made: str) -> str:
    """`text` with `made` between two marks of it."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{made.strip()}\n{found[2]}", text)
