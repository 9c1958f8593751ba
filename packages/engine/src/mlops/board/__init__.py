"""The board: a static site that shows what is served where, why, and where it came from.

`gather` reads registry, journals, verdicts and git into plain data; everything after it is pure, so that the
same state gives the same bytes. No script, no server, no address of another host.
"""

from __future__ import annotations

from mlops.board.card import Card, card_of
from mlops.board.gather import gather
from mlops.board.site import pages, write

__all__ = ["Card", "card_of", "gather", "pages", "write"]
