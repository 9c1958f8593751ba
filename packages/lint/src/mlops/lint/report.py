"""A verdict as people and machines read it: lines, JSON, SARIF, GitHub annotations."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from mlops.lint.finding import Finding, Level, Verdict
from mlops.lint.rules import RULES

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_WORDS: dict[Level, str] = {"error": "error", "rule": "broken house rule", "note": "note"}
_LEVELS = {"error": "error", "rule": "warning", "note": "note"}
_GITHUB = {"error": "error", "rule": "error", "note": "notice"}
"""A house rule that is on fails the check, so it is an error there."""


def as_text(verdict: Verdict, *, verbose: bool = False) -> list[str]:
    """One line a finding, and one that counts; `verbose` names every file and what became of it."""
    lines = [str(finding) for finding in verdict.findings]
    if verbose:
        lines += [f"{state.file}: {_state(state.state, state.kind)}" for state in verdict.files]
    return [*lines, summary(verdict)]


def summary(verdict: Verdict) -> str:
    """How many files were read, what was found, and who judged."""
    counts = ", ".join(
        _counted(verdict.count(level), word) for level, word in _WORDS.items() if verdict.count(level)
    )
    files = [_counted(verdict.files_that_are("read"), "file") + " read"]
    if unread := verdict.files_that_are("unread"):
        files.append(f"{unread} of a kind that is not read")
    if other := verdict.files_that_are("other"):
        files.append(f"{other} that {'is' if other == 1 else 'are'} not Azure ML's")
    judge = f"; azure-ai-ml {verdict.azure} judged too" if verdict.azure else "; azure-ai-ml was not asked"
    return f"{counts or 'no problems'}; {', '.join(files)}{judge}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _state(state: str, kind: str) -> str:
    if state == "read":
        return f"read as {kind}"
    return "no Azure ML file" if state == "other" else f"not read: {kind.lstrip('?')}"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Everything, for a machine."""
    return {
        "findings": [{**vars(finding), "level": finding.level} for finding in verdict.findings],
        "files": [vars(state) for state in verdict.files],
        "azure_ai_ml": verdict.azure or None,
    }


def as_sarif(verdict: Verdict) -> dict[str, Any]:
    """SARIF 2.1.0, which GitHub and Azure DevOps show beside the code."""
    used = sorted({finding.id for finding in verdict.findings})
    rules = [
        {
            "id": name,
            "shortDescription": {"text": RULES[name].means},
            "defaultConfiguration": {"level": _LEVELS[RULES[name].level]},
        }
        for name in used
    ]
    driver = {"name": "azureml-lint", "rules": rules}
    results = [_result(finding, used.index(finding.id)) for finding in verdict.findings]
    run = {"tool": {"driver": driver}, "results": results}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, index: int) -> dict[str, Any]:
    place = {
        # An address, not a path: a space or a colon in it must be written as one.
        "artifactLocation": {"uri": quote(finding.file.replace("\\", "/"))},
        "region": {"startLine": max(finding.line, 1)},
    }
    text = f"{finding.field}: {finding.message}" if finding.field else finding.message
    return {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": _LEVELS[finding.level],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def as_github(verdict: Verdict) -> list[str]:
    """Workflow commands that GitHub shows as annotations of a pull request."""
    return [_annotation(finding) for finding in verdict.findings]


def _annotation(finding: Finding) -> str:
    text = f"{finding.field}: {finding.message}" if finding.field else finding.message
    properties = f"file={_property(finding.file)},line={finding.line},title={_property(finding.id)}"
    return f"::{_GITHUB[finding.level]} {properties}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
