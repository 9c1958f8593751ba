"""What can go wrong on a laptop: each gets a sentence and a code, and leaves registry and files as they were.

All of it happens in the repository whose release 1 is live, so that "nothing changed" means something: the
versions with their tags, the endpoints, the journals, the pull requests and the files are compared.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from template_copy import DATA, Chapter, Repository, mlops_command

from mlops.spec.digest import tree_digest

pytestmark = pytest.mark.e2e

PIPELINE = "pipelines/flights/training.yml"


@pytest.fixture
def place(live: Chapter) -> Repository:
    """Release 1 is live in staging and prod."""
    return live.repository


# --- files in git -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "edit", "words", "says"),
    [
        (PIPELINE, ("jobs:\n", "jobs: [\n"), ("train",), f"{PIPELINE}:"),
        (PIPELINE, ("outputs.train}}", "outputs.trian}}"), ("train",), f"{PIPELINE}:"),
        ("pipelines/flights/model.yaml", ("max_drop:", "max_dorp:"), ("gate",), "champion.max_dorp"),
        ("environments/policy.yaml", ("order: [", "order: {"), ("diff", "prod"), "environments/policy.yaml:"),
        ("mlops.toml", ('usecase = "flights"', 'usecase = "trains"'), ("train",), "trains"),
        ("uv.lock", ("[[package]]", "[[package"), ("train",), "uv.lock"),
    ],
    ids=["broken-yaml", "broken-binding", "unknown-gate", "broken-policy", "unknown-use-case", "broken-lock"],
)
def test_a_file_that_is_wrong(
    place: Repository, path: str, edit: tuple[str, str], words: tuple[str, ...], says: str
) -> None:
    with place.unchanged(), place.edited(path, *edit):
        place.spawn(*words).refused(5, says)


def test_an_input_that_the_pipeline_does_not_have(place: Repository) -> None:
    with place.unchanged():
        place.spawn("train", "--set", "nonsense=1").refused(5, PIPELINE, "'nonsense'", "max_iter")
        place.spawn("train", "--set", "max_iter=many").refused(5, PIPELINE, "inputs.max_iter")


def test_a_desired_state_that_is_not_committed(place: Repository) -> None:
    path = "environments/prod/flights.yaml"
    with place.unchanged(), place.edited(path, "release: 1", "release: 2"):
        place.call("apply", "prod").refused(5, path, "commit")


# --- data ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def raw_data(repository: Repository) -> Iterator[Path]:
    """The raw data asset to spoil; the real one is back afterwards."""
    folder = repository.root / DATA
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)


def sign(folder: Path) -> None:
    """The manifest of data that are wrong, but not tampered with."""
    import json

    files = [p for p in folder.iterdir() if p.name != "manifest.json"]
    facts = {"name": "nycflights", "version": "1", "digest": tree_digest(folder, files)}
    (folder / "manifest.json").write_text(json.dumps(facts))


def test_a_column_that_is_missing(place: Repository) -> None:
    import pandas as pd

    with place.unchanged(), raw_data(place) as folder:
        flights = pd.read_parquet(folder / "flights.parquet")
        flights.drop(columns="carrier").to_parquet(folder / "flights.parquet")
        sign(folder)
        place.spawn("train").refused(8, "step 'prep'", "flights.parquet", "lacks the columns carrier")


def test_data_that_were_changed_behind_the_manifest(place: Repository) -> None:
    with place.unchanged(), raw_data(place) as folder:
        with (folder / "planes.parquet").open("ab") as stream:
            stream.write(b"x")
        place.spawn("train").refused(7, f"the raw data in {folder}", "delete the folder")


def test_a_window_without_rows(place: Repository) -> None:
    with place.unchanged():
        done = place.spawn("train", "--test-window", "2014-05")
        done.refused(8, "step 'prep' refuses its input", "2014-05")


def test_a_test_window_in_the_past(place: Repository) -> None:
    with place.unchanged():
        place.spawn("train", "--test-window", "2013-02").refused(5, "the test window 2013-02 starts before")


# --- the artifact -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def flipped(path: Path) -> Iterator[None]:
    """One bit of a file is wrong."""
    before = path.read_bytes()
    middle = len(before) // 2
    path.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
    try:
        yield
    finally:
        path.write_bytes(before)


def stored_graph(repository: Repository) -> Path:
    """model.onnx as the registry keeps it."""
    (found,) = (repository.root / ".mlops" / "artifacts").rglob("artifacts/model/onnx/model.onnx")
    return found


@contextlib.contextmanager
def without_cache(repository: Repository) -> Iterator[None]:
    """As on a machine that has fetched no model yet."""
    cache = repository.root / ".mlops" / "models"
    kept = cache.with_name("kept-models")
    cache.rename(kept)
    try:
        yield
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        kept.rename(cache)


def test_a_corrupted_artifact_is_neither_judged_nor_served(place: Repository) -> None:
    with place.unchanged(), without_cache(place), flipped(stored_graph(place)):
        for words in (("apply", "prod"), ("gate",)):
            place.spawn(*words).refused(7, "flights version 1", "has the digest sha256:", "is expected")


def test_a_corrupted_artifact_in_the_cache(place: Repository) -> None:
    (graph,) = (place.root / ".mlops" / "models").rglob("model.onnx")
    with place.unchanged(), flipped(graph):
        place.call("apply", "prod").refused(7, "flights version 1 in the cache", f"delete {graph.parents[1]}")


def test_a_release_file_that_was_edited(place: Repository) -> None:
    """Releases are immutable: a digest that somebody corrects by hand is not what the pipeline wrote."""
    release = (place.root / "releases/flights/1.yaml").read_text()
    digest = next(line for line in release.splitlines() if line.startswith("digest: "))
    with place.unchanged(), place.edited("releases/flights/1.yaml", digest, digest[:-4] + "0000"):
        place.call("release").refused(3, "releases/flights/1.yaml", "immutable")
        place.call("check", "--registry").refused(7, "releases/flights/1.yaml", "digest")


# --- the disk -----------------------------------------------------------------------------------------------


def small_disk(folder: Path, size: str) -> tuple[str, ...]:
    """A command that runs another one with a real file system of `size` bytes at `folder`.

    It is a tmpfs in a mount name space of its own; nobody else sees it, and it ends with the process.
    """
    script = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", size, str(folder))
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("a small disk needs `unshare` of util-linux, which is not on PATH")
    if tried.returncode:
        pytest.skip(f"this machine does not let a user mount a small disk: {tried.stderr.strip()}")
    return prefix


def state_folder(repository: Repository, name: str) -> Path:
    folder = repository.root / ".mlops" / name
    folder.mkdir(exist_ok=True)
    return folder


def test_no_room_for_a_step_to_write(place: Repository) -> None:
    """The prepared rows fit, the model does not."""
    disk = small_disk(state_folder(place, "cache"), "256k")
    with place.unchanged():
        done = place.spawn("train", "--window", "2013-05..2013-06", "--test-window", "2013-07", prefix=disk)
        done.refused(8, "step 'train' failed", "could not read or write its files: No space left on device")


def test_no_room_for_a_fetched_model(place: Repository) -> None:
    cache = place.root / ".mlops" / "models"
    disk = small_disk(cache, "64k")
    with place.unchanged():
        place.spawn("apply", "prod", prefix=disk).refused(6, f"the disk that holds {cache}", "is full")


def test_no_room_for_anything(place: Repository, tmp_path: Path) -> None:
    """From an empty state: the data are the first that do not fit."""
    state = place.root / ".mlops"
    disk = small_disk(state, "1m")
    with place.unchanged():
        place.spawn("train", prefix=disk).refused(6, "the disk is full; free some space")


# --- kill -9 ------------------------------------------------------------------------------------------------


@pytest.mark.slow  # minutes; docs/pressure.md has the kills of trainings
def test_a_training_that_is_killed_twice_is_finished_by_the_next_one(
    raw_sample: Path, tmp_path: Path
) -> None:
    repository = Repository.make(tmp_path, raw_sample)
    for step in ("prep", "train"):
        train_and_kill_after(repository, step)
        assert repository.runs("RUNNING"), "a killed process ends nothing; the test killed too late"
        assert not orphans(repository), "a step goes on without its pipeline"
    done = repository.spawn("train", "--json").ok().json
    assert (done["version"], done["new"]) == (1, True)
    assert done["reused_steps"] == len(["prep", "validate", "train"]), "finished steps are kept"
    assert repository.runs("RUNNING") == []
    assert len(repository.runs("KILLED")) >= 4, "two pipelines, and the steps that they were in"
    assert not list((repository.root / ".mlops" / "cache" / "tmp").glob("*")), "half a step was left behind"
    assert repository.call("versions", "list", "--json").ok().json[0]["digest"] == done["digest"]
    repository.call("gate").ok()


def train_and_kill_after(repository: Repository, step: str) -> None:
    """SIGKILL, a moment after the line that says that `step` has finished."""
    process = subprocess.Popen(
        mlops_command("train"),
        cwd=repository.root,
        env=repository.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr as lines:
        reached = any(f"✓ {step}" in line for line in lines)
        time.sleep(0.4)  # into the next step
        process.kill()
    process.wait()
    assert reached, "the training ended before it could be killed"


def orphans(repository: Repository) -> list[str]:
    """Command lines of processes that still work in the runs' folders, after a moment to end."""
    inside = str(repository.root / ".mlops" / "runs")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str((entry / "cwd").readlink()).startswith(inside):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
        if not found:
            return []
        time.sleep(0.1)
    return found
