"""What free text looks like: how long it is, and how much of it training had not.

Values of free text hardly ever come twice, so that counting them says nothing. Words do: a vocabulary is made
of half of the reference's rows, and how many words it does not know is counted on the other half.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LEAST = 50
"""Texts below which a column is taken for categories, whatever they look like."""
DISTINCT = 0.5
"""Share of different texts above which a column is free text: few of them will be seen again."""
ROWS = 5_000
"""Texts that a vocabulary is made of, and as many that its gaps are counted on."""
WORDS = 2_000
"""Size of a vocabulary."""
LOOKED_AT = 200
"""Words of a text that are looked at."""
_WORD = re.compile(r"\w+")


def free(sample: Array) -> bool:
    """Whether a column with these texts (nulls left out) is free text."""
    return len(sample) >= LEAST and len(set(sample.tolist())) > DISTINCT * len(sample)


def words(text: str) -> set[int]:
    """The words of a text as 32-bit hashes: the reference travels, and no word of training has to."""
    hashes: set[int] = set()
    for number, match in enumerate(_WORD.finditer(text)):
        if number == LOOKED_AT:
            break
        hashes.add(zlib.crc32(match[0].lower().encode("utf-8", "surrogatepass")))
    return hashes


def vocabulary(texts: Iterable[str]) -> list[int]:
    """The words that most of the texts have, sorted; a word of one text alone is left out."""
    often = Counter(word for text in texts for word in words(text))
    return sorted(word for word, count in often.most_common(WORDS) if count > 1)


def unknown(texts: Sequence[str], known: Iterable[int]) -> Array:
    """Share of each text's words that are not known [texts]; 0 for a text without words."""
    names = frozenset(known)
    shares = np.zeros(len(texts))
    for place, text in enumerate(texts):
        some = words(text)
        if some:
            shares[place] = len(some - names) / len(some)
    return shares


def halves(sample: Array) -> tuple[list[str], list[str]]:
    """Texts for the vocabulary, and texts to count its gaps on: in turns, evenly spread."""
    step = max(1, len(sample) // (2 * ROWS))
    chosen = sample[::step][: 2 * ROWS]
    return chosen[::2].tolist(), chosen[1::2].tolist()
