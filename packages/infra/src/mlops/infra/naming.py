"""Physical names. The rules are in `mlops.spec.naming`: the target `azure` must find what is made here."""

from mlops.spec.naming import (
    ENVIRONMENTS,
    JOURNAL,
    REGIONS,
    RULES,
    Names,
    Rule,
    check,
    check_compute,
    check_stack,
    guid,
)

__all__ = [
    "ENVIRONMENTS",
    "JOURNAL",
    "REGIONS",
    "RULES",
    "Names",
    "Rule",
    "check",
    "check_compute",
    "check_stack",
    "guid",
]
