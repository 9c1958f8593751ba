"""The laptop's registry is asked by SQL; MLflow must say the same of the same file, and see what was written.

Two readers of one database that differ would judge one version and release another.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mlops.errors import NotFound, TargetError
from mlops.tracking import ModelStore, PipelineTracker, _local, _sqlite, sqlite_uri
from mlops.tracking.models import DIGEST

MODEL = "freight"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Six versions, one of them deleted, made by MLflow; the address and the folder."""
    folder = tmp_path_factory.mktemp("registry")
    uri = sqlite_uri(folder / "mlflow.db")
    tracker, store = PipelineTracker(uri, folder / "artifacts"), ModelStore(uri)
    (folder / "model" / "deep").mkdir(parents=True)
    (folder / "model" / "MLmodel").write_text("flavors: {}\n")
    (folder / "model" / "deep" / "a b.txt").write_text("x")
    for number in range(1, 7):
        run = tracker.create_parent("e", "train", {})
        tracker.log_artifacts(run, folder / "model", "model")
        tags = {"mlops.gate": "pass" if number % 2 else "blocked", f"only.{number}": "yes"}
        store.register(MODEL, run, "model", f"sha256:{number}", tags)
    store.register("other", run, "model", "sha256:1", {"mlops.gate": "pass"})
    store.delete(MODEL, 4)
    return uri, folder


