"""The driver of a parallel job on one machine: it cuts data and calls an entry script for each part.

As on Azure ML: `init()` once a worker, `run(mini_batch)` for each with paths of files or a pandas DataFrame,
`shutdown()` at the end; a mini-batch that fails is tried again, and too many that fail for good end the job.
It is started by its path and imports nothing of this package, so any environment can run it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SIZE = re.compile(r"(\d+)\s*(?:([kmg])b?)?", re.IGNORECASE)
_DEFAULT_BYTES = 1024**2
_READERS = ("read_delimited", "read_parquet", "read_json_lines")

_module: Any = None


def main(words: Sequence[str] | None = None) -> int:
    """0 when no more mini-batches failed than may."""
    asked = _parser().parse_args(words)
    is_table = not asked.files and (asked.data / "MLTable").is_file()
    batches = list(tabular(asked) if is_table else files(asked))
    print(f"{len(batches)} mini-batches of {asked.data}", flush=True)  # noqa: T201 (the job's log)
    workers = max(1, min(asked.workers, len(batches), os.cpu_count() or 1))
    arguments = (asked.entry, asked.arguments)
    if workers == 1:
        _start(*arguments)
        results: Iterator[Any] = (_run(batch, asked.retries, asked.timeout) for batch in batches)
        failed, missing = _gather(results, batches, asked.append)
        _end()
    else:
        # Forked: what the entry script needs is not imported here, so nothing is copied that must not be.
        with ProcessPoolExecutor(workers, get_context("fork"), _start, arguments) as pool:
            waiting = [pool.submit(_run, batch, asked.retries, asked.timeout) for batch in batches]
            failed, missing = _gather((future.result() for future in waiting), batches, asked.append)
            list(pool.map(_shut, range(workers)))
    for limit, count, what in (
        (asked.failed_batches, failed, "mini-batches"),
        (asked.failed_items, missing, "items"),
    ):
        if limit >= 0 and count > limit:
            print(f"{count} {what} failed, and {limit} may", file=sys.stderr)  # noqa: T201
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--entry", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", action="store_true", help="whatever an MLTable beside them says")
    parser.add_argument("--keys", default="")
    parser.add_argument("--size", nargs="+", default=[])
    parser.add_argument("--failed-batches", type=int, default=-1)
    parser.add_argument("--failed-items", type=int, default=-1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--retries", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=60)
    parser.add_argument("--append", default="")
    parser.add_argument("arguments", nargs="*")
    return parser


def size_of(text: str) -> int:
    """`10`, `10kb`, `1 MB` as a number. Raises `SystemExit`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise SystemExit(f"mini_batch_size must be a number of files, or bytes such as 10kb; got {text!r}")
    return int(match[1]) * _UNITS[(match[2] or "").lower()]


def files(asked: argparse.Namespace) -> Iterator[list[str]]:
    """Paths of files, so many at a time. An MLTable file in the folder names them."""
    count = size_of(" ".join(asked.size)) if asked.size else 1
    if asked.data.is_file():
        paths = [asked.data]
    elif not asked.files and (asked.data / "MLTable").is_file():
        paths = table_files(asked.data)[0]
    else:
        paths = sorted(path for path in asked.data.rglob("*") if path.is_file())
    names = [str(path) for path in paths]
    for start in range(0, len(names), count):
        yield names[start : start + count]


def table_files(folder: Path) -> tuple[list[Path], list[dict[str, Any]]]:
    """Files and transformations of an MLTable. Raises `SystemExit` for what lies elsewhere."""
    import yaml

    described = yaml.safe_load((folder / "MLTable").read_text(encoding="utf-8")) or {}
    paths: list[Path] = []
    for entry in described.get("paths") or []:
        kind, text = next(iter(entry.items()))
        if "://" in str(text):
            raise SystemExit(f"the MLTable names {text}, and nothing is mounted on this machine")
        if kind == "pattern":
            paths += sorted(path for path in folder.glob(str(text).removeprefix("./")) if path.is_file())
        elif (path := folder / str(text)).is_dir():
            paths += sorted(inner for inner in path.rglob("*") if inner.is_file())
        else:
            paths.append(path)
    steps = [s if isinstance(s, dict) else {s: {}} for s in described.get("transformations") or []]
    return paths, steps


