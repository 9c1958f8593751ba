"""`azureml-lint`, or `python -m mlops.lint`: the lint alone, for repositories that have nothing else of this.

`mlops pipeline lint` does the same within a repository of the template, by the settings of `mlops.toml`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import MlopsError
from mlops.lint import Options, examine, report, rule_names

_FOUND = 5
"""As other verbs end when a file is wrong."""


def main(words: Sequence[str] | None = None) -> int:
    """0: no errors and no broken house rules; 5: some, or a path or rule that does not exist."""
    asked = _parser().parse_args(words)
    paths = asked.paths or [Path()]
    try:
        options = Options(
            house=tuple(folder.resolve() for folder in asked.house),
            off=rule_names(asked.off),
            azure=asked.azure,
            memory=_memory(),
            listed=asked.listed,
        )
        verdict = examine(paths, options)
    except MlopsError as error:
        sys.stderr.write(f"error {error}\n")
        return error.exit_code
    if asked.form in ("json", "sarif"):
        made = report.as_json(verdict) if asked.form == "json" else report.as_sarif(verdict)
        sys.stdout.write(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    else:
        github = asked.form == "github"
        lines = report.as_github(verdict) if github else report.as_text(verdict, verbose=asked.verbose)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return _FOUND if verdict.blocking else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="azureml-lint",
        description="Find what Azure ML would refuse, drop or do otherwise, in files of any kind and place.",
        epilog="Example: azureml-lint --format github jobs endpoints",
    )
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders; default: this folder")
    parser.add_argument(
        "--format",
        dest="form",
        choices=("text", "json", "sarif", "github"),
        default="text",
        help="lines, JSON, SARIF, or annotations of a GitHub workflow",
    )
    parser.add_argument(
        "--house",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="files below it keep the house rules too (pinned versions, unused inputs, …); repeatable",
    )
    parser.add_argument(
        "--off", action="append", default=[], metavar="RULE", help="a house rule that does not count"
    )
    parser.add_argument(
        "--azure",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="ask azure-ai-ml too, offline, where it is installed",
    )
    parser.add_argument(
        "--listed",
        action="store_true",
        help="a program listed the files: pass over those that are not Azure ML's, as in a folder",
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="also name every file")
    return parser


def _memory() -> Path:
    """Where answers of azure-ai-ml are kept: asking it costs seconds."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlops-lint"


if __name__ == "__main__":
    sys.exit(main())
