"""Runs that outlive the shell that started them: one background process and one folder of files a run.

`<state>/jobs/<name>/` holds `request.json` (what was asked), `events.jsonl` (one step event a line),
`ended.json` (what came out), `log`, and `lock`, which its process holds for as long as it lives.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops import errors
from mlops.errors import MlopsError, NotFound, TargetError
from mlops.pipeline import JobResult, StepEvent
from mlops.pipeline.run.locks import FileLock
from mlops.spec import writing

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_POLL = 0.1
_KEPT = 20
"""Runs that have ended and whose folders stay."""
_STARTED: list[subprocess.Popen[bytes]] = []
"""Runs outlive this process on purpose; keeping their handles avoids a warning when it ends."""


class DetachedRuns:
    """The runs below `folder` of the repository at `root`."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root

    def start(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """The name of a run whose first step has begun: its code is copied, the checkout may change.

        Raises what ended it before that.
        """
        now = datetime.now(UTC)
        name = f"{pipeline.resolve().parent.name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        folder = self._folder / name
        folder.mkdir(parents=True)
        self._sweep()
        request = {
            "root": str(self._root.resolve()),
            "pipeline": str(pipeline.resolve()),
            "inputs": dict(inputs),
            "tags": dict(tags),
        }
        _write(folder / "request.json", request)
        with (folder / "log").open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "mlops.targets.local.detached", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=Path.cwd(),  # an input may be a path relative to where the user stands
                start_new_session=True,
            )
        _STARTED.append(process)
        while not (folder / "events.jsonl").exists():
            if process.poll() is not None:
                _result(folder)
                break
            time.sleep(_POLL)
        return name

    def follow(self, name: str, progress: Callable[[StepEvent], None], patience: float) -> JobResult | None:
        """See `mlops.targets.base.Jobs.wait`."""
        folder = self._find(name)
        until = time.monotonic() + patience
        told = 0
        while True:
            # Asked first: whatever is written after the process has gone was written before it went.
            alive = _alive(folder)
            events = _events(folder)
            for event in events[told:]:
                progress(event)
            told = len(events)
            if (folder / "ended.json").exists() or not alive:
                return _result(folder)
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL)

    def _find(self, name: str) -> Path:
        folder = self._folder / name
        if not _NAME.fullmatch(name) or not (folder / "request.json").is_file():
            known = sorted((p.parent for p in self._folder.glob("*/request.json")), key=_age)
            newest = f"; the newest is {known[0].name}" if known else "; none was ever started here"
            raise NotFound(f"there is no run {name!r} in {self._folder}{newest}")
        return folder

    def _sweep(self) -> None:
        ended = sorted((p.parent for p in self._folder.glob("*/ended.json")), key=_age)
        for folder in ended[_KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)


def main(folder: Path) -> int:
    """The background process: run what `folder` asks for, and write down how it goes."""
    from mlops.spec.settings import load_settings
    from mlops.targets.local import open_local

    lock = FileLock(folder / "lock")
    lock.acquire(lambda: False)
    asked = _read(folder / "request.json")
    root = Path(asked["root"])

    def tell(event: StepEvent) -> None:
        with (folder / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(event)) + "\n")

    try:
        jobs = open_local(root, load_settings(root)).jobs
        result = jobs.run(Path(asked["pipeline"]), asked["inputs"], asked["tags"], tell)
    except (MlopsError, KeyboardInterrupt) as error:
        # A signal is no verdict of any step.
        known = error if isinstance(error, MlopsError) else TargetError("the run was ended by a signal")
        _write(folder / "ended.json", {"error": type(known).__name__, "sentence": str(known)})
        return known.exit_code
    outputs = {name: str(path) for name, path in result.outputs.items()}
    _write(folder / "ended.json", {**asdict(result), "outputs": outputs})
    return 0


def _alive(folder: Path) -> bool:
    lock = FileLock(folder / "lock")
    if not lock.try_acquire():
        return True
    lock.release()
    return False


def _events(folder: Path) -> list[StepEvent]:
    path = folder / "events.jsonl"
    if not path.exists():
        return []
    # A line without its end is still being written.
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [StepEvent(**json.loads(line)) for line in whole.splitlines()]


def _result(folder: Path) -> JobResult:
    path = folder / "ended.json"
    if not path.exists():
        raise TargetError(
            f"the process of {folder.name} ended unexpectedly (often: the machine was restarted or ran "
            f"out of memory); start it again, finished steps are kept; log: {folder / 'log'}"
        )
    ended = _read(path)
    if "error" in ended:
        kind = getattr(errors, ended["error"], TargetError)
        raise kind(ended["sentence"])
    steps = tuple(StepEvent(**event) for event in ended["steps"])
    outputs = {name: Path(text) for name, text in ended["outputs"].items()}
    return JobResult(ended["run_id"], steps, outputs, ended["url"], ended["tags"])


def _age(folder: Path) -> float:
    return -folder.stat().st_mtime


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, value: Any) -> None:
    writing.write(path, json.dumps(value, indent=2) + "\n", durable=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
