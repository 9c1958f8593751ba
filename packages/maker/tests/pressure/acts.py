"""Verbs that write, each in a folder of its own, with what must come of it however often it was begun."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from event_world import SETTINGS, fact
from judged_world import JudgedWorld, judged
from monitor_world import ENV, MODEL, NOW, MonitorWorld, rows

from mlops.errors import TargetError
from mlops.events import flush, publish
from mlops.lifecycle.desired.proven import recorded, unproven
from mlops.lifecycle.train import ingest as ingesting
from mlops.lifecycle.watch.monitor import monitor
from mlops.serving import testing
from mlops.serving.batch.job import score_folder
from mlops.spec.files import load_desired, load_release
from mlops.spec.settings import load_settings
from mlops.steps.ingest import source_digest, write_manifest
from mlops.targets.local import open_local
from mlops.usecase import Delivery


@dataclass(frozen=True)
class Act:
    """`says`: what came of the verb, the same however often it was begun."""

    work: Callable[[], object]
    says: Callable[[], object]


def batch(folder: Path) -> Act:
    """Eight files are scored in two processes."""
    batch_files(folder)

    def says() -> object:
        kept = sorted((folder / "out").glob("*.parquet"))
        left = [p.name for p in folder.rglob("*") if p.name.endswith((".tmp", ".draft"))]
        return left, {p.name: _digest(pd.read_parquet(p)) for p in kept}

    return Act(lambda: score_folder(folder / "model", folder / "in", folder / "out", workers=2), says)


def batch_files(folder: Path, count: int = 20_000) -> None:
    """A model, and what it scores."""
    chance = np.random.default_rng(1)
    testing.write_onnx(folder / "model")
    (folder / "in").mkdir()
    for number in range(8):
        frame = pd.DataFrame(
            {"carrier": chance.choice(["AA", "UA"], count), "distance": chance.uniform(1, 900, count)}
        )
        frame.to_parquet(folder / "in" / f"{number}.parquet")


def monitoring(folder: Path) -> Act:
    """A window of captured traffic is judged, and a breach announced."""
    world = MonitorWorld(folder)
    world.capture(rows(4000, seats=120.0))

    def says() -> object:
        kept = sorted((folder / ".mlops").rglob("20261121*.json"))
        # Hindered only where it was told that it was: an outbox that cannot be written is a warning.
        return {p.name: json.loads(p.read_text())["outcome"] for p in kept}

    return Act(lambda: monitor(folder, world.target, ENV, MODEL, now=NOW), says)


def events(folder: Path) -> Act:
    """Fifty facts are told and delivered to a file."""
    (folder / "mlops.toml").write_text(f'{SETTINGS}[[events.sinks]]\nkind = "file"\n')

    def work() -> None:
        for number in range(50):
            if not publish(folder, fact(number + 1), NOW):
                raise TargetError("it was not kept")
        if said := flush(folder):
            raise TargetError(said[0])

    def says() -> object:
        lines = (folder / ".mlops/events.jsonl").read_bytes().split(b"\n")
        assert lines.pop() == b"", "the last line has no end"
        return sorted({json.loads(line)["data"]["version"] for line in lines})

    return Act(work, says)


def ingest(folder: Path) -> Act:
    """A delivery with a wrong row becomes the next version of a data asset, once."""
    (folder / "mlops.toml").write_text('[project]\nname = "toy"\n[models.toy]\nusecase = "toy"\n')
    ingest_files(folder)
    target = open_local(folder, load_settings(folder))

    def work() -> object:
        with mock.patch.object(ingesting, "load_usecase", lambda *_: TOY):
            return ingesting.ingest(folder, target, "toy", str(folder / "delivered"), None, actor="ada")

    def says() -> object:
        versions = sorted(p.name for p in (folder / ".mlops/data/toy").iterdir() if p.is_dir())
        made = {p.name: p.read_bytes() for p in (folder / ".mlops/data/toy/2").iterdir()}
        return versions, hashlib.sha256(repr(sorted(made.items())).encode()).hexdigest()

    return Act(work, says)


def ingest_files(folder: Path) -> None:
    """The first version of the data asset, and a delivery."""
    (folder / "pipelines/toy").mkdir(parents=True)
    (folder / "pipelines/toy/data.yml").write_text('name: toy\nversion: "1"\n')
    first = folder / ".mlops/data/toy/1"
    first.mkdir(parents=True)
    _table(50_000, 1).to_csv(first / "rows.csv", index=False)
    write_manifest(first, "toy", "1", source_digest(first))
    (folder / "delivered").mkdir()
    _table(50_000, 2).to_csv(folder / "delivered/rows.csv", index=False)


def _table(count: int, seed: int) -> pd.DataFrame:
    return pd.DataFrame({"x": np.random.default_rng(seed).normal(size=count).round(6)})


def _take(source: Path, window: object, base: Path, fresh: Path) -> Delivery:
    frame = pd.concat([pd.read_csv(base / "rows.csv"), pd.read_csv(source / "rows.csv")])
    frame.to_csv(fresh / "rows.csv", index=False)
    return Delivery({"rows.csv": len(frame)}, [])


TOY: Any = SimpleNamespace(
    name="toy", task="binary", target="y", slices=(), time=None, files=("rows.csv",), ingest=_take
)


def release(folder: Path) -> Act:
    """A version is judged, recorded and released."""
    world = JudgedWorld(folder)
    world.add("good")

    def work() -> object:
        with judged():
            world.gate()
            return world.release()

    def says() -> object:
        there = JudgedWorld(folder)
        made = load_release(there.root, "freight", 1)
        found = recorded(there.registry, there.registry.get("freight", 1))
        asked = load_desired(there.root, "staging", "freight")
        left = [p.name for p in there.root.rglob("*") if p.name.endswith((".tmp", ".draft"))]
        return left, asked, unproven(made, found, verified=False)

    return Act(work, says)


ACTS: dict[str, Callable[[Path], Act]] = {
    "batch": batch,
    "monitor": monitoring,
    "events flush": events,
    "ingest": ingest,
    "release": release,
}


def _digest(frame: pd.DataFrame) -> str:
    return hashlib.sha256(pd.util.hash_pandas_object(frame).to_numpy().tobytes()).hexdigest()
