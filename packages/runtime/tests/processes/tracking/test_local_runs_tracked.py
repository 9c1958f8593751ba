"""Runs are read by SQL where they lie in the laptop's database; MLflow must say the same of the same file."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from mlops.errors import NotFound
from mlops.tracking import PipelineTracker, _local, _local_runs, sqlite_uri


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Runs of every kind, made by MLflow; the address, and runs by what they are."""
    folder = tmp_path_factory.mktemp("runs")
    uri = sqlite_uri(folder / "mlflow.db")
    tracker = PipelineTracker(uri, folder / "artifacts")
    found: dict[str, str] = {}
    for name, status in (("one", "FINISHED"), ("two", "FAILED"), ("three", "FINISHED"), ("open", None)):
        found[name] = tracker.create_parent(
            "e", name, {"kind": "it's" if name == "two" else "plain", name: ""}
        )
        child = found[f"{name}.step"] = tracker.create_child(found[name], "step", {"mlops.step": "step"})
        tracker.log(found[name], {"a": "1", "of": name}, {"m": 0.1, "n": math.nan, "i": math.inf})
        tracker.log(found[name], metrics={"m": 0.25})
        if status is not None:
            tracker.finish(child, "FINISHED")
            tracker.finish(found[name], status)  # type: ignore[arg-type]
    found["elsewhere"] = tracker.create_parent("other", "elsewhere", {"kind": "plain"})
    tracker.finish(found["elsewhere"], "FINISHED")
    from mlflow.tracking import MlflowClient

    MlflowClient(uri).delete_run(found["three"])
    return uri, found


def test_both_say_the_same(filled: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    uri, runs = filled
    tracker = PipelineTracker(uri)

    def said() -> str:
        """As text: nothing equals what is no number."""
        told = [
            [tracker.get(run) for run in runs.values()],
            tracker.find_runs("e"),
            tracker.find_runs("e", {"kind": "plain"}, "FINISHED"),
            tracker.find_runs("e", {"kind": "plain", "one": ""}),
            tracker.find_runs("e", limit=2),
            tracker.find_runs("nowhere"),
            tracker.children(runs["one"]),
            tracker.left_open(),
            tracker.left_open(runs["open"]),
        ]
        return repr(
            [
                [sorted(vars(run).items(), key=lambda pair: pair[0]) for run in part]
                if isinstance(part, list)
                else sorted(part)
                for part in told
            ]
        )

    def in_order(text: str) -> list[str]:
        return sorted(text.split())

    ours = said()
    assert "nan" in ours
    assert list(tracker.left_open()) == [runs["open"]]
    assert list(tracker.left_open(runs["open"])) == [runs["open.step"]]
    assert {run.run_id for run in tracker.find_runs("e", {"kind": "it's"})} == {runs["two"]}
    monkeypatch.setattr(_local, "opened", lambda uri: None)
    assert in_order(ours) == in_order(said())


def test_a_run_that_is_not_there(filled: tuple[str, dict[str, str]]) -> None:
    with pytest.raises(NotFound, match="no such run"):
        PipelineTracker(filled[0]).get("0" * 32)


def test_more_runs_than_fit_into_one_question(
    filled: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = PipelineTracker(filled[0])
    whole = repr(tracker.find_runs("e"))
    monkeypatch.setattr(_local_runs, "_AT_ONCE", 2)
    assert repr(tracker.find_runs("e")) == whole


def test_looking_at_runs_imports_no_mlflow(filled: tuple[str, dict[str, str]]) -> None:
    program = (
        "import sys; from mlops.tracking import PipelineTracker; "
        f"assert PipelineTracker({filled[0]!r}).find_runs('e'); "
        "assert not {'mlflow', 'sqlalchemy', 'azureml', 'pandas', 'numpy'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
