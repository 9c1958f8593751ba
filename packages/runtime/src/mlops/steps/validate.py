"""Step `validate`: rows that break the data contract stop the pipeline before they are learned from."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import ContractViolation, Problem
from mlops.steps import _args

if TYPE_CHECKING:
    from mlops.steps.stored import Rows

log = logging.getLogger("mlops.steps")

REPORT = "contract.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Write `report/contract.json`; exit with the code of `ContractViolation` when a rule is broken.

    A contract that cannot be served is refused here, and what no request will be held to is told.
    """
    options = _args.parser("validate", __doc__)
    options.add_argument("--train", type=_args.existing, required=True, help="folder that prep wrote")
    options.add_argument("--test", type=_args.existing, required=True, help="folder that prep wrote")
    options.add_argument("--report", type=Path, required=True, help="output folder")
    return _args.run(_validate, options, argv)


def _validate(given: argparse.Namespace) -> None:
    from mlops import tracking
    from mlops.monitoring.rules import columns_of, unchecked
    from mlops.monitoring.streamed import check_batches
    from mlops.steps.stored import Stored
    from mlops.usecase import beside, load_usecase

    usecase = load_usecase(given.usecase)
    contract = usecase.contract()
    columns_of(contract)
    report: dict[str, Any] = {"rows": {}, "violations": [], "unchecked": unchecked(contract)}
    for sentence in report["unchecked"]:
        log.warning("the contract's %s", sentence)
    problems = []
    for name in ("train", "test"):
        rows = Stored(getattr(given, name))
        report["rows"][name] = rows.count
        violations = check_batches(rows, [c for c in rows.columns if c not in beside(usecase)], contract)
        report["violations"] += [{"data": name, **violation.record()} for violation in violations]
        problems += [Problem(f"{name} ({rows.manifest.window})", str(violation)) for violation in violations]
        missing = [c for c in beside(usecase) if c not in rows.columns or _nulls(rows, c)]
        for column in missing:
            sentence = f"column {column!r} is absent or has nulls; every row needs one"
            report["violations"].append({"data": name, "column": column, "sentence": sentence})
            problems.append(Problem(f"{name} ({rows.manifest.window})", sentence))
    given.report.mkdir(parents=True, exist_ok=True)
    (given.report / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    tracking.log_metrics({"contract_violations": float(len(problems))})
    if problems:
        tracking.log_artifacts(given.report, "report")
        raise ContractViolation(problems)


def _nulls(rows: Rows, column: str) -> bool:
    return any(bool(frame[column].isna().any()) for frame in rows.frames([column]))


if __name__ == "__main__":
    sys.exit(main())
