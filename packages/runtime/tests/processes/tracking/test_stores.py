"""A store that cannot be used is a sentence within seconds, and two processes can start on an empty one."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlops import tracking
from mlops.errors import InvalidInput, TargetError
from mlops.tracking import PipelineTracker, _connection, _sqlite, sqlite_uri

PROGRAM = """
import sys
from pathlib import Path
from mlops.tracking import PipelineTracker, sqlite_uri
tracker = PipelineTracker(sqlite_uri(Path(sys.argv[1])), Path(sys.argv[1]).parent / "artifacts")
print(tracker.create_parent("e", "a", {}))
"""


def test_two_processes_start_on_an_empty_store(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "mlflow.db")]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert [err for _, err in answers] == ["", ""], "MLflow's chatter stays off the terminal"
    runs = {run.run_id for run in PipelineTracker(sqlite_uri(tmp_path / "mlflow.db")).find_runs("e")}
    assert runs == {out.strip() for out, _ in answers}
    assert sorted(p.name for p in tmp_path.glob(".*")) == [], "no database in the making is left"


def test_a_killed_start_leaves_no_half_database(tmp_path, monkeypatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_sqlite, "_tidy", die)
    with pytest.raises(KeyboardInterrupt):
        _sqlite.prepare(tmp_path / "mlflow.db")
    assert not (tmp_path / "mlflow.db").exists()


def test_a_locked_database_is_a_sentence(database, tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"
    path.write_bytes(database.read_bytes())
    patient = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **_: patient(*a, timeout=0.1))
    holder = patient(path)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(TargetError, match="is locked by another process"):
            _sqlite.prepare(path)
    finally:
        holder.close()


def test_a_file_that_is_no_database_is_a_sentence(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database at all" * 400)
    with pytest.raises(TargetError, match="is not a usable MLflow database"):
        _sqlite.prepare(tmp_path / "mlflow.db")


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TargetError, match="cannot use the tracking database"):
        _sqlite.prepare(tmp_path / "file" / "mlflow.db")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_a_sentence(sqlite, tmp_path):
    """The artifact's folder takes no byte more."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"x" * 10)
    tracker = PipelineTracker(sqlite, tmp_path / "artifacts")
    run = tracker.create_parent("e", "a", {})
    place = tmp_path / "artifacts" / "e" / run / "artifacts" / "model"
    place.mkdir(parents=True)
    (place / "weights").symlink_to("/dev/full")
    with pytest.raises(TargetError, match=r"the disk that holds .* is full"):
        tracker.log_artifacts(run, folder, "model")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("database or disk is full", "disk that is full"),
        ("attempt to write a readonly database", "cannot be written"),
        ("Detected out-of-date database schema (found", "mlflow db upgrade"),
        ("unable to open database file", "cannot be opened"),
    ],
)
def test_sqlite_messages_become_advice(message, sentence):
    assert sentence in _sqlite.sentence(message, "/state/mlflow.db")


def test_a_server_that_is_not_there_is_a_sentence_soon():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(TargetError, match=f"tracking server http://127.0.0.1:{port} does not answer"):
        PipelineTracker(f"http://user:secret@127.0.0.1:{port}").find_runs("e")
    assert time.monotonic() - started < 10, "MLflow's own retries take minutes"


def test_secrets_in_a_uri_are_not_shown():
    assert _connection.shown("https://me:secret@host/path?token=x") == "https://host/path"


def test_an_unknown_kind_of_store_is_refused():
    with pytest.raises(TargetError, match="not supported; give sqlite"):
        PipelineTracker("ftp://host").find_runs("e")


def test_without_a_run_nothing_is_logged(monkeypatch):
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    tracking.log_params({"a": 1})
    tracking.log_metrics({"a": 1.0})
    tracking.set_tags({"a": "b"})
    tracking.log_artifacts(Path("absent"), "x")


def test_a_run_without_a_store_is_an_error(monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(TargetError, match="set both or neither"):
        tracking.log_params({"a": 1})


def test_a_folder_that_is_not_there_is_refused(sqlite, tmp_path):
    tracker = PipelineTracker(sqlite, tmp_path / "artifacts")
    with pytest.raises(InvalidInput, match="not a folder"):
        tracker.log_artifacts("any", tmp_path / "absent", "x")


def test_importing_tracking_does_not_import_mlflow():
    program = "import sys, mlops.tracking; print('mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"


def test_a_download_that_does_not_fit_is_not_called_a_wrong_path(sqlite, tmp_path, monkeypatch):
    tracker = PipelineTracker(sqlite, tmp_path / "artifacts")
    run_id = tracker.create_parent("e", "a", {})
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "rows.txt").write_text("rows")
    tracker.log_artifacts(run_id, tmp_path / "file", "report")
    to = tmp_path / "to"
    to.mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", refuse)
    monkeypatch.setattr("shutil.copy2", refuse)
    with pytest.raises(
        TargetError, match=f"cannot download report of run .*: the disk that holds {to} is full"
    ):
        tracker.download(run_id, "report", to)
    monkeypatch.setattr("mlops.tracking._local.opened", lambda uri: None)  # as MLflow does it
    monkeypatch.setattr(_connection, "_FULL", 1 << 62)
    with pytest.raises(TargetError, match=f"the disk that holds {to} is full"):
        tracker.download(run_id, "report", to)
