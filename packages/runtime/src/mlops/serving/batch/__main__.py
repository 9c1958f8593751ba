"""`python -m mlops.serving.batch`: a folder of files scored by a model folder, as a step of a job runs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import MlopsError
from mlops.serving.batch.batch_file import FileResult
from mlops.serving.batch.job import score_folder


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when every file was scored, 5 when one was quarantined, and that of the error else."""
    parser = argparse.ArgumentParser("mlops.serving.batch", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--digest", required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        report = score_folder(
            options.model, options.input, options.output, digest=options.digest, progress=_tell
        )
    except MlopsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  the job's log
        return error.exit_code
    if report.quarantined:
        count = len(report.quarantined)
        print(f"error: {count} of {len(report.files)} files were refused", file=sys.stderr)  # noqa: T201
        return 5
    return 0


def _tell(result: FileResult, done: int, total: int) -> None:
    what = f"{result.rows} rows" if result.state == "done" else f"quarantined: {result.reason}"
    print(f"{done} of {total}: {result.source}: {what}", flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
