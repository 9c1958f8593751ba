"""Run all checks: those of files at once, those that wait for a network side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mlops.doctor import azure, forge, locks, platform, repository, tools
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding
from mlops.errors import InvalidInput, MlopsError

_AT_ONCE: Final = 8

CHECKS: Final[tuple[Check, ...]] = (
    *tools.CHECKS,
    *repository.CHECKS,
    *locks.CHECKS,
    *azure.CHECKS,
    *platform.CHECKS,
    *forge.CHECKS,
)
"""In the order in which they are shown."""
FIRST: Final = frozenset({"python", "git", "settings"})
"""What can be said when mlops.toml cannot be read."""
LOGIN: Final = "login"
"""Without it no other check of Azure can be made."""


def diagnose(case: Case, *, offline: bool = False, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """What every check says, in their order. Never raises for what a check meets: that is a finding."""
    chosen = [c for c in checks if _applies(case, c)]
    by_check: dict[str, list[Finding]] = {}
    for check in (c for c in chosen if c.needs == "files"):
        by_check[check.name] = _judge(case, check)
    away = [c for c in chosen if c.needs != "files"]
    if offline:
        by_check |= {c.name: [Finding(c.name, "unknown", "not checked: --offline")] for c in away}
    else:
        first = next((c for c in away if c.name == LOGIN), None)
        if first is not None:
            by_check[LOGIN] = _judge(case, first)
            if any(f.severity != "ok" for f in by_check[LOGIN]):
                blind = [c for c in away if c.needs == "azure" and c.name != LOGIN]
                by_check |= {
                    c.name: [Finding(c.name, "unknown", "not checked: no login to Azure")] for c in blind
                }
        rest = [c for c in away if c.name not in by_check]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            by_check |= dict(
                zip((c.name for c in rest), pool.map(lambda c: _judge(case, c), rest), strict=True)
            )
    answers = [finding for check in chosen for finding in by_check[check.name]]
    return answers + _left_out(case, answers)


def _applies(case: Case, check: Check) -> bool:
    if check.name in FIRST:
        return True
    try:
        return {"files": True, "azure": case.azure, "forge": case.forge != "local"}[check.needs]
    except InvalidInput:
        return False  # mlops.toml is wrong, which the check `settings` says once


def _judge(case: Case, check: Check) -> list[Finding]:
    try:
        findings = list(check.run(case))
    except InvalidInput as error:
        return [Finding(check.name, "error", " ".join(str(error).split()), file=True)]
    except MlopsError as error:
        return [Finding(check.name, "unknown", f"not checked: {' '.join(str(error).split())}")]
    except OSError as error:
        return [Finding(check.name, "unknown", f"not checked: {error.strerror or error}")]
    return findings or [Finding(check.name, "ok", check.well)]


def _left_out(case: Case, answers: Sequence[Finding]) -> list[Finding]:
    if any(f.check == "settings" and f.severity == "error" for f in answers) or case.azure:
        return []
    sentence = "not looked at: mlops.toml has the target local, and no stack was made"
    return [Finding("azure", "note", sentence, "mlops --target azure doctor")]