@pytest.fixture
def by_mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Afterwards stores ask MLflow."""
    yield lambda: monkeypatch.setattr(_local, "opened", lambda uri: None)


def test_both_say_the_same(filled: tuple[str, Path], by_mlflow: Callable[[], None]):
    uri, _ = filled
    store = ModelStore(uri)

    def said() -> list[object]:
        listed = store.versions(MODEL)
        return [
            listed,
            [store.get(MODEL, v.version) for v in listed],
            store.versions(MODEL, limit=2),
            store.versions(MODEL, {"mlops.gate": "pass"}),
            store.versions(MODEL, {"mlops.gate": "pass", "only.3": "yes"}, 1),
            store.versions(MODEL, {"mlops.gate": "it's"}),
            [store.find(MODEL, f"sha256:{n}") for n in range(8)],
            store.versions("nobody"),
        ]

    ours = said()
    assert [v.version for v in store.versions(MODEL)] == [6, 5, 3, 2, 1]
    by_mlflow()
    assert ours == said()
    with pytest.raises(NotFound, match="no version 4 of the model 'freight'"):
        store.get(MODEL, 4)


def test_what_is_written_here_is_seen_there(filled: tuple[str, Path], by_mlflow: Callable[[], None]):
    uri, _ = filled
    store = ModelStore(uri)
    store.tag(MODEL, 2, {"mlops.env.prod": "live", "mlops.gate": None, "absent": None, "text": "é'\n"})
    store.mirror_alias(MODEL, "prod", 2)
    store.mirror_alias(MODEL, "staging", 1)
    store.mirror_alias(MODEL, "staging", None)
    by_mlflow()
    tags = store.get(MODEL, 2).tags
    assert tags == {"mlops.env.prod": "live", "text": "é'\n", "only.2": "yes", DIGEST: "sha256:2"}
    from mlops.tracking._connection import client

    assert client(uri).get_registered_model(MODEL).aliases == {"prod": 2}


def test_a_run_gets_its_tags_without_mlflow_and_mlflow_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_mlflow: Callable[[], None]
):
    uri = sqlite_uri(tmp_path / "mlflow.db")
    tracker = PipelineTracker(uri, tmp_path / "artifacts")
    run = tracker.create_parent("e", "train", {"mlops.verdict": "blocked: onnx"})
    asked: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr("mlops.tracking.runs.log_batch", lambda *args, **more: asked.append(more["tags"]))
        tracker.set_tags(run, {"mlops.verdict": "passed", "mlops.text": "é'\n"})
        assert asked == []
        # A name of MLflow's, and a text that it cuts, are not rows alone.
        for others in ({"mlflow.runName": "again"}, {"mlops.long": "x" * 8001}, {"freight": "x"}):
            tracker.set_tags(run, others)
    assert len(asked) == 3
    with pytest.raises(NotFound, match="cannot tag run absent: there is no such run"):
        tracker.set_tags("absent", {"mlops.verdict": "passed"})
    by_mlflow()
    tags = tracker.get(run).tags
    assert (tags["mlops.verdict"], tags["mlops.text"]) == ("passed", "é'\n")
    from mlops.tracking._connection import client

    client(uri).delete_run(run)
    monkeypatch.undo()
    with pytest.raises(NotFound, match="it is in MLflow's bin"):
        tracker.set_tags(run, {"mlops.verdict": "passed"})


def test_files_of_a_run_are_the_same(filled: tuple[str, Path], tmp_path: Path, by_mlflow: Callable[[], None]):
    uri, folder = filled
    tracker, store = PipelineTracker(uri), ModelStore(uri)
    run = store.get(MODEL, 1).run_id
    (folder / "more").mkdir()
    (folder / "more" / "report.json").write_text("{}")
    tracker.log_artifacts(run, folder / "more", "gates")

    def fetched(name: str) -> list[tuple[str, bytes]]:
        to = tmp_path / name
        for part in ("version", "file", "folder"):
            (to / part).mkdir(parents=True)
        store.download(MODEL, 1, to / "version")
        assert tracker.download(run, "gates/report.json", to / "file").read_text() == "{}"
        assert tracker.download(run, "model", to / "folder").is_dir()
        with pytest.raises(NotFound, match=r"has no artifact gates/absent\.json"):
            tracker.download(run, "gates/absent.json", to)
        return [(p.relative_to(to).as_posix(), p.read_bytes()) for p in sorted(to.rglob("*")) if p.is_file()]

    ours = fetched("ours")
    by_mlflow()
    assert ours == fetched("theirs")


def test_a_version_that_is_not_there(filled: tuple[str, Path]):
    store = ModelStore(filled[0])
    for wrong in (lambda: store.get(MODEL, 99), lambda: store.tag(MODEL, 99, {"a": "b"})):
        with pytest.raises(NotFound, match="no version 99 of the model 'freight'"):
            wrong()
    with pytest.raises(NotFound):
        store.mirror_alias(MODEL, "prod", 99)


def test_ten_thousand_versions_are_not_listed_to_find_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The statements, and the rows that each answers, are those of a small registry."""
    path = tmp_path / "mlflow.db"
    uri = sqlite_uri(path)
    _sqlite.prepare(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO registered_models (name, workspace) VALUES ('freight', 'default')")
        connection.executemany(
            "INSERT INTO model_versions (name, version, creation_time, current_stage, source, run_id) "
            "VALUES ('freight', ?, 0, 'None', 's', 'r')",
            [(n,) for n in range(1, 10_001)],
        )
        connection.executemany(
            "INSERT INTO model_version_tags (key, value, name, version) VALUES (?, ?, 'freight', ?)",
            [(k, f"{n}", n) for n in range(1, 10_001) for k in (DIGEST, "mlops.commit")],
        )
    made: list[int] = []
    real = _local.RegisteredVersion
    monkeypatch.setattr(_local, "RegisteredVersion", lambda *a: made.append(1) or real(*a))
    store = ModelStore(uri)
    assert store.get(MODEL, 7).tags == {DIGEST: "7", "mlops.commit": "7"}
    found = store.find(MODEL, "9000")
    assert found is not None and found.version == 9000
    assert [v.version for v in store.versions(MODEL, limit=1)] == [10_000]
    assert [v.version for v in store.versions(MODEL, {DIGEST: "3"}, 1)] == [3]
    assert len(made) == 4
    assert len(store.versions(MODEL)) == 10_000


def _lines(statement: str) -> str:
    return statement.replace("\t", "").replace(", \n", ",\n").replace("\n)", ",\n)")


def test_the_kept_schema_is_what_the_migrations_make(tmp_path: Path):
    """With a newer MLflow: make the text anew from `iterdump` of what `_migrate` makes."""
    kept, migrated = tmp_path / "kept.db", tmp_path / "migrated.db"
    _sqlite._create(kept)
    _sqlite._migrate(migrated)

    def dump(path: Path) -> list[str]:
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            # The order of constraints and indexes is that of a set.
            return sorted("\n".join(sorted(part.split(",\n"))) for part in map(_lines, connection.iterdump()))

    assert dump(kept) == dump(migrated)
    assert _local.LocalDatabase(kept).schema() == _local.SCHEMA


def test_another_schema_is_mlflows_business(tmp_path: Path):
    path = tmp_path / "mlflow.db"
    _sqlite.prepare(path)
    assert _local.opened(sqlite_uri(path)) is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
    assert _local.opened(sqlite_uri(path)) is None


def test_a_broken_table_is_a_sentence(tmp_path: Path):
    path = tmp_path / "mlflow.db"
    _sqlite.prepare(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE model_versions")
    with pytest.raises(TargetError, match="is not a usable MLflow database"):
        ModelStore(sqlite_uri(path)).versions(MODEL)


def test_looking_at_the_registry_imports_no_mlflow(filled: tuple[str, Path]):
    program = (
        "import sys; from mlops.tracking import ModelStore; "
        f"assert ModelStore({filled[0]!r}).versions('freight'); "
        "assert not {'mlflow', 'sqlalchemy', 'azureml', 'pandas', 'numpy'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class _Server:
    """A registry behind a server: pages of what was asked, and how often."""

    def __init__(self, count: int) -> None:
        self.count, self.calls = count, 0

    def search_model_versions(
        self, terms: str, max_results: int, page_token: str | None, order_by: list[str] | None = None
    ) -> list[object]:
        self.calls += 1
        made = replace(ModelVersionLike(), version=str(self.count))
        found = (
            [made] if "tags." in terms else [replace(made, version=str(n)) for n in range(self.count, 0, -1)]
        )
        start = int(page_token or 0)
        page = _Page(found[start : start + max_results])
        page.token = str(start + max_results) if start + max_results < len(found) else ""
        return page


class _Page(list[object]):
    token = ""


@dataclass(frozen=True)
class ModelVersionLike:
    name: str = MODEL
    version: str = "1"
    run_id: str = "r"
    source: str = "s"
    tags: dict[str, str] = field(default_factory=lambda: {DIGEST: "d"})
    creation_timestamp: int = 0


def test_a_server_is_asked_by_tag_and_for_the_newest(monkeypatch: pytest.MonkeyPatch):
    server = _Server(10_000)
    monkeypatch.setattr("mlops.tracking.models.client", lambda uri: server)
    store = ModelStore("http://registry.example")
    found = store.find(MODEL, "d")
    assert found is not None and found.version == 10_000
    assert [v.version for v in store.versions(MODEL, limit=1)] == [10_000]
    assert server.calls == 2
    assert len(store.versions(MODEL)) == 10_000
