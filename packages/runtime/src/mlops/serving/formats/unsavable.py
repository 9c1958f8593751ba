"""Which part of an estimator skops cannot save, by the name under which its holder has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DEEP = 12


def unsavable(estimator: Any, deep: int = _DEEP) -> str | None:
    """The innermost part that cannot be saved, in words; None when everything can be."""
    if _saved(estimator):
        return None
    for name, part in _parts(estimator):
        if deep and (found := unsavable(part, deep - 1)) is not None:
            # Told by the innermost object that has attributes: lists and dictionaries in between say nothing.
            plain = isinstance(estimator, list | tuple | Mapping)
            return found if plain or " of " in found else f"{name} of {_named(estimator)}, {found}"
    return f"a {_named(estimator)}"


def _saved(part: Any) -> bool:
    from skops import io

    try:
        io.dumps(part)
    # What a part's own code raises is of any type; that it raises is the answer.
    except Exception:  # noqa: BLE001
        return False
    return True


def _parts(holder: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(holder, list | tuple):
        yield from ((str(index), part) for index, part in enumerate(holder))
    elif isinstance(holder, Mapping):
        yield from ((str(key), part) for key, part in holder.items())
    elif type(holder).__module__.partition(".")[0] != "pandas":  # whose inner parts nobody knows by name
        yield from getattr(holder, "__dict__", {}).items()


def _named(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"
