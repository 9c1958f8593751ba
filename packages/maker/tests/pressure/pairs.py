"""Two people run two verbs that write, at once, in one repository with one state: every pair of them."""

from __future__ import annotations

import functools
import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from event_world import fact
from judged_world import JudgedWorld, judged
from monitor_world import NOW

from mlops.errors import MlopsError
from mlops.events import flush, publish
from mlops.lifecycle.desired.proven import recorded, unproven, vouch
from mlops.lifecycle.train import ingest as ingesting
from mlops.serving.batch.job import score_folder
from mlops.serving.http.state import following_keys, keep_keys, read_keys
from mlops.spec.digest import tree_digest
from mlops.spec.files import load_desired, load_release
from mlops.spec.settings import load_settings
from mlops.steps import dataset
from mlops.targets.local import open_local
from mlops.targets.local.store import LocalStore
from tests.pressure import acts
from tests.pressure.files import entry
from tests.pressure.processes import CLEAN, SENTENCE, ended, forked

SETTINGS = """
[models.toy]
usecase = "toy"
[[events.sinks]]
kind = "file"
"""
Verb = Callable[[], object]


class Shared:
    """One repository: a version to judge, a delivery, files to score, keys, a journal and an outbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = JudgedWorld(folder)
        settings = self.root / "mlops.toml"
        settings.write_text(settings.read_text() + SETTINGS)
        self.world.add("good")
        self.world.add("poor")
        with judged():
            self.world.gate(1)
        acts.ingest_files(self.root)
        acts.batch_files(folder, 200)
        (folder / "keys").mkdir()
        keep_keys(folder / "keys", following_keys(folder / "keys"))
        self.delivered = 0

    @property
    def root(self) -> Path:
        return self.world.root

    def verbs(self) -> dict[str, Verb]:
        world, root, folder = self.world, self.root, self.folder
        registry = world.registry
        return {
            "gate": functools.partial(self._judged, world.gate, 1),
            "gate of another": functools.partial(self._judged, world.gate, 2),
            "release": functools.partial(self._judged, world.release, 1),
            "register": lambda: registry.register(
                "freight", folder / "model", tree_digest(folder / "model"), {"mlops.dirty": "false"}
            ),
            "mark live": lambda: registry.tag("freight", 1, {"mlops.env.staging": "live"}),
            "sign": lambda: vouch(registry, load_release(root, "freight", 1)),
            "delete": lambda: registry.delete("freight", 2),
            "ingest": self._ingest,
            "batch": lambda: score_folder(folder / "model", folder / "in", folder / "out", workers=1),
            "tell": lambda: publish(root, fact(1), NOW),
            "flush": lambda: flush(root),
            "journal": lambda: LocalStore(world.state).append("prod", entry(1)),
            "lock": self._lock,
            "rotate keys": lambda: keep_keys(folder / "keys", following_keys(folder / "keys")),
        }

    def check(self) -> None:
        """Nothing is half, and what was said is there. Raises `AssertionError` and what a reader raises."""
        for file in self.folder.rglob("*.db"):
            with sqlite3.connect(file) as database:
                assert database.execute("pragma integrity_check").fetchone() == ("ok",), file
        registry = self.world.registry
        released = self.root / "releases/freight/1.yaml"
        if released.exists():
            made = load_release(self.root, "freight", 1)
            assert unproven(made, recorded(registry, registry.get("freight", 1)), verified=False) == []
            load_desired(self.root, "staging", "freight")
        numbers = [v.version for v in registry.versions("freight")]
        assert numbers == sorted(set(numbers), reverse=True)
        digests = [v.tags["mlops.digest"] for v in registry.versions("freight")]
        assert len(digests) == len(set(digests)), "one artifact is one version"
        for place in (p for p in (self.root / ".mlops/data/toy").iterdir() if p.is_dir()):
            if place.name.isdigit():
                dataset.read_raw(place)
        read_keys(self.folder / "keys")
        LocalStore(self.world.state).entries("prod")

    def _judged(self, verb: Callable[[int], object], version: int) -> object:
        with judged():
            return verb(version)

    def _ingest(self) -> object:
        target = open_local(self.root, load_settings(self.root))
        with mock.patch.object(ingesting, "load_usecase", lambda *_: acts.TOY):
            return ingesting.ingest(self.root, target, "toy", str(self.root / "delivered"), None, actor="ada")

    def _lock(self) -> None:
        with LocalStore(self.world.state).lock("prod", "ada", 5.0) as lease:
            lease.verify()


def pairs_of_writers(times: int, folder: Path) -> dict[str, int]:
    """Two run any two verbs that write in one state: each ends well or with a sentence, nothing is half."""
    shared = Shared(folder)
    verbs = shared.verbs()
    done = refused = pairs = 0
    for _ in range(times):
        for pair in itertools.combinations_with_replacement(verbs, 2):
            codes = [ended(pid) for pid in [forked(verbs[name]) for name in pair]]
            assert set(codes) <= {CLEAN, SENTENCE}, f"{' and '.join(pair)}: {codes}"
            try:
                shared.check()
            except (MlopsError, sqlite3.Error) as error:
                raise AssertionError(f"after {' and '.join(pair)}: {error}") from error
            pairs += 1
            done += codes.count(CLEAN)
            refused += codes.count(SENTENCE)
    return {"pairs": pairs, "done": done, "refused with a sentence": refused}
