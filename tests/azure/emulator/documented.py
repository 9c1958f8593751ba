"""JSON schemas of bodies whose official types the copy lacks, written after Azure's documentation.

Microsoft.Insights/autoscalesettings 2022-10-01: what is used here, and nothing that Azure alone may set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

_TEXT = {"type": "string", "minLength": 1}
_NUMBER = {"type": "string", "pattern": "^[0-9]+$"}
"""Azure has counts of instances as text."""
_MINUTES = {"type": "string", "pattern": r"^PT([0-9]+H)?([0-9]+M)?$"}


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    properties = {**required, **optional}
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


_RULE = _object(
    {
        "metricTrigger": _object(
            {
                "metricName": _TEXT,
                "metricResourceUri": {"type": "string", "pattern": "^/subscriptions/"},
                "timeGrain": _MINUTES,
                "statistic": {"enum": ["Average", "Min", "Max", "Sum", "Count"]},
                "timeWindow": _MINUTES,
                "timeAggregation": {"enum": ["Average", "Minimum", "Maximum", "Total", "Count", "Last"]},
                "operator": {
                    "enum": [
                        "Equals", "NotEquals", "GreaterThan", "GreaterThanOrEqual", "LessThan",
                        "LessThanOrEqual",
                    ]
                },
                "threshold": {"type": "number"},
            },
            metricNamespace=_TEXT,
            dividePerInstance={"type": "boolean"},
        ),
        "scaleAction": _object(
            {
                "direction": {"enum": ["None", "Increase", "Decrease"]},
                "type": {
                    "enum": ["ChangeCount", "PercentChangeCount", "ExactCount", "ServiceAllowedNextValue"]
                },
                "cooldown": _MINUTES,
            },
            value=_NUMBER,
        ),
    }
)  # fmt: skip
_PROFILE = _object(
    {
        "name": _TEXT,
        "capacity": _object({"minimum": _NUMBER, "maximum": _NUMBER, "default": _NUMBER}),
        "rules": {"type": "array", "items": _RULE, "maxItems": 10},
    }
)
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "microsoft.insights/autoscalesettings": _object(
        {
            "location": _TEXT,
            "properties": _object(
                {"profiles": {"type": "array", "items": _PROFILE, "minItems": 1, "maxItems": 20}},
                enabled={"type": "boolean"},
                name=_TEXT,
                targetResourceUri={"type": "string", "pattern": "^/subscriptions/"},
                targetResourceLocation=_TEXT,
                notifications={"type": "array", "maxItems": 0},
            ),
        },
        tags={"type": "object", "additionalProperties": {"type": "string"}},
    ),
}
"""By type, in lower case."""


def problems(kind: str, body: Any) -> list[str]:
    """What the schema of `kind` forbids; `KeyError` for one that has none."""
    found = Draft202012Validator(dict(SCHEMAS[kind.lower()])).iter_errors(body)
    return [f"{'.'.join(map(str, e.absolute_path)) or 'body'}: {e.message}" for e in found]
