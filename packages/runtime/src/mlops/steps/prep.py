"""Step `prep`: from raw data to the rows that a model is trained and tested on, split by time or by a rule.

`--engine spark` makes the same rows on a Spark session (docs/scaling.md); folders may then be URIs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.spec.split import Part, Side, Split
from mlops.spec.window import Window
from mlops.steps import _args
from mlops.usecase import UseCase, rows

if TYPE_CHECKING:
    import pandas as pd

    from mlops.steps.split import Dealing

ENGINES = ("embedded", "spark")


def main(argv: Sequence[str] | None = None) -> int:
    """Write `train` and `test`, each with `data.parquet` (inputs, target, time) and `manifest.json`."""
    options = _args.parser("prep", __doc__)
    options.add_argument("--raw", type=_place, required=True, help="folder with the raw data")
    options.add_argument("--window", type=_args.window, help="window of time to train on")
    options.add_argument("--test-window", type=_args.window, help="later window to test on")
    options.add_argument("--split", type=_args.split, help="where time does not split: see mlops.spec.split")
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

    usecase = load_usecase(given.usecase)
    _require_one_way(usecase, given)
    made = _on_spark(usecase, given) if given.engine == "spark" else _here(usecase, given)
    tracking.log_metrics({f"{name}_rows": float(rows) for name, rows in made.items()})
    told = {name: getattr(given, name) for name in ("window", "test_window", "split")}
    tracking.log_params({name: str(value) for name, value in told.items() if value is not None})


def _require_one_way(usecase: UseCase, given: argparse.Namespace) -> None:
    """Rows are split by time, or by a rule; raises `InvalidInput` with what to write instead."""
    if given.split is None and (given.window is None or given.test_window is None):
        way = "window and test_window" if usecase.time else "split: random:test=0.2,seed=7"
        why = f"has the time column {usecase.time!r}" if usecase.time else "has no time column"
        raise InvalidInput(
            f"the use case {usecase.name!r} {why}, and nothing says which rows to test on; give the training "
            f"pipeline {way} as input"
        )
    if given.split is not None and given.test_window is not None:
        raise InvalidInput("the rows are split by `split` or by `test_window`; take one of them away")
    if given.split is None and given.test_window.first < given.window.end:
        raise InvalidInput(
            f"the test window {given.test_window} starts before the training window {given.window} has "
            "ended; a model is tested on rows that it has not seen, and that come later"
        )


def _here(usecase: UseCase, given: argparse.Namespace) -> dict[str, int]:
    """Rows of each part, made in this process."""
    from mlops.steps import dataset
    from mlops.steps.split import Dealing

    if "://" in given.raw:
        raise InvalidInput(f"--raw {given.raw} is no folder of this machine; --engine spark reads it")
    raw = dataset.read_raw(Path(given.raw))
    folders = {name: Path(getattr(given, name)) for name in ("train", "test")}
    if given.split is not None:
        sides: dict[Side, Part] = {s: Part(given.window, given.split, s) for s in ("train", "test")}
        dealing = Dealing(given.split, list(usecase.contract().columns))
        made = _write(usecase, given, sides["train"], folders, dealing)
        names: dict[str, str] = {side: str(part) for side, part in sides.items()}
    else:
        made = {}
        names = {"train": str(given.window), "test": str(given.test_window)}
        for name, window in (("train", given.window), ("test", given.test_window)):
            made |= _write(usecase, given, Part(window), {name: folders[name]})
    for name, folder in folders.items():
        dataset.write_manifest(folder, dataset.manifest(raw, names[name], made[name]))
    return made


def _write(
    usecase: UseCase,
    given: argparse.Namespace,
    part: Part,
    folders: Mapping[str, Path],
    dealing: Dealing | None = None,
) -> dict[str, int]:
    """The rows of `part`, dealt among `folders`, batch by batch; how many each has."""
    from mlops.steps import dataset
    from mlops.steps.stored import Written

    with ExitStack() as opened:
        files: dict[str, Written] = {}
        for frame, kinds in batches(usecase, Path(given.raw), part.window):
            if not files:
                _require_target(usecase, list(frame.columns), str(part))
                for name, folder in folders.items():
                    folder.mkdir(parents=True, exist_ok=True)
                    files[name] = opened.enter_context(Written(folder / dataset.ROWS, kinds))
            masks: Mapping[Any, Any] = dealing.masks(frame) if dealing is not None else {}
            for name, file in files.items():
                file.add(frame[masks[name]] if masks else frame)
        if dealing is not None:
            dealing.finish()
    return {name: file.count for name, file in files.items()}


def batches(
    usecase: UseCase, raw: Path, window: Window | None
) -> Iterator[tuple[pd.DataFrame, Mapping[str, Any]]]:
    """The rows of `window` in their order, with the types in Arrow of what a batch does not tell.

    All at once where only the use case's own code can make them. Raises `InvalidInput`.
    """
    from mlops.steps.stored import BATCH, plain, type_with_null, typed
    from mlops.tables import embedded

    last: Any = None
    if window is not None and embedded.is_frame(usecase, raw, window):
        import pyarrow as pa

        scaled: Any = usecase
        read = embedded.batches(scaled, raw, window, BATCH)
        schema, nulls = next(read)
        if all(plain(field.type) for field in schema):
            kinds = {field.name: field.type for field in schema}
            types = {n: kind for n in nulls if (kind := type_with_null(kinds[n]))}
            for batch in read:
                table = pa.Table.from_batches([batch])
                frame = _sorted(
                    usecase, typed(table.to_pandas(coerce_temporal_nanoseconds=True), types), last
                )
                last = frame[usecase.time].iloc[-1] if len(frame) else last
                yield frame, kinds
            return
    yield _sorted(usecase, rows(usecase, raw, window)), {}


def parts(
    usecase: UseCase, raw: Path, window: Window | None, test_window: Window | None, split: Split | None
) -> Iterator[tuple[Part, pd.DataFrame]]:
    """The rows to learn from, then those to test on, each with its name. Raises `InvalidInput`."""
    from mlops.steps.split import sides

    if split is None:
        for one in (window, test_window):
            yield Part(one), _sorted(usecase, rows(usecase, raw, one))
        return
    every = _sorted(usecase, rows(usecase, raw, window))
    for side, frame in sides(every, split, list(usecase.contract().columns)).items():
        yield Part(window, split, side), frame


def _sorted(usecase: UseCase, frame: pd.DataFrame, last: Any = None) -> pd.DataFrame:
    """`frame`, whose rows come after `last`."""
    if usecase.time is None:
        return frame
    times = frame[usecase.time]
    if not times.is_monotonic_increasing or (last is not None and len(times) and times.iloc[0] < last):
        raise InvalidInput(
            f"features of the use case {usecase.name!r} returned rows that are not sorted by "
            f"{usecase.time!r}; "
            "sort them"
        )
    return frame


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
    if given.split is not None:
        raise InvalidInput(
            "--split is for one machine; Spark splits by time: give --window and --test-window"
        )
    scaled: Any = usecase
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
            count, columns = engine.write(spark, scaled, uri, window, f"{folder}/{dataset.ROWS}")
            _require_target(usecase, columns, str(window))
            made[name] = count
            manifest = dataset.manifest(raw, str(window), count)
            files.write_text(f"{folder}/{dataset.MANIFEST}", manifest.text())
    return made


def _require_target(usecase: UseCase, columns: Sequence[str], window: str) -> None:
    if usecase.target not in columns:
        raise InvalidInput(
            f"the raw data have no labels for {window} ({usecase.target!r} is absent), so nothing can be "
            "learned from or tested on these rows"
        )


if __name__ == "__main__":
    sys.exit(main())
