"""Reads Azure ML files and says what is wrong with them. Worth having alone: imports `spec` and `errors`."""

from __future__ import annotations

from mlops.lint.examine import Options, examine, lint, rule_names
from mlops.lint.finding import FileState, Finding, Verdict
from mlops.lint.rules import RULES

__all__ = ["RULES", "FileState", "Finding", "Options", "Verdict", "examine", "lint", "rule_names"]
