"""Step `prep`: from raw data to the rows that a model is trained and tested on, split by time.

`--engine spark` makes the same rows on a Spark session (docs/scaling.md); folders may then be URIs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.steps import _args
from mlops.usecase import UseCase

ENGINES = ("embedded", "spark")


def main(argv: Sequence[str] | None = None) -> int:
    """Write `train` and `test`, each with `data.parquet` (inputs, target, time) and `manifest.json`."""
    options = _args.parser("prep", __doc__)
    options.add_argument("--raw", type=_place, required=True, help="folder with the raw data")
    options.add_argument("--window", type=_args.window, required=True, help="months to train on")
    options.add_argument("--test-window", type=_args.window, required=True, help="later months to test on")
    options.add_argument("--train", required=True, help="output folder")
    options.add_argument("--test", required=True, help="output folder")
    options.add_argument("--engine", choices=ENGINES, default="embedded", help="what makes the rows")
    return _args.run(_prep, options, argv)


def _place(text: str) -> str:
    """A folder of this machine, which must exist, or a URI that Spark knows."""
    return text if "://" in text else str(_args.existing(text))


def _prep(given: argparse.Namespace) -> None:
    from mlops import tracking
    from mlops.usecase import load_usecase

    if given.test_window.first < given.window.end:
        raise InvalidInput(
            f"the test window {given.test_window} starts before the training window {given.window} has "
            "ended; a model is tested on months that it has not seen, and that come later"
        )
    usecase = load_usecase(given.usecase)
    made = _on_spark(usecase, given) if given.engine == "spark" else _here(usecase, given)
    tracking.log_metrics({f"{name}_rows": float(rows) for name, rows in made.items()})
    tracking.log_params({"window": str(given.window), "test_window": str(given.test_window)})


def _here(usecase: UseCase, given: argparse.Namespace) -> dict[str, int]:
    """Rows of each part, made in this process."""
    from mlops.steps import dataset

    if "://" in given.raw:
        raise InvalidInput(f"--raw {given.raw} is no folder of this machine; --engine spark reads it")
    raw = dataset.read_raw(Path(given.raw))
    made = {}
    for name, window in (("train", given.window), ("test", given.test_window)):
        frame = usecase.features(Path(given.raw), window)
        _require_target(usecase, list(frame.columns), str(window))
        if not frame[usecase.time].is_monotonic_increasing:
            raise InvalidInput(
                f"{given.usecase}.features returned rows that are not sorted by {usecase.time!r}; sort them"
            )
        made[name] = dataset.write(Path(getattr(given, name)), frame, raw, str(window)).rows
    return made


def _on_spark(usecase: UseCase, given: argparse.Namespace) -> dict[str, int]:
    """Rows of each part, made and written by Spark; only manifests pass through this process."""
    from mlops.steps import dataset
    from mlops.tables import spark as engine
    from mlops.usecase import Scales

    if not isinstance(usecase, Scales):
        raise InvalidInput(
            f"the use case {usecase.name!r} makes its rows with pandas, so Spark cannot make them; give it "
            "`rows` (see mlops.usecase.Scales), or run the step's component for one machine"
        )
    uri = engine.place(given.raw)
    made = {}
    with engine.session() as spark:
        files = engine.Files(spark)
        raw = dataset.verified(
            uri,
            lambda: files.read_text(f"{uri}/{dataset.MANIFEST}"),
            lambda: files.tree_digest(uri, dataset.MANIFEST),
        )
        for name, window in (("train", given.window), ("test", given.test_window)):
            folder = engine.place(getattr(given, name))
            rows, columns = engine.write(spark, usecase, uri, window, f"{folder}/{dataset.ROWS}")
            _require_target(usecase, columns, str(window))
            made[name] = rows
            manifest = dataset.manifest(raw, str(window), rows)
            files.write_text(f"{folder}/{dataset.MANIFEST}", manifest.text())
    return made


def _require_target(usecase: UseCase, columns: Sequence[str], window: str) -> None:
    if usecase.target not in columns:
        raise InvalidInput(
            f"the raw data have no labels for {window} ({usecase.target!r} is absent), so nothing can be "
            f"learned from or tested on these months"
        )


if __name__ == "__main__":
    sys.exit(main())
