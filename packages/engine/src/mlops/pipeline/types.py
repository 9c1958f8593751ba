"""When a value or an output fits an input."""

from __future__ import annotations

import math
import re

from mlops.pipeline.models import DATA_TYPES, NUMERIC, Port

_INTEGER = re.compile(r"[+-]?\d+")


def literal_text(value: object) -> str:
    """A literal as Azure ML writes it into a command."""
    return str(value)


def mismatch(value: object, port: Port) -> str:
    """Why the literal `value` (from YAML, or text of a command line) does not fit `port`; else empty."""
    if port.type in DATA_TYPES:
        return "" if isinstance(value, str) else f"must be a path or an asset ({port.type}); got {value!r}"
    if port.type in NUMERIC:
        return _number(value, port)
    if port.type == "boolean":
        if isinstance(value, bool) or str(value).lower() in ("true", "false"):
            return ""
        return f"must be true or false (boolean); got {value!r}"
    if port.enum is not None and str(value) not in {str(v) for v in port.enum}:
        return f"must be one of {', '.join(map(str, port.enum))}; got {value!r}"
    return ""


def _number(value: object, port: Port) -> str:
    number = _parsed(value, whole=port.type == "integer")
    if number is None:
        kind = "a whole number (integer)" if port.type == "integer" else "a number"
        return f"must be {kind}; got {value!r}"
    if port.min is not None and number < port.min:
        return f"must be at least {port.min:g}; got {value!r}"
    if port.max is not None and number > port.max:
        return f"must be at most {port.max:g}; got {value!r}"
    if port.enum is not None and number not in [float(v) for v in port.enum]:
        return f"must be one of {', '.join(map(str, port.enum))}; got {value!r}"
    return ""


def _parsed(value: object, *, whole: bool) -> float | None:
    written = str(value).strip()
    if isinstance(value, bool) or (whole and not _INTEGER.fullmatch(written)):
        return None
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
