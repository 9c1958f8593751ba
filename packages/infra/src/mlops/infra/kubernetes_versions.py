"""Until when Azure makes clusters of a Kubernetes version: a table with its source, and what it says of one.

The program's clusters have no long-term support, for which Azure wants the Premium tier, so community support
counts. A version newer than the table is not judged."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal

SOON: Final = timedelta(days=90)
"""A version lives for a year, and a new one comes every four months."""

ENDS: Final = {
    (1, 29): date(2025, 3, 31),
    (1, 30): date(2025, 8, 22),
    (1, 31): date(2025, 11, 1),
    (1, 32): date(2026, 3, 31),
    (1, 33): date(2026, 7, 31),
    (1, 34): date(2026, 11, 30),
    (1, 35): date(2027, 3, 31),
    (1, 36): date(2027, 6, 30),
    (1, 37): date(2027, 10, 31),
}
"""Last day of community support (learn.microsoft.com, Supported Kubernetes versions in AKS, of 5 August
2026; a month without a day ends on its last). Afterwards Azure answers K8sVersionNotSupported
(canonical/bundle-kubeflow#1320, kaito-project/kaito#1706)."""

Verdict = Literal["ended", "soon", "fine"]


def last_day(version: str) -> date | None:
    """Of `1.33` or `1.33.4`: the last day of support. What is older than the table ended with its oldest
    version at the latest; None for a newer one."""
    oldest = min(ENDS)
    return ENDS.get(_minor(version), ENDS[oldest] if _minor(version) < oldest else None)


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def verdict(version: str, today: date) -> Verdict:
    """Whether Azure still supports a version, and will for `SOON`."""
    end = last_day(version)
    if end is None or end > today + SOON:
        return "fine"
    return "ended" if end < today else "soon"


def sentence(version: str, today: date) -> str:
    """What is wrong with a version, and what to do; empty when it is fine."""
    end, judged = last_day(version), verdict(version, today)
    if end is None or judged == "fine":
        return ""
    when = "on" if _minor(version) in ENDS else "before"
    said = "ended" if judged == "ended" else "ends"
    return (
        f"Azure's support of Kubernetes {version} {said} {when} {end:%d %B %Y}; name a newer one "
        "(`az aks get-versions` lists them), or leave kubernetes_version out and Azure chooses"
    )