def tabular(asked: argparse.Namespace) -> Iterator[Any]:
    """The rows of an MLTable as DataFrames; its files, where it names files only."""
    paths, steps = table_files(asked.data)
    if not any(set(step) & set(_READERS) for step in steps):
        yield from files(asked)
        return
    frame = _frame(paths, steps)
    if asked.keys:
        yield from (group for _, group in frame.groupby(asked.keys.split(",")))
        return
    size = size_of(" ".join(asked.size)) if asked.size else _DEFAULT_BYTES
    whole = sum(path.stat().st_size for path in paths) or 1
    rows = max(1, int(len(frame) * size / whole))
    for start in range(0, len(frame), rows):
        yield frame.iloc[start : start + rows]


def _frame(paths: list[Path], steps: list[dict[str, Any]]) -> Any:
    import pandas as pd

    parts: list[Any] = []
    for step in steps:
        name, given = next(iter(step.items()))
        options = given if isinstance(given, dict) else {}
        if name == "read_delimited":
            header = None if options.get("header") == "no_header" else 0
            comma = options.get("delimiter", ",")
            parts = [pd.read_csv(path, sep=comma, header=header) for path in paths]
        elif name == "read_parquet":
            parts = [pd.read_parquet(path) for path in paths]
        elif name == "read_json_lines":
            parts = [pd.read_json(path, lines=True) for path in paths]
        elif name in ("keep_columns", "drop_columns"):
            named = [given] if isinstance(given, str) else list(given)
            parts = [p[named] if name == "keep_columns" else p.drop(columns=named) for p in parts]
        elif name != "convert_column_types":
            raise SystemExit(f"the MLTable asks for {name}, which is not done on this machine")
    return pd.concat(parts, ignore_index=True)


def _start(entry: str, arguments: list[str]) -> None:
    """The entry script as the module that it is on Azure ML, with its arguments."""
    global _module  # noqa: PLW0603 (a process pool's initializer has no other place)
    path = Path(entry).resolve()
    sys.path.insert(0, str(path.parent))
    sys.argv = [entry, *arguments]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"the entry script {entry} is not there")
    _module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = _module
    spec.loader.exec_module(_module)
    if hasattr(_module, "init"):
        _module.init()


def _end() -> None:
    if hasattr(_module, "shutdown"):
        _module.shutdown()


def _shut(_: int) -> None:
    global _module  # noqa: PLW0603
    _end()
    _module = None


def _run(batch: Any, retries: int, seconds: int) -> Any:
    """What `run` answers as rows of text; None when every attempt failed."""
    for attempt in range(retries + 1):
        try:
            with _Limit(seconds):
                return _rows(_module.run(batch))
        except Exception:  # noqa: BLE001 (whatever the script raises is a mini-batch that failed)
            traceback.print_exc()
            print(f"attempt {attempt + 1} of {retries + 1} failed", file=sys.stderr, flush=True)  # noqa: T201
    return None


class _Limit:
    """Raises `TimeoutError` inside of `run` once its time is over."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._late)
        signal.alarm(max(self._seconds, 0))

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)

    def _late(self, number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"run() took more than {self._seconds} s (retry_settings.timeout)")


def _rows(answer: Any) -> list[str]:
    """A line an element; a DataFrame's rows with spaces between, as Azure ML writes them."""
    if hasattr(answer, "to_csv"):
        text = answer.to_csv(header=False, index=False, sep=" ")
        return str(text).splitlines()
    return [str(element) for element in answer] if answer is not None else []


def _gather(results: Iterator[Any], batches: list[Any], append: str) -> tuple[int, int]:
    """Write the rows in the order of the data; how many mini-batches failed, how many items are missing."""
    failed = missing = 0
    lines: list[str] = []
    for batch, rows in zip(batches, results, strict=True):
        if rows is None:
            failed += 1
            missing += len(batch)
        else:
            missing += max(0, len(batch) - len(rows))
            lines += rows
    if append:
        Path(append).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return failed, missing


if __name__ == "__main__":
    raise SystemExit(main())
