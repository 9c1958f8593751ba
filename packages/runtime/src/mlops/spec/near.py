"""What somebody meant who mistyped a name: one rule for all sentences that say so."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """The one of `known` that looks most like `word`; empty when none does.

    `alike`: from 0, anything, to 1, the same letters. Higher where a wrong hint would do harm.
    """
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=alike)), "")


def hint(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """The end of a sentence: `; did you mean …?`, or nothing."""
    close = nearest(word, known, alike)
    return f"; did you mean {close!r}?" if close else ""
