"""Step `prep`: from raw data to the rows that a model is trained and tested on, split by time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.steps import _args


def main(argv: Sequence[str] | None = None) -> int:
    """Write `train` and `test`, each with `data.parquet` (inputs, target, time) and `manifest.json`."""
    options = _args.parser("prep", __doc__)
    options.add_argument("--raw", type=_args.existing, required=True, help="folder with the raw data")
    options.add_argument("--window", type=_args.window, required=True, help="months to train on")
    options.add_argument("--test-window", type=_args.window, required=True, help="later months to test on")
    options.add_argument("--train", type=Path, required=True, help="output folder")
    options.add_argument("--test", type=Path, required=True, help="output folder")
    return _args.run(_prep, options, argv)


def _prep(given: argparse.Namespace) -> None:
    from mlops import tracking
    from mlops.steps import dataset
    from mlops.usecase import load_usecase

    if given.test_window.first < given.window.end:
        raise InvalidInput(
            f"the test window {given.test_window} starts before the training window {given.window} has "
            "ended; a model is tested on months that it has not seen, and that come later"
        )
    usecase = load_usecase(given.usecase)
    raw = dataset.read_raw(given.raw)
    for name, window in (("train", given.window), ("test", given.test_window)):
        frame = usecase.features(given.raw, window)
        if usecase.target not in frame:
            raise InvalidInput(
                f"the raw data have no labels for {window} ({usecase.target!r} is absent), so nothing can be "
                f"learned from or tested on these months"
            )
        if not frame[usecase.time].is_monotonic_increasing:
            raise InvalidInput(
                f"{given.usecase}.features returned rows that are not sorted by {usecase.time!r}; sort them"
            )
        made = dataset.write(getattr(given, name), frame, raw, str(window))
        tracking.log_metrics({f"{name}_rows": float(made.rows)})
    tracking.log_params({"window": str(given.window), "test_window": str(given.test_window)})


if __name__ == "__main__":
    sys.exit(main())
