"""An object with the same key twice: readers of JSON keep one of the values and say nothing, so it is
refused.

A quick count tells nearly all bodies apart; only where it does not add up is the text read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_ESCAPED = re.compile(rb"\\u00[4-7]")
"""A letter that nobody has to escape, so that a name looks like another one."""


class _TwiceError(Exception):
    """The key."""


def twice(text: bytes) -> str | None:
    """A key that an object in `text` has twice, at any depth; None when there is none."""
    try:
        json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        return str(error)
    except (ValueError, RecursionError):
        return None  # whoever decodes it says what is wrong
    return None


def suspected(text: bytes, keys: int) -> bool:
    """Whether `text`, in which objects have `keys` keys that count, may have more."""
    return text.count(b":") != keys


def repeated(text: bytes, names: Iterable[bytes]) -> bool:
    """Whether one of the quoted `names` may come more than once: as a key, or as a value."""
    if b"\\u00" in text and _ESCAPED.search(text) is not None:
        return True
    return any(text.count(name) > 1 for name in names)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _TwiceError(key)
            seen.add(key)
    return fields
