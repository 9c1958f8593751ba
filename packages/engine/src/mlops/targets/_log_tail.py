"""The end of a log, for the sentence of a failure: nobody should have to open a portal for it."""

from __future__ import annotations


def log_tail(text: str, most: int) -> str:
    """The last lines that say something, at most so many; empty when none does."""
    lines = [f"    {line}" for line in text.splitlines() if line.strip()][-most:]
    return "; the last lines of its log:\n" + "\n".join(lines) if lines else ""
